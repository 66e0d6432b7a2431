"""The three clients, Python's two and Node's, driven alike: by an operation's name and what it is given."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, is_dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final, Protocol

from zapwright_client import AsyncClient, Client, Patience, ProblemError, ZapwrightError

ROOT: Final = Path(__file__).resolve().parents[2]
NODE: Final = str(Path(sys.executable).parent / "node")
KINDS: Final = ("sync", "async", "node")
QUICK: Final = Patience(first_wait_s=0.001, longest_wait_s=2)


@dataclass(kw_only=True)
class Failure(Exception):  # noqa: N818 - what a client raised, as a value
    """What a client raised, in words that all three share."""

    name: str
    shown: str
    code: str | None = None
    status: int | None = None
    reference: str | None = None
    facts: Mapping[str, Any] | None = None
    retry_after_s: float | None = None


class Driver(Protocol):
    """One client."""

    def call(self, operation: str, /, *, options: Mapping[str, Any] = {}, **given: Any) -> Any:
        """Call an operation and return the answer as JSON. Raises Failure."""

    def shown(self) -> str:
        """Return how the client shows itself to somebody who looks."""

    def close(self) -> None:
        """Close its connections."""


class _Sync:
    def __init__(self, url: str, key: str) -> None:
        self._client = Client(url, key, patience=QUICK)

    def call(self, operation: str, /, *, options: Mapping[str, Any] = {}, **given: Any) -> Any:
        with _told():
            return _plain(getattr(self._client, operation)(**given, **options))

    def shown(self) -> str:
        return f"{self._client!r} {self._client}"

    def close(self) -> None:
        self._client.close()


class _Async:
    def __init__(self, url: str, key: str) -> None:
        self._runner = asyncio.Runner()
        self._client = AsyncClient(url, key, patience=QUICK)

    def call(self, operation: str, /, *, options: Mapping[str, Any] = {}, **given: Any) -> Any:
        with _told():
            return _plain(self._runner.run(getattr(self._client, operation)(**given, **options)))

    def shown(self) -> str:
        return f"{self._client!r} {self._client}"

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.close()


class _Node:
    def __init__(self, url: str, key: str) -> None:
        patience = {"firstWaitS": QUICK.first_wait_s, "longestWaitS": QUICK.longest_wait_s}
        settings = json.dumps({"url": url, "key": key, "patience": patience})
        command = [NODE, str(ROOT / "tests" / "support" / "driver.mjs"), settings]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def call(self, operation: str, /, *, options: Mapping[str, Any] = {}, **given: Any) -> Any:
        said = self._said(_camel(operation), given, {_camel(name): value for name, value in options.items()})
        if "error" not in said:
            return said["value"]
        error = said["error"]
        known = ("name", "shown", "code", "status", "reference", "facts", "retry_after_s")
        raise Failure(**{name: error[name] for name in known if name in error})

    def shown(self) -> str:
        return str(self._said("inspect", {}, {})["value"])

    def close(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(timeout=60)
        self._process.stdout.close()

    def _said(self, name: str, given: object, options: object) -> Any:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps({"name": name, "given": given, "options": options}) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


@contextmanager
def a_client(kind: str, *, url: str, key: str) -> Iterator[Driver]:
    """Have a client of one of the KINDS; it waits little before it tries again."""
    makers: dict[str, Callable[[str, str], Driver]] = {"sync": _Sync, "async": _Async, "node": _Node}
    driver = makers[kind](url, key)
    try:
        yield driver
    finally:
        driver.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except ProblemError as error:
        raise Failure(
            name=type(error).__name__,
            shown=f"{error!r} {error}",
            code=error.code,
            status=error.status,
            reference=error.reference,
            facts=error.facts,
            retry_after_s=error.retry_after_s,
        ) from error
    except ZapwrightError as error:
        raise Failure(
            name=type(error).__name__, shown=f"{error!r} {error}", status=getattr(error, "status", None)
        ) from error


def _plain(value: Any) -> Any:
    """Return an answer as the JSON it was made of."""
    match value:
        case _ if is_dataclass(value) and not isinstance(value, type):
            return _plain(asdict(value))
        case datetime():
            return value.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        case dict():
            return {key: _plain(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_plain(inner) for inner in value]
        case _:
            return value


def _camel(name: str) -> str:
    return re.sub(r"_(\w)", lambda match: match[1].upper(), name)
