"""What can come between a use case and its ports: death, lost answers, others who are faster.

A port wrapped `around` something has every call go through it. The something is told the call's name, such as
`sessions.commit`, and makes the call itself, or does not.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from typing import Any, Literal, TypeAlias, TypeVar, cast

from orchestrator.core.errors.store import StoreUnavailableError

P = TypeVar("P")
Call: TypeAlias = Callable[[], Awaitable[Any]]
Around: TypeAlias = Callable[[str, Call], Awaitable[Any]]


class _Wrapped:
    def __init__(self, port: object, name: str, around: Around) -> None:
        self._port = port
        self._name = name
        self._around = around

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        target = getattr(self._port, method)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._around(f"{self._name}.{method}", partial(target, *args, **kwargs))

        return call


def wrapped(port: P, name: str, around: Around) -> P:
    """Return the port with every call going through `around`."""
    return cast("P", _Wrapped(port, name, around))


async def undisturbed(name: str, call: Call) -> Any:
    """Make the call."""
    return await call()


class Killed(BaseException):
    """The process is no more."""


class Fuse:
    """Kills a process at one moment: just before, or just after, one of its calls. Its later calls do nothing.

    `count` is the number of moments so far; without `at` nothing dies and they are only counted.
    """

    def __init__(self, at: int | None = None) -> None:
        self.at = at
        self.count = 0
        self.log: list[str] = []

    @property
    def is_dead(self) -> bool:
        """Whether the moment has come."""
        return self.at is not None and self.count > self.at

    async def __call__(self, name: str, call: Call) -> Any:
        """Make the call between two moments."""
        self._burn(f"before {name}")
        try:
            return await call()
        finally:
            self._burn(f"after {name}")

    def _burn(self, moment: str) -> None:
        if self.is_dead:
            raise Killed
        self.count += 1
        self.log.append(moment)
        if self.is_dead:
            raise Killed


class Script:
    """Calls that go wrong as a test has written down, by name; what is not written goes right.

    `error` is raised `instead` of the call or `after` it, and `then` happens before anybody hears of it.
    """

    def __init__(self) -> None:
        self._lines: defaultdict[str, deque[tuple[Exception | None, str, Call | None]]] = defaultdict(deque)
        self.calls: list[str] = []

    def goes(
        self,
        name: str,
        error: Exception | None = None,
        *,
        when: Literal["instead", "after"] = "instead",
        then: Call | None = None,
        times: int = 1,
    ) -> None:
        """Write down what becomes of the next calls of this name."""
        self._lines[name].extend([(error, when, then)] * times)

    def well(self, name: str, times: int = 1) -> None:
        """Let the next calls of this name go right."""
        self._lines[name].extend([(None, "after", None)] * times)

    async def __call__(self, name: str, call: Call) -> Any:
        """Make the call, as it is written."""
        self.calls.append(name)
        if not self._lines[name]:
            return await call()
        error, when, then = self._lines[name].popleft()
        answer = await call() if when == "after" or error is None else None
        if then is not None:
            await then()
        if error is not None:
            raise error
        return answer


class Turns:
    """Lets others go first for a while at every call, by chance."""

    def __init__(self, chance: Random) -> None:
        self._chance = chance

    async def __call__(self, name: str, call: Call) -> Any:
        """Make the call a little later, and let its answer come a little later."""
        await self._wait()
        answer = await call()
        await self._wait()
        return answer

    async def _wait(self) -> None:
        for _ in range(self._chance.randrange(4)):
            await asyncio.sleep(0)


def lost_answer() -> StoreUnavailableError:
    """Return what a caller hears when the store's answer does not arrive."""
    return StoreUnavailableError(problem="the connection broke")
