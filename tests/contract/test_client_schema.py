"""Every request of our client is one that the Partner API's published schema describes."""

from dataclasses import replace

import pytest

from orchestrator.core.ports.credentials import Credential
from orchestrator.core.ports.upstream import ActionUse, ZapDraft, ZapStep
from orchestrator.core.session import Action
from tests.support.partner_schema import template_of, validate_request
from tests.support.zapier import (
    APP,
    BASE,
    ScriptedZapier,
    Stage,
    action_row,
    answer,
    app_row,
    connection,
    page,
    pages_of,
    permit,
    sent_json,
)

pytestmark = pytest.mark.partner_schema


@pytest.fixture
def stage() -> Stage:
    """A client nobody has used yet."""
    return Stage()


@pytest.fixture
async def credential(stage: Stage) -> Credential:
    """A user who has signed in."""
    return await stage.sign_in()


def validated(zapier: ScriptedZapier) -> list[str]:
    """Validate every request that was made, and return the endpoints they belong to."""
    endpoints = []
    for request in zapier.requests:
        template = template_of(request.method, request.url.raw_path.decode().partition("?")[0])
        body = sent_json(request) if request.content else None
        validate_request(request.method, template, dict(request.url.params), body)
        endpoints.append(f"{request.method} {template}")
    return endpoints


async def test_a_search_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """With words and without, at the beginning and further on."""
    following = f"{BASE}/v2/apps?limit=10&offset=10"
    stage.zapier.answers(answer(page([app_row()], count=30, following=following)), answer(page([])), answer(page([])))
    first = await stage.client.apps(credential, query=None, cursor=None)
    await stage.client.apps(credential, query="chat", cursor=None)
    await stage.client.apps(credential, query=None, cursor=first.cursor)

    assert validated(stage.zapier) == ["GET /v2/apps"] * 3


async def test_looking_up_an_app_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """By its id."""
    stage.zapier.answers(answer(page([app_row()])))
    await stage.client.app(credential, APP)

    assert validated(stage.zapier) == ["GET /v2/apps"]


async def test_listing_authentications_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """Its first page and those that follow."""
    stage.zapier.answers(*pages_of([connection(f"a{number}") for number in range(25)], size=10))
    await stage.client.authentications(credential, APP)

    assert validated(stage.zapier) == ["GET /v2/authentications"] * 3


async def test_listing_actions_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """For one app, of every type."""
    stage.zapier.answers(answer(page([action_row()])))
    await stage.client.actions(credential, APP)

    assert validated(stage.zapier) == ["GET /v2/actions"]


async def test_reading_a_profile_is_a_valid_request(stage: Stage) -> None:
    """With a token alone."""
    stage.zapier.answers(answer({"id": 88}))
    await stage.client.profile("acme", "token")

    assert validated(stage.zapier) == ["GET /v1/profiles/me"]


async def test_using_an_action_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """With an authentication and without, with choices further on, with live samples; ids are written into paths."""
    use = ActionUse(
        app_id=APP,
        action=Action(key="send", action_type="WRITE"),
        authentication_id="a1",
        inputs={"channel": "x", "text": {"nested": ["{{lead.id}}"]}},
    )
    without = replace(use, authentication_id=None)
    following = {"links": {"next": f"{BASE}/v2/actions/x/inputs/y/choices?page=two"}, "data": [{"id": "1"}]}
    stage.zapier.answers(
        answer(page([action_row("core:a/b")])),
        answer(page([])),
        answer(following),
        answer({"data": []}),
        answer(page([])),
        answer(page([])),
        answer(page([action_row("core:a/b")])),
        answer(page([])),
    )
    await stage.client.fields(credential, use)
    first = await stage.client.choices(credential, without, "a/b[]$c", cursor=None)
    await stage.client.choices(credential, use, "a/b[]$c", cursor=first.cursor)
    await stage.client.outputs(credential, use)
    await stage.client.outputs(credential, use, live=True)
    await stage.client.test(credential, use)

    assert [endpoint.removeprefix("POST /v2/actions/{action_id}") for endpoint in validated(stage.zapier)] == [
        "GET /v2/actions",
        "/inputs",
        "/inputs/{input_id}/choices",
        "/inputs/{input_id}/choices",
        "/outputs",
        "/outputs",
        "GET /v2/actions",
        "/test",
    ]
    assert stage.zapier.urls[3] == f"{BASE}/v2/actions/core%3Aa%2Fb/inputs/a%2Fb%5B%5D%24c/choices?page=two"


async def test_creating_a_zap_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """With and without an authentication, with and without an alias, with nested inputs."""
    stage.zapier.answers(answer({"id": "77"}, status=201))
    steps = (
        ZapStep(action_id="core:1", authentication_id="a1", inputs={"channel": "x"}, alias="new_message"),
        ZapStep(action_id="core:2", authentication_id=None, inputs={"inputs": {"id": "{{new_message.id}}"}}),
        ZapStep(action_id="core:3", authentication_id="49509", inputs={}),
    )
    await stage.client.create_zap(credential, ZapDraft(title="Greet", steps=steps), permit=permit("given"))

    assert validated(stage.zapier) == ["POST /v2/zaps"]


async def test_listing_zaps_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """With the actions of their steps."""
    stage.zapier.answers(answer(page([])))
    await stage.client.zaps(credential)

    assert validated(stage.zapier) == ["GET /v2/zaps"]


async def test_making_an_authentication_is_a_valid_request(stage: Stage, credential: Credential) -> None:
    """With whatever fields the app asks for."""
    stage.zapier.answers(answer(page([connection("a1")]), status=201))
    fields = {"username": "ann", "password": "x", "a b[]$": ""}
    await stage.client.make_authentication(credential, APP, title="Ours", fields=fields, permit=permit("given"))

    assert validated(stage.zapier) == ["POST /v2/authentications"]
