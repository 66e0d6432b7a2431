"""Every example answer that the Partner API's published schema has for the endpoints we use is one our client reads.

The examples are read where the schema lies; none of them is in the project.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeAlias

import pytest

from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.upstream import (
    StepTestFailedError,
    StepTestUnknownError,
    UpstreamBusyError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from orchestrator.core.ports.credentials import Credential
from orchestrator.core.ports.upstream import (
    ActionUse,
    AuthenticationMade,
    AuthenticationNotMade,
    AuthenticationUnknown,
    ZapDraft,
    ZapMade,
    ZapNotMade,
    ZapUnknown,
)
from orchestrator.core.session import Action
from tests.support.partner_schema import examples
from tests.support.zapier import APP, TOKEN, Stage, action_row, answer, page, permit

pytestmark = pytest.mark.partner_schema

Asking: TypeAlias = Callable[[Stage, Credential, Any], Awaitable[object]]

USE: Final = ActionUse(app_id=APP, action=Action(key="send", action_type="WRITE"), authentication_id="a1")
NOT_MADE: Final = {400, 401, 403, 404, 429}
UNAVAILABLE: Final = {500, 503, 504}


def row(example: Any) -> dict[str, Any]:
    """Return the first thing that an example shows, whatever is around it."""
    found = example[0] if isinstance(example, list) else example
    data = found.get("data", found)
    first: dict[str, Any] = data[0] if isinstance(data, list) else data
    return first


def own_app(example: Any) -> str:
    """Return the app that an example is about, or any where it is about none."""
    app = row(example).get("app", APP) if "errors" not in example else APP
    return str(app)


async def profile(stage: Stage, credential: Credential, example: Any) -> object:
    """Read whose token it is."""
    found = await stage.client.profile("acme", TOKEN)
    return found and found.id == str(row(example)["id"]) and found.email == row(example)["email"]


async def apps(stage: Stage, credential: Credential, example: Any) -> object:
    """Search the catalogue."""
    (found, *_) = (await stage.client.apps(credential, query=None, cursor=None)).apps
    shown = row(example)
    link = found.connect and found.connect.url
    return (found.app.id, found.app.title, link) == (
        shown["id"],
        shown["title"],
        shown["links"]["connect_new_authentication"],
    )


async def actions(stage: Stage, credential: Credential, example: Any) -> object:
    """List an app's actions."""
    (found, *_) = await stage.client.actions(credential, own_app(example))
    return (found.id, found.key) == (row(example)["id"], row(example)["key"])


async def authentications(stage: Stage, credential: Credential, example: Any) -> object:
    """List the user's authentications."""
    listing = await stage.client.authentications(credential, own_app(example))
    return listing.complete and listing.authentications[0].id == row(example)["id"]


async def supplied(stage: Stage, credential: Credential, example: Any) -> object:
    """Have an authentication made of fields."""
    made = await stage.client.make_authentication(
        credential, own_app(example), title="Ours", fields={"api_key": "x"}, permit=permit("p")
    )
    match made:
        case AuthenticationMade(authentication=found):
            return found.id == row(example)["id"]
        case AuthenticationNotMade(status=status):
            return status
        case AuthenticationUnknown():
            return None


async def fields(stage: Stage, credential: Credential, example: Any) -> object:
    """Read what an action asks for."""
    form = await stage.client.fields(credential, USE)
    return list(form.inputs) == [shown["id"] for shown in example["data"]]


async def choices(stage: Stage, credential: Credential, example: Any) -> object:
    """Read what a field may be."""
    found = await stage.client.choices(credential, USE, "field", cursor=None)
    return [one.id for one in found.choices] == [shown["id"] for shown in example["data"]]


async def outputs(stage: Stage, credential: Credential, example: Any) -> object:
    """Read what an action gives."""
    found = await stage.client.outputs(credential, USE)
    return [one.id for one in found] == [shown["id"] for shown in example["data"]]


async def carried_out(stage: Stage, credential: Credential, example: Any) -> object:
    """Carry an action out."""
    run = await stage.client.test(credential, USE)
    return (list(run.results), run.count) == (example["data"], example["meta"]["count"])


async def zaps(stage: Stage, credential: Credential, example: Any) -> object:
    """List the user's Zaps."""
    listing = await stage.client.zaps(credential)
    return listing.complete and listing.zaps[0].id == row(example)["id"]


async def created(stage: Stage, credential: Credential, example: Any) -> object:
    """Create a Zap."""
    made = await stage.client.create_zap(credential, ZapDraft(title="t", steps=()), permit=permit("p"))
    match made:
        case ZapMade(zap_id=zap_id, editor_url=editor_url):
            return (zap_id, editor_url) == (example["id"], example["links"]["html_editor"])
        case ZapNotMade(status=status):
            return status
        case ZapUnknown():
            return None


ENDPOINTS: Final[dict[str, Asking]] = {
    "GET /v1/profiles/me": profile,
    "GET /v2/apps": apps,
    "GET /v2/actions": actions,
    "GET /v2/authentications": authentications,
    "POST /v2/authentications": supplied,
    "POST /v2/actions/{action_id}/inputs": fields,
    "POST /v2/actions/{action_id}/inputs/{input_id}/choices": choices,
    "POST /v2/actions/{action_id}/outputs": outputs,
    "POST /v2/actions/{action_id}/test": carried_out,
    "GET /v2/zaps": zaps,
    "POST /v2/zaps": created,
}
USING: Final = {endpoint for endpoint in ENDPOINTS if "{action_id}" in endpoint}


async def told(endpoint: str, status: int, example: Any) -> object:
    """Answer the client so, and return what it makes of it."""
    stage = Stage()
    credential = await stage.sign_in()
    if endpoint in USING:
        stage.zapier.answers(answer(page([action_row()])))
    answers = [answer(example, status=status) for _ in range(2)]  # the second for what is asked once more
    if endpoint in USING and status in {400, 404}:
        answers[1:1] = [answer(page([action_row("core:anew")]))]
    stage.zapier.answers(*answers)
    return await ENDPOINTS[endpoint](stage, credential, example)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_every_example_of_success_is_read(endpoint: str) -> None:
    """As what it shows: ids, titles, addresses, counts."""
    shown = [(status, example) for status, example in examples(*endpoint.split(" ")) if status < 300]

    assert shown
    assert [await told(endpoint, *one) for one in shown] == [True] * len(shown)


@pytest.mark.parametrize("endpoint", ENDPOINTS)
async def test_every_example_of_a_refusal_is_understood(endpoint: str) -> None:
    """By its status, however empty its body is."""
    shown = [(status, example) for status, example in examples(*endpoint.split(" ")) if status >= 400]
    understood = []
    for status, example in shown:
        try:
            understood.append(await told(endpoint, status, example) == (status if status in NOT_MADE else None))
        except ZapwrightError as error:
            understood.append(type(error) is expected(endpoint, status))

    assert len(shown) >= 5
    assert understood == [True] * len(shown)


def expected(endpoint: str, status: int) -> type[ZapwrightError]:
    """Return what a refused read raises; a test that may have been carried out says so."""
    is_test = endpoint.endswith("/test")
    match status:
        case 401:
            return SignInRequiredError
        case 429:
            return UpstreamBusyError
        case 400 if is_test:
            return StepTestFailedError
        case _ if is_test and (status in UNAVAILABLE or status == 409):
            return StepTestUnknownError
        case _ if status in UNAVAILABLE:
            return UpstreamUnavailableError
        case _:
            return UpstreamRefusedError
