"""What a page reads in its session's stream, when, and how that ends."""

from __future__ import annotations

import asyncio
import gc
import re
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from subprocess import Popen
from typing import Any, Final

import httpx
import pytest

from api.stream import MOST_OPENED, MOST_REMEMBERED, MOST_STREAMS, OPENED_EVERY, SessionStream, Streams
from orchestrator.core.session import MINUTE, SECOND, Millis, SessionKey
from orchestrator.core.signals import SessionChanged
from orchestrator.core.tenants import DEFAULT_TENANT, TENANT_SCOPES, ApiKey, Scope, digest_of, key_text
from orchestrator.following import Follower, Reading
from orchestrator.store.rules import KEPT_EVENTS
from tests.support.deployment import ORIGIN, WITH_KEY, Deployment
from tests.support.servers import KEY, process, said
from tests.support.streams import AppPage, app_page, parsed, socket_page
from tests.support.valkey import ValkeyServer, running_valkey

TOKEN_LIFE: Final = 10 * MINUTE
WITH_SERVERS_KEY: Final = {"Authorization": f"Bearer {KEY}"}


async def eventually(is_so: Callable[[], Awaitable[object]]) -> None:
    """Wait until something is so."""
    async with asyncio.timeout(60):
        while not await is_so():  # noqa: ASYNC110 - what it looks at tells nobody
            await asyncio.sleep(0.05)


class Site:
    """A session whose user waits for a popup, and its pages."""

    def __init__(self, api: Deployment, session: dict[str, Any], step: str) -> None:
        self.api = api
        self.session = session
        self.step = step
        self.address = f"/v1/sessions/{session['id']}"
        self.key = SessionKey(tenant_id=DEFAULT_TENANT, session_id=session["id"])

    async def page(self, query: str = "", **headers: str) -> AbstractAsyncContextManager[AppPage]:
        """Have a page with a token of its own."""
        return self.reader(query, await self.page_headers() | headers)

    def reader(self, query: str, headers: dict[str, str]) -> AbstractAsyncContextManager[AppPage]:
        """Have a reader with these headers."""
        return app_page(self.api.app, f"{self.address}/stream{query}", headers)

    async def page_headers(self) -> dict[str, str]:
        """Give a page a token; return its headers."""
        token = await self.api.ok("POST", f"{self.address}/client-tokens", {"user_id": "alice"}, status=201)
        return {"Authorization": f"Bearer {token.json()['token']}", "Origin": ORIGIN}

    def headers_of_step(self, step_id: str) -> dict[str, str]:
        """Return the headers of our own connect page for one step."""
        token = self.api.app.state.tokens.make(
            tenant_id=DEFAULT_TENANT,
            session_id=self.session["id"],
            user_id="alice",
            origins=[ORIGIN],
            now=self.api.clock.now(),
            step_id=step_id,
        )
        return {"Authorization": f"Bearer {token.text}", "Origin": ORIGIN}

    def at_pace(self, **pace: Millis) -> None:
        """Have streams with other limits."""
        here, state = self.api.zapwright, self.api.app.state
        state.streams = Streams(
            following=here.following, queries=here.queries, clock=here.clock, metrics=state.metrics, **pace
        )

    async def change(self, title: str = "new") -> dict[str, Any]:
        """Have something happen to the session."""
        document: dict[str, Any] = (await self.api.ok("PATCH", self.address, {"title": title})).json()
        return document

    async def key_of(self, *scopes: Scope) -> dict[str, str]:
        """Make an API key; return the headers of who has it."""
        key = ApiKey(
            id="ak1",
            tenant_id=DEFAULT_TENANT,
            name="",
            scopes=frozenset(scopes),
            digest=digest_of("s" * 40),
            created_at=1,
        )
        await self.api.store.api_keys.create(key)
        return {"Authorization": f"Bearer {key_text('ak1', 's' * 40)}"}

    async def visible_until(self) -> int:
        """Return until when a page is taken to be in front of its user."""
        attempt = (await self.api.store.sessions.load(self.key)).steps[0].live_attempt
        assert attempt is not None
        return attempt.visible_until


@pytest.fixture
async def site(api: Deployment) -> Site:
    """A session whose user waits for a popup."""
    return Site(api, *await api.awaiting())


# --- what is told ---


async def test_a_page_is_shown_the_session_and_then_what_happens_to_it(site: Site) -> None:
    """The session first; each event as the list has it, by its number; and the session after it."""
    async with await site.page() as page:
        await page.until_told("session")
        before = await site.api.read(site.session)
        first = page.session

        after = await site.change()
        await page.until(lambda page: len(page.told) == 3)
    listed = (await site.api.ok("GET", f"{site.address}/events?after={before['seq']}")).json()

    assert page.status == 200
    assert page.headers["content-type"] == "text/event-stream"
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-accel-buffering"] == "no"
    assert page.headers["access-control-allow-origin"] == ORIGIN
    assert page.names == ["session", "session_changed", "session"]
    assert (page.told[1].data, page.told[1].id) == (listed["events"][0], str(after["seq"]))
    assert (first, page.session) == (before, after)


@pytest.mark.parametrize(
    ("query", "headers"),
    [("?after=1", {}), ("", {"Last-Event-ID": "1"}), ("?after=0", {"Last-Event-ID": "1"})],
)
async def test_who_comes_again_is_told_what_they_missed(site: Site, query: str, headers: dict[str, str]) -> None:
    """From the last event they read, which the header says before the address does; then the session after it."""
    await site.change()
    async with await site.page(query, **headers) as page:
        await page.until(lambda page: page.names.count("session") == 2)

    assert page.names == ["session", "app_chosen", "popup_opened", "session_changed", "session"]
    assert [one.id for one in page.told] == [None, "2", "3", "4", None]


async def test_a_page_ahead_of_the_store_is_shown_where_it_is(site: Site) -> None:
    """A failover may have lost what the page was told: it goes on from what there is."""
    async with await site.page("?after=99") as page:
        await page.until_told("session")
        await site.change()
        await page.until_told("session_changed")

    assert page.names == ["session", "session_changed", "session"]


async def test_events_that_are_no_longer_kept_are_said_to_be(site: Site) -> None:
    """Those that are kept follow."""
    for number in range(KEPT_EVENTS):
        await site.api.zapwright.engine.apply(site.key, SessionChanged(title=f"title {number}"))
    async with await site.page("?after=1") as page:
        await page.until(lambda page: page.names.count("session") == 2)

    assert page.names == ["session", "truncated", *["session_changed"] * KEPT_EVENTS, "session"]
    assert page.told[1].data == {"after": 1}
    assert [page.told[place].id for place in (2, -2)] == ["4", "1003"]


async def test_a_check_that_finds_nothing_moves_the_next_one_before_everybodys_eyes(site: Site) -> None:
    """The session is shown again, without an event."""
    async with await site.page() as page:
        await page.until_told("session")
        before = page.session
        site.api.sim.clock.advance(MINUTE)
        await site.api.check()
        await page.until(lambda page: len(page.told) == 2)

    assert page.names == ["session", "session"]
    assert page.session["seq"] == before["seq"]
    assert page.session["steps"][0]["attempt"]["next_check_at"] > before["steps"][0]["attempt"]["next_check_at"]


async def test_a_connect_page_sees_its_step_and_no_other(site: Site) -> None:
    """Nor do events of other steps reach it; the pages that may see them do, from the same reading."""
    other = (await site.api.ok("POST", f"{site.address}/steps", {"alias": "other"}, status=201)).json()["step_id"]
    headers = await site.key_of(*TENANT_SCOPES)
    async with (
        site.reader("?after=0", site.headers_of_step(other)) as connect_page,
        site.reader("?after=0", headers) as backend,
    ):
        await connect_page.until(lambda page: page.names.count("session") == 2)
        await backend.until(lambda page: page.names.count("session") == 2)

    assert [step["id"] for step in connect_page.session["steps"]] == [other]
    assert connect_page.names == ["session", "session_created", "step_added", "session"]
    assert {"app_chosen", "popup_opened"} <= set(backend.names)


# --- readers ---


async def test_who_reads_slowly_misses_no_event_and_is_told_of_the_session_less_often(site: Site) -> None:
    """Nothing waits in a queue for them: what they missed is read when they take something again."""
    async with await site.page() as page:
        await page.until_told("session")
        page.stop_reading()
        for number in range(200):
            await site.change(f"title {number}")
        page.read_on()
        await page.until(lambda page: page.names.count("session_changed") == 200)
        await page.until(lambda page: page.session["title"] == "title 199")

    assert [int(one.id) for one in page.told if one.id] == list(range(4, 204))
    assert page.names.count("session") <= 4


async def test_who_takes_nothing_for_too_long_is_given_up(site: Site) -> None:
    """Their connection is ended, and nothing of them is left."""
    site.at_pace(send_limit=50)
    async with await site.page() as page:
        await page.until_told("session")
        page.stop_reading()
        await site.change()
        await page.until_over()

    assert site.api.zapwright.following.count(site.key) == 0


async def test_a_session_has_so_many_streams_and_no_more(site: Site) -> None:
    """The next one is asked to come again; another session's is let in."""
    async with AsyncExitStack() as stack:
        pages = [await stack.enter_async_context(await site.page()) for _ in range(MOST_STREAMS)]
        for page in pages:
            await page.until_told("session")
        too_many = await stack.enter_async_context(await site.page())
        await too_many.until_over()
        elsewhere = Site(site.api, await site.api.session(user="bob"), "")
        other = await stack.enter_async_context(elsewhere.reader("", WITH_KEY))
        await other.until_told("session")

    assert too_many.status == 429
    assert '"code":"too_many_streams"' in too_many.text
    assert too_many.headers["retry-after"] == "10"


async def test_who_waits_by_long_poll_takes_no_streams_place(site: Site) -> None:
    """However many do: a page's stream is let in beside them."""
    poll = f"{site.address}?after_seq=1000&wait_s=30"

    async def waiting() -> bool:
        return site.api.zapwright.following.count(site.key) > MOST_STREAMS

    async with AsyncExitStack() as stack:
        for _ in range(MOST_STREAMS + 1):
            await stack.enter_async_context(app_page(site.api.app, poll, WITH_KEY))
        await eventually(waiting)
        page = await stack.enter_async_context(await site.page())
        await page.until_told("session")

    assert page.status == 200


async def test_a_session_may_open_so_many_streams_a_minute(site: Site) -> None:
    """Whoever opens and drops them without end is asked to come again; later they are let in."""
    headers = await site.page_headers()
    statuses = []
    for _ in range(MOST_OPENED + 1):
        async with site.reader("", headers) as page:
            await page.until(lambda page: page.status)
            statuses.append(page.status)
    site.api.sim.clock.advance(OPENED_EVERY)
    async with site.reader("", headers) as page:
        await page.until_told("session")

    assert statuses == [200] * MOST_OPENED + [429]


def test_who_has_opened_streams_is_forgotten_in_time() -> None:
    """However many sessions there are, what is remembered of them is bounded."""
    api = Deployment()
    streams = api.app.state.streams
    for number in range(MOST_REMEMBERED + 5):
        streams.admit(SessionKey(tenant_id="any", session_id=str(number)))
        api.sim.clock.advance(1)

    assert streams.remembered <= MOST_REMEMBERED


async def test_a_thousand_streams_that_are_opened_and_dropped_leave_nothing(site: Site) -> None:
    """No task, nobody who follows, nobody who listens to the store, and no object."""
    before = asyncio.all_tasks()
    headers = await site.page_headers()
    for number in range(1_000):
        site.api.sim.clock.advance(1)
        site.at_pace()
        async with site.reader("?visible=true", headers) as page:
            if number % 2:
                await page.until_told("session")
    gc.collect()

    assert asyncio.all_tasks() == before
    assert site.api.zapwright.following.count(site.key) == 0
    assert [one for one in gc.get_objects() if isinstance(one, Follower | Reading | SessionStream)] == []


# --- the end ---


async def test_a_stream_ends_with_its_token_and_says_so(site: Site) -> None:
    """To the moment, and when to come again."""
    async with await site.page() as page:
        await page.until_told("session")
        site.api.sim.clock.advance(TOKEN_LIFE)
        await site.change()
        await page.until_over()

    assert page.told[-1].data == {"reason": "token_expired"}
    assert page.told[-1].retry in range(250, 2_000)


async def test_a_stream_ends_with_its_key(site: Site) -> None:
    """A revoked one lets nobody in, and nobody stay."""
    site.at_pace(keep_alive=10)
    headers = await site.key_of(*TENANT_SCOPES)
    async with site.reader("", headers) as page:
        await page.until_told("session")
        await site.api.store.api_keys.revoke("ak1", now=1)
        site.api.sim.clock.advance(10 * SECOND)
        await page.until_over()

    assert page.told[-1].data == {"reason": "unauthorized"}


async def test_a_stream_ends_with_its_session(site: Site) -> None:
    """After the last event; and at once for who comes later."""
    async with await site.page() as page, await site.page() as other:
        await page.until_told("session")
        await site.api.ok("DELETE", site.address)
        await page.until_over()
        await other.until_over()
    async with await site.page() as late:
        await late.until_over()

    assert page.names == ["session", "session_cancelled", "session", "bye"]
    assert late.names == ["session", "bye"]
    assert page.told[-1].data == late.told[-1].data == {"reason": "session_over"}


async def test_a_stream_of_an_erased_user_ends(site: Site) -> None:
    """There is nothing to tell any more."""
    async with await site.page() as page:
        await page.until_told("session")
        await site.api.ok("DELETE", "/v1/users/alice", status=204)
        await page.until_over()

    assert page.names == ["session", "bye"]
    assert page.told[-1].data == {"reason": "session_over"}


async def test_a_stream_that_nothing_happens_in_gives_signs_of_life(site: Site) -> None:
    """Comments, which say nothing to the page."""
    site.at_pace(keep_alive=10)
    async with await site.page() as page:
        await page.until(lambda page: parsed(page.text).count(None) > 2)

    assert page.names == ["session"]


# --- presence ---


async def test_a_visible_page_is_waited_for_as_long_as_it_is_there(site: Site) -> None:
    """A hidden one is not, nor is a reader that may not write, nor our own connect page, which has one step."""
    headers = await site.key_of(Scope.SESSIONS_READ)
    async with (
        site.reader("?visible=true", headers) as reader,
        site.reader("?visible=true", site.headers_of_step(site.session["steps"][0]["id"])) as connect_page,
        await site.page("?visible=false") as hidden,
    ):
        await reader.until_told("session")
        await connect_page.until_told("session")
        await hidden.until_told("session")
        unseen = await site.visible_until()
        async with await site.page("?visible=true") as page:
            await page.until_told("session")
            await eventually(site.visible_until)

    assert unseen == 0
    assert await site.visible_until() == site.api.clock.now() + 2 * MINUTE


# --- over sockets, on a real store ---


@pytest.fixture
def valkey() -> Iterator[ValkeyServer]:
    """A store server that a test may kill."""
    with running_valkey("--appendonly", "yes", "--appendfsync", "always") as server:
        yield server


class Client:
    """A backend with one session, over sockets."""

    def __init__(self, address: str, http: httpx.AsyncClient) -> None:
        self.address = address
        self.http = http
        self.session: dict[str, Any] = {}

    async def begin(self) -> str:
        """Begin the session; return its stream's address."""
        self.session = (await self.http.post("/v1/sessions", json={"user_id": "ann"})).json()
        return f"{self.address}/v1/sessions/{self.session['id']}/stream"

    async def change(self, title: str) -> int:
        """Have something happen to the session; return the answer's status."""
        answer = await self.http.patch(f"/v1/sessions/{self.session['id']}", json={"title": title})
        return answer.status_code

    async def is_changed(self, title: str) -> bool:
        """Change the session again, if the store takes it by now."""
        return await self.change(title) == httpx.codes.OK

    async def streams(self) -> float:
        """Return how many streams are open."""
        found = re.search(r"^zapwright_streams (\S+)$", (await self.http.get("/metrics")).text, re.MULTILINE)
        assert found is not None
        return float(found[1])

    async def has_no_streams(self) -> bool:
        """Tell whether none is open."""
        return await self.streams() == 0


@asynccontextmanager
async def backend(valkey: ValkeyServer) -> AsyncIterator[tuple[Client, Popen[str]]]:
    """Have the API run, and a backend that speaks to it."""
    with process(valkey.url) as (running, address):
        async with httpx.AsyncClient(base_url=address, headers=WITH_SERVERS_KEY, timeout=30, trust_env=False) as http:
            yield Client(address, http), running


async def test_a_process_that_is_asked_to_end_says_goodbye(valkey: ValkeyServer) -> None:
    """Each page is told to come again, not all of them at once; the process ends without waiting for them."""
    async with backend(valkey) as (client, running), AsyncExitStack() as stack:
        address = await client.begin()
        pages = [await stack.enter_async_context(socket_page(address, WITH_SERVERS_KEY)) for _ in range(7)]
        for page in pages:
            await page.until_told("session")
        running.send_signal(signal.SIGTERM)
        for page in pages:
            await page.until_over()
        log = await asyncio.to_thread(said, running)

    assert {page.told[-1].data["reason"] for page in pages} == {"closing"}
    assert [page.names for page in pages] == [["session", "bye"]] * 7
    assert "Traceback" not in log
    assert "without completing response" not in log


async def test_what_happened_around_an_outage_of_the_store_is_told_after_it(valkey: ValkeyServer) -> None:
    """The stream stays open meanwhile; nobody has to come again, and nothing is missed."""
    async with backend(valkey) as (client, _):
        async with socket_page(await client.begin(), WITH_SERVERS_KEY) as page:
            await page.until_told("session")
            valkey.kill()
            during = await client.change("during")
            valkey.start()
            await eventually(lambda: client.is_changed("after"))
            await page.until(lambda page: page.session["title"] == "after")
            await page.until(lambda page: page.names[-1] == "session")

        assert during == 503
        assert page.names.count("session_changed") >= 1
        assert not page.is_over


async def test_a_page_that_leaves_ends_its_stream(valkey: ValkeyServer) -> None:
    """At once: its request is over, though nothing happened to its session."""
    async with backend(valkey) as (client, _):
        async with socket_page(await client.begin(), WITH_SERVERS_KEY) as page:
            await page.until_told("session")
            were_open = await client.streams()
        await eventually(client.has_no_streams)

    assert were_open == 1
