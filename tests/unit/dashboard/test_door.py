"""Signing in and out, what opens without a key, and what nobody may do from elsewhere."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator

import httpx
import pytest
from fastapi import FastAPI, Request
from starlette.middleware import Middleware
from starlette.responses import HTMLResponse

from dashboard import routes
from dashboard.desk import Desk
from dashboard.door import Door, is_secure
from dashboard.feeds import Feeds
from dashboard.remote import Remote
from dashboard.visits import Visits
from orchestrator.metrics import Metrics
from tests.support import operators
from tests.support.operators import SESSION, FakeApi, Seconds

HERE = "http://ops.test"
IDLE_S = 600.0
ACT = f"/act/sessions/{SESSION}/cancel"
CANCEL = f"/sessions/{SESSION}/cancel"


class House:
    """A dashboard without its live pages: what stands behind the door is one page that says who came in."""

    def __init__(self, *, public_url: str | None = None) -> None:
        self.api = FakeApi()
        self.clock = Seconds()
        self.visits = Visits(idle_s=IDLE_S, clock=self.clock)
        remote = Remote("http://api.test", transport=self.api.transport())
        door = Middleware(Door, visits=self.visits, public_url=public_url)
        self.app = app = FastAPI(middleware=[door])
        app.state.desk = Desk(
            remote=remote,
            visits=self.visits,
            feeds=Feeds(remote, self.visits),
            metrics=Metrics(),
            is_secure=is_secure(public_url),
        )
        app.include_router(routes.router)
        app.add_api_route("/{path:path}", _page)
        self.browser = httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=public_url or HERE, follow_redirects=False
        )

    async def sign_in(self, key: str = "good-key", **more: str) -> httpx.Response:
        """Send the form of the sign-in page."""
        return await self.post("/sign-in", {"key": key, **more})

    async def post(self, path: str, form: dict[str, str] | None = None, **headers: str) -> httpx.Response:
        """Send a form as a page of the dashboard's own does."""
        origin = str(self.browser.base_url).rstrip("/")
        return await self.browser.post(path, data=form or {}, headers={"Origin": origin, **headers})


def _page(request: Request) -> HTMLResponse:
    told = request.state.visit.told
    return HTMLResponse(f"<script>1</script><style></style>in, told: {told.title + told.text if told else None}")


@pytest.fixture
async def house() -> AsyncIterator[House]:
    """A dashboard whose API knows one key."""
    house = House()
    async with house.browser:
        yield house


async def test_without_a_key_every_page_leads_to_the_sign_in_and_back(house: House) -> None:
    """To where one wanted to go, with its filters."""
    asked = await house.browser.get("/sessions?state=awaiting-popup&q=a%20b")
    form = await house.browser.get(asked.headers["location"])
    answer = await house.sign_in(next="/sessions?state=awaiting-popup&q=a%20b")

    assert asked.status_code == 303
    assert 'value="/sessions?state=awaiting-popup&amp;q=a%20b"' in form.text
    assert answer.headers["location"] == "/sessions?state=awaiting-popup&q=a%20b"
    assert (await house.browser.get("/")).text.endswith("in, told: None")


@pytest.mark.parametrize("address", ["https://evil.example/", "//evil.example", "/\\evil.example", "/\tx", "/sign-in"])
async def test_nobody_is_led_elsewhere_by_signing_in(house: House, address: str) -> None:
    """What an address says after `next` is one of the dashboard's pages, or counts for nothing."""
    answer = await house.sign_in(next=address)

    assert answer.headers["location"] == "/"


async def test_the_cookie_is_a_name_that_scripts_and_other_sites_never_have(house: House) -> None:
    """And holds nothing of the key."""
    cookie = (await house.sign_in()).headers["set-cookie"]

    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "Secure" not in cookie
    assert "good-key" not in cookie


async def test_by_https_the_cookie_goes_nowhere_else() -> None:
    """Browsers refuse one of that name that was not set by the very host, securely."""
    house = House(public_url="https://ops.example.com")
    async with house.browser:
        cookie = (await house.sign_in()).headers["set-cookie"]
        inside = await house.browser.get("/")

    assert cookie.startswith("__Host-zapwright=")
    assert "Secure" in cookie
    assert "Path=/" in cookie
    assert inside.status_code == 200


@pytest.mark.parametrize("key", ["wrong-key", "", "ключ", "x" * 600, "a\r\nX-Evil: 1"])
async def test_a_key_that_opens_nothing_is_said_to(house: House, key: str) -> None:
    """In words, with the form again, and without the key in it."""
    answer = await house.sign_in(key)

    assert answer.status_code == 401
    assert "No operator has this key" in answer.text
    assert "set-cookie" not in answer.headers
    assert key == "" or key not in answer.text


async def test_a_backends_key_is_told_apart_from_a_wrong_one(house: House) -> None:
    """Whoever copied the wrong line knows which one to copy."""
    house.api.refusals["/me"] = operators.answer({"code": "scope_missing", "detail": "no"}, status=403)
    answer = await house.sign_in("a-backends-key")

    assert "That key opens something else" in answer.text
    assert "api-keys create --operator" in answer.text


async def test_while_the_api_is_down_nobody_is_called_a_stranger(house: House) -> None:
    """The key may be right: it could not be checked."""
    house.api.is_down = True
    answer = await house.sign_in()

    assert answer.status_code == 502
    assert "The API does not answer" in answer.text


async def test_signing_out_opens_nothing_any_more(house: House) -> None:
    """Not by the old cookie either."""
    await house.sign_in()
    name = house.browser.cookies["zapwright-dashboard"]
    await house.post("/sign-out")
    house.browser.cookies.set("zapwright-dashboard", name)
    answer = await house.browser.get("/")

    assert answer.headers["location"].startswith("/sign-in")
    assert "You were signed out" in (await house.browser.get("/sign-in")).text


async def test_whoever_does_nothing_is_signed_out_and_whoever_is_there_is_not(house: House) -> None:
    """Pages say that a key or a pointer moved."""
    await house.sign_in()
    house.clock.now += IDLE_S - 1
    awake = await house.post("/awake")
    house.clock.now += IDLE_S - 1
    inside = await house.browser.get("/")
    house.clock.now += IDLE_S + 1
    outside = await house.browser.get("/")

    assert (awake.status_code, inside.status_code, outside.status_code) == (204, 200, 303)


async def test_a_page_that_only_asks_keeps_nobody_signed_in(house: House) -> None:
    """One that lost its connection does so by itself, whether somebody is there or not."""
    await house.sign_in()
    house.clock.now += IDLE_S - 1
    known = await house.browser.get("/awake")
    house.clock.now += 2
    unknown = await house.browser.get("/awake")

    assert (known.status_code, unknown.status_code) == (204, 303)


@pytest.mark.parametrize("origin", ["http://evil.test", "null", "http://ops.test:81", "https://ops.test", None])
@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/awake", ACT])
async def test_nothing_is_done_from_elsewhere(house: House, path: str, origin: str | None) -> None:
    """Neither signed in by somebody, nor signed out, nor made to act."""
    await house.sign_in()
    asked = len(house.api.asked)
    headers = {} if origin is None else {"Origin": origin}
    answer = await house.browser.post(path, data={"key": "good-key", "reason": "x", "wish": "w"}, headers=headers)

    assert answer.status_code == 403
    assert len(house.api.asked) == asked


async def test_a_link_from_another_site_steps_inside_once(house: House) -> None:
    """Come from a chat, a browser keeps a strict cookie back: the page asks for itself again, and then has it."""
    page = await house.browser.get("/sessions/x", headers={"Sec-Fetch-Site": "cross-site"})

    assert page.status_code == 200
    assert 'http-equiv="refresh" content="0"' in page.text


async def test_what_opens_without_a_key_tells_nothing_of_the_deployment(house: House) -> None:
    """Health, metrics, and the files that every page loads."""
    for path in ("/healthz", "/metrics", "/sign-in", "/web/dashboard.css", "/web/look.css", "/web/mark.svg"):
        answer = await house.browser.get(path)
        assert answer.status_code == 200, path
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await house.browser.get("/web/../app.py")).status_code in {303, 404}
    assert (await house.browser.get("/web/app.py")).status_code == 404

    assert house.api.asked == []


async def test_a_page_runs_nothing_but_what_bears_its_nonce(house: House) -> None:
    """Nothing made of text, nothing inline, nothing from elsewhere; another nonce for every page."""
    await house.sign_in()
    first, second = await house.browser.get("/"), await house.browser.get("/")
    policy = first.headers["content-security-policy"]
    nonce = policy.partition("'nonce-")[2].partition("'")[0]

    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert f'<script nonce="{nonce}">' in first.text
    assert f'<style nonce="{nonce}">' in first.text
    assert nonce not in second.text
    assert first.headers["cache-control"] == "no-store"


async def test_an_action_carries_the_key_the_reason_and_its_wish(house: House) -> None:
    """And the page it leads back to says what became of it, in the API's words, once."""
    house.api.says(CANCEL, {"outcome": "applied", "says": "The session is over."})
    await house.sign_in()
    form = {"reason": "the user called", "wish": "w-1", "back": f"/sessions/{SESSION}", "by_s": "3600"}
    done = await house.post(ACT, form)
    sent = house.api.asked[-1]

    assert done.headers["location"] == f"/sessions/{SESSION}"
    assert sent.headers["authorization"] == "Bearer good-key"
    assert sent.headers["idempotency-key"] == "w-1"
    assert sent.read() == b'{"reason":"the user called","by_s":3600}'
    assert "The session is over." in (await house.browser.get("/")).text


@pytest.mark.parametrize("number", ["9" * 5_000, "²", "1e3", "-1", "soon", " 5"], ids=lambda text: text[:5])
async def test_what_is_no_number_is_the_apis_to_refuse(house: House, number: str) -> None:
    """Whoever wrote it is told so, however long it is."""
    house.api.says(CANCEL, {"code": "x", "detail": "by_s: send a number", "status": 422}, status=422)
    await house.sign_in()
    done = await house.post(ACT, {"reason": "r", "wish": "w", "back": "/", "by_s": number})

    assert (done.status_code, json.loads(house.api.asked[-1].read())["by_s"]) == (303, number)
    assert "by_s: send a number" in (await house.browser.get("/")).text


@pytest.mark.parametrize(
    ("status", "says"),
    [(409, "in cooldown until 02:15"), (422, "reason: too long"), (404, "there is no such session")],
)
async def test_a_refused_action_says_why(house: House, status: int, says: str) -> None:
    """In the API's words."""
    house.api.says(CANCEL, {"code": "x", "detail": says, "status": status}, status=status)
    await house.sign_in()
    await house.post(ACT, {"reason": "r", "wish": "w", "back": "/"})

    assert f"Nothing was done{says}" in (await house.browser.get("/")).text


async def test_what_was_typed_for_a_refused_action_is_kept_for_the_next_try(house: House) -> None:
    """The reason, and whatever else; of what was done nothing is."""
    await house.sign_in()
    visit = house.visits.find(next(iter(house.browser.cookies.values())))
    kept = []
    for status in (409, 200):
        house.api.says(CANCEL, {"code": "x", "detail": "no", "says": "Done.", "status": status}, status=status)
        await house.post(ACT, {"reason": "the user called", "wish": "w", "back": "/", "by_s": "3600"})
        assert visit is not None
        assert visit.told is not None
        kept.append((visit.told.path, dict(visit.told.form)))

    assert kept == [(CANCEL, {"reason": "the user called", "by_s": "3600"}), ("", {})]


async def test_an_action_without_an_answer_is_not_called_undone(house: House) -> None:
    """Nobody knows; the audit does."""
    await house.sign_in()
    house.api.is_down = True
    await house.post(ACT, {"reason": "r", "wish": "w", "back": "/"})

    assert "Whether it was done is not known" in (await house.browser.get("/")).text


async def test_a_viewer_acts_by_no_address(house: House) -> None:
    """The API would refuse it as well."""
    house.api.keys["viewers"] = {"role": "viewer", "tenants": ["acme"]}
    await house.sign_in("viewers")
    asked = len(house.api.asked)
    await house.post(ACT, {"reason": "r", "wish": "w", "back": "/"})

    assert len(house.api.asked) == asked
    assert "Your key may only look" in (await house.browser.get("/")).text


async def test_a_form_of_any_size_is_read_to_its_limit(house: House) -> None:
    """What is larger than a form of ours can be is no form."""
    answer = await house.sign_in("k" * 200_000)

    assert answer.status_code == 401
    assert "kkkk" not in answer.text


@pytest.mark.parametrize("path", ["/nonsense", "/session", "/_nicegui/nothing"])
async def test_an_address_that_nothing_has_is_answered_by_a_page_of_ours(house: House, path: str) -> None:
    """With the bar for who is signed in, and a way to the overview; NiceGUI's own would stay blank."""
    house.app.router.routes.pop()
    house.app.add_exception_handler(404, routes.show_missing)
    await house.sign_in()
    answer = await house.browser.get(path)
    is_page = not path.startswith("/_nicegui/")

    assert answer.status_code == 404
    assert ("There is no such page here" in answer.text) is is_page
    assert ('<a href="/" class="button primary">To the overview</a>' in answer.text) is is_page
    assert ("Sign out" in answer.text) is is_page


async def test_of_a_choice_and_its_free_field_the_one_that_is_filled_counts(house: House) -> None:
    """Both bear one name; what is blank is neither."""
    await house.sign_in()
    house.api.says(f"/sessions/{SESSION}/steps/s/bind", {"says": "Done."})
    for typed in ("authentication_id=1&authentication_id=", "authentication_id=&authentication_id=22"):
        await house.browser.post(
            f"/act/sessions/{SESSION}/steps/s/bind",
            content=f"wish={len(typed)}&reason=x&{typed}",
            headers={"Origin": HERE},
        )
    sent = [json.loads(request.content)["authentication_id"] for request in house.api.asked if request.content]

    assert sent == ["1", "22"]
