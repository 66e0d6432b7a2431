"""Where the API is, and which of the links it gives may be followed."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import httpx

ADDRESSES_REMEMBERED: Final = 1024
"""The same few are asked again and again, and writing one takes as long as all the rest of a request."""

_DIGITS_OF_AN_OFFSET: Final = 9


class ApiAddress:
    """The origin of the API, with the path under which it lives there (`https://api.zapier.com`: none).

    Raises ValueError when the text is no plain http or https address, or already names a version of the API.
    """

    def __init__(self, base_url: str) -> None:
        try:
            url = httpx.URL(base_url)
        except httpx.InvalidURL as error:
            raise ValueError(f"not an address: {base_url!r}") from error
        if url.scheme not in {"http", "https"} or not url.host or url.userinfo or url.query or url.fragment:
            raise ValueError(f"an API's address is http(s)://host[:port][/path], not {base_url!r}")
        self._url = url
        self._endpoint = lru_cache(maxsize=ADDRESSES_REMEMBERED)(self._written)
        self._prefix = url.path.rstrip("/")
        if self._prefix.endswith(("/v1", "/v2")):
            raise ValueError(f"an API's address comes without a version (both are used), so not {base_url!r}")

    def endpoint(self, path: str, **query: str | int) -> httpx.URL:
        """Return the address of one endpoint (`/v2/apps`)."""
        return self._endpoint(path, **query)

    def _written(self, path: str, **query: str | int) -> httpx.URL:
        url = self._url.copy_with(path=self._prefix + path)
        return url.copy_merge_params(query) if query else url

    def own(self, link: str, *, seen_on: httpx.URL) -> httpx.URL | None:
        """Return where a link on a page leads, None when that is not this API.

        The user's token travels with every request, so a link is followed only to the same scheme, host and port,
        under the same path, and without credentials of its own.
        """
        try:
            url = seen_on.join(link)
        except (httpx.InvalidURL, ValueError):
            return None
        if _origin(url) != _origin(self._url) or url.userinfo or not url.path.startswith(self._prefix + "/"):
            return None
        return url.copy_with(fragment=None)


def _origin(url: httpx.URL) -> tuple[bytes, bytes, int | None]:
    return url.raw_scheme, url.raw_host, url.port


def offset_of(url: httpx.URL) -> int | None:
    """Return the offset an address asks for; None when it names none, or not as a number."""
    text = url.params.get("offset", "")
    is_number = text.isascii() and text.isdigit() and len(text) <= _DIGITS_OF_AN_OFFSET
    return int(text) if is_number else None
