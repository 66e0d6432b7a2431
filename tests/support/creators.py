"""Creators of Zaps in processes of their own, each killed with SIGKILL at one of the points of a creation.

    python -m tests.support.creators REDIS_URL SIMULATOR_URL

reads lines of JSON, `{"session": …, "key": …, "point": …}`, and for each forks a process that creates the session's
Zap and dies at the point of that number: before or after one of its exchanges with the store or with Zapier. It answers
with a line that says how the process ended and at what. The modules are imported once, so that a hundred deaths take
seconds.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any, Final, cast

import httpx

from orchestrator import logs
from orchestrator.bootstrap import compose, rate_limits
from orchestrator.clock import RandomIds, SystemClock
from orchestrator.core.ports.store import Store
from orchestrator.core.session import SessionKey
from orchestrator.core.tenants import DEFAULT_TENANT
from orchestrator.core.terms import Idempotency, Terms
from orchestrator.settings import Settings
from orchestrator.store.opening import open_store
from tests.support.deployment import TOKEN_KEYS
from tests.support.interference import Call, wrapped
from tests.support.processes import SEALING_KEY

NEVER: Final = -1
_PORTS: Final = ("sessions", "receipts", "watches", "budget", "credentials", "cache")


def settings_for(redis_url: str, simulator_url: str) -> Settings:
    """Return the settings of every process of the deployment."""
    return Settings.model_validate(
        {
            "redis_url": redis_url,
            "api_key": "key-of-the-tests",
            "credential_keys": SEALING_KEY,
            "token_keys": TOKEN_KEYS,
            "zapier_api_url": simulator_url,
            "rate_limit_egress": 0,
            "rate_limit_partner": 0,
            "log_level": "error",
        }
    )


def store_of(settings: Settings) -> Store:
    """Open the store of the deployment."""
    assert settings.redis_url is not None
    return open_store(
        settings.redis_url.get_secret_value(),
        shards=settings.shards,
        limits=rate_limits(settings),
        credential_keys=tuple(key.get_secret_value() for key in settings.credential_keys),
    )


class Death:
    """Counts the points that the process has come to, and kills it at one of them."""

    def __init__(self, point: int, *, tell: Callable[[str], None]) -> None:
        self.count = 0
        self._point = point
        self._tell = tell

    async def __call__(self, name: str, call: Call) -> Any:
        """Make the call between two points."""
        self.come_to(f"before {name}")
        answer = await call()
        self.come_to(f"after {name}")
        return answer

    def come_to(self, place: str) -> None:
        """Die here, if this is the point."""
        if self.count == self._point:
            self._tell(place)
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1


class Mortal(httpx.AsyncHTTPTransport):
    """The way to Zapier. An answer is there once all of it has come."""

    def __init__(self, death: Death) -> None:
        super().__init__()
        self._death = death

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        name = f"{request.method} {request.url.path}"
        self._death.come_to(f"before {name}")
        response = await super().handle_async_request(request)
        self._death.come_to(f"after {name} began to be answered")
        await response.aread()
        self._death.come_to(f"after {name}")
        return response


class MortalStore:
    """A store at each of whose exchanges the process may die."""

    def __init__(self, store: Store, death: Death) -> None:
        self._store = store
        self._death = death

    def __getattr__(self, name: str) -> Any:
        part = getattr(self._store, name)
        return wrapped(part, name, self._death) if name in _PORTS else part


async def create(settings: Settings, wish: dict[str, Any], *, tell: Callable[[str], None]) -> int:
    """Create the Zap of a session, and return how many points there were."""
    store, clock = store_of(settings), SystemClock()
    death = Death(wish["point"], tell=tell)
    terms = Terms(idempotency=Idempotency(name=wish["key"], fingerprint="f"))
    async with httpx.AsyncClient(transport=Mortal(death), trust_env=False) as http:
        mortal = cast("Store", MortalStore(store, death))
        here = compose(settings, store=mortal, http=http, clock=clock, ids=RandomIds())
        await here.creator.create(SessionKey(tenant_id=DEFAULT_TENANT, session_id=wish["session"]), terms=terms)
    await cast("Any", store).aclose()
    return death.count


class Workshop:
    """Forks creators, one after the other."""

    def __init__(self, redis_url: str, simulator_url: str) -> None:
        self._settings = settings_for(redis_url, simulator_url)

    def work(self) -> None:
        """Do what is asked for, line by line."""
        logs.configure(self._settings)
        for line in sys.stdin:
            told, telling = os.pipe()
            if (pid := os.fork()) == 0:
                self._live(json.loads(line), telling)
            os.close(telling)
            _, status = os.waitpid(pid, 0)
            with os.fdopen(told) as said:
                print(json.dumps({"signal": os.WTERMSIG(status), "said": said.read()}), flush=True)  # noqa: T201

    def _live(self, wish: dict[str, Any], telling: int) -> None:
        """Be a creator; never returns."""

        def tell(words: str) -> None:
            os.write(telling, words.encode())

        try:
            tell(str(asyncio.run(create(self._settings, wish, tell=tell))))
        except BaseException as error:  # noqa: BLE001 - the parent says it
            tell(f"failed: {error!r}")
        os._exit(0)


class Creators:
    """The workshop as a test uses it: a process of its own."""

    def __init__(self, redis_url: str, simulator_url: str, *, log: Path) -> None:
        self._arguments = [sys.executable, "-m", "tests.support.creators", redis_url, simulator_url]
        self._log = log

    @cached_property
    def _process(self) -> asyncio.subprocess.Process:
        raise AssertionError("started by `start`")

    async def start(self) -> None:
        """Start it."""
        with self._log.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._arguments,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=output,
            )

    async def create(self, session_id: str, *, key: str, point: int = NEVER) -> tuple[int, str]:
        """Have a process create the Zap of a session; return the signal it died by, 0 for none, and what it said."""
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"session": session_id, "key": key, "point": point}).encode() + b"\n")
        line = await asyncio.wait_for(process.stdout.readline(), timeout=60)
        assert line, self._log.read_text(encoding="utf-8")
        ended = json.loads(line)
        return ended["signal"], ended["said"]

    async def end(self) -> None:
        """End it."""
        process = self._process
        assert process.stdin is not None
        process.stdin.close()
        await process.wait()


if __name__ == "__main__":
    Workshop(*sys.argv[1:]).work()
