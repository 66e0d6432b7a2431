"""Draws the scenes: `make screenshots`, or `make screenshots ARGS=builder-` for those whose name begins so.

Where fonts of the page's list are installed it is drawn with them; Inter (Debian's fonts-inter) is what the committed
pictures have.
"""

from __future__ import annotations

import asyncio
import io
import sys
import tempfile
from html import escape
from pathlib import Path
from typing import Any, Final

from PIL import Image
from playwright.async_api import Browser, Locator, Page

from tests.acceptance.installation import WITHOUT_LIMITS, Installation, everything_up
from tests.browser import (  # noqa: F401 - they put scenes in
    builder_scenes,
    comparison_scenes,
    connect_page_scenes,
    dashboard_scenes,
    sign_in_scenes,
)
from tests.browser.chromium import launched
from tests.browser.stages import ATTEMPT_S, SCENES, TOKEN_S, USERS, Stage

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"
FOLDER: Final = DOCS / "images"
ALBUM: Final = DOCS / "pages.md"
HEADER: Final = """# What our pages show

Every state of every page, as `make screenshots` draws it, which also writes this document: in Chromium, with the
simulator, on a desktop and on a phone, in light and dark. What you see is the theme that you read in.
"""
PAGES: Final = {
    "builder": ("The demo builder", "`/demo`: a Zap of several steps, with a menu of what may go wrong."),
    "compare": ("The comparison", "`/demo/compare`: the published snippet and connect.js, with the same popup."),
    "dashboard": ("The dashboard", "[For operators](dashboard.md), in an incident."),
    "connect": ("The connect page", "[One step, by a link](hosted-page.md)."),
    "signin": ("Signing in", "[Around the way to Zapier](sign-in.md)."),
}
"""By what the names of their scenes begin with."""
AT_ONCE: Final = 4
COLORS: Final = 64
SETTINGS: Final = {
    "ZAPWRIGHT_TENANT_NAME": "Acme",
    "ZAPWRIGHT_ATTEMPT_S": str(ATTEMPT_S),
    "ZAPWRIGHT_ATTEMPT_VISIBLE_S": str(ATTEMPT_S),
    "ZAPWRIGHT_CLIENT_TOKEN_S": str(TOKEN_S),
}
THEMES: Final[tuple[Any, ...]] = ("light", "dark")
SCREENS: Final = {"desktop": (1280, 800), "phone": (390, 844)}
SHOWN_WIDTHS: Final = {"desktop": 620, "phone": 180}
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
                size += await _save(page, FOLDER / file_of(name, theme, screen))
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


def file_of(name: str, theme: str, screen: str) -> str:
    """Return what a picture is called."""
    return f"{name}-{theme}-{screen}.png"


def album() -> str:
    """Return the document that shows every picture, each in its reader's theme."""
    parts = [HEADER]
    for page, (title, about) in PAGES.items():
        names = [name for name in SCENES if name.startswith(f"{page}-")]
        if names:
            parts += [f"## {title}\n", f"{about}\n", *map(_entry, names)]
    return "\n".join(parts)


def _entry(name: str) -> str:
    caption = SCENES[name].__doc__ or name
    pictures = " ".join(_picture(name, screen, width, alt=caption) for screen, width in SHOWN_WIDTHS.items())
    return f"### {name}\n\n{caption}\n\n{pictures}\n"


def _picture(name: str, screen: str, width: int, *, alt: str) -> str:
    light, dark = (f"images/{file_of(name, theme, screen)}" for theme in THEMES)
    source = f'<source media="(prefers-color-scheme: dark)" srcset="{dark}">'
    return f'<picture>{source}<img src="{light}" width="{width}" alt="{escape(alt)}"></picture>'


def main() -> None:
    """Draw what the command line asks for."""
    beginnings = tuple(sys.argv[1:])
    names = [name for name in SCENES if name.startswith(beginnings or "")]
    with (
        tempfile.TemporaryDirectory() as folder,
        everything_up(Path(folder, "data"), **WITHOUT_LIMITS, **SETTINGS) as installation,
    ):
        asyncio.run(draw_all(names, installation))
    ALBUM.write_text(album(), encoding="utf-8")


if __name__ == "__main__":
    main()
