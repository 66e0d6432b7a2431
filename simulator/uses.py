"""The endpoints about one action: what it asks for, what that may be, what it gives, and carrying it out."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from simulator.answers import MALFORMED, Answer, Document, Page, Problem, RefusedError, list_document
from simulator.forms import ARCHIVED, Form, form_of, outputs, wrong_with
from simulator.gateway import Call, Handle
from simulator.routes import bearer_with, body_of
from simulator.world import FoundAction
from simulator.zaps import UnknownProblem, authentication_problems

_RESULTS: Final = 3
_DECLARED: Final = {"authentication", "inputs", "fetch_live_samples", "limit", "offset"}


@dataclass(frozen=True, slots=True)
class Use:
    """An action as a request uses it."""

    found: FoundAction
    form: Form
    inputs: dict[str, Any]
    data: dict[str, Any]


async def input_fields(call: Call) -> Answer:
    """`POST /v2/actions/{action_id}/inputs`: fields come and go with what others hold."""
    use = await _use(call, "zap:write")
    return _all(call, [part.document() for part in use.form.parts(use.inputs)])


async def choices(call: Call) -> Answer:
    """`POST /v2/actions/{action_id}/inputs/{input_id}/choices`: pages by name, which is not always a number."""
    use = await _use(call, "zap")
    field = use.form.fields(use.inputs).get(call.request.path_params["input_id"])
    if field is None or field.offers is None:
        raise RefusedError(
            call.switches.answers.unknown, Problem.of("input_id", "No such field, or one of no choices.")
        )
    offered, settings = field.offers(use.inputs), call.switches.choices
    page = _page_number(call)
    rows = offered[(page - 1) * settings.size : page * settings.size]
    document: Document = {
        "links": {
            "next": _page_url(call, page + 1) if page * settings.size < len(offered) else None,
            "prev": _page_url(call, page - 1) if page > 1 else None,
        },
        "meta": {"page": page},
        "data": [{"type": "choice", "id": found, "label": label, "value": found} for found, label in rows],
    }
    return Answer(200, document)


async def output_fields(call: Call) -> Answer:
    """`POST /v2/actions/{action_id}/outputs`: live samples are as good as others here."""
    use = await _use(call, "zap:write")
    if use.data.get("fetch_live_samples") and use.found.action.action_type == "WRITE":
        raise RefusedError(400, Problem.at("/data/fetch_live_samples", "This is not supported for WRITE actions."))
    wanted = call.switches.outputs
    rows: list[Document] = [
        {"type": wanted.type, "id": name, "title": name.replace("_", " ").title()}
        | ({"sample": sample} if wanted.samples else {})
        for name, sample in outputs(use.form.sample)
    ]
    return _all(call, rows)


async def test(call: Call) -> Answer:
    """`POST /v2/actions/{action_id}/test`: carries the action out; what it writes is counted."""
    use = await _use(call, "zap:write")
    complaints = [f"{name}: {complaint}" for name, complaint in wrong_with(use.form, use.inputs)]
    if use.inputs.get("channel") == ARCHIVED:
        complaints.append("channel_not_found")
    if use.found.action.key in call.switches.tests.failing:
        complaints.append("the app did not do as it was asked")
    if complaints:
        detail = f"Error during execution: {complaints[0]}"
        raise RefusedError(400, Problem(detail, code="test_failed", title="ActionTestError"))
    is_writing = use.found.action.action_type == "WRITE"
    if is_writing:
        call.upstream.executed.append(
            {"app": use.found.app.title, "action": use.found.action.key, "inputs": use.inputs}
        )
    result = dict(use.form.sample)
    return _all(call, [result] if is_writing else [result] * _RESULTS)


#: Each endpoint and what answers it.
USES: Final[Mapping[str, Handle]] = {
    "POST /v2/actions/{action_id}/inputs": input_fields,
    "POST /v2/actions/{action_id}/inputs/{input_id}/choices": choices,
    "POST /v2/actions/{action_id}/outputs": output_fields,
    "POST /v2/actions/{action_id}/test": test,
}


async def _use(call: Call, scope: str) -> Use:
    """Return what the request uses. Raises RefusedError for a stale action, or another's authentication."""
    bearer = bearer_with(call, scope)
    world = call.upstream.world
    found = world.action(call.request.path_params["action_id"], now=call.now, actions=call.switches.actions)
    if found is None:
        raise RefusedError(
            call.switches.answers.unknown, Problem.of("action_id", "No action has this id, or not any longer.")
        )
    body = body_of(call)
    data = body.get("data") if isinstance(body, dict) else None
    if not isinstance(data, dict) or not isinstance(data.get("inputs"), dict) or "authentication" not in data:
        raise RefusedError(400, MALFORMED)
    if call.switches.answers.undeclared == "refused" and (undeclared := data.keys() - _DECLARED):
        raise RefusedError(400, *(Problem.at(f"/data/{name}", "This member is not declared.") for name in undeclared))
    problems = list(
        authentication_problems(
            world, data["authentication"], found, "/data/authentication", owner=bearer.account, now=call.now
        )
    )
    if problems:
        only_unknown = all(isinstance(problem, UnknownProblem) for problem in problems)
        raise RefusedError(call.switches.answers.unknown if only_unknown else 400, *problems)
    return Use(found=found, form=form_of(found.app, found.action), inputs=data["inputs"], data=data)


def _all(call: Call, rows: list[Document]) -> Answer:
    """Return a list that comes in one piece."""
    page = Page(count=len(rows), limit=None, offset=0)
    return Answer(200, list_document(rows, page, call.switches.answers))


def _page_number(call: Call) -> int:
    name = call.request.query_params.get("page", "1")
    try:
        number = int(base64.urlsafe_b64decode(name.removeprefix("pg_"))) if name.startswith("pg_") else int(name)
    except ValueError as problem:
        raise RefusedError(400, Problem.of("page", f"{name!r} is no page.")) from problem
    if number < 1:
        raise RefusedError(400, Problem.of("page", f"{name!r} is no page."))
    return number


def _page_url(call: Call, number: int) -> str:
    is_named = call.switches.choices.pages == "names"
    name = f"pg_{base64.urlsafe_b64encode(str(number).encode()).decode()}" if is_named else str(number)
    return f"{call.origin}{call.request.url.path}?page={name}"
