"""Everything that operators ask: each list, filter and count, alone and together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlencode

from bench.reads.lives import APPS, WHALE, Life

Answer = Mapping[str, Any]
Parameters = dict[str, str]

SESSIONS: Final = "/v1/operator/sessions"
LIMIT: Final = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and whether an answer can be true. `is_flipped_through`: its second page is asked for, too."""

    path: str
    fits: Callable[[Answer], bool]
    is_flipped_through: bool = False


def searches(known: Life) -> Iterator[Question]:
    """Search for sessions by one thing, by two, by all; `known` is a session that there is."""
    state, status, reason = {"state": "needs-auth"}, {"status": "building"}, {"reason": "timed_out"}
    app, rare, user = {"app_id": APPS[0]}, {"app_id": APPS[-1]}, {"user_id": WHALE}
    tenant, small = {"tenant_id": "default"}, {"tenant_id": "umbrella"}
    older, younger, stuck = {"older_than_s": "36000"}, {"younger_than_s": "14400"}, {"stuck": "true"}
    alone: list[Parameters] = [
        {}, state, status, reason, app, rare, user, tenant, small, older, younger, stuck,
        {"state": "awaiting-popup"}, {"state": "resolved"}, {"status": "created"}, {"status": "expired"},
        {"status": "ready"}, {"reason": "ambiguous"}, {"q": known.session.id},
    ]  # fmt: skip
    pairs: list[Parameters] = [
        one | other
        for number, one in enumerate([state, status, reason, app, user, tenant, older, stuck])
        for other in [state, status, reason, app, user, tenant, older, stuck][number + 1 :]
    ]
    many: list[Parameters] = [
        state | app | tenant,
        state | app | younger | older,
        reason | rare | small,
        {"status": "created", "state": "choose-app"},
        {"status": "created"} | rare | older,
        stuck | app | tenant | {"state": "awaiting-popup"},
        stuck | {"status": "created"},
        state | status | reason | app | tenant | older,
        state | status | reason | app | user | tenant | older | stuck,
        {"user_id": "nobody"},
        {"app_id": "nothing"} | state,
        {"q": f"order-{known.session.metadata['number']}"},
        {"q": "nothing of this kind"},
    ]
    for parameters in (*alone, *pairs, *many):
        yield Question(path=f"{SESSIONS}?{urlencode(parameters)}", fits=_matching(parameters), is_flipped_through=True)


def others(*, sessions: int) -> Iterator[Question]:
    """Ask for everything else."""
    yield Question(path="/v1/operator/overview", fits=lambda answer: answer["sessions"] == sessions)
    yield Question(path="/v1/operator/apps", fits=lambda answer: len(answer["apps"]) > len(APPS) // 2)
    yield Question(path=f"/v1/operator/apps/{APPS[0]}", fits=lambda answer: answer["sessions"] > 0)
    yield Question(path="/v1/operator/budget", fits=lambda answer: len(answer["sides"]) > 1)
    yield Question(path="/v1/operator/watches", fits=lambda answer: bool(answer["watches"]), is_flipped_through=True)
    yield Question(path="/v1/operator/workers", fits=lambda answer: len(answer["queues"]) > 1)
    yield Question(path="/v1/operator/endpoints", fits=lambda answer: bool(answer["webhooks"]))
    for trouble in ("pending", "failing", "dead"):
        path = f"/v1/operator/deliveries?trouble={trouble}"
        yield Question(path=path, fits=lambda answer: bool(answer["deliveries"]), is_flipped_through=True)


def _matching(parameters: Parameters) -> Callable[[Answer], bool]:
    """Return what is true of every page of such a search."""
    plain = {
        name: value
        for name, value in parameters.items()
        if name in {"state", "status", "reason", "user_id", "tenant_id"}
    }

    def fits(answer: Answer) -> bool:
        found = answer["sessions"]
        return all(
            {name: session[name] for name in plain} == plain
            and ("app_id" not in parameters or parameters["app_id"] in {_app(step) for step in session["steps"]})
            and ("stuck" not in parameters or session["waiting"]["stuck"] is not None)
            for session in found
        ) and [one["created_at"] for one in found] == sorted((one["created_at"] for one in found), reverse=True)

    return fits


def _app(step: Mapping[str, Any]) -> object:
    return step["app"] and step["app"]["id"]
