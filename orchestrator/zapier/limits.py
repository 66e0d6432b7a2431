"""How long, how much and how old: the bounds of our calls to Zapier."""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.core.session import MINUTE, SECOND, Millis


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The bounds of every call, with defaults for production.

    `call_limit`: one request, from its start to the last byte of its answer. `max_pages`: how many pages one list is
    followed. `max_body`: the size of one answer in bytes. `page_size`, `search_size`: how many rows a page of
    authentications, and one of a search, is asked to have; Zapier need not honour it. `link_age`: how old a popup
    address may be when it is handed out, and everything else that is about to be used. `catalogue_age`: the same for
    what is only shown, a page of the catalogue or an app's actions. `live_age`: the same for live samples.
    """

    call_limit: Millis = 10 * SECOND
    max_pages: int = 20
    max_body: int = 2 * 1024 * 1024
    page_size: int = 100
    search_size: int = 20
    link_age: Millis = MINUTE
    catalogue_age: Millis = 10 * MINUTE
    live_age: Millis = 10 * SECOND
