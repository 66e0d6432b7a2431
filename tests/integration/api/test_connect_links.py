"""Connect links as a backend has them: making, seeing, allowing, revoking."""

from __future__ import annotations

from typing import Any, Final

import pytest

from orchestrator.core.links import code_of
from orchestrator.core.session import MINUTE, SessionKey
from orchestrator.core.signals import ConnectLinkOpened
from orchestrator.core.tenants import DEFAULT_TENANT
from tests.support.deployment import ORIGIN, Deployment, problem_of

ALICE: Final = {"user_id": "alice"}


async def made(api: Deployment, address: str, **more: Any) -> dict[str, Any]:
    """Make a link for a step of Alice's."""
    answer = await api.ok("POST", f"{address}/connect-links", ALICE | more, status=201)
    link: dict[str, Any] = answer.json()
    return link


async def listed(api: Deployment, address: str) -> list[dict[str, Any]]:
    """Return the step's links."""
    links: list[dict[str, Any]] = (await api.ok("GET", f"{address}/connect-links")).json()["links"]
    return links


async def opened(api: Deployment, link: dict[str, Any], session: dict[str, Any], browser: str) -> str:
    """Continue on a link in a browser; return its code."""
    key = SessionKey(tenant_id=DEFAULT_TENANT, session_id=session["id"])
    code = code_of(browser)
    signal = ConnectLinkOpened(step_id=link["step_id"], link_id=link["id"], browser=browser, code=code)
    await api.zapwright.engine.apply(key, signal)
    return code


async def test_a_link_is_an_address_for_a_while(api: Deployment) -> None:
    """An hour unless its maker says otherwise; the address is told once and kept nowhere."""
    session, address = await api.step()
    link = await made(api, address, return_url=f"{ORIGIN}/zaps/7?done=1#here")
    url = link.pop("url")

    assert url.startswith(f"http://zapwright.test/connect/{session['id']}-")
    assert link == {
        "id": link["id"],
        "step_id": session["steps"][0]["id"],
        "state": "new",
        "made_at": "2026-09-21T14:13:20.250Z",
        "expires_at": "2026-09-21T15:13:20.250Z",
        "opened_at": None,
        "return_url": f"{ORIGIN}/zaps/7?done=1#here",
        "waiting": [],
    }
    assert await listed(api, address) == [link]
    stored = await api.store.sessions.load(SessionKey(tenant_id=DEFAULT_TENANT, session_id=session["id"]))
    assert url.rpartition("-")[2] not in repr(stored)


async def test_a_link_leads_to_where_browsers_reach_the_api() -> None:
    """Which a proxy in front of it may hide from us."""
    api = Deployment(public_api_url="https://zaps.example.test/")
    _, address = await api.step()
    link = await made(api, address)
    await api.aclose()

    assert link["url"].startswith("https://zaps.example.test/connect/zs")


async def test_a_repeat_is_told_the_same_address(api: Deployment) -> None:
    """Though only its digest is kept; one whose link is forgotten says so."""
    _, address = await api.step()
    headers = {"Idempotency-Key": "once"}
    first = await api.client.post(f"{address}/connect-links", json=ALICE, headers=headers)
    again = await api.client.post(f"{address}/connect-links", json=ALICE, headers=headers)
    for _ in range(4):
        await made(api, address)
    late = await api.client.post(f"{address}/connect-links", json=ALICE, headers=headers)

    assert (again.status_code, again.json()) == (201, first.json())
    assert again.headers["Idempotency-Replayed"] == "true"
    assert problem_of(late) == (404, "connect_link_not_found")


async def test_a_repeat_after_its_key_was_retired_makes_nothing_up() -> None:
    """The link goes on working; nobody can say its address any more."""
    api = Deployment()
    _, address = await api.step()
    headers = {"Idempotency-Key": "once"}
    await api.client.post(f"{address}/connect-links", json=ALICE, headers=headers)
    later = Deployment(store=api.store, sim=api.sim, token_keys="another-token-key-0123456789-0123")
    late = await later.client.post(f"{address}/connect-links", json=ALICE, headers=headers)
    states = [link["state"] for link in await listed(later, address)]
    await later.aclose()
    await api.aclose()

    assert problem_of(late) == (404, "connect_link_not_found")
    assert states == ["new"]


@pytest.mark.parametrize("user", ["bob", "Alice"])
async def test_a_link_for_another_user_is_not_made(api: Deployment, user: str) -> None:
    """A backend that mixes its users up gives nothing away."""
    _, address = await api.step()
    answer = await api.client.post(f"{address}/connect-links", json={"user_id": user})

    assert problem_of(answer) == (404, "session_not_found")
    assert await listed(api, address) == []


@pytest.mark.parametrize(
    "url",
    [
        "https://evil.example.test/",
        "http://app.example.test/",
        "https://app.example.test:8443/",
        "https://app.example.test.evil.example/",
        "https://app.example.test:99999/",
    ],
)
async def test_the_page_leads_back_to_an_origin_of_the_tenants_alone(api: Deployment, url: str) -> None:
    """Else it would lend its good name to any address."""
    _, address = await api.step()
    answer = await api.client.post(f"{address}/connect-links", json=ALICE | {"return_url": url})

    assert problem_of(answer) == (403, "origin_refused")


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "//app.example.test/",
        "https://app.example.test@evil.example/",
        "https://evil.example\\@app.example.test/",
        "https://app.example.test\\.evil.example/",
        "https://app.example.test/\"onclick='x",
        "https://app.example.test/ space",
        "https://app.example.test/\n",
        "myapp://done",
        "",
    ],
)
async def test_what_browsers_might_read_otherwise_is_no_address(api: Deployment, url: str) -> None:
    """Nothing but scheme, host, port and a path of plain characters."""
    _, address = await api.step()
    answer = await api.client.post(f"{address}/connect-links", json=ALICE | {"return_url": url})

    assert problem_of(answer) == (422, "request_invalid")


@pytest.mark.parametrize("url", [ORIGIN, f"{ORIGIN}/", f"{ORIGIN.upper()}/Zaps", f"{ORIGIN}?a=b", f"{ORIGIN}#a"])
async def test_any_address_of_the_tenants_pages_will_do(api: Deployment, url: str) -> None:
    """As it was given."""
    _, address = await api.step()

    assert (await made(api, address, return_url=url.replace("HTTPS", "https")))["return_url"] == url.replace(
        "HTTPS", "https"
    )


async def test_a_new_link_takes_the_place_of_the_one_before(api: Deployment) -> None:
    """The newest is shown first, and it is the only one that can be used."""
    _, address = await api.step()
    older, newer = await made(api, address), await made(api, address)

    links = await listed(api, address)
    assert [(link["id"], link["state"]) for link in links] == [(newer["id"], "new"), (older["id"], "replaced")]


async def test_the_backend_says_which_browser_may(api: Deployment) -> None:
    """It is told who waits, and by the code lets one in; however its user wrote the code down."""
    session, address = await api.step()
    link = await made(api, address)
    await opened(api, link, session, "phone")
    code = await opened(api, link, session, "laptop")
    (waiting,) = (await listed(api, address))[0]["waiting"]
    body = {"code": f"{code[:4]}-{code[4:]}".lower()}
    allowed = await api.ok("POST", f"{address}/connect-links/{link['id']}/allow", body)
    again = await api.ok("POST", f"{address}/connect-links/{link['id']}/allow", body)
    events = (await api.ok("GET", f"/v1/sessions/{session['id']}/events?after=2")).json()["events"]

    assert waiting == {"code": code, "since": "2026-09-21T14:13:20.250Z"}
    assert (allowed.json()["state"], allowed.json()["waiting"]) == ("opened", [])
    assert again.json() == allowed.json()
    assert [(event["name"], event["data"].get("code")) for event in events] == [
        ("connect_link_made", None),
        ("connect_link_opened", None),
        ("connect_link_contested", code),
        ("connect_link_allowed", code),
    ]


async def test_what_cannot_be_allowed_is_refused_in_words(api: Deployment) -> None:
    """A code of nobody's, another link, a link that is over."""
    session, address = await api.step()
    link = await made(api, address)
    code = await opened(api, link, session, "phone")
    refused = []
    for link_id, given in ((link["id"], "ABCD-1234"), ("other", code)):
        refused.append(await api.client.post(f"{address}/connect-links/{link_id}/allow", json={"code": given}))
    api.sim.clock.advance(61 * MINUTE)
    refused.append(await api.client.post(f"{address}/connect-links/{link['id']}/allow", json={"code": code}))

    assert [problem_of(answer) for answer in refused] == [
        (404, "browser_not_found"),
        (404, "connect_link_not_found"),
        (409, "connect_link_over"),
    ]
    assert refused[-1].json()["facts"]["state"] == "expired"


async def test_a_link_is_revoked(api: Deployment) -> None:
    """Twice is fine; one that is not there is not found."""
    _, address = await api.step()
    link = await made(api, address)
    revoked = await api.ok("DELETE", f"{address}/connect-links/{link['id']}")
    again = await api.ok("DELETE", f"{address}/connect-links/{link['id']}")
    unknown = await api.client.delete(f"{address}/connect-links/other")

    assert revoked.json()["state"] == again.json()["state"] == "revoked"
    assert problem_of(unknown) == (404, "connect_link_not_found")


async def test_a_step_that_wants_no_account_has_no_link(api: Deployment) -> None:
    """There is no app yet, or nothing to connect."""
    for app in (None, "Schedule"):
        _, address = await api.step(app)
        answer = await api.client.post(f"{address}/connect-links", json=ALICE)

        assert problem_of(answer) == (409, "illegal_signal")
