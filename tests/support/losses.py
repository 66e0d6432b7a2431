"""Measures what the guide says about failovers: `python -m tests.support.losses 8` prints it, from eight deaths each.

Writers commit as fast as they are answered; the primary is killed; what was answered and is not there afterwards is
lost.
"""

from __future__ import annotations

import asyncio
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError, StoreUnavailableError
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from tests.support.fleets import DURABLE, running_watched
from tests.support.store_values import SHARDS, a_session, committed, next_commit
from tests.support.valkey import running_valkey

WRITERS: Final = 16
WRITES_FOR_S: Final = 1.0
CUT_FOR_S: Final = 0.5
"""For how long a primary that is cut off goes on after another one was made."""

PAUSE_S: Final = 0.02
CAUTIOUS: Final = ("--min-replicas-to-write", "1", "--min-replicas-max-lag", "10")
KEY: Final = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
EVERYSEC: Final = ("--appendonly", "yes", "--appendfsync", "everysec")


@dataclass(slots=True)
class Round:
    """One death: commits answered, those of them lost, how long nobody was answered, how long an answer took."""

    answered: int = 0
    lost: int = 0
    away_s: float = 0.0
    took_s: list[float] = field(default_factory=list)


async def measure(url: str, *, replicas: int, kill: Callable[[], None], heir: str | None = None) -> Round:
    """Write, kill, wait until writing works again, and count; with an heir's address writing goes on meanwhile."""
    store = open_store(url, shards=SHARDS, limits=Limits(), credential_keys=[KEY], replicas=replicas)
    found, killed = Round(), asyncio.Event()
    versions = await asyncio.gather(
        *(write(store, number, found, killed) for number in range(WRITERS)),
        death(kill, killed, is_instant=heir is None),
    )
    await store.aclose()
    store = open_store(heir or url, shards=SHARDS, limits=Limits(), credential_keys=[KEY], replicas=replicas)
    died_at = time.monotonic()
    await until_writing(store)
    found.away_s = time.monotonic() - died_at
    for number, version in enumerate(versions[:-1]):
        assert version is not None
        found.lost += max(0, version - await kept(store, number))
    await store.aclose()
    return found


async def kept(store: Store, number: int) -> int:
    """Return the version of a writer's session that is there."""
    try:
        return (await store.sessions.load(a_session(f"{number:02}", user=f"user-{number}").key)).version
    except SessionNotFoundError:
        return 0


async def write(store: Store, number: int, found: Round, killed: asyncio.Event) -> int:
    """Commit until the store is away; return the last version that was answered."""
    session = await committed(store, a_session(f"{number:02}", user=f"user-{number}"))
    found.answered += 1
    while not killed.is_set():
        commit = next_commit(session, events=1)
        began = time.monotonic()
        try:
            await store.sessions.commit(commit)
        except (StoreUnavailableError, StaleVersionError):
            await asyncio.sleep(PAUSE_S)
            continue
        found.took_s.append(time.monotonic() - began)
        found.answered += 1
        session = commit.session
    return session.version


async def death(kill: Callable[[], None], killed: asyncio.Event, *, is_instant: bool) -> None:
    """Let them write for a while; then kill. Unless that takes no time, they write on until it is done."""
    await asyncio.sleep(WRITES_FOR_S)
    if is_instant:
        killed.set()
        kill()
    else:
        await asyncio.to_thread(kill)
        killed.set()


async def until_writing(store: Store) -> None:
    """Return when a commit is answered."""
    commit = next_commit(a_session("after", user="after"))
    while True:
        try:
            await store.sessions.commit(commit)
        except StoreUnavailableError:
            await asyncio.sleep(PAUSE_S)
        else:
            return


def one_server(options: tuple[str, ...]) -> Round:
    """Kill one server and start it again on what it left."""
    with running_valkey(*options) as server:

        def kill() -> None:
            server.kill()
            server.start()

        return asyncio.run(measure(server.url, replicas=0, kill=kill))


def watched(*, replicas: int) -> Round:
    """Kill a watched primary."""
    with running_watched(*DURABLE) as servers:
        primary = servers.primary
        return asyncio.run(measure(servers.url, replicas=replicas, kill=primary.kill))


def cut_off(*options: str, replicas: int) -> Round:
    """Cut a watched primary off from everybody but the writers, who are on its machine."""
    with running_watched(*DURABLE, *options) as servers:
        primary = servers.primary

        def cut() -> None:
            with primary.client() as client:
                client.config_set("port", 0)
                for one in client.client_list():
                    if one["laddr"].endswith(f":{primary.port}"):
                        client.client_kill_filter(_id=one["id"])
            servers.wait_for_another(primary)
            time.sleep(CUT_FOR_S)

        return asyncio.run(measure(primary.url, replicas=replicas, kill=cut, heir=servers.url))


def main(rounds: int, chosen: str) -> None:
    """Print one line for each way to keep a store whose name begins as chosen."""
    ways: dict[str, Callable[[], Round]] = {
        "one server, no append-only file": lambda: one_server(()),
        "one server, everysec": lambda: one_server(EVERYSEC),
        "one server, always": lambda: one_server(DURABLE),
        "sentinels, always": lambda: watched(replicas=0),
        "sentinels, always, one replica waited for": lambda: watched(replicas=1),
        "cut off": lambda: cut_off(replicas=0),
        "cut off, min-replicas-to-write": lambda: cut_off(*CAUTIOUS, replicas=0),
        "cut off, one replica waited for": lambda: cut_off(replicas=1),
    }
    for name, way in ((name, way) for name, way in ways.items() if name.startswith(chosen)):
        found = [way() for _ in range(rounds)]
        sys.stdout.write(f"{name}: {line(found)}\n")
        sys.stdout.flush()


def line(found: list[Round]) -> str:
    """Say what some rounds came to."""
    took = statistics.median(one for round_ in found for one in round_.took_s)
    away = statistics.median(one.away_s for one in found)
    fatal = sum(one.lost > 0 for one in found)
    return (
        f"{sum(one.answered for one in found)} answered, {sum(one.lost for one in found)} lost "
        f"(in {fatal} of {len(found)} deaths), away {away:.2f} s, a commit took {1_000 * took:.2f} ms"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]), "".join(sys.argv[2:]))
