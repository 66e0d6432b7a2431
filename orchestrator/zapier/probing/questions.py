"""What is asked of a live API, what we take for granted, and what the answers mean.

Everything read-only is asked in one go; what writes is asked only where somebody allows it. Each answer that the
simulator can give, too, comes with the switches that make it do so.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, TypeAlias
from urllib.parse import parse_qs, quote, urlsplit

from orchestrator.core.session import SECOND, Millis
from orchestrator.zapier.probing.lab import HaltedError, Lab, Row, Seen

Switches: TypeAlias = Mapping[str, Any]
Person: TypeAlias = Callable[[str], Awaitable[None]]

NOBODYS_APP: Final = "00000000-0000-5000-8000-00000000dead"
NOBODYS_TOKEN: Final = "zapwright-probe"  # noqa: S105 - opens nothing, on purpose
NOBODYS_ACTION: Final = "core:zapwrightprobe"
MANY: Final = 100
MOST_FORMS: Final = 4
NO_SUBJECT: Final = "no app was found whose actions can be used"
NAME_ONE: Final = "name one with --app for which the user has an authentication"
TITLE: Final = "Zapwright probe (delete me)"
SLOW: Final[Millis] = 5 * SECOND
LISTED_WITHIN: Final = (0, 2 * SECOND, 8 * SECOND)
"""When a new Zap is looked for; ours are looked for twice, ten seconds apart."""

_UNKNOWN: Final = (HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND)
_SUCCESS: Final = range(200, 300)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One answer. `holds`: whether it is as we assume, None where it could not be measured."""

    question: str
    assumed: str
    found: str
    holds: bool | None
    advice: str | None = None
    switches: Switches = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What an asking came to."""

    found: str
    holds: bool | None
    advice: str | None = None
    switches: Switches = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Ground:
    """What earlier questions have found out, for later ones to stand on."""

    lab: Lab
    wish: str | None
    person: Person | None
    apps: Seen | None = None
    app: Row | None = None  #: one that needs an authentication
    free: Row | None = None  #: one that needs none
    authentication: str | None = None  #: a usable one of `app`
    actions: list[Row] = field(default_factory=list)  #: those of `app` with an authentication, else of `free`
    refusals: list[Seen] = field(default_factory=list)
    has_form: bool = False

    @property
    def subject(self) -> Row | None:
        """The app whose actions can be used."""
        return self.free if self.authentication is None else self.app

    async def form(self, action: Row, **more: object) -> Seen:
        """Ask what an action asks for."""
        return await self.lab.post(_inputs(action), {"authentication": self.authentication, "inputs": {}} | more)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """One thing to find out, with at most so many calls."""

    name: str
    assumed: str
    ask: Callable[[Ground], Awaitable[Found]]
    calls: int = 0
    writes: str | None = None  #: what it writes; None: nothing


def planned(*, with_writes: bool) -> tuple[Question, ...]:
    """Return what is asked, in order."""
    return (*READING, *WRITING) if with_writes else READING


async def probe(
    lab: Lab,
    *,
    app: str | None = None,
    allows: Callable[[Question], bool] = lambda _: False,
    person: Person | None = None,
) -> AsyncIterator[Finding]:
    """Ask everything that is read-only, then what `allows` lets write; each answer as soon as it is there.

    `app` is the title or the id of the app to ask about, by default the most popular one that needs an authentication;
    `person` connects an account in the popup at an address, and returns when that is done.
    When the API cannot be asked any further, the rest stays open. Raises StoreError when permits cannot be asked for.
    """
    ground, halted = Ground(lab=lab, wish=app, person=person), None
    for question in planned(with_writes=True):
        if question.writes is not None and (halted is not None or not allows(question)):
            continue
        try:
            found = await question.ask(ground) if halted is None else Found(found=halted, holds=None)
        except HaltedError as error:
            halted = str(error)
            found = Found(found=halted, holds=None)
        yield Finding(
            question=question.name,
            assumed=question.assumed,
            found=found.found,
            holds=found.holds,
            advice=found.advice,
            switches=found.switches,
            settings=found.settings,
        )


# --- who is asking --------------------------------------------------------------------------------------------


async def _token(ground: Ground) -> Found:
    seen = await ground.lab.get("/v1/profiles/me")
    if seen.status == HTTPStatus.UNAUTHORIZED:
        raise HaltedError("the API refuses the token (401): give one of a user who has just signed in")
    if seen.is_good and (seen.document.get("id") or (seen.part("data") or {}).get("id")):
        return Found(found="readable, with an id", holds=True)
    if seen.status == HTTPStatus.FORBIDDEN:
        return _lacking("profile", "users of one Zapier account look like several")
    return Found(found=f"status {seen.status}", holds=False, advice="tell us: then the account cannot be told")


async def _bad_token(ground: Ground) -> Found:
    seen = await ground.lab.get("/v1/profiles/me", token=NOBODYS_TOKEN)
    is_so = seen.status == HTTPStatus.UNAUTHORIZED
    return Found(
        found=f"status {seen.status}",
        holds=is_so,
        advice=None if is_so else "tell us: only 401 makes a session ask for a new sign-in",
    )


# --- lists ----------------------------------------------------------------------------------------------------


async def _page_size(ground: Ground) -> Found:
    seen = await ground.lab.get("/v2/apps", limit=MANY, offset=0)
    ground.apps = seen
    if not seen.is_good:
        raise HaltedError(f"the apps cannot be listed: status {seen.status}")
    ground.app = await _wished(ground, seen.rows)
    ground.free = next((row for row in seen.rows if _has_link(row) and _link(row) is None), None)
    count, rows = (seen.part("meta") or {}).get("count"), len(seen.rows)
    if rows >= MANY:
        return Found(found=f"{rows} rows where {MANY} were asked for", holds=True, switches={"paging": {"max": rows}})
    has_more = (isinstance(count, int) and count > rows) or bool((seen.part("links") or {}).get("next"))
    if not has_more:
        return Found(found=f"all {rows} on one page: too few to tell", holds=None)
    return Found(
        found=f"{rows} rows where {MANY} were asked for: clamped",
        holds=True,
        advice=f"whoever has more than {rows} authentications for an app costs a call more for each {rows} of them",
        switches={"paging": {"max": rows}},
    )


async def _wished(ground: Ground, rows: list[Row]) -> Row | None:
    """Return the app to ask about, which the most popular ones may not include."""
    wish = ground.wish
    if wish is None:
        return next((row for row in rows if _link(row)), None)
    wanted = next((row for row in rows if wish in (row.get("id"), row.get("title"))), None)
    if wanted is not None:
        return wanted
    found = await (ground.lab.get("/v2/apps", ids=wish) if _is_id(wish) else ground.lab.get("/v2/apps", query=wish))
    return next(iter(found.rows), None)


async def _envelope(ground: Ground) -> Found:
    seen = ground.apps
    if seen is None:
        return Found(found="no list was read", holds=None)
    links, meta = seen.part("links"), seen.part("meta")
    answers: dict[str, Any] = {}
    if links is None:
        answers["links"] = False
    elif "previous" in links:
        answers["prev"] = "previous"
    if meta is None:
        answers["meta"] = False
    is_counted = isinstance((meta or {}).get("count"), int)
    parts = [f"links {'with ' + ', '.join(sorted(links)) if links is not None else 'missing'}"]
    parts.append(f"meta.count {'given' if is_counted else 'missing'}")
    return Found(
        found="; ".join(parts),
        holds=is_counted or links is not None,
        advice=None
        if is_counted
        else "without counts a listing of several pages proves nothing: what is new is then offered, not taken",
        switches={"answers": answers} if answers else {},
    )


async def _media_type(ground: Ground) -> Found:
    found = (ground.apps.headers.get("content-type", "") if ground.apps else "").partition(";")[0].strip()
    is_known = found in {"application/json", "application/vnd.api+json"}
    return Found(found=found or "none", holds=is_known, switches={"answers": {"media_type": found}} if is_known else {})


async def _listing(ground: Ground) -> Found:
    if ground.app is None:
        return Found(found="no app that needs an authentication was found", holds=None, advice=NAME_ONE)
    seen = await ground.lab.get("/v2/authentications", app=str(ground.app["id"]), limit=MANY, offset=0)
    if seen.status == HTTPStatus.FORBIDDEN:
        return _lacking("connection:read", "nothing can be resolved (its former name is `authentication`)")
    if not seen.is_good:
        return Found(found=f"status {seen.status}", holds=False, advice="without listings nothing can be resolved")
    count, rows = (seen.part("meta") or {}).get("count"), seen.rows
    ground.authentication = next((str(row["id"]) for row in rows if row.get("is_expired") is False), None)
    odd = sorted(
        {type(row.get(name)).__name__ for row in rows for name in ("id",) if not isinstance(row.get(name), str)}
    )
    foreign = [row for row in rows if _app_of(row) != ground.app["id"]]
    links = seen.part("links")
    is_provable = isinstance(count, int) or (links is not None and "next" in links)
    detail = f"{len(rows)} of {count if isinstance(count, int) else 'an unknown number'} for {ground.app.get('title')}"
    if odd or foreign:
        return Found(
            found=f"{detail}, with ids or apps of another form", holds=False, advice="tell us: rows are left out"
        )
    return Found(found=detail, holds=is_provable)


# --- refusals -------------------------------------------------------------------------------------------------


async def _unknown_app(ground: Ground) -> Found:
    seen = await ground.lab.get("/v2/authentications", app=NOBODYS_APP, limit=1)
    ground.refusals.append(seen)
    if seen.is_good:
        return Found(found="an empty list", holds=True)
    is_known = seen.status in _UNKNOWN
    return Found(
        found=_refusal(seen),
        holds=_unless_shut(seen, is_known),
        switches={"answers": {"unknown": seen.status}} if is_known else {},
    )


async def _malformed(ground: Ground) -> Found:
    seen = await ground.lab.get("/v2/authentications", app="zapwright", limit=1)
    ground.refusals.append(seen)
    return Found(found=_refusal(seen), holds=_unless_shut(seen, seen.status in _UNKNOWN))


async def _nowhere(ground: Ground) -> Found:
    seen = await ground.lab.get("/v2/zapwright-probe")
    return Found(found=f"status {seen.status}", holds=seen.status == HTTPStatus.NOT_FOUND)


async def _error_shape(ground: Ground) -> Found:
    errors = next(
        (found for seen in ground.refusals if isinstance(found := (seen.document or {}).get("errors"), list) and found),
        None,
    )
    if errors is None:
        return Found(found="no refusal had `errors`", holds=None)
    if isinstance(errors[0], str):
        return Found(found="texts, as in v1", holds=True, switches={"answers": {"errors": "strings"}})
    status = errors[0].get("status") if isinstance(errors[0], dict) else None
    kind = "string" if isinstance(status, str) else "integer"
    return Found(
        found=f"objects with {', '.join(sorted(errors[0]))}; status is {type(status).__name__}",
        holds=isinstance(errors[0], dict),
        switches={"answers": {"error_status": kind}},
    )


# --- apps and actions -----------------------------------------------------------------------------------------


async def _connect_link(ground: Ground) -> Found:
    if ground.app is None:
        return Found(found="no app that needs an authentication was found", holds=None, advice=NAME_ONE)
    seen = await ground.lab.get("/v2/apps", ids=str(ground.app["id"]))
    again = next((_link(row) for row in seen.rows if row.get("id") == ground.app["id"]), None)
    host = urlsplit(again or "").hostname
    if again == _link(ground.app):
        return Found(found=f"the same both times, at {host}", holds=True)
    return Found(
        found=f"another one each time, at {host}" if again else "none the second time",
        holds=False,
        advice="an address may be good for one popup only: tell us, it is kept for a minute",
    )


async def _client_only(ground: Ground) -> Found:
    if ground.lab.client_id is None:
        return Found(found="ZAPWRIGHT_ZAPIER_CLIENT_ID is not set", holds=None)
    seen = await ground.lab.get("/v2/apps", token="", client_id=ground.lab.client_id, limit=1)
    if not seen.is_good:
        return Found(found=f"status {seen.status}", holds=True)
    return Found(found="apps " + ("with" if any(map(_link, seen.rows)) else "without") + " links", holds=True)


async def _action_ids(ground: Ground) -> Found:
    subject = ground.subject
    if subject is None:
        return Found(found=NO_SUBJECT, holds=None, advice=NAME_ONE)
    first = await ground.lab.get("/v2/actions", app=str(subject["id"]))
    second = await ground.lab.get("/v2/actions", app=str(subject["id"]))
    if not first.is_good or not first.rows:
        return Found(found=f"status {first.status}, {len(first.rows)} actions", holds=False)
    ground.actions = first.rows
    if [row.get("id") for row in first.rows] == [row.get("id") for row in second.rows]:
        return Found(found="the same at two look-ups", holds=True, switches={"actions": {"stable_ms": 3_600_000}})
    return Found(found="others at each look-up", holds=True, switches={"actions": {"stable_ms": 0}})


async def _older_id(ground: Ground) -> Found:
    if not ground.actions:
        return Found(found=NO_SUBJECT, holds=None, advice=NAME_ONE)
    seen = await ground.form(ground.actions[0])
    ground.has_form = seen.is_good
    if seen.status == HTTPStatus.FORBIDDEN:
        return _lacking("zap:write", "no step can be filled, and no Zap created")
    return Found(
        found="it serves" if seen.is_good else _refusal(seen),
        holds=seen.is_good,
        advice=None if seen.is_good else "tell us: ids are looked up at most a minute before they are used",
    )


async def _unknown_action(ground: Ground) -> Found:
    if not ground.has_form:
        return Found(found="no form could be read", holds=None)
    seen = await ground.form({"id": NOBODYS_ACTION})
    return Found(
        found=_refusal(seen),
        holds=seen.status in _UNKNOWN,
        advice=None if seen.status in _UNKNOWN else "tell us: only after 400 and 404 an id is looked up again",
    )


async def _undeclared(ground: Ground) -> Found:
    if not ground.has_form:
        return Found(found="no form could be read", holds=None)
    seen = await ground.form(ground.actions[0], zapwright_probe=True)
    is_ignored = seen.is_good
    return Found(
        found="ignored" if is_ignored else _refusal(seen),
        holds=True,
        switches={"answers": {"undeclared": "ignored" if is_ignored else "refused"}},
    )


async def _foreign(ground: Ground) -> Found:
    if not ground.has_form:
        return Found(found="no form could be read", holds=None)
    seen = await ground.form(ground.actions[0], authentication="zapwrightprobe")
    return Found(found="accepted" if seen.is_good else _refusal(seen), holds=True)


async def _choices(ground: Ground) -> Found:
    """Look for a field of choices, one form after the other."""
    for action in ground.actions[:MOST_FORMS]:
        field_id = _field_of_choices(await ground.form(action))
        if field_id is None:
            continue
        path = f"{_inputs(action)}/{quote(field_id, safe='')}/choices"
        seen = await ground.lab.post(path, {"authentication": ground.authentication, "inputs": {}})
        return _pages_of(seen) if seen.is_good else Found(found=_refusal(seen), holds=False)
    return Found(found="no field of choices was found", holds=None, advice=NAME_ONE)


def _pages_of(seen: Seen) -> Found:
    following = (seen.part("links") or {}).get("next")
    (page,) = parse_qs(urlsplit(str(following)).query).get("page", [None])[-1:] if following else (None,)
    if page is None:
        return Found(found=f"all {len(seen.rows)} on one page", holds=True)
    kind = "numbers" if page.isdigit() else "names"
    return Found(
        found=f"{len(seen.rows)} on a page, the next is called {page[:20]!r}",
        holds=True,
        switches={"choices": {"size": len(seen.rows), "pages": kind}},
    )


# --- time and limits ------------------------------------------------------------------------------------------


async def _limits(ground: Ground) -> Found:
    found = ground.lab.limit_headers
    if not found:
        return Found(found="none: only a 429 would tell, and none is provoked", holds=True)
    return Found(found=", ".join(sorted(found)), holds=True, advice="tell us: the budget could follow them")


async def _speed(ground: Ground) -> Found:
    slowest = ground.lab.slowest
    if slowest < SLOW:
        return Found(found=f"the slowest took {slowest} ms", holds=True)
    wanted = min(40, -(-slowest * 3 // SECOND))
    return Found(
        found=f"the slowest took {slowest} ms",
        holds=False,
        advice="give calls more time",
        settings={"ZAPWRIGHT_CALL_LIMIT_S": str(wanted)},
    )


# --- what writes ----------------------------------------------------------------------------------------------


async def _refused_zap(ground: Ground) -> Found:
    seen = await ground.lab.post("/v2/zaps", {"title": TITLE, "steps": []})
    if seen.status in _SUCCESS:
        return Found(found="created without steps", holds=False, advice=f"delete the Zap called {TITLE!r}")
    return Found(found=_refusal(seen), holds=seen.status == HTTPStatus.BAD_REQUEST)


async def _zap(ground: Ground) -> Found:
    if ground.free is None:
        return Found(found="no app without authentication was found", holds=None)
    offered = (await ground.lab.get("/v2/actions", app=str(ground.free["id"]))).rows
    use = [next((row for row in offered if row.get("action_type") == kind), None) for kind in ("READ", "WRITE")]
    steps = [{"action": one["id"], "authentication": None, "inputs": {}} for one in use if one is not None]
    if len(steps) < len(use):
        return Found(found="the app without authentication does not both read and write", holds=None)
    for step in steps:
        form = await ground.lab.post(_inputs({"id": step["action"]}), {"authentication": None, "inputs": {}})
        if not form.is_good or any(row.get("is_required") and not row.get("default_value") for row in form.rows):
            return Found(found="its actions ask for something", holds=None)
    made = await ground.lab.post("/v2/zaps", {"title": TITLE, "steps": steps})
    if made.status != HTTPStatus.CREATED:
        return Found(found=_refusal(made), holds=False, advice="a Zap counts as created at 201 only")
    wrapped = made.part("data")
    zap = wrapped if wrapped is not None else made.document
    after = await _listed_after(ground.lab, str(zap.get("id")))
    delay = f"listed within {after // SECOND} s" if after is not None else "not listed after 10 s"
    return Found(
        found=f"{'wrapped in data' if wrapped is not None else 'bare'}, {delay}",
        holds=after is not None,
        advice=f"delete the Zap called {TITLE!r}"
        + ("" if after is not None else "; one whose creation got no answer would have to be told by its user"),
        switches={"answers": {"zap": "wrapped" if wrapped is not None else "bare"}},
    )


async def _popup(ground: Ground) -> Found:
    """Let a person connect an account, and see when and how it is listed."""
    link = None if ground.app is None else _link(ground.app)
    if ground.app is None or link is None or ground.person is None:
        return Found(found="nobody was there to connect an account", holds=None)
    app_id = str(ground.app["id"])
    before = await _expired_by_id(ground.lab, app_id)
    await ground.person(link)
    waited: Millis = 0
    for wait in LISTED_WITHIN:
        await ground.lab.pause(wait)
        waited += wait
        after = await _expired_by_id(ground.lab, app_id)
        repaired = [one for one, is_expired in after.items() if not is_expired and before.get(one) is True]
        new = [one for one in after if one not in before]
        if new or repaired:
            how = "an expired one was repaired and kept its id" if repaired else "a new id"
            was_expired = any(before.values())
            kept = {"reconnect": "keeps_id" if repaired else "new_id"} if was_expired else {}
            return Found(
                found=f"{how}, listed within {waited // SECOND} s",
                holds=True,
                switches={"authentications": {"listed_after_ms": waited} | kept | _order(new, list(after))},
            )
    return Found(
        found="nothing new or repaired within 10 s",
        holds=None,
        advice="was the browser signed in to the Zapier account that the token is for?",
    )


def _order(new: list[str], listed: list[str]) -> dict[str, str]:
    """Say where a list shows the one that is new: first, or last; nothing where it does not tell."""
    if len(new) != 1 or len(listed) == 1:
        return {}
    return {"order": "newest"} if listed[0] == new[0] else {"order": "created"} if listed[-1] == new[0] else {}


async def _expired_by_id(lab: Lab, app_id: str) -> dict[str, object]:
    seen = await lab.get("/v2/authentications", app=app_id, limit=MANY, offset=0)
    return {str(row.get("id")): row.get("is_expired") for row in seen.rows}


async def _listed_after(lab: Lab, zap_id: str) -> Millis | None:
    waited: Millis = 0
    for wait in LISTED_WITHIN:
        await lab.pause(wait)
        waited += wait
        seen = await lab.get("/v2/zaps", limit=MANY, expand="steps.action")
        if any(row.get("id") == zap_id for row in seen.rows):
            return waited
    return None


READING: Final = (
    Question(name="whose token it is", assumed="the profile can be read", ask=_token, calls=1),
    Question(name="a token that is not good", assumed="401", ask=_bad_token, calls=1),
    Question(name="rows on a page", assumed="fewer than asked for, perhaps", ask=_page_size, calls=2),
    Question(name="what a list says of itself", assumed="its count, or that there is no next page", ask=_envelope),
    Question(name="media type of answers", assumed="JSON by either name", ask=_media_type),
    Question(name="a listing of authentications", assumed="it can be proved complete", ask=_listing, calls=1),
    Question(name="an app that is not there", assumed="400, 404 or nothing listed", ask=_unknown_app, calls=1),
    Question(name="an app id that is none", assumed="400 or 404", ask=_malformed, calls=1),
    Question(name="shape of errors", assumed="objects, or texts", ask=_error_shape),
    Question(name="an address that is not there", assumed="404", ask=_nowhere, calls=1),
    Question(name="the popup address, read twice", assumed="good for a minute", ask=_connect_link, calls=1),
    Question(name="apps by client id alone", assumed="refused, or without links", ask=_client_only, calls=1),
    Question(name="ids of actions", assumed="others at each look-up, perhaps", ask=_action_ids, calls=2),
    Question(name="an id of an earlier look-up", assumed="it serves for a minute", ask=_older_id, calls=1),
    Question(name="an action that is not there", assumed="400 or 404", ask=_unknown_action, calls=1),
    Question(name="a member that nobody asked for", assumed="none is sent", ask=_undeclared, calls=1),
    Question(name="an authentication that is not there", assumed="whatever it is", ask=_foreign, calls=1),
    Question(name="pages of choices", assumed="of any size and name", ask=_choices, calls=MOST_FORMS + 1),
    Question(name="limits that answers tell", assumed="none", ask=_limits),
    Question(name="how long answers take", assumed="less than 5 s", ask=_speed),
)

WRITING: Final = (
    Question(
        name="what a popup makes",
        assumed="listed within two minutes, new or repaired",
        ask=_popup,
        calls=1 + len(LISTED_WITHIN),
        writes="whatever account you connect in a popup",
    ),
    Question(
        name="a Zap without steps",
        assumed="400",
        ask=_refused_zap,
        calls=1,
        writes="a Zap without steps, unless it is refused, which we expect",
    ),
    Question(
        name="a Zap, created",
        assumed="201, and listed within ten seconds",
        ask=_zap,
        calls=4 + len(LISTED_WITHIN),
        writes=f"a Zap called {TITLE!r} of two steps that need no authentication; it is switched on",
    ),
)


def _unless_shut(seen: Seen, holds: bool) -> bool | None:  # noqa: FBT001 - what is said of what was seen
    """Return it, or None where a missing scope kept the answer back."""
    return None if seen.status == HTTPStatus.FORBIDDEN else holds


def _lacking(scope: str, consequence: str) -> Found:
    return Found(
        found="status 403",
        holds=False,
        advice=f"ask for the scope `{scope}` when users sign in: without it {consequence}",
        switches={"scopes": {"missing": [scope]}},
    )


# --- parts of answers -----------------------------------------------------------------------------------------


def _is_id(text: str) -> bool:
    return len(text) == len(NOBODYS_APP) and text.count("-") == NOBODYS_APP.count("-")


def _has_link(row: Row) -> bool:
    links = row.get("links")
    return isinstance(links, dict) and "connect_new_authentication" in links


def _link(row: Row) -> str | None:
    links = row.get("links")
    found = links.get("connect_new_authentication") if isinstance(links, dict) else None
    return found if isinstance(found, str) and found else None


def _app_of(row: Row) -> object:
    app = row.get("app")
    return app.get("id") if isinstance(app, dict) else app


def _inputs(action: Row) -> str:
    return f"/v2/actions/{quote(str(action['id']), safe='')}/inputs"


def _field_of_choices(form: Seen) -> str | None:
    return next((str(row["id"]) for row in form.rows if row.get("format") == "SELECT" and "id" in row), None)


def _refusal(seen: Seen) -> str:
    errors = seen.document.get("errors") if isinstance(seen.document, dict) else None
    first = errors[0] if isinstance(errors, list) and errors else None
    code = first.get("code") if isinstance(first, dict) else None
    return f"status {seen.status}" + (f", code {str(code)[:40]!r}" if code else "")
