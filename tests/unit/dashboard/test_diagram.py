"""The drawing of the machine is the table's."""

import pytest

from dashboard import diagram
from dashboard.nodes import html
from orchestrator.core.machine import TABLE
from orchestrator.core.session import StepState


def test_every_line_of_the_table_is_an_arrow_and_every_arrow_is_in_the_table() -> None:
    """A line that is added to the table has to be drawn, and one that goes leaves no arrow behind."""
    assert diagram.WAYS.keys() == diagram.pairs().keys()
    assert sum(len(edges) for edges in diagram.pairs().values()) >= len(TABLE)


def test_every_state_has_its_box() -> None:
    """And one stands for any of them."""
    assert diagram.BOXES.keys() == {*(state.value for state in StepState), diagram.ANY_STATE}


@pytest.mark.parametrize("state", list(StepState))
def test_the_state_of_the_step_is_lit_and_so_is_what_leads_on(state: StepState) -> None:
    """One box, and the arrows from it and from any state."""
    drawn = html(diagram.drawn(state.value, name="x"))
    from_here = [pair for pair in diagram.pairs() if pair[0] in {state.value, diagram.ANY_STATE}]

    assert drawn.count('class="state lit"') == 1
    assert drawn.count('class="way lit"') == len(from_here)
    assert f"this step is in {state.value}" in drawn
    assert {edge.to for edge in diagram.ways_on(state.value)} == {edge.to for edge in TABLE if state in edge.sources}
