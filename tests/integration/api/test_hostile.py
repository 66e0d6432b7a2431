"""No JSON, no address and no query makes the API fail."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.deployment import Deployment

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
PATHS: Final = st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).map(lambda text: quote(text, safe="/"))


def routes(api: Deployment) -> list[tuple[str, str]]:
    """Give every method and path there is."""
    return [(method, path) for path, methods in api.app.openapi()["paths"].items() for method in methods]


@pytest.mark.parametrize("number", range(3))
def test_any_json_on_any_route_is_answered(number: int) -> None:
    """Accepted or refused, as the description says; never an error of ours."""
    with asyncio.Runner() as runner:
        api = Deployment()
        session, address = runner.run(api.awaiting("Slack"))
        step = address.rpartition("/")[2]

        @settings(max_examples=120, suppress_health_check=[HealthCheck.too_slow])
        @given(route=st.sampled_from(routes(api)), body=JSON, session_id=PATHS | st.just(session["id"]))
        def ask(route: tuple[str, str], body: Any, session_id: str) -> None:
            method, path = route
            path = path.format(session_id=session_id.replace("/", ""), step_id=step, user_id="alice")
            answer = runner.run(api.client.request(method, path, json=body))

            assert answer.status_code < 500, (method, path, body, answer.text)

        ask()
        runner.run(api.aclose())


def test_any_address_is_answered() -> None:
    """Found or not."""
    with asyncio.Runner() as runner:
        api = Deployment()

        @settings(max_examples=150)
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
        session, address = runner.run(api.awaiting("Slack"))
        step = address.rpartition("/")[2]
        writes = [(method, path) for method, path in routes(api) if method != "get"]

        async def refusal(method: str, path: str, body: Any) -> dict[str, Any] | None:
            answer = await api.client.request(method, path, json=body)
            problem = answer.json() if answer.is_error else None
            return problem and {name: value for name, value in problem.items() if name != "reference"}

        @settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow])
        @given(route=st.sampled_from(writes), body=JSON, session_id=PATHS | st.just(session["id"]))
        def ask(route: tuple[str, str], body: Any, session_id: str) -> None:
            method, path = route
            path = path.format(session_id=session_id.replace("/", ""), step_id=step, user_id="alice")
            said = runner.run(refusal(method, path, body))

            assert said is None or said == runner.run(refusal(method, f"{path}?ordinary", body))

        ask()
        runner.run(api.aclose())
