"""The user comes back to the page: a real focus, on a real window manager, whether or not the popup was cut off."""

from __future__ import annotations

import statistics
from collections.abc import AsyncIterator
from typing import Any, Final, Literal

import pytest

from orchestrator.core.schedule import CLOSED_WAIT
from orchestrator.core.session import SECOND
from tests.browser.desktop import Desktop, desktop
from tests.browser.product import Product
from tests.browser.scenes import until

pytestmark = [pytest.mark.browser, pytest.mark.slow]

Return = Literal["closes the popup", "goes to the page's window"]
SILENT: Final = {"message": "none"}
CUT: Final = [{"coop": {place: "same-origin"}} for place in ("first", "middle", "last")]
CASES: Final[list[tuple[str, dict[str, Any], Return]]] = [
    ("no COOP, no message", SILENT, "closes the popup"),
    ("no COOP, no message", SILENT, "goes to the page's window"),
    *(
        (f"COOP, {place} page", cut, "closes the popup")
        for place, cut in zip(("first", "middle", "last"), CUT, strict=True)
    ),
    ("COOP, middle page", CUT[1], "goes to the page's window"),
]
SOON_S: Final = CLOSED_WAIT / SECOND / 2
"""Long before the schedule alone would look. Two seconds are meant, where nothing else keeps the machine busy."""


@pytest.fixture(name="screen", scope="module")
async def a_screen(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Desktop]:
    """A desktop with a browser."""
    async with desktop(tmp_path_factory.mktemp("desktop")) as screen:
        yield screen


async def test_who_returns_without_a_message_is_shown_the_result(
    screen: Desktop, product: Product, record_property: Any
) -> None:
    """Closing the popup or going to the page is a reason to look at once; nothing else has to be pressed."""
    titles = (await product.apps())[-len(CASES) :]
    rows, took = [], []
    for number, ((name, popups, way), app) in enumerate(zip(CASES, titles, strict=True)):
        await product.popups(**{app: popups | {"visitor": "allows", "visitor_ms": 300}})
        user = f"returning-{number}"
        session = await product.session(user, app)
        step = session["steps"][0]["id"]
        window = await screen.open(product.page(session))
        await window.evaluate(f"document.title = '{user}'")
        page = await screen.active_window(titled=user)
        await window.until(f"document.getElementById('{step}')?.dataset.show === 'ready'")
        await window.click(f"#{step} .connect")
        await screen.active_window(but=page)
        await window.evaluate("delete heard.focus")
        (right,) = await until(lambda: product.accounts(user, app))  # noqa: B023 - it is awaited here
        if way == "closes the popup":
            await screen.xdotool("key", "ctrl+w")
        else:
            await screen.xdotool("windowactivate", "--sync", page)
        await window.until(
            f"document.getElementById('{step}').dataset.show === 'resolved' && heard.focus > 0",
            or_say=f"({{ case: '{number}', heard, seen: seen['{step}'], hidden: document.hidden }})",
        )
        shown = await window.evaluate(f"document.getElementById('{step}').dataset.authentication")
        took.append(await window.evaluate(f"Math.max(0, seen['{step}'].at(-1).at - heard.focus) / 1000"))
        rows.append(f"{name:20} | {way:25} | {'right' if shown == right else 'WRONG':5} | {took[-1]:5.2f} s")
        await window.close()
        assert shown == right
    record_property(
        "table", "\n".join([*rows, f"from the focus to the result: median {statistics.median(took):.2f} s"])
    )

    assert statistics.median(took) <= SOON_S
