"""What becomes of windows is tested in the whole browser."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from playwright.async_api import Browser

from tests.browser.chromium import launched


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Debian's Chromium as its users have it, but for a screen: it blocks popups, and windows know each other."""
    async with launched() as browser:
        yield browser
