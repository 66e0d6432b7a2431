"""How soon a lost message is made up for."""

from __future__ import annotations

import pytest

from orchestrator.core.schedule import FIRST_QUIET_WAIT, FIRST_QUIET_WAIT_PAGE_GONE
from orchestrator.core.session import SECOND, HintKind
from tests.integration.workers.site import Site, Waiting


@pytest.mark.slow
async def test_a_silent_popup_is_resolved_by_signals_and_by_the_schedule_alone(site: Site) -> None:
    """Within two seconds of a strong signal; at the first quiet check when nobody says anything any more."""
    with site.worker():
        silent, silent_made = await _silent(site, "silent")
        gone, gone_made = await _silent(site, "gone", is_gone=True)
        told, told_made = await site.lose_message("told")
        said_at = site.zapwright.clock.now()
        told_step = await site.resolution(told, within_s=2)
        (told_at,) = await site.resolved_at(told)
        gone_step = await site.resolution(gone, within_s=FIRST_QUIET_WAIT_PAGE_GONE / SECOND + 5)
        (gone_at,) = await site.resolved_at(gone)
        silent_step = await site.resolution(silent, within_s=FIRST_QUIET_WAIT / SECOND + 5)
        (silent_at,) = await site.resolved_at(silent)

    found = [step.authentication and step.authentication.id for step in (told_step, gone_step, silent_step)]
    assert found == [told_made, gone_made, silent_made]
    assert told_at - said_at < 2 * SECOND
    assert 0 <= gone_at - gone.opened_at - FIRST_QUIET_WAIT_PAGE_GONE < 2 * SECOND
    assert 0 <= silent_at - silent.opened_at - FIRST_QUIET_WAIT < 2 * SECOND


async def _silent(site: Site, user: str, *, is_gone: bool = False) -> tuple[Waiting, str]:
    waiting = await site.waiting(user)
    made = await site.finish(waiting)
    if is_gone:
        await site.hint(waiting, HintKind.CLOSED, gone=True)
    return waiting, made
