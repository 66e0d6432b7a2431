"""The functions RQ calls, by name. They do nothing themselves: they enter the process's one event loop."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import msgspec

from orchestrator.core.ports.workers import CheckBatch
from orchestrator.core.session import JsonObject

_ENTRANCE: ContextVar[Callable[[CheckBatch], None]] = ContextVar("entrance")


@contextmanager
def entrance(enter: Callable[[CheckBatch], None]) -> Iterator[None]:
    """Within this context, on this thread, batches go where `enter` takes them."""
    token = _ENTRANCE.set(enter)
    try:
        yield
    finally:
        _ENTRANCE.reset(token)


def run_checks(payload: JsonObject) -> None:
    """Hand a batch to the process's event loop; return when each of its checks has begun.

    Raises msgspec.ValidationError for a payload that is no batch, LookupError outside a worker process.
    """
    _ENTRANCE.get()(read_batch(payload))


def write_batch(batch: CheckBatch) -> JsonObject:
    """Return the batch as what JSON can hold."""
    written: JsonObject = msgspec.to_builtins(batch)
    return written


def read_batch(payload: JsonObject) -> CheckBatch:
    """Read `write_batch` back. Raises msgspec.ValidationError."""
    return msgspec.convert(payload, CheckBatch)
