"""The table, and the machine that runs it."""

import pytest

from orchestrator.core import machine
from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.machine import TABLE, Trigger
from orchestrator.core.session import StepState

EDGES = [(edge, source) for edge in TABLE for source in edge.sources]


@pytest.mark.parametrize(("edge", "source"), EDGES, ids=lambda value: str(getattr(value, "trigger", value)))
def test_each_edge_of_the_table_leads_where_it_says(edge: machine.Edge, source: StepState) -> None:
    """The machine knows the table, its reasons included."""
    moved = machine.move(source, edge.trigger, session_id="z", step_id="s")

    assert moved == (edge.to, edge.reason)


@pytest.mark.parametrize("state", StepState)
@pytest.mark.parametrize("trigger", Trigger)
def test_what_is_not_in_the_table_is_refused(state: StepState, trigger: Trigger) -> None:
    """No trigger moves a state that no edge names."""
    listed = any(edge.trigger is trigger and state in edge.sources for edge in TABLE)

    assert machine.allows(state, trigger) == listed
    if not listed:
        with pytest.raises(IllegalSignalError) as refused:
            machine.move(state, trigger, session_id="z", step_id="s")
        assert (refused.value.facts["state"], refused.value.facts["signal"]) == (state, trigger)


def test_the_drawing_names_every_state_and_trigger() -> None:
    """What people see is the whole table."""
    drawn = machine.mermaid()

    assert [state for state in StepState if f": {state.value}\n" not in drawn] == []
    assert [trigger for trigger in Trigger if trigger.value not in drawn] == []
