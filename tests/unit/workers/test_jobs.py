"""The way from the queue into the process: JSON in, the same batch out."""

from __future__ import annotations

import json
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.clock import RandomIds
from orchestrator.core.ports.workers import CheckBatch
from workers.jobs import entrance, read_batch, run_checks, write_batch

batches = st.from_type(CheckBatch)


@given(batches)
def test_a_batch_survives_its_way_through_json(batch: CheckBatch) -> None:
    """What the dispatcher sends is what the checker gets."""
    carried = json.loads(json.dumps(write_batch(batch)))

    assert batch == read_batch(carried)


def test_a_job_enters_the_process_it_runs_in() -> None:
    """The function RQ calls hands the batch to whoever opened the entrance."""
    batch = CheckBatch(token="ck1", watches=())
    entered: list[CheckBatch] = []
    with entrance(entered.append):
        run_checks(write_batch(batch))

    assert entered == [batch]


def test_a_job_outside_a_worker_process_fails() -> None:
    """It does not run somewhere else."""
    with pytest.raises(LookupError):
        run_checks(write_batch(CheckBatch(token="ck1", watches=())))


def test_what_is_no_batch_is_refused() -> None:
    """A payload of another version fails loudly; its watches are due again when their leases run out."""
    with pytest.raises(msgspec.ValidationError), entrance(lambda _: None):
        run_checks({"token": 3})


def test_leases_are_ids_to_rq() -> None:
    """Letters, digits, `_` and `-`: a batch is named by its lease's token."""
    assert re.fullmatch(r"[A-Za-z0-9_-]+", RandomIds().new("ck"))
