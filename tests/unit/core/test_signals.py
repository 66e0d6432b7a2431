"""Signals: a closed union of frozen facts."""

from dataclasses import fields, is_dataclass
from typing import get_args

from orchestrator.core.signals import Signal, StepSignal


def test_every_signal_is_a_frozen_value() -> None:
    """What happened does not change afterwards."""
    assert [kind for kind in get_args(Signal) if not is_dataclass(kind) or kind.__hash__ is None] == []


def test_every_signal_about_a_step_names_it() -> None:
    """By its immutable id."""
    assert [kind for kind in get_args(StepSignal) if "step_id" not in {one.name for one in fields(kind)}] == []
