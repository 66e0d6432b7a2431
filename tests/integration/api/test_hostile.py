"""No JSON, no address and no query makes the API fail."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.tenants import TENANT_SCOPES, ApiKey, Scope, Tenant, digest_of, key_text
from tests.support.deployment import Deployment, problem_of

NAMES: Final = st.sampled_from(
    [
        "user_id",
        "title",
        "reference",
        "steps",
        "metadata",
        "ttl_s",
        "alias",
        "app_id",
        "position",
        "inputs",
        "attempt_id",
        "kind",
        "context",
        "visible",
        "authentication_id",
        "key",
        "action_type",
        "again",
        "access_token",
        "expires_in",
    ]
)
LIKELY: Final = st.sampled_from(
    [
        "alice",
        "attempt-0001",
        "message",
        "focus",
        "finished",
        "READ",
        "e6594273-80fe-5616-b920-0bdcd3141861",
        0,
        1,
        True,
    ]
)
JSON: Final = st.recursive(
    LIKELY | st.none() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(NAMES | st.text(max_size=8), inner, max_size=5)
        | st.fixed_dictionaries({"attempt_id": LIKELY, "kind": LIKELY}, optional={"context": inner})
    ),
    max_leaves=12,
)
OTHERS: Final = {"user_id": "alice", "webhook_id": "we1", "link_id": "cl1", "seq": "1", "app_id": "Slack"}
"""What else addresses name."""

PATHS: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).map(lambda text: quote(text, safe="/"))


def routes(api: Deployment) -> list[tuple[str, str]]:
    """Give every method and path there is."""
    return [(method, path) for path, methods in api.app.openapi()["paths"].items() for method in methods]


def test_any_json_on_any_route_is_answered() -> None:
    """Accepted or refused, as the description says; never an error of ours."""
    with asyncio.Runner() as runner:
        api = Deployment()
        api.zapwright.following.close()  # a stream is over at once
        session, address = runner.run(api.awaiting("Slack"))
        step = address.rpartition("/")[2]

        @settings(max_examples=200)
        @given(route=st.sampled_from(routes(api)), body=JSON, session_id=PATHS | st.just(session["id"]))
        def ask(route: tuple[str, str], body: Any, session_id: str) -> None:
            method, path = route
            path = path.format(**OTHERS | {"session_id": session_id.replace("/", ""), "step_id": step})
            answer = runner.run(api.client.request(method, path, json=body))

            assert answer.status_code < 500, (method, path, body, answer.text)

        ask()
        runner.run(api.aclose())


def test_any_address_is_answered() -> None:
    """Found or not."""
    with asyncio.Runner() as runner:
        api = Deployment()
        api.zapwright.following.close()  # a stream is over at once

        @settings(max_examples=100)
        @given(method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "HEAD"]), path=PATHS, query=PATHS)
        def ask(method: str, path: str, query: str) -> None:
            address = f"/v1/sessions/{path}?{query}"
            request = api.client.build_request(method, "/")
            request.url = request.url.copy_with(raw_path=re.sub(r"//+", "/", address).encode())
            answer = runner.run(api.client.send(request))

            assert answer.status_code < 500, (method, address, answer.text)

        ask()
        runner.run(api.aclose())


def test_a_refusal_is_the_same_by_either_way() -> None:
    """A query, which writes do not take, sends a request FastAPI's own way: it says the same as the quick one."""
    with asyncio.Runner() as runner:
        api = Deployment()
        api.zapwright.following.close()  # a stream is over at once
        session, address = runner.run(api.awaiting("Slack"))
        step = address.rpartition("/")[2]
        writes = [(method, path) for method, path in routes(api) if method != "get"]

        async def refusal(method: str, path: str, body: Any) -> dict[str, Any] | None:
            answer = await api.client.request(method, path, json=body)
            problem = answer.json() if answer.is_error else None
            return problem and {name: value for name, value in problem.items() if name != "reference"}

        @settings(max_examples=100)
        @given(route=st.sampled_from(writes), body=JSON, session_id=PATHS | st.just(session["id"]))
        def ask(route: tuple[str, str], body: Any, session_id: str) -> None:
            method, path = route
            path = path.format(**OTHERS | {"session_id": session_id.replace("/", ""), "step_id": step})
            said = runner.run(refusal(method, path, body))
            ordinary = runner.run(refusal(method, f"{path}?ordinary", body))

            if said is None:  # then what is left to refuse is that it was carried out before
                assert ordinary is None or ordinary["code"] != "request_invalid"
            else:
                assert said == ordinary

        ask()
        runner.run(api.aclose())


ODD: Final = (
    "e\u0301 \u00e9",  # one letter, in two forms
    "\u202ereversed\u202c \u2066isolated\u2069",
    "zero\u200bwidth\u200d\ufeff",
    "Z" + "\u0301" * 200,  # one letter, for who reads it
    "\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466",
    "\uffff\ufffe\U0010ffff",
)


@pytest.mark.parametrize("text", ODD, ids=lambda text: ascii(text)[:32])
async def test_text_stays_as_it_was_written(api: Deployment, text: str) -> None:
    """In whatever form: it is the tenant's, and nothing of ours is found by it but what is written the very same."""
    await api.sign_in()
    begun = await api.session("Slack", title=text, reference=text, metadata={text: {text: [text]}})
    again = await api.ok("POST", "/v1/sessions", {"user_id": "alice", "reference": text})
    inputs = await api.ok(
        "PUT", f"/v1/sessions/{begun['id']}/steps/{begun['steps'][0]['id']}/inputs", {"inputs": {text: text}}
    )

    assert (begun["title"], begun["reference"], begun["metadata"]) == (text, text, {text: {text: [text]}})
    assert again.json()["id"] == begun["id"]
    assert inputs.json()["steps"][0]["inputs"] == {text: text}


async def test_two_forms_of_one_letter_are_two_references(api: Deployment) -> None:
    """We do not normalise: a tenant that does finds its own again."""
    composed, decomposed = [await api.session(reference=text) for text in ("\u00e9", "e\u0301")]

    assert composed["id"] != decomposed["id"]


@pytest.mark.parametrize(
    "text", [*ODD, "a b", "a\u00a0b", "a\x7f", "\u0430nn", "a\n"], ids=lambda text: ascii(text)[:32]
)
async def test_ids_are_visible_ascii(api: Deployment, text: str) -> None:
    """So that two which look alike are the same: in bodies, queries and addresses."""
    _, address = await api.awaiting()
    answers = [
        await api.client.post("/v1/sessions", json={"user_id": text}),
        await api.client.get("/v1/sessions", params={"user_id": text}),
        await api.client.put(f"/v1/users/{quote(text)}/credential", json={"access_token": "sim-alice"}),
        await api.client.delete(f"/v1/users/{quote(text)}"),
        await api.client.post("/v1/sessions", json={"user_id": "ann", "steps": [{"alias": text}]}),
        await api.client.put(f"{address}/app", json={"app_id": text}),
        await api.client.put(f"{address}/authentication", json={"authentication_id": text}),
        await api.client.post(f"{address}/popup", json={"attempt_id": text * 8}),
    ]

    assert [problem_of(answer) for answer in answers] == [(422, "request_invalid")] * len(answers)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("DELETE", "/v1/users/alice%0A"),
        ("DELETE", "/v1/users/al%0Aice"),
        ("PUT", "/v1/users/alice/credential%0A"),
        ("GET", "/v1/sessions%0A"),
        ("GET", "/v1/sessions%0a?limit=1"),
    ],
)
async def test_an_address_ends_where_it_ends(api: Deployment, method: str, path: str) -> None:
    """Not before a line break: whoever erases `alice` and a line break has not meant `alice`."""
    session = await api.session()
    answer = await api.client.request(method, path, json={"access_token": "sim-bob"} if method == "PUT" else None)

    assert problem_of(answer) == (422, "request_invalid")
    assert await api.read(session) == session


async def test_a_cursor_of_another_tenant_leads_to_ones_own(api: Deployment) -> None:
    """It is a place in time and nothing else: who has another's, or an operator's, sees what they see without it."""
    secret = "s" * 40
    await api.store.tenants.create(Tenant(id="theirs", name="", created_at=0))
    for name, tenant_id, scopes in (("them", "theirs", TENANT_SCOPES), ("op", None, frozenset({Scope.OPERATOR}))):
        key = ApiKey(id=name, tenant_id=tenant_id, name="", scopes=scopes, digest=digest_of(secret), created_at=0)
        await api.store.api_keys.create(key)
    async with (
        api.caller({"Authorization": f"Bearer {key_text('them', secret)}"}) as them,
        api.caller({"Authorization": f"Bearer {key_text('op', secret)}"}) as operator,
    ):
        theirs = (await them.post("/v1/sessions", json={"user_id": "alice", "reference": "same"})).json()["id"]
        api.sim.clock.advance(1)
        ours = [(await api.session(reference=name))["id"] for name in ("same", "other")]
        foreign = (await api.client.get("/v1/sessions", params={"limit": 1})).json()["cursor"]
        of_operator = (await operator.get("/v1/operator/sessions", params={"limit": 1})).json()["cursor"]
        seen = [(await them.get("/v1/sessions", params={"cursor": found})).json() for found in (foreign, of_operator)]

    assert [[found["id"] for found in page["sessions"]] for page in seen] == [[theirs], [theirs]]
    assert theirs not in ours
