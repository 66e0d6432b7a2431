"""What a failover does to the store in memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import fields

from orchestrator.core.ports.store import Store
from orchestrator.store.memory import MemoryStore


@contextmanager
def lost(store: Store) -> Iterator[None]:
    """Take back at the end of the block what was written in it: what was answered is not there any more."""
    assert isinstance(store, MemoryStore)
    kept = deepcopy(store.state)
    yield
    for field in fields(kept):
        setattr(store.state, field.name, getattr(kept, field.name))
