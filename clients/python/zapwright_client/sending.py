"""Sends calls, and sends them again where that is safe and may help: once for threads, once for asyncio."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import httpx

from zapwright_client.call import Call
from zapwright_client.errors import NoAnswerError, ProblemError, ZapwrightError

P = ParamSpec("P")
T = TypeVar("T")

_KEY = re.compile(r"[!-~]+")
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How often a call is sent, and how long is waited in between. `longest_wait_s` bounds each wait."""

    tries: int = 4
    first_wait_s: float = 0.2
    longest_wait_s: float = 10

    def wait_s(self, call: Call[Any], error: ZapwrightError, *, tried: int) -> float | None:
        """Say how long to wait before the call is sent again; None when it must not be, or would not help."""
        if tried >= self.tries:
            return None
        match error:
            case NoAnswerError(was_sent=was_sent) if call.is_repeatable or not was_sent:
                return self._backoff_s(tried)
            case ProblemError(status=503) | ProblemError(code="idempotency_in_flight") if call.is_repeatable:
                wait = self._backoff_s(tried) if error.retry_after_s is None else error.retry_after_s
                return wait if wait <= self.longest_wait_s else None
            case _:
                return None

    def _backoff_s(self, tried: int) -> float:
        longest: float = min(self.longest_wait_s, self.first_wait_s * 2 ** (tried - 1))
        return longest * random.uniform(0.5, 1)  # noqa: S311 - so that not all come at once


class _Caller:
    def __init__(self, url: str, key: str, *, timeout_s: float, patience: Patience) -> None:
        if not url.startswith(("http://", "https://")):
            raise ValueError(f"{url!r} is no address of an API: it begins with http:// or https://")
        if not _KEY.fullmatch(key):
            raise ValueError("the key is empty, or has characters that no key has, such as the end of a line")
        self._url = url.rstrip("/")
        self._key = key
        self._timeout_s = timeout_s
        self._patience = patience

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._url!r})"

    def _request(self, call: Call[Any], http: httpx.Client | httpx.AsyncClient) -> httpx.Request:
        return call.request(http, url=self._url, key=self._key, timeout_s=self._timeout_s)

    def _wait_s(self, call: Call[Any], error: ZapwrightError, *, tried: int) -> float:
        """Return how long to wait before the next time. Raises the error when there is none."""
        wait = self._patience.wait_s(call, error, tried=tried)
        if wait is None:
            raise error
        return wait


class Sender(_Caller):
    """Sends calls. `key` is an API key, or a client token; it never shows. Close it, or use it in a `with`.

    Raises ValueError for what cannot be an address or a key.
    """

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = 30,
        patience: Patience = Patience(),
        http: httpx.Client | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        super().__init__(url, key, timeout_s=timeout_s, patience=patience)
        self._http = http or httpx.Client()
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close its connections."""
        self._http.close()

    def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe, and return its answer. Raises ZapwrightError."""
        request = self._request(call, self._http)
        tried = 0
        while True:
            tried += 1
            try:
                return call.read(self._http.send(request))
            except httpx.TransportError as error:
                wait = self._wait_s(call, _no_answer(error), tried=tried)
            except ZapwrightError as error:
                wait = self._wait_s(call, error, tried=tried)
            self._sleep(wait)


class AsyncSender(_Caller):
    """The same for asyncio."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        timeout_s: float = 30,
        patience: Patience = Patience(),
        http: httpx.AsyncClient | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(url, key, timeout_s=timeout_s, patience=patience)
        self._http = http or httpx.AsyncClient()
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close its connections."""
        await self._http.aclose()

    async def send(self, call: Call[T]) -> T:
        """Send a call, again where that is safe, and return its answer. Raises ZapwrightError."""
        request = self._request(call, self._http)
        tried = 0
        while True:
            tried += 1
            try:
                return call.read(await self._http.send(request))
            except httpx.TransportError as error:
                wait = self._wait_s(call, _no_answer(error), tried=tried)
            except ZapwrightError as error:
                wait = self._wait_s(call, error, tried=tried)
            await self._sleep(wait)


def sent(route: Callable[P, Call[T]]) -> Callable[Concatenate[Sender, P], T]:
    """Make a route a method that sends."""

    @wraps(route)
    def method(self: Sender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.send(route(*args, **kwargs))

    return method


def sent_async(route: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncSender, P], Coroutine[Any, Any, T]]:
    """Make a route a method that sends, for asyncio."""

    @wraps(route)
    async def method(self: AsyncSender, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.send(route(*args, **kwargs))

    return method


def _no_answer(error: httpx.TransportError) -> NoAnswerError:
    return NoAnswerError(f"{type(error).__name__} {error}".strip(), was_sent=not isinstance(error, _NEVER_SENT))
