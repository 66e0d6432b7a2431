"""A worker killed with `kill -9` anywhere on its way: another one finishes, nothing is lost, nothing doubled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest

from orchestrator.core.schedule import FIRST_QUIET_WAIT, FIRST_QUIET_WAIT_PAGE_GONE, SHORTEST_QUIET_WAIT
from orchestrator.core.session import SECOND, Channel, HintKind, Millis, WatchKey
from orchestrator.store.limits import Limits
from orchestrator.store.scripts import script
from tests.integration.workers.site import LISTINGS, Site, Waiting, a_site
from tests.support.processes import READY_WITHIN_S, Gate, come_true
from tests.support.valkey import running_valkey
from workers.timing import lease_length

LEASE_S: Final = lease_length(Limits(call_limit=3_000), pages=1) / 1_000


def asked_for(name: str) -> bytes:
    """Return what of a script call shows on the wire."""
    return script(name).digest.encode()


@dataclass(frozen=True, slots=True)
class Place:
    """Where a worker dies: when this is asked of the store; `once_done`: when it was done, but the answer is lost.

    `is_early`: the check under way finds nothing, as the user finishes only afterwards.
    """

    needle: bytes
    once_done: bool = False
    is_early: bool = False


PLACES: Final = {
    "before the permit": Place(asked_for("take_permits")),
    "the permit taken, its answer lost": Place(asked_for("take_permits"), once_done=True),
    "between permit and lease": Place(asked_for("lease_watches")),
    "between lease and queue": Place(b"RPUSH"),
    "between queue and call": Place(b"lease_until"),
    "between call and the sight of who waits": Place(asked_for("load_watch")),
    "between sight and commit": Place(asked_for("commit")),
    "the commit applied, its answer lost": Place(asked_for("commit"), once_done=True),
    "between a listing without news and the end of the check": Place(asked_for("settle"), is_early=True),
    "the end of such a check written, its answer lost": Place(asked_for("settle"), once_done=True, is_early=True),
}
IN_THE_CALL: Final = "in the call"
BUSY_S: Final = 60.0
"""Beside the lease, for a worker on a busy machine."""

SILENT: Final = "silent"
GONE: Final = "gone"


@dataclass(frozen=True, slots=True)
class Victim:
    """A user whose worker was killed, or of whom nothing is heard any more, and what must be found."""

    waiting: Waiting
    made: str


@pytest.fixture(scope="module")
async def quiet_site(simulator_url: str, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    """A site of its own, whose worker lives."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as valkey:
        async with a_site(valkey, simulator_url=simulator_url, folder=tmp_path_factory.mktemp("quiet")) as site:
            with site.worker():
                yield site


@pytest.fixture(scope="module")
async def silent(quiet_site: Site) -> dict[str, Victim]:
    """Two users of whom nothing is heard any more."""
    return {
        SILENT: await _fallen_silent(quiet_site, SILENT),
        GONE: await _fallen_silent(quiet_site, GONE, is_gone=True),
    }


@pytest.fixture(scope="module")
async def victims(silent: dict[str, Victim], site: Site) -> AsyncIterator[dict[str, Victim]]:
    """One user per place, whose worker died there, and a worker that lives; the silent ones wait meanwhile."""
    with site.valkey.client() as client:
        for name in ("take_permits", "commit", "settle"):  # what is taught is done when first asked for
            client.script_load(script(name).text)
    found = {}
    for number, (name, place) in enumerate(PLACES.items()):
        found[name] = await _killed_at(place, site, user=f"user{number}")
    found[IN_THE_CALL] = await _killed_in_the_call(site)
    with site.worker():
        yield found


async def _fallen_silent(site: Site, user: str, *, is_gone: bool = False) -> Victim:
    waiting = await site.waiting(user)
    made = await site.finish(waiting)
    if is_gone:
        await site.hint(waiting, HintKind.CLOSED, gone=True)
    return Victim(waiting, made)


async def _killed_at(place: Place, site: Site, *, user: str) -> Victim:
    waiting = await site.waiting(user)
    made = "" if place.is_early else await site.finish(waiting)
    await site.hint(waiting, HintKind.FINISHED)
    with TemporaryDirectory(prefix="zw-") as folder:
        gate = Gate(Path(folder), store=site.valkey.socket)
        try:
            gate.stop_at(place.needle, once_done=place.once_done)
            with site.worker(gate=gate) as worker:
                assert await asyncio.to_thread(gate.reached.wait, READY_WITHIN_S), worker.output
                worker.kill()
        finally:
            gate.close()
    return Victim(waiting, made or await site.finish(waiting))


async def _killed_in_the_call(site: Site) -> Victim:
    waiting, made = await site.lose_message("caller")
    await site.set_rule("stuck", {"fault": "hang", "endpoint": LISTINGS, "user": "caller"})
    with site.worker() as worker:
        await come_true(lambda: site.met("stuck"), what=worker.output)
        worker.kill()
    await site.set_rule("stuck", None)
    return Victim(waiting, made)


@pytest.mark.slow
@pytest.mark.parametrize("place", [*PLACES, IN_THE_CALL])
async def test_another_worker_finishes_what_a_killed_one_began(
    victims: dict[str, Victim], site: Site, place: str
) -> None:
    """The step gets its own authentication, once, as soon as the dead worker's lease is over."""
    victim = victims[place]
    step = await site.resolution(victim.waiting, within_s=LEASE_S + BUSY_S)

    assert step.authentication is not None
    assert step.authentication.id == victim.made
    assert step.evidence is not None
    assert step.evidence.channels == (Channel.DIFFERENCE,)
    assert len(await site.resolved_at(victim.waiting)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(("user", "wait"), [(GONE, FIRST_QUIET_WAIT_PAGE_GONE), (SILENT, FIRST_QUIET_WAIT)])
async def test_without_any_signal_the_schedule_alone_finds_it(
    silent: dict[str, Victim], quiet_site: Site, user: str, wait: Millis
) -> None:
    """At the first quiet check: after a minute, sooner when the page said that it is going.

    It is meant to take two seconds at most: how long it took is printed, since a machine may be busy.
    """
    victim = silent[user]
    step = await quiet_site.resolution(victim.waiting, within_s=wait / SECOND + BUSY_S)
    (found_at,) = await quiet_site.resolved_at(victim.waiting)
    late = found_at - victim.waiting.opened_at - wait
    print(f"{user}: found {late} ms after it was due")  # noqa: T201 - for people

    assert step.authentication is not None
    assert step.authentication.id == victim.made
    assert 0 <= late < SHORTEST_QUIET_WAIT
    assert len((await quiet_site.watch(victim.waiting)).checks) == 1


@pytest.mark.slow
async def test_no_watch_stays_leased(victims: dict[str, Victim], site: Site) -> None:
    """Whatever was left half done is finished: nobody waits, nothing is due, no lease is held."""
    for victim in victims.values():
        await site.resolution(victim.waiting, within_s=LEASE_S + BUSY_S)
        await come_true(partial(_is_settled, site, victim))

    assert await site.zapwright.store.watches.peek(now=site.zapwright.clock.now(), limit=10) == ()


async def _is_settled(site: Site, victim: Victim) -> bool:
    session = await site.session(victim.waiting)
    app = session.steps[0].app
    assert app is not None
    key = WatchKey(tenant_id=session.tenant_id, user_id=session.user_id, app_id=app.id)
    now = site.zapwright.clock.now()
    watch = await site.zapwright.store.watches.load(key, now=now)
    return not watch.waiters and watch.lease_until <= now
