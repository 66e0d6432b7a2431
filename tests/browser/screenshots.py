"""Draws the scenes: `make screenshots`, or `make screenshots ARGS=builder-` for those whose name begins so.

Where fonts of the page's list are installed it is drawn with them; Inter (Debian's fonts-inter) is what the committed
pictures have.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.async_api import Browser, Locator, Page

from tests.acceptance.installation import WITHOUT_LIMITS, Installation, everything_up
from tests.browser import builder_scenes  # noqa: F401 - puts its scenes into the table
from tests.browser.chromium import launched
from tests.browser.stages import ATTEMPT_S, SCENES, TOKEN_S, USERS, Stage

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "images"
AT_ONCE: Final = 4
COLORS: Final = 64
SETTINGS: Final = {
    "ZAPWRIGHT_ATTEMPT_S": str(ATTEMPT_S),
    "ZAPWRIGHT_ATTEMPT_VISIBLE_S": str(ATTEMPT_S),
    "ZAPWRIGHT_CLIENT_TOKEN_S": str(TOKEN_S),
}
THEMES: Final[tuple[Any, ...]] = ("light", "dark")
SCREENS: Final = {"desktop": (1280, 800), "phone": (390, 844)}
MARGIN: Final = 16


async def draw(name: str, browser: Browser, installation: Installation, user: str) -> int:
    """Draw a scene's pictures, and return how many bytes they have."""
    context = await browser.new_context(viewport=_viewport("desktop"), reduced_motion="reduce", locale="en-GB")
    async with installation.api() as api:
        stage = Stage(context, user, installation.variables, api)
        page, target = await SCENES[name](stage)
        size = 0
        for screen in SCREENS:
            for theme in THEMES:
                await page.emulate_media(color_scheme=theme, reduced_motion="reduce")
                await page.set_viewport_size(_viewport(screen))
                await page.mouse.move(0, 0)
                await _scroll(page, target, to_top=screen == "phone")
                size += await _save(page, FOLDER / f"{name}-{theme}-{screen}.png")
    await context.close()
    return size


async def _scroll(page: Page, target: Locator | None, *, to_top: bool) -> None:
    """Begin at the top of the page, as long as what matters is seen so; on a phone, begin with what matters."""
    await page.evaluate("scrollTo(0, 0)")
    if target is not None:
        await target.evaluate(
            """(element, [margin, isFirst]) => {
              const { top, bottom } = element.getBoundingClientRect();
              scrollTo(0, isFirst ? top - margin : bottom + margin - innerHeight);
            }""",
            [MARGIN, to_top],
        )


def _viewport(screen: str) -> Any:
    width, height = SCREENS[screen]
    return {"width": width, "height": height}


async def _save(page: Page, path: Path) -> int:
    """Save what is to be seen in its most frequent colours, which text and plain grounds are made of."""
    drawn = Image.open(io.BytesIO(await page.screenshot(animations="disabled", caret="hide"))).convert("RGB")
    counted = sorted(drawn.getcolors(drawn.width * drawn.height) or [], reverse=True)[:COLORS]
    palette = Image.new("P", (1, 1))
    palette.putpalette([part for _, color in counted for part in color])  # type: ignore[attr-defined]
    drawn.quantize(palette=palette, dither=Image.Dither.NONE).save(path, optimize=True)
    return path.stat().st_size


async def draw_all(names: list[str], installation: Installation) -> None:
    """Draw scenes, a few at once. Raises an ExceptionGroup of those that could not be drawn."""
    FOLDER.mkdir(exist_ok=True)
    seats = asyncio.Semaphore(AT_ONCE)

    async with launched() as browser:

        async def draw_one(name: str) -> None:
            async with seats:
                size = await draw(name, browser, installation, USERS[sorted(SCENES).index(name)])
            sys.stdout.write(f"  {name}: {size // 1024} KiB\n")

        done = await asyncio.gather(*(draw_one(name) for name in names), return_exceptions=True)
    failures = [error for error in done if isinstance(error, Exception)]
    if failures:
        raise ExceptionGroup("some scenes could not be drawn", failures)


def main() -> None:
    """Draw what the command line asks for."""
    beginnings = tuple(sys.argv[1:])
    names = [name for name in SCENES if name.startswith(beginnings or "")]
    with (
        tempfile.TemporaryDirectory() as folder,
        everything_up(Path(folder, "data"), **WITHOUT_LIMITS, **SETTINGS) as installation,
    ):
        asyncio.run(draw_all(names, installation))


if __name__ == "__main__":
    main()
