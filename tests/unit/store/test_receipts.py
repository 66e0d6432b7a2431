"""Bodies of requests are bound in memory as cheaply as in a server, and let go of as soon."""

from __future__ import annotations

import time
from typing import Final

from orchestrator.core.terms import RECEIPT_KEPT, Idempotency
from orchestrator.store.memory.receipts import MemoryReceiptStore
from orchestrator.store.memory.state import State
from tests.support.store_values import NOON, SHARDS, TENANT

MANY: Final = 40_000
WITHIN_S: Final = 12.0
"""Of the processor's time: a hundred times what it takes, and a fraction of it if each looked at all before it."""


async def test_what_is_bound_costs_the_next_nothing() -> None:
    """A day of requests with keys is bound one after the other, none dearer than the first."""
    state = State(shards=SHARDS)
    receipts, began = MemoryReceiptStore(state), time.process_time()
    for number in range(MANY):
        await receipts.bind(TENANT, _body(number), now=NOON + number, until=NOON + number + RECEIPT_KEPT)

    assert len(state.bound) == MANY
    assert time.process_time() - began < WITHIN_S


async def test_what_is_bound_no_longer_is_let_go_of() -> None:
    """By whoever binds next; what is bound still stays as it is."""
    state = State(shards=SHARDS)
    receipts = MemoryReceiptStore(state)
    for number in range(3):
        await receipts.bind(TENANT, _body(number), now=NOON, until=NOON + 1 + number)
    again = [await receipts.bind(TENANT, _body(number, "later"), now=NOON + 2, until=NOON + 9) for number in (0, 2)]

    assert again == ["later", "f2"]
    assert {name for _, name in state.bound} == {"n0", "n2"}


def _body(number: int, fingerprint: str = "") -> Idempotency:
    return Idempotency(name=f"n{number}", fingerprint=fingerprint or f"f{number}")
