"""Every fault of a popup, whatever the user does with the page meanwhile, ends in the right state with the right id."""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field
from itertools import product as product_of
from typing import Any, Final, Literal

import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import Error as PlaywrightError

from tests.browser.product import Product
from tests.browser.scenes import SOON_MS, Scene, Tab, Visitor, until, visitor, walk_to_login

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(400)]

Behaviour = Literal["stay", "reload midway", "second tab", "offline 5 s"]
BEHAVIOURS: Final[tuple[Behaviour, ...]] = ("stay", "reload midway", "second tab", "offline 5 s")
POLICIES: Final = ("same-origin", "same-origin-allow-popups", "noopener-allow-popups")
BUSY_AT_ONCE: Final = 5
OFFLINE_S: Final = 5.0
LONGEST_S: Final = 100.0


@dataclass(frozen=True, kw_only=True, eq=False)
class Fault:
    """What goes wrong in a popup, what its user does in the end, and what the page must show then."""

    name: str
    popups: dict[str, Any] = field(default_factory=dict)
    account: str | None = None
    allows: bool = True
    ends_with: Literal["message", "finished", "cancel", "nothing"] = "message"
    show: str = "resolved"
    is_offered: bool = False

    @property
    def shows(self) -> tuple[str, ...]:
        """What the page may show in the end: who looks at the right moment finds what the message did not name."""
        return (self.show, "resolved") if self.is_offered else (self.show,)


PLAIN: Final = Fault(name="none")
CUT_OFF: Final = tuple(
    Fault(name=f"COOP {policy}, {place} page", popups={"coop": {place: policy}}, ends_with="finished")
    for policy in POLICIES
    for place in ("first", "middle", "last")
)
MESSAGES: Final = (
    Fault(name="silent", popups={"message": "none"}, ends_with="finished"),
    Fault(name="late", popups={"message_after_ms": 3_000}),
    Fault(name="doubled", popups={"message_times": 2}),
    Fault(name="spoofed by a frame", popups={"spoofs": ["frame"]}),
    Fault(name="spoofed by another window", popups={"spoofs": ["window"]}),
    Fault(name="spoofed by another origin", popups={"spoofs": ["origin"]}),
    Fault(name="id a number", popups={"message_id": "number"}),
    Fault(name="id an object", popups={"message_id": "object"}),
    Fault(name="id null", popups={"message_id": "null"}),
    Fault(name="no id", popups={"message_id": "absent"}),
    Fault(name="message of 1 MB", popups={"message_bytes": 2**20}),
    Fault(name="closes itself", popups={"closes_after_ms": 0}),
    Fault(name="slow redirects", popups={"redirects": 4, "redirect_ms": 500}),
    Fault(name="user denies", allows=False, ends_with="cancel", show="cancelled"),
)
HOPELESS: Final = (
    Fault(name="user goes away", allows=False, ends_with="nothing", show="timed-out"),
    Fault(
        name="another account, cut off",
        popups={"coop": {"last": "same-origin"}},
        account="somebody-else",
        ends_with="nothing",
        show="timed-out",
    ),
    Fault(name="another account", account="somebody-else", show="not-visible"),
    Fault(name="id of somebody else's", popups={"message_id": "foreign"}, show="not-visible", is_offered=True),
    Fault(name="id of nothing", popups={"message_id": "unknown"}, show="not-visible", is_offered=True),
)


@dataclass(frozen=True, kw_only=True)
class Ending:
    """How one case ended."""

    fault: Fault
    behaviour: Behaviour
    show: str
    is_right: bool
    wrong: frozenset[str]
    evidence: str
    took_s: float

    @property
    def is_good(self) -> bool:
        """Whether the state and the id are the right ones, and no other id was ever shown."""
        return self.show in self.fault.shows and self.is_right and not self.wrong


@pytest.mark.parametrize(
    "faults",
    [
        pytest.param((PLAIN, *CUT_OFF), id="cut off"),
        pytest.param(MESSAGES, id="messages"),
        pytest.param(HOPELESS, id="nothing to find"),
    ],
)
async def test_every_fault_ends_in_the_right_state_with_the_right_id(
    chromium: Browser, product: Product, record_property: Any, faults: tuple[Fault, ...]
) -> None:
    """No wrong id is ever shown, and nobody waits without end, in this tab or another, with or without a network.

    Who does the same thing meanwhile is one user in one browser, for each fault with another app.
    """
    apps = dict(zip(faults, await product.apps(), strict=False))
    await product.popups(**{apps[fault]: fault.popups for fault in faults})
    busy = asyncio.Semaphore(BUSY_AT_ONCE)
    async with AsyncExitStack() as browsers:
        users = {
            whose: await browsers.enter_async_context(visitor(product, chromium, signed_in_as=whose[1]))
            for whose in product_of(BEHAVIOURS, {fault.account for fault in faults})
        }
        cases = [
            Case(users[behaviour, fault.account], apps[fault], fault, behaviour)
            for fault, behaviour in product_of(faults, BEHAVIOURS)
        ]
        endings = await asyncio.gather(*(case.play(busy) for case in cases))
    record_property("table", _table(faults, endings))

    assert [ending for ending in endings if not ending.is_good] == []


class Case:
    """One fault, met by one user who does one thing meanwhile."""

    def __init__(self, user: Visitor, app: str, fault: Fault, behaviour: Behaviour) -> None:
        self._user = user
        self._app = app
        self._fault = fault
        self._behaviour = behaviour

    async def play(self, busy: asyncio.Semaphore) -> Ending:
        """Go through it; what the browser refuses is an ending too, and no good one."""
        try:
            return await self._play(busy)
        except PlaywrightError as error:
            return Ending(
                fault=self._fault,
                behaviour=self._behaviour,
                show=error.message.partition("\n")[0],
                is_right=False,
                wrong=frozenset(),
                evidence="",
                took_s=0.0,
            )

    async def _play(self, busy: asyncio.Semaphore) -> Ending:
        """Only what keeps the machine busy waits for its turn."""
        async with AsyncExitStack() as stack:
            async with busy:
                meant = await stack.enter_async_context(self._user.scene(self._app, accounts=1))
                (old,) = await meant.accounts()
                tab = await meant.tab()
                await tab.shows("ready")
                popup = await tab.connect()
                await walk_to_login(popup)
                tabs = await self._meanwhile(meant, tab, popup)
                since = time.monotonic()
                await self._end(meant, tabs[-1], popup)
            with suppress(AssertionError):  # what is shown instead is in the table
                await asyncio.gather(*(tab.shows(*self._fault.shows, within_ms=LONGEST_S * 1_000) for tab in tabs))
            took = time.monotonic() - since
            return await self._ending(meant, tabs, old, took)

    async def _meanwhile(self, meant: Scene, tab: Tab, popup: Page) -> list[Tab]:
        tabs = [tab]
        match self._behaviour:
            case "stay":
                await self._answer(popup)
            case "reload midway":
                await tab.page.reload()
                await expect(tab.row).to_be_attached(timeout=SOON_MS)
                await self._answer(popup)
            case "second tab":
                tabs.append(await meant.tab())
                await self._answer(popup)
            case "offline 5 s":
                async with tab.offline():
                    since = time.monotonic()
                    await self._answer(popup)
                    await asyncio.sleep(max(0.0, since + OFFLINE_S - time.monotonic()))
        return tabs

    async def _answer(self, popup: Page) -> None:
        """Do what the user does at the login and after it."""
        if self._fault.name == "user goes away":
            return
        await popup.locator("#allow" if self._fault.allows else "#deny").click()
        if "window" in self._fault.popups.get("spoofs", ()):
            await popup.locator("#done").click()

    async def _end(self, meant: Scene, tab: Tab, popup: Page) -> None:
        """Do what the user does when the popup is done."""
        match self._fault.ends_with:
            case "finished":
                await until(lambda: self._new(meant))
                await popup.close()
                await tab.press("finished")
            case "cancel":
                await tab.press("cancel")
            case "message" | "nothing":
                pass

    async def _new(self, meant: Scene) -> str | None:
        _, *new = await meant.accounts()
        return new[0] if new else None

    async def _ending(self, meant: Scene, tabs: list[Tab], old: str, took: float) -> Ending:
        right = await self._new(meant)
        snapshot = (await tabs[0].snapshot())["steps"][0]
        shown = {await tab.authentication() for tab in tabs}
        offered = {candidate["id"] for candidate in snapshot["candidates"]}
        match snapshot["show"]:
            case "resolved":
                is_right = shown == {right}
            case _ if self._fault.is_offered:
                is_right = right in offered
            case _:
                is_right = shown == {None}
        seen = {one["authentication"]["id"] for tab in tabs for one in await tab.seen() if one["authentication"]}
        return Ending(
            fault=self._fault,
            behaviour=self._behaviour,
            show=snapshot["show"],
            is_right=is_right,
            wrong=frozenset(seen - {right}),
            evidence="+".join(snapshot["evidence"]["channels"]) if snapshot["evidence"] else "",
            took_s=took,
        )


def _table(faults: tuple[Fault, ...], endings: list[Ending]) -> str:
    width = max(len(fault.name) for fault in (*CUT_OFF, *MESSAGES, *HOPELESS))
    found = {(ending.fault, ending.behaviour): ending for ending in endings}
    lines = [f"{'fault':{width}} | " + " | ".join(f"{behaviour:26}" for behaviour in BEHAVIOURS)]
    for fault in faults:
        cells = []
        for behaviour in BEHAVIOURS:
            ending = found[fault, behaviour]
            mark = "" if ending.is_good else "WRONG "
            cells.append(f"{mark + ending.show:12} {ending.took_s:4.1f} s {ending.evidence[:7]:7}")
        lines.append(f"{fault.name:{width}} | " + " | ".join(cells))
    return "\n".join(lines)
