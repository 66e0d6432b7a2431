"""The functions RQ calls, by name. They do nothing themselves: they enter the process's one event loop."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

import msgspec

from orchestrator.core.ports.workers import CheckBatch, DeliveryBatch
from orchestrator.core.session import JsonObject


class Inside(Protocol):
    """What is behind the entrance (`workers.service.Service`)."""

    def enter(self, batch: CheckBatch) -> None:
        """Take a batch; return when each of its checks has begun."""
        ...

    def enter_deliveries(self, batch: DeliveryBatch) -> None:
        """Take a batch of deliveries; return when each of its lanes has begun."""
        ...


_INSIDE: ContextVar[Inside] = ContextVar("inside")


@contextmanager
def entrance(inside: Inside) -> Iterator[None]:
    """Within this context, on this thread, batches enter here."""
    token = _INSIDE.set(inside)
    try:
        yield
    finally:
        _INSIDE.reset(token)


def run_checks(payload: JsonObject) -> None:
    """Hand a batch to the process's event loop; return when each of its checks has begun.

    Raises msgspec.ValidationError for a payload that is no batch, LookupError outside a worker process.
    """
    _INSIDE.get().enter(msgspec.convert(payload, CheckBatch))


def run_deliveries(payload: JsonObject) -> None:
    """Hand a batch of deliveries to the process's event loop; return when each of its lanes has begun.

    Raises as `run_checks`.
    """
    _INSIDE.get().enter_deliveries(msgspec.convert(payload, DeliveryBatch))


def written(batch: CheckBatch | DeliveryBatch) -> JsonObject:
    """Return a batch as what JSON can hold."""
    payload: JsonObject = msgspec.to_builtins(batch)
    return payload
