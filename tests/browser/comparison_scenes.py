"""The comparison in each of its states.

What it does wrong on purpose, and whom browsers are signed in as, holds for its app in the whole simulator: one after
the other.
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import Final

from playwright.async_api import expect

from tests.browser.comparison import A_CHECK_MS, Comparison, Side, signs_in, walk
from tests.browser.stages import Shown, Stage, scene

_TURN: Final = asyncio.Lock()


async def _walked(stage: Stage, *, to: str, side: Side) -> Shown:
    """Walk through the comparison as far as this state; a small screen begins with this side."""
    async with _TURN:
        comparison = await Comparison.opened(stage.context, stage.variables)
        async with aclosing(walk(comparison)) as states:
            async for state in states:
                if state == to:
                    break
    return comparison.page, comparison.side(side).get_by_role("heading")


@scene
async def compare_new(stage: Stage) -> Shown:
    """Before anything."""
    page, _ = await _walked(stage, to="new", side="left")
    return page, None


@scene
async def compare_gave_up(stage: Stage) -> Shown:
    """The left page believes that its user has left."""
    return await _walked(stage, to="gave-up", side="left")


@scene
async def compare_waiting(stage: Stage) -> Shown:
    """The right page's popup is open."""
    return await _walked(stage, to="waiting", side="right")


@scene
async def compare_checking(stage: Stage) -> Shown:
    """The right page's popup reads as closed."""
    return await _walked(stage, to="checking", side="right")


@scene
async def compare_connected(stage: Stage) -> Shown:
    """The left page has lost what the right one has found."""
    return await _walked(stage, to="connected", side="right")


@scene
async def compare_closed_meanwhile(stage: Stage) -> Shown:
    """The account was found while no page was open."""
    async with _TURN:
        first = await Comparison.opened(stage.context, stage.variables)
        await first.starts()
        await first.page.get_by_role("button", name="Skip this one").click()
        popup = await first.is_cut_off("right")
    await first.shows("right", "checking")
    await first.page.close(run_before_unload=True)
    await signs_in(popup)
    again = await Comparison.opened(stage.context, stage.variables)
    await again.shows("right", "resolved", within_ms=A_CHECK_MS)
    return again.page, again.side("right").get_by_role("heading")


@scene
async def compare_blocked(stage: Stage) -> Shown:
    """The browser opens no popup."""
    await stage.context.add_init_script("window.open = () => null")
    async with _TURN:
        comparison = await Comparison.opened(stage.context, stage.variables)
        await comparison.starts()
        await comparison.page.get_by_role("button", name="Connect Salesforce").first.click()
        await comparison.shows("left", "blocked")
    return comparison.page, comparison.side("left").get_by_role("heading")


@scene
async def compare_unreachable(stage: Stage) -> Shown:
    """The API does not answer."""
    await stage.context.route("**/dev/session", lambda route: route.abort())
    comparison = await Comparison.opened(stage.context, stage.variables)
    await comparison.page.get_by_role("button", name="Begin", exact=True).click()
    await expect(comparison.page.get_by_role("alert")).to_be_visible()
    return comparison.page, None
