"""Browsers without a window: they keep cookies and press a page's one button."""

from __future__ import annotations

import httpx

from tests.support.patience import PATIENT

OF_THE_PAGE = {"Sec-Fetch-Site": "same-origin", "Origin": "null"}
"""What a browser says of itself when the form of a page that sends no referrer is sent."""


def come_by(url: str) -> str:
    """Come by a connect link in a browser that has never been there, and continue; return the page that follows."""
    with httpx.Client(**PATIENT) as browser:
        browser.get(url).raise_for_status()
        return browser.post(url, headers=OF_THE_PAGE, follow_redirects=True).raise_for_status().text
