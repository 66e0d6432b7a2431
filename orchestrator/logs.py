"""Logs: an event's name with named facts, one line each, without secrets.

Ids are bound where a request or a batch begins (`structlog.contextvars.bound_contextvars`) and stand on every line
until it ends. What libraries say through `logging` comes out in the same form, from `info` up.
"""

from __future__ import annotations

import asyncio
import atexit
import json
import logging
import re
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from contextvars import copy_context
from datetime import UTC, datetime
from functools import lru_cache, partial
from select import PIPE_BUF
from typing import Final, TextIO
from urllib.parse import urlsplit

import msgspec
import structlog
from structlog.contextvars import STRUCTLOG_KEY_PREFIX, STRUCTLOG_KEY_PREFIX_LEN
from structlog.typing import EventDict, Processor, WrappedLogger

from orchestrator.core.endpoints import SECRET_PREFIX
from orchestrator.core.tenants import KEY_PREFIX
from orchestrator.settings import Settings

REDACTED: Final = "…"
SHORTEST_SECRET: Final = 8

_SECRET_NAME: Final = re.compile(r"token|secret|passw|authorization|cookie|(api|access|credential|fernet|private)_?key")
_BEARER: Final = re.compile(r"\b(bearer\s+)\S+", re.IGNORECASE)
_SECRET_OF_LINK: Final = re.compile(r"-(?<=[0-9A-Za-z]-)[2-7A-Za-z]{32}(?![0-9A-Za-z])")
_SIGNED: Final = "eyJ"
_GIVEN: Final = f"(?:{KEY_PREFIX}|{SECRET_PREFIX})"
SHAPES: Final = re.compile(rf"{_GIVEN}[\w+/=-]+|{_SIGNED}[\w-]++\.[\w-]++\.[\w-]++|({_SIGNED}(?:(?!{_GIVEN})[\w-])*+)")
"""API keys, webhook secrets, client tokens; and, as its group, what begins like a token and is none.

That is passed over as a whole: a token looked for again from within it would cost the square of its length.
"""

_COMMANDS: Final = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_USER_OF_URL: Final = re.compile(r"(?<=://)[^/\s@]+@")


def configure(settings: Settings, *, stream: TextIO | None = None, is_final: bool = False) -> None:
    """Log as the settings say, to standard error by default. The last call counts.

    One that is final is the last: loggers stay as they then are, and a line costs a sixth less. Those of one tick of
    the event loop are then written in one piece (`Sink`).
    """
    stream = stream or sys.stderr
    chain, renderer = _chain(), _guarded(_renderer(settings, stream), secrets_of(settings))
    sink = Sink(stream, gathers=is_final, gap=partial(_gap, renderer))
    structlog.configure(
        processors=[*chain, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(settings.log_level),
        logger_factory=partial(Lines, sink),
        cache_logger_on_first_use=is_final,
    )
    handler = logging.StreamHandler(sink)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=chain,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    level = logging.getLevelNamesMapping()[settings.log_level.upper()]
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(level, logging.INFO))
    # It writes down every address with its query: what users search for, and which apps they have.
    logging.getLogger("httpx").setLevel(logging.WARNING)


class Sink:
    """Where lines are written, each at once; or, if it `gathers`, those of one tick of the event loop in one piece.

    What is written at once stands behind what was gathered. So does what is left of that when the process ends; who
    kills it takes what was said since the tick began. A piece is no longer than what a pipe takes whole: lines of
    several processes never mix.

    Nobody who says something fails because it cannot be written (a reader that is gone, a full disk). About how many
    lines that took, `gap` says before the next one that can be.
    """

    def __init__(self, stream: TextIO, *, gathers: bool, gap: Callable[[int], str]) -> None:
        self._stream = stream
        self._gathers = gathers
        self._gap = gap
        self._missing = 0
        self._gathered: deque[str] = deque()
        self._planned_in: asyncio.AbstractEventLoop | None = None
        if gathers:
            atexit.register(self.flush)

    def gather(self, text: str) -> None:
        """Write a line before the event loop waits again; at once where none runs in this thread."""
        loop = _running_loop() if self._gathers else None
        self._gathered.append(text)
        if loop is None:
            self.flush()
        elif self._planned_in is not loop:
            self._planned_in = loop
            loop.call_soon(self._end_tick)

    def write(self, text: str) -> None:
        """Write it now."""
        self._gathered.append(text)
        self.flush()

    def flush(self) -> None:
        """Write what was gathered."""
        piece, room = "", PIPE_BUF
        for text in self._taken():
            size = len(text) if text.isascii() else len(text.encode(errors="backslashreplace"))
            if size > room:
                self._put(piece)
                piece, room = "", PIPE_BUF
            piece += text
            room -= size
        self._put(piece)

    def _put(self, piece: str) -> None:
        if not piece:
            return
        missing = self._missing
        try:
            if missing:
                self._stream.flush()  # a stream may have kept the first: nothing is put behind that while it is stuck
                self._stream.write(self._gap(missing))
            self._stream.write(piece)
            self._stream.flush()
        except (OSError, ValueError):  # the second is of a stream that is closed, or knows not all letters
            self._missing += piece.count("\n")
        else:
            self._missing -= missing

    def _end_tick(self) -> None:
        self._planned_in = None
        self.flush()

    def _taken(self) -> Iterator[str]:
        """Take the lines out one by one: another thread may be adding to them, or doing the same."""
        with suppress(IndexError):
            while True:
                yield self._gathered.popleft()


def _gap(renderer: Processor, lines: int) -> str:
    """Say about how many lines are missing, on a line of its own; of the first some may be there, or all, but late."""
    line: EventDict = {"event": "log_lines_missing", "about": lines, "level": "warning", "logger": __name__}
    return f"\n{renderer(None, 'warning', _stamped(None, 'warning', line))!s}\n"


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class Lines:
    """Writes lines. Ours do not go through `logging`, which costs more than all the rest of a line.

    What is worse than news is written at once: the process may be about to die of it.
    """

    def __init__(self, sink: Sink, name: str = "") -> None:
        self.name = name
        self._sink = sink

    def gather(self, line: str) -> None:
        """Write one line, with others."""
        self._sink.gather(line + "\n")

    def write(self, line: str) -> None:
        """Write one line now."""
        self._sink.write(line + "\n")

    debug = info = gather
    warning = error = exception = critical = write


def redacted(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Take out what looks like a secret: by its name, after the word bearer, a user in an address, a connect link's."""
    suspect = [
        name for name, value in line.items() if not (type(value) is int or (type(value) is str and value.isalnum()))
    ]
    for name in (*suspect, *_secrets_among(tuple(line))):  # all that is taken out of a text has a mark or a space in it
        line[name] = _clean(name, line[name])
    return line


def secrets_of(settings: Settings) -> tuple[str, ...]:
    """Return what this process must never print: its keys, and the addresses of its stores where these hold a password.

    What is shorter than a secret can be is left out, or half of every line would be.
    """
    kept = (
        settings.api_key,
        settings.zapier_client_secret,
        *settings.credential_keys,
        *settings.token_keys,
    )
    found = [secret.get_secret_value() for secret in kept if secret is not None]
    addresses = (url.get_secret_value() for url in (settings.redis_url, settings.queue_redis_url) if url is not None)
    found.extend(urlsplit(address).password or "" for address in addresses)
    return tuple(secret for secret in found if len(secret) >= SHORTEST_SECRET)


def without_secrets(text: str) -> str:
    """Return a text without what is a secret of ours by its shape."""
    if KEY_PREFIX in text or SECRET_PREFIX in text or _SIGNED in text:
        return SHAPES.sub(lambda found: found[1] or REDACTED, text)
    return text


def _guarded(renderer: Processor, secrets: Sequence[str]) -> Processor:
    """Let nothing through that is a secret of ours by its shape, or one of those, wherever in a line it came to be."""

    def guarded(logger: WrappedLogger, method: str, line: EventDict) -> str:
        text = without_secrets(str(renderer(logger, method, line)))
        for secret in secrets:
            if secret in text:
                text = text.replace(secret, REDACTED)
        return text

    return guarded


def _chain() -> list[Processor]:
    """Return what makes a line; a traceback becomes text before it is cleaned."""
    return [
        _bound,
        _explained,
        redacted,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        _stamped,
    ]


def _bound(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Add what is bound, as `structlog.contextvars.merge_contextvars` does, in one look at each."""
    for variable, value in copy_context().items():
        if variable.name.startswith(STRUCTLOG_KEY_PREFIX) and value is not Ellipsis:
            line.setdefault(variable.name[STRUCTLOG_KEY_PREFIX_LEN:], value)
    return line


def _explained(logger: WrappedLogger, method: str, line: EventDict) -> EventDict:
    """Write an exception down, if there is one."""
    return structlog.processors.format_exc_info(logger, method, line) if "exc_info" in line else line


def _stamped(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """Say when, as ISO 8601 in UTC with microseconds."""
    second, part = divmod(time.time_ns() // 1000, 1_000_000)
    line["timestamp"] = f"{_second(second)}.{part:06d}Z"
    return line


@lru_cache(maxsize=4)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()


def _renderer(settings: Settings, stream: TextIO) -> Processor:
    if settings.log_format == "json":
        return _json
    console = structlog.dev.ConsoleRenderer(
        colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
    )

    def shown(logger: WrappedLogger, method: str, line: EventDict) -> str:
        return str(console(logger, method, {name: _printable(value) for name, value in line.items()}))

    return shown


def _printable(value: object) -> object:
    """Write what would command a terminal, as others may wish to, so that it is only shown."""
    if not isinstance(value, str) or value.isprintable():
        return value
    return _COMMANDS.sub(lambda found: repr(found[0])[1:-1], value)


def _json(_logger: WrappedLogger, _method: str, line: EventDict) -> str:
    """Write a line as JSON; whatever JSON has nothing for is written as `repr` shows it."""
    try:
        return _encoder.encode(line).decode()
    except (msgspec.MsgspecError, OverflowError, UnicodeError):  # a number beyond 64 bits, half a character
        return json.dumps(line, default=repr)


_encoder: Final = msgspec.json.Encoder(enc_hook=repr)


@lru_cache(maxsize=1024)
def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name.lower()) is not None


@lru_cache(maxsize=1024)
def _secrets_among(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name for name in names if _is_secret(name))


def _clean(name: str, value: object) -> object:
    if value is None or _is_secret(name):
        return None if value is None else REDACTED
    match value:
        case str():
            value = _BEARER.sub(rf"\1{REDACTED}", value) if "bearer" in value.lower() else value
            value = _SECRET_OF_LINK.sub(f"-{REDACTED}", value) if "-" in value else value
            return _USER_OF_URL.sub(f"{REDACTED}@", value) if "://" in value else value
        case int() | float() | logging.LogRecord():  # the last is no part of the line: structlog takes it out
            return value
        case Mapping():
            return {inner: _clean(str(inner), found) for inner, found in value.items()}
        case list() | tuple():
            return [_clean("", found) for found in value]
        case _:
            return _clean(name, repr(value))  # what a writer of JSON would show, `repr` may know to hide
