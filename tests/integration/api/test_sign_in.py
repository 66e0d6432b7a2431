"""Signing in to Zapier: what a browser goes through, what comes of it, and which browsers are let on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any, Final

import httpx
import pytest
import structlog

from cli.walking import outcome_in
from orchestrator.core.sign_ins import OPENS_WITHIN, RETURNS_WITHIN, name_for
from orchestrator.store.memory import MemoryStore
from tests.support.away import Away
from tests.support.deployment import ORIGIN, Deployment, problem_of
from tests.support.sign_ins import API, SigningBrowser, query_of

BACK: Final = f"{ORIGIN}/zaps/new?draft=7#top"
NAME: Final = "0" * 64


@pytest.fixture(name="api")
async def _api() -> AsyncIterator[Deployment]:
    """The API on a store in memory, with a client secret, before a simulated Zapier."""
    deployment = Deployment(public_api_url=API)
    yield deployment
    await deployment.aclose()


@pytest.fixture(name="browser")
async def _browser(api: Deployment) -> AsyncIterator[SigningBrowser]:
    """A browser that was never here."""
    one = SigningBrowser(api)
    yield one
    await one.aclose()


@pytest.fixture(name="other")
async def _other(api: Deployment) -> AsyncIterator[SigningBrowser]:
    """Somebody else's browser, which has been here for a sign-in of its own."""
    one = SigningBrowser(api)
    await one.name()
    yield one
    await one.aclose()


async def credential(api: Deployment, session: dict[str, Any]) -> dict[str, Any]:
    """Return what a session shows of its user's credential."""
    return dict((await api.read(session))["credential"])


async def trusted(api: Deployment, user: str = "alice") -> httpx.AsyncClient:
    """Return a page of the user's, with a client token for a session of theirs."""
    created = await api.ok("POST", "/v1/sessions", {"user_id": user, "steps": [{}]}, status=201)
    return api.caller({"Authorization": f"Bearer {created.json()['client_token']['token']}", "Origin": ORIGIN})


# --- what comes of it ---


async def test_who_signs_in_has_a_credential(api: Deployment, browser: SigningBrowser) -> None:
    """As if it had been put: active, with the account's address, masked."""
    session = await api.session(None)
    before = await credential(api, session)

    assert await browser.sign_in() == "signed_in"
    assert before["state"] == "missing"
    assert await credential(api, session) == {"state": "active", "account": "a•••@example.test", "reason": None}
    assert (await api.ok("GET", f"/v1/sessions/{session['id']}/apps?query=slack")).json()["apps"]


async def test_a_page_begins_a_sign_in_with_its_client_token(api: Deployment, browser: SigningBrowser) -> None:
    """For its session's user, whoever that is."""
    async with await trusted(api) as page:
        session_id = (await api.ok("GET", "/v1/sessions?user_id=alice")).json()["sessions"][0]["id"]
        begun = await page.post(f"/v1/sessions/{session_id}/zapier-sign-in", json={"browser": await browser.name()})

    assert begun.status_code == 201
    assert begun.json()["url"].startswith(f"{API}/zapier-sign-in/")
    assert "alice" not in begun.json()["url"]
    last = await browser.take(begun.json()["url"])
    assert 'data-kind="signed_in"' in last.text
    assert "a•••@example.test" in last.text


async def test_what_is_asked_of_zapier_is_what_is_configured(browser: SigningBrowser) -> None:
    """Client, exact way back, scopes, and who may get an account."""
    newcomer = {"email": "new@example.test", "first_name": "Né", "last_name": "W"}
    address = await browser.begin(newcomer=newcomer)
    sent = (await browser.http.get(address)).headers["location"]
    said = dict(query_of(sent))
    state = said.pop("state")

    assert sent.startswith("http://sim.test/v2/authorize?")
    assert "%20" in sent
    assert len(state) > 40
    assert said == {
        "response_type": "code",
        "response_mode": "query",
        "client_id": "zapwright",
        "redirect_uri": f"{API}/zapier-sign-in/callback",
        "scope": "profile zap zap:write connection:read connection:write",
        "sign_up_email": "new@example.test",
        "sign_up_first_name": "Né",
        "sign_up_last_name": "W",
    }


async def test_who_comes_with_their_whole_page_is_led_back_to_it(browser: SigningBrowser) -> None:
    """First with the browser's name, then with what came of it; the rest of the address stays."""
    told = await browser.http.get(f"{API}/zapier-sign-in", params={"return_url": BACK})
    name = query_of(told.headers["location"])["zapwright_browser"]
    last = await browser.take(await browser.begin(browser=name, return_url=BACK))

    assert told.headers["location"] == f"{ORIGIN}/zaps/new?draft=7&zapwright_browser={name}#top"
    assert f'data-back="{ORIGIN}/zaps/new?draft=7&amp;zapwright_sign_in=signed_in#top"' in last.text


async def test_who_denies_is_told_that_nothing_has_changed(api: Deployment, browser: SigningBrowser) -> None:
    """On a page that leads back, if they came with their whole page; and can try again."""
    session = await api.session(None)
    last = await browser.take(await browser.begin(return_url=BACK), answer="denied")

    assert 'data-kind="denied"' in last.text
    assert "zapwright_sign_in=denied#top" in last.text
    assert (await credential(api, session))["state"] == "missing"
    assert await browser.sign_in() == "signed_in"


FAULT: Final = {"endpoint": "POST /oauth/token/"}
FAULTS: Final[dict[str, tuple[dict[str, Any], str]]] = {
    "the code is too old": ({"tokens": {"code_ms": 0}}, "code_refused"),
    "the token endpoint is down": ({"rules": {"x": {"fault": "status", "status": 503, **FAULT}}}, "not_reached"),
    "it fails": ({"rules": {"x": {"fault": "status", "status": 500, **FAULT}}}, "answer_lost"),
    "its answer is lost": ({"rules": {"x": {"fault": "drop", "when": "after", **FAULT}}}, "answer_lost"),
    "it refuses the code": ({"rules": {"x": {"fault": "oauth_error", **FAULT}}}, "code_refused"),
    "it knows no such client": (
        {"rules": {"x": {"fault": "oauth_error", "error": "invalid_client", "status": 401, **FAULT}}},
        "client_refused",
    ),
    "the token is refused": (
        {"rules": {"x": {"fault": "status", "status": 401, "endpoint": "GET /v1/profiles/me"}}},
        "token_refused",
    ),
    "another state comes back": ({"sign_in": {"state": "other"}}, "unknown"),
    "no state comes back": ({"sign_in": {"state": "absent"}}, "unknown"),
}


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_went_wrong_is_said_and_can_be_tried_again(
    api: Deployment, browser: SigningBrowser, fault: str
) -> None:
    """On a page, of which every word is known beforehand; the credential is as it was."""
    switches, outcome = FAULTS[fault]
    session = await api.session(None)
    await api.sim.switch(switches)
    last = await browser.take(await browser.begin())

    assert f'data-kind="{outcome}"' in last.text
    assert (await credential(api, session))["state"] == "missing"
    await api.sim.control("DELETE", "/faults")
    await api.sim.switch({"limits": {"ip": 0, "partner": 0}})
    api.clock.manual.advance(120_000)
    assert await browser.sign_in() == "signed_in"


async def test_an_account_that_does_not_tell_who_it_is_is_signed_in_anyway(
    api: Deployment, browser: SigningBrowser
) -> None:
    """Whether the scope does not allow it, or Zapier is just not to be asked: the token is there, and is kept."""
    session = await api.session(None)
    await api.sim.switch({"rules": {"x": {"fault": "status", "status": 500, "endpoint": "GET /v1/profiles/me"}}})

    assert await browser.sign_in() == "signed_in"
    assert await credential(api, session) == {"state": "active", "account": None, "reason": None}


async def test_whatever_zapier_says_instead_of_a_code_is_said(browser: SigningBrowser) -> None:
    """In our words, not in its."""
    said = {
        "access_denied": "denied",
        "temporarily_unavailable": "not_reached",
        "invalid_scope": "client_refused",
        "<b>": "client_refused",
    }
    found = {}
    for error in said:
        state = query_of(await browser.callback())["state"]
        brought = {"state": state, "error": error}
        page = await browser.http.get(f"{API}/zapier-sign-in/callback", params=brought, follow_redirects=True)
        assert "<b>" not in page.text
        found[error] = outcome_in(page)

    assert found == said


async def test_steps_that_waited_go_on(api: Deployment, browser: SigningBrowser) -> None:
    """And the session's events say that they do."""
    session, address = await api.awaiting()
    await api.sim.control("PATCH", "/tokens/sim-alice", {"revoked": True})
    await api.signal(address, "focus")
    await api.check()
    refused = await credential(api, session)

    assert refused["state"] == "needs_sign_in"
    assert await browser.sign_in() == "signed_in"
    events = (await api.ok("GET", f"/v1/sessions/{session['id']}/events")).json()["events"]
    assert [event["name"] for event in events][-2:] == ["sign_in_needed", "signed_in"]
    assert await api.check() == 1


async def test_another_account_takes_the_baseline_along(api: Deployment, browser: SigningBrowser) -> None:
    """What was listed for one account says nothing of what the other one has."""
    await api.sim.connect("bob", "Slack")
    session, address = await api.awaiting()
    before = await credential(api, session)
    assert await browser.sign_in(account="bob") == "signed_in"
    await api.signal(address, "finished")
    for _ in range(4):
        await api.check()
        api.clock.manual.advance(5_000)
    step = (await api.read(session))["steps"][0]

    told = (await api.ok("GET", f"/v1/sessions/{session['id']}/events")).json()["events"]

    assert before["account"] != (await credential(api, session))["account"]
    assert "signed_in" in {event["name"] for event in told}
    assert (step["state"], step["reason"], len(step["candidates"])) == ("needs-auth", "nothing_new", 1)


async def test_what_zapier_hands_out_is_renewed_by_itself(api: Deployment, browser: SigningBrowser) -> None:
    """The refresh token came with the code, so the access token's end is nobody's business but ours."""
    session = await api.session(None)
    await api.sim.switch({"tokens": {"access_ms": 3_600_000}})
    assert await browser.sign_in() == "signed_in"
    api.clock.manual.advance(3_600_000 + 1)
    found = await api.client.get(f"/v1/sessions/{session['id']}/apps", params={"query": "slack"})

    assert found.status_code == 200
    assert (await credential(api, session))["state"] == "active"


# --- which browsers are let on ---


async def test_an_address_is_no_good_in_another_browser(
    api: Deployment, browser: SigningBrowser, other: SigningBrowser
) -> None:
    """Whoever sends theirs to somebody else gets nothing of them, though nobody has opened it before."""
    session = await api.session(None)
    address = await browser.begin()

    assert await other.get(address) == "another_browser"
    assert (await credential(api, session))["state"] == "missing"
    assert await browser.get(address) != "another_browser"


async def test_a_browser_without_a_cookie_has_no_name_that_could_be_guessed(api: Deployment) -> None:
    """An attacker can compute what a name made of nothing would be, and gets nothing by it."""
    stranger = SigningBrowser(api)
    address = await stranger.begin(browser=name_for(ORIGIN, ""))

    assert await stranger.get(address) == "another_browser"
    await stranger.aclose()


async def test_what_zapier_said_to_one_browser_is_no_good_in_another(
    api: Deployment, browser: SigningBrowser, other: SigningBrowser
) -> None:
    """Neither with a cookie of its own nor with none; the right browser can still bring it back."""
    session = await api.session(None)
    back = await browser.callback()
    stranger = SigningBrowser(api)

    assert await other.get(back) == "another_browser"
    assert await stranger.get(back) == "another_browser"
    assert (await credential(api, session))["state"] == "missing"
    assert await browser.get(back) == "signed_in"
    await stranger.aclose()


async def test_a_code_of_ones_own_does_not_fit_somebody_elses_sign_in(
    api: Deployment, browser: SigningBrowser, other: SigningBrowser
) -> None:
    """A victim's browser that is led to the callback with an attacker's code stays whose it is."""
    session = await api.session(None)
    theirs = query_of(await other.callback("mallory", account="mallory"))
    found = await browser.get(f"{API}/zapier-sign-in/callback?code={theirs['code']}&state={theirs['state']}")

    assert found == "another_browser"
    assert (await credential(api, session))["state"] == "missing"


async def test_everything_is_good_once(api: Deployment, browser: SigningBrowser) -> None:
    """The address, and what Zapier hands back; looking at what came of it is no use of it."""
    address = await browser.begin()
    stopped = await browser.take(address, until=f"{API}/zapier-sign-in/callback")
    back = str(stopped.headers["location"])
    again = await browser.get(address)
    found = await browser.http.get(back)
    result = f"{API}{found.headers['location']}" if found.headers["location"].startswith("/") else ""

    assert again == "used"
    assert [await browser.get(result), await browser.get(result), await browser.get(back)] == [
        "signed_in",
        "signed_in",
        "used",
    ]


async def test_what_is_late_is_over(api: Deployment, browser: SigningBrowser) -> None:
    """A minute or two to open it, half an hour at Zapier."""
    address, back = await browser.begin(), await browser.callback()
    api.clock.manual.advance(max(OPENS_WITHIN, RETURNS_WITHIN))

    assert await browser.get(address) == "expired"
    assert await browser.get(back) == "expired"


async def test_what_is_no_sign_in_is_said_to_be_none(browser: SigningBrowser) -> None:
    """Whatever stands in the address."""
    paths = ("nonsense", "si00aaaaaaaaaaaaaaaaaaaa-x", "callback", "callback?code=x", "result/x", "refused/x")
    found = [await browser.get(f"{API}/zapier-sign-in/{path}") for path in paths]

    assert found == ["unknown"] * len(paths)


async def test_what_is_quoted_finds_what_failed_in_the_log() -> None:
    """Not the page that says so; and nothing else can be put there to be quoted."""
    store = MemoryStore()
    sign_ins = Away(store.sign_ins)
    store.sign_ins = sign_ins  # type: ignore[assignment]
    api = Deployment(store=store, public_api_url=API)
    browser = SigningBrowser(api)
    address = await browser.begin()
    sign_ins.is_away = True
    with structlog.testing.capture_logs(processors=[structlog.contextvars.merge_contextvars]) as logged:
        said = await browser.http.get(address, follow_redirects=True)
    invented = await browser.http.get(f"{API}/zapier-sign-in/refused/trouble?reference=call%20us")
    await browser.aclose()
    await api.aclose()

    (failed,) = [line["reference"] for line in logged if line["event"] == "sign_in_failed"]
    assert f">{failed}</span>" in said.text
    assert "quote" not in invented.text


async def test_a_name_that_was_told_to_another_tenant_is_worth_nothing(browser: SigningBrowser) -> None:
    """Tenants' pages know a browser by different names."""
    address = await browser.begin(browser=await browser.name(API))

    assert await browser.get(address) == "another_browser"


async def test_only_pages_of_ours_learn_a_browsers_name(browser: SigningBrowser) -> None:
    """Nobody else is told, and nothing is kept."""
    asking: list[dict[str, str]] = [
        {},
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"return_url": "https://evil.example/x"},
        {"return_url": "//app.example.test"},
        {"return_url": f"{ORIGIN}@evil.example/"},
        {"return_url": f"{ORIGIN}.evil.example/"},
        {"origin": ORIGIN, "return_url": "https://evil.example/x"},
    ]
    for asked in asking:
        found = await browser.http.get(f"{API}/zapier-sign-in", params=asked)

        assert (found.status_code, outcome_in(found)) == (403, "foreign_page"), asked
        assert "data-browser" not in found.text
        assert "set-cookie" not in found.headers


async def test_a_sign_in_leads_back_to_ones_own_pages_only(api: Deployment) -> None:
    """An address elsewhere is refused when it is begun."""
    for address in ("https://evil.example/", f"{ORIGIN}.evil.example", "javascript:alert(1)"):
        wish = {"browser": NAME, "return_url": address}
        answer = await api.client.post("/v1/users/alice/zapier-sign-in", json=wish)

        assert problem_of(answer) in {(403, "origin_refused"), (422, "request_invalid")}


async def test_the_browsers_secret_stays_with_it(browser: SigningBrowser) -> None:
    """No script reads it, no neighbouring host can plant one, no plain connection carries it, no answer repeats it."""
    found = await browser.http.get(f"{API}/zapier-sign-in", params={"origin": ORIGIN})
    (name, secret) = re.fullmatch(r"([^=]+)=([a-z0-9]+);.*", found.headers["set-cookie"]).groups()  # type: ignore[union-attr]
    attributes = {part.strip().lower() for part in found.headers["set-cookie"].split(";")[1:]}

    assert name == "__Host-zapwright-sign-in"
    assert attributes >= {"httponly", "secure", "samesite=lax", "path=/"}
    assert not any(part.startswith("domain") for part in attributes)
    assert secret not in found.text
    assert await browser.name() == await browser.name()


async def test_nothing_that_opens_anything_stays_in_an_address_or_a_log(
    browser: SigningBrowser, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every address with a secret in it is left at once; our pages tell nobody where they were come from."""
    address = await browser.begin()
    back = str((await browser.take(address, until=f"{API}/zapier-sign-in/callback")).headers["location"])
    answer = await browser.http.get(back)
    last = await browser.http.get(back, follow_redirects=True)
    said = query_of(back)
    logged = "".join(capsys.readouterr())

    assert answer.status_code == 303
    assert answer.headers["referrer-policy"] == "no-referrer"
    for secret in (said["code"], said["state"], address.rpartition("/")[2]):
        assert secret not in answer.headers["location"]
        assert secret not in last.text
        assert secret not in logged
    assert "zapier-sign-in" in logged


async def test_a_deployment_without_a_client_secret_says_so(api: Deployment) -> None:
    """Before anybody is sent anywhere."""
    bare = Deployment(zapier_client_secret=None)
    answer = await bare.client.post("/v1/users/alice/zapier-sign-in", json={"browser": NAME})
    await bare.aclose()

    assert problem_of(answer) == (409, "client_missing")


async def test_a_user_who_was_erased_does_not_come_back(api: Deployment, browser: SigningBrowser) -> None:
    """Whatever their browser brings back."""
    back = await browser.callback()
    await api.ok("DELETE", "/v1/users/alice", status=204)

    assert await browser.get(back) == "unknown"
    assert await api.store.credentials.standing("default", "alice") is None


async def test_a_repeat_is_answered_with_another_address(api: Deployment) -> None:
    """As good; with another wish it is refused, as everywhere."""
    key = {"Idempotency-Key": "k1"}
    place = "/v1/users/alice/zapier-sign-in"
    first = await api.client.post(place, json={"browser": NAME}, headers=key)
    second = await api.client.post(place, json={"browser": NAME}, headers=key)
    third = await api.client.post(place, json={"browser": "1" * 64}, headers=key)

    assert first.json()["url"] != second.json()["url"]
    assert problem_of(third) == (422, "idempotency_key_reused")
