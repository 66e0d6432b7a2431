"""How soon a lost message is made up for."""

from __future__ import annotations

import pytest

from orchestrator.core.session import SECOND
from tests.integration.workers.site import Site


@pytest.mark.slow
async def test_a_silent_popup_is_resolved_within_two_seconds_of_a_strong_signal(site: Site) -> None:
    """The user comes back and says so: API, dispatcher, queue, worker and Zapier together take less."""
    with site.worker():
        waiting, made = await site.lose_message("told")
        said_at = site.zapwright.clock.now()
        step = await site.resolution(waiting, within_s=2)
        (found_at,) = await site.resolved_at(waiting)

    assert step.authentication is not None
    assert step.authentication.id == made
    assert found_at - said_at < 2 * SECOND
