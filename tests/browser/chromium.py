"""Debian's Chromium under Playwright, which brings none of its own here."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from playwright.async_api import Browser, async_playwright

PROGRAM: Final = "chromium"
SHELL: Final = "chromium-headless-shell"
"""What of it draws pages and runs scripts, in a package of its own: it blocks no popup, and costs half as much."""

ALWAYS: Final = (
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--no-default-browser-check",
)


@asynccontextmanager
async def launched(
    *arguments: str, program: str = PROGRAM, headless: bool = True, **environment: str
) -> AsyncIterator[Browser]:
    """Have a Chromium; root's needs to do without its sandbox."""
    as_root = ("--no-sandbox",) if os.geteuid() == 0 else ()
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=shutil.which(program),
            headless=headless,
            args=[*ALWAYS, *as_root, *arguments],
            ignore_default_args=["--disable-popup-blocking"],
            env={**os.environ, **environment},
        )
        try:
            yield browser
        finally:
            await browser.close()
