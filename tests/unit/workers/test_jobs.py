"""The way from the queue into the process: JSON in, the same batch out."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clock import RandomIds
from orchestrator.core.ports.workers import CheckBatch, DeliveryBatch
from workers.jobs import entrance, run_checks, run_deliveries, written


class Hall:
    """Notes who entered."""

    def __init__(self) -> None:
        self.entered: list[CheckBatch | DeliveryBatch] = []

    def enter(self, batch: CheckBatch) -> None:
        self.entered.append(batch)

    def enter_deliveries(self, batch: DeliveryBatch) -> None:
        self.entered.append(batch)


@given(st.from_type(CheckBatch), st.from_type(DeliveryBatch))
def test_a_batch_enters_the_process_it_runs_in_as_it_was_sent(checks: CheckBatch, deliveries: DeliveryBatch) -> None:
    """The functions RQ calls hand it to whoever opened the entrance, whole after its way through JSON."""
    hall = Hall()
    with entrance(hall):
        run_checks(json.loads(json.dumps(written(checks))))
        run_deliveries(json.loads(json.dumps(written(deliveries))))

    assert hall.entered == [checks, deliveries]


def test_a_job_outside_a_worker_process_fails() -> None:
    """It does not run somewhere else."""
    with pytest.raises(LookupError):
        run_checks(written(CheckBatch(token="ck1", watches=())))


def test_what_is_no_batch_is_refused() -> None:
    """A payload of another version fails loudly; its watches are due again when their leases run out."""
    with pytest.raises(msgspec.ValidationError), entrance(Hall()):
        run_checks({"token": 3})


def test_leases_are_ids_to_rq() -> None:
    """Letters, digits, `_` and `-`: a batch is named by its lease's token."""
    assert re.fullmatch(r"[A-Za-z0-9_-]+", RandomIds().new("ck"))
