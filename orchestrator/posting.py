"""What carries webhook messages: POSTs to addresses that somebody else chose, so that nothing here is trusted.

The address is checked when the socket is made, after every name was resolved, and the connection is made to that very
address: whatever a name, a literal in some odd notation or an answer that changes from one moment to the next leads to,
no socket reaches what `Networks` does not admit. Redirects are not followed, proxies not used, cookies not kept.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult

from orchestrator.core.deliveries import LONGEST_ANSWER_KEPT, Answer
from orchestrator.core.endpoints import Networks
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.webhooks import Post
from orchestrator.core.retry_after import wait_asked
from orchestrator.core.session import SECOND, Millis

IDLE_KEPT_S: Final = 4.0
"""Shorter than most receivers keep an idle connection, so that few messages meet one that is just being closed."""

MOST_OF_ANSWER: Final = 16 * 1024
"""What of an answer is read; a longer one costs its connection."""

NAMES_KEPT_S: Final = 30
THREADS_FOR_NAMES: Final = 32


class AddressRefusedError(OSError):
    """No connection is made to this address."""


class SystemNames(AbstractResolver):
    """The system's resolver, on threads that nobody else needs: a name whose server is silent holds up one of them."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS_FOR_NAMES, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return every address of a name. Raises OSError."""
        ask = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._threads, ask)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Wait for no answer any more."""
        self._threads.shutdown(wait=False, cancel_futures=True)


class AiohttpPost:
    """`Post` by aiohttp. A POST takes `limit` at most, from the look-up of the name to the end of the answer.

    Names are looked up by `resolver`, by default the system's.
    """

    def __init__(
        self, *, networks: Networks, limit: Millis, clock: Clock, resolver: AbstractResolver | None = None
    ) -> None:
        self._resolver = resolver or SystemNames()
        self._networks = networks
        self._limit = limit
        self._clock = clock
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes) -> Answer:
        """Make one POST; whatever goes wrong is an answer, too."""
        began = self._clock.now()
        try:
            async with self._session(url).post(url, data=body, headers=headers, allow_redirects=False) as response:
                text = await _beginning(response)
                return Answer(
                    status=response.status,
                    took=self._clock.now() - began,
                    text=text,
                    retry_after=wait_asked(",".join(response.headers.getall("Retry-After", ())), now=self._clock.now()),
                )
        except (aiohttp.ClientError, OSError, ValueError) as error:  # TimeoutError is an OSError
            return Answer(status=None, took=self._clock.now() - began, problem=_problem(error))

    async def aclose(self) -> None:
        """Close every connection."""
        for session in self._sessions.values():
            await session.close()
        await self._resolver.close()

    def _session(self, url: str) -> aiohttp.ClientSession:
        """Return the connections for this scheme; those by plain http reach other addresses."""
        is_secure = url.startswith("https:")
        if is_secure not in self._sessions:
            connector = aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=IDLE_KEPT_S,
                ttl_dns_cache=NAMES_KEPT_S,
                resolver=self._resolver,
                socket_factory=self._sockets(is_secure=is_secure),
            )
            self._sessions[is_secure] = aiohttp.ClientSession(
                connector=connector,
                timeout=aiohttp.ClientTimeout(total=self._limit / SECOND),
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                headers={"User-Agent": "Zapwright", "Content-Type": "application/json", "Accept-Encoding": "identity"},
            )
        return self._sessions[is_secure]

    def _sockets(self, *, is_secure: bool) -> Callable[[Any], socket.socket]:
        def made(info: Any) -> socket.socket:  # noqa: ANN401 - aiohttp's own
            family, kind, protocol, _, address = info
            if not self._networks.admits(str(address[0]), is_secure=is_secure):
                raise AddressRefusedError
            return socket.socket(family, kind, protocol)

        return made


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """Read an answer, not more of it than is worth keeping the connection for."""
    read = bytearray()
    while len(read) <= MOST_OF_ANSWER:
        part = await response.content.read(MOST_OF_ANSWER + 1 - len(read))
        if not part:
            break
        read += part
    else:
        response.close()
    text = bytes(read[: 4 * LONGEST_ANSWER_KEPT]).decode(errors="replace")
    return "".join(one if one.isprintable() or one == "\n" else "\N{REPLACEMENT CHARACTER}" for one in text)[
        :LONGEST_ANSWER_KEPT
    ]


_PROBLEMS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (TimeoutError, "no answer in time"),
    (aiohttp.InvalidURL, "its URL cannot be read"),
    (AddressRefusedError, "its address is not one that messages are sent to"),
    (aiohttp.ClientConnectorDNSError, "nobody has this name"),
    (aiohttp.ClientConnectorCertificateError, "its certificate cannot be trusted"),
    (aiohttp.ClientSSLError, "no TLS connection"),
    (ssl.SSLError, "no TLS connection"),
    (aiohttp.ClientConnectorError, "no connection"),
    (aiohttp.ServerDisconnectedError, "the connection was closed before an answer came"),
    (OSError, "the connection broke"),
)
"""What is said of each; the first that fits. No address is named, for some only we can see."""


def _problem(error: Exception) -> str:
    cause = error.os_error if isinstance(error, aiohttp.ClientConnectorError) else error
    for kind, problem in _PROBLEMS:
        if isinstance(cause, kind) or isinstance(error, kind):
            return problem
    return "the answer cannot be read"


if TYPE_CHECKING:
    _: type[Post] = AiohttpPost
