"""The lifecycle benchmark, small: everybody is measured, ours is verified, and a distorted run says so."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import httpx
import pytest
from rich.console import Console

from bench.lifecycle import processes
from bench.lifecycle.__main__ import Arena, Plan, arena, compared, run, run_watched
from bench.lifecycle.figures import ALWAYS, CALLING, EVERYSEC, FLOOR, HELLO, NAIVE, NAMES, OURS, Figures, Measurement
from bench.lifecycle.load import TRANSITIONS, Client, Connection, Load, UnexpectedAnswerError, put_on
from bench.lifecycle.ours import Lives, NotResolvedError, Walked
from bench.lifecycle.shares import drawn, medians, run_shares
from tests.support.patience import PATIENT

QUIET = Console(quiet=True)


@pytest.fixture(scope="module", name="where")
def running() -> Iterator[Arena]:
    """Everything that is measured, running."""
    with arena() as where:
        yield where


@pytest.mark.slow
def test_everybody_walks_sessions_through_their_lives(where: Arena) -> None:
    """Real processes and stores; each step of ours is found resolved, with what its own user connected."""
    figures = asyncio.run(run(where, Plan(rounds=1, sessions=16, clients=4), QUIET))
    worker_cpu_s = where.worker.cpu_s()

    (one,) = figures.rounds
    assert {name: 16 if name != NAIVE else 4 for name in NAMES} == {name: one[name].load.sessions for name in NAMES}
    assert all(len(one[name].load.durations_s) == one[name].load.sessions * TRANSITIONS for name in NAMES)
    assert all(one[name].cpu_s > 0 for name in OURS)
    assert worker_cpu_s > 0
    assert compared(figures).row_count == len(NAMES)


@pytest.mark.slow
def test_the_dashboard_is_open_while_it_is_measured(where: Arena) -> None:
    """Real pages over real sockets, whose readings reach the API; each round yields what was kept."""
    with where.watched(browsers=1) as opened:
        (one,) = asyncio.run(run_watched(where, Plan(rounds=1, sessions=16, clients=4), QUIET, opened))
        counted = httpx.get(f"http://127.0.0.1:{where.api.port}/metrics", **PATIENT).text

    assert one.kept > 0
    assert one.cpu > 0
    assert re.search(r'zapwright_http_requests_total\{.*route="/v1/operator/overview".*\} [1-9]', counted)


@pytest.mark.slow
def test_everybodys_share_of_a_session_is_told(where: Arena) -> None:
    """Beside the worker and while it rests, which is to say that it takes nothing; all that was begun is resolved."""
    (turn,) = asyncio.run(run_shares(where, Plan(rounds=1, sessions=32, clients=4), QUIET))
    told = medians([turn])

    assert turn.alone.worker_ms == 0
    assert min(turn.alone.api_ms, turn.beside.api_ms, turn.beside.load_ms) > 0
    assert told["api_ms"] == round(turn.beside.api_ms, 3)
    assert told["alone_store_ms"] == round(turn.alone.store_ms, 3)
    assert drawn([turn]).row_count == len((turn.beside, turn.alone))


def figures_of(**sessions_per_s: float) -> Figures:
    """Return one round in which everybody did as much as said, and the others ten sessions a second."""
    rates = {name: sessions_per_s.get(name, 10.0) for name in NAMES}
    return Figures([{name: measured(rate) for name, rate in rates.items()}])


def measured(rate: float) -> Measurement:
    """Return a second in which `rate` sessions ended, each of whose transitions took from 1 to 100 ms."""
    load = Load(sessions=round(rate), took_s=1.0, durations_s=tuple(number / 1000 for number in range(1, 101)))
    return Measurement(load=load, cpu_s=0.5)


@pytest.mark.parametrize(("floor", "is_sound"), [(39, False), (40, True), (65, True), (66, False)])
def test_a_run_that_measured_something_else_is_void(floor: float, is_sound: bool) -> None:
    """The floor is known to do 0.40 to 0.65 of what hello does."""
    figures = figures_of(**{HELLO: 100, FLOOR: floor})

    assert figures.is_sound is is_sound


def test_the_last_line_is_what_was_measured() -> None:
    """Ratios, sessions a second, percentiles of a transition and its CPU time, for both ways of writing to disk."""
    numbers = figures_of(**{HELLO: 100, FLOOR: 50, NAIVE: 10, ALWAYS: 80, EVERYSEC: 90, CALLING: 60}).numbers()

    assert (numbers["floor_ratio"], numbers["naive_ratio"], numbers["hello_ratio"]) == (1.6, 8.0, 0.8)
    assert (numbers["everysec_floor_ratio"], numbers["calling_floor_ratio"]) == (1.8, 1.2)
    assert numbers["floor_to_hello"] == 0.5
    assert (numbers["sessions_per_s"], numbers["p50_ms"], numbers["p99_ms"]) == (80.0, 50.5, 99.01)
    assert numbers["us_per_transition"] == round(0.5e6 / (80 * TRANSITIONS), 1)
    assert json.loads(json.dumps(numbers)) == numbers


def test_a_ratio_is_the_median_of_the_rounds() -> None:
    """One round in which the machine did something else does not decide."""
    rounds = [figures_of(**{ALWAYS: rate}).rounds[0] for rate in (10, 20, 90)]

    assert Figures(rounds).ratio(ALWAYS, FLOOR) == 2.0
    assert Figures(rounds).ratios(ALWAYS, FLOOR) == [1.0, 2.0, 9.0]


@asynccontextmanager
async def answering(answer: bytes) -> AsyncIterator[int]:
    """Have a server that answers everything with these bytes, and hangs up when there are none; give its port."""

    async def answer_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            while answer and await reader.readuntil(b"\r\n\r\n"):
                writer.write(answer)
        writer.close()
        await writer.wait_closed()

    async with await asyncio.start_server(answer_all, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def test_a_refused_transition_ends_the_benchmark() -> None:
    """What was not done cannot have been fast."""

    async def life(client: Client, _: int) -> None:
        await client.transition("GET", "/")

    async with answering(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 2\r\n\r\nno") as port:
        with pytest.raises(ExceptionGroup) as failed:
            await put_on(port, life, numbers=range(1), clients=1)

    assert failed.group_contains(UnexpectedAnswerError, match="503")


async def test_a_step_with_another_users_authentication_ends_the_benchmark() -> None:
    """Speed is nothing without the right result."""
    session = {"id": "zs", "steps": [{"id": "st", "state": "resolved", "authentication": {"id": "100002"}}]}
    body = json.dumps(session).encode()
    lives = Lives([Walked("zs", 1)])

    async with answering(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)) as port:
        with pytest.raises(NotResolvedError, match="another user's"):
            await lives.verify(port)


async def test_a_connection_that_is_hung_up_is_no_answer() -> None:
    """Nobody waits for what will not come."""
    async with answering(b"") as port:
        connection = await Connection.open(port)
        with pytest.raises(UnexpectedAnswerError):
            await connection.ask("GET", "/")
        await connection.aclose()


def test_a_server_that_does_not_start_says_why(tmp_path: Path) -> None:
    """Its last words are in the error."""
    log = tmp_path / "floor.log"

    with pytest.raises(processes.StartFailedError, match="REDIS_URL"), processes.server("floor", log=log):
        pass
