"""An operators' API as the dashboard knows it: its answers as samples, and an API that gives them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, TypeAlias

import httpx

from dashboard.sight import Seen, Sight
from dashboard.visits import Scope, Visit

Json: TypeAlias = dict[str, Any]

NOW: Final = datetime(2026, 11, 25, 2, 14, tzinfo=UTC)
NOW_MS: Final = round(NOW.timestamp() * 1000)
HOSTILE: Final = '<img src=x onerror="document.title=1">\u202etxt\x00\x1b[31m'
LARGE: Final = HOSTILE + "A" * 100_000
UNFINISHED: Final = "unfinished: the user left, or the site failed; we cannot see which"
SESSION: Final = "zs03k2v9x0c4m1n8b6d3f5a7"
APP: Final = "4ba7fde2-5b2f-56bb-bd24-e3e699cbc1bd"


@dataclass(slots=True)
class Seconds:
    """A clock that counts seconds, and moves when a test says so."""

    now: float = 0.0

    def __call__(self) -> float:
        """Return the present moment."""
        return self.now


def ago(seconds: float) -> str:
    """Write a moment that was so many seconds ago."""
    return (NOW - timedelta(seconds=seconds)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def popups(by_message: int = 0, without_message: int = 0, **more: int) -> Json:
    """Count popups."""
    resolved = by_message + without_message
    found = dict.fromkeys(("offered", "unfinished", "cancelled", "blocked"), 0) | more
    return {
        "opened": resolved + sum(found.values()),
        "by_message": by_message,
        "without_message": without_message,
        **found,
        "lost_rate": without_message / resolved if resolved else None,
    }


BASELINE: Final = {"lost_rate": 0.08, "resolved": 412}
JUMP: Final = {
    "since": ago(75),
    "minutes": 5,
    "browser": None,
    "lost_rate": 0.83,
    "resolved": 24,
    "baseline": BASELINE,
}


def app(title: str | None = "HubSpot", *, jump: Json | None = None) -> Json:
    """Return how an app's popups went."""
    counts = popups(300, 92, offered=3, unfinished=80, cancelled=31, blocked=6)
    return {
        "app_id": APP,
        "title": title,
        "sessions": 20,
        "waiting": 2,
        "popups": counts,
        "baseline": BASELINE,
        "jump": jump,
        "browsers": [{"browser": "chrome", **counts}],
    }


def step(state: str = "awaiting-popup", **more: Any) -> Json:
    """Return a step of a session."""
    return {
        "id": "stbibsubswshx6s5uohkjp",
        "position": 0,
        "alias": None,
        "state": state,
        "reason": None,
        "app": {"id": APP, "title": "HubSpot", "image": None, "hex_color": None},
        "connect": None,
        "authentication": None,
        "candidates": [],
        "attempt": None,
        "evidence": None,
        "action": None,
        "inputs": {},
        **more,
    }


def session(**more: Any) -> Json:
    """Return a session as a search finds it."""
    return {
        "id": SESSION,
        "user_id": "ada",
        "tenant_id": "default",
        "status": "building",
        "state": "awaiting-popup",
        "seq": 3,
        "title": "Leads to deals",
        "reference": "order-1001",
        "metadata": {},
        "created_at": ago(300),
        "deadline": ago(-80_000),
        "credential": {"state": "active", "account": "a•••@example.com", "reason": None},
        "zap": {"state": "none", "id": None, "editor_url": None, "problem": None, "matches": []},
        "reason": None,
        "waiting": {"since": ago(140), "heard_at": ago(60), "stuck": "signal"},
        "steps": [step(attempt={"id": "a", "opened_at": ago(140), "deadline": ago(-460), "next_check_at": ago(-12)})],
        **more,
    }


def story(**more: Any) -> Json:
    """Return everything that is known of a session."""
    found = session()
    for name in ("reason", "waiting"):
        del found[name]
    return {
        "session": found,
        "why": {
            "about": SESSION,
            "title": "Leads",
            "verdict": "stuck",
            "findings": [
                {
                    "code": "check_overdue",
                    "step_id": found["steps"][0]["id"],
                    "says": "Step 1 (HubSpot): Zapier should have been asked at 02:13:20 UTC, and was not.",
                    "do": "See that a worker runs (`zapwright doctor`), then check now.",
                }
            ],
        },
        "diagram": "",
        "attempts": [],
        "watches": [
            {
                "app_id": APP,
                "next_check_at": ago(40),
                "checks": [ago(100)],
                "failures": 0,
                "retry_at": None,
                "paused": False,
                "leased_until": None,
                "waiting": 1,
                "popups": 1,
            }
        ],
        "timeline": [
            {
                "at": ago(60),
                "signal": "finished",
                "outcome": "applied",
                "step_id": found["steps"][0]["id"],
                "attempt_id": "a",
                "detail": None,
            }
        ],
        "events": [
            {"seq": 1, "name": "session_created", "at": ago(300), "step_id": None, "data": {"steps": ["x"]}},
            {"seq": 2, "name": "popup_opened", "at": ago(140), "step_id": found["steps"][0]["id"], "data": {}},
        ],
        "events_truncated": False,
        "calls": [],
        "deliveries": [],
        "audit": [entry()],
        **more,
    }


def entry(**more: Any) -> Json:
    """Return one line of the audit."""
    return {
        "id": "in7kq2v9x0c4m1n8b6d3f5",
        "at": ago(20),
        "key_id": "ak2wshcc",
        "key_name": "night shift",
        "action": "check_now",
        "tenant_id": "default",
        "session_id": SESSION,
        "step_id": "stbibsubswshx6s5uohkjp",
        "about": None,
        "reason": "the user called",
        "outcome": "applied",
        "detail": None,
        **more,
    }


def overview(**more: Any) -> Json:
    """Return everything at a glance, all well."""
    hour = dict.fromkeys(
        ("begun", "app_chosen", "popup_opened", "connected", "ready", "created", "expired", "cancelled"), 1
    )
    return {
        "at": ago(0),
        "sessions": 60,
        "statuses": [{"status": "building", "sessions": 60}],
        "states": [{"state": "awaiting-popup", "sessions": 9}],
        "reasons": [],
        "waiting": 9,
        "stuck": 0,
        "oldest_waiting": {"session_id": SESSION, "tenant_id": "default", "since": ago(400)},
        "funnel": [{"at": ago(3_600 * back), **hour} for back in reversed(range(24))],
        "budget": [
            {
                "kind": "egress",
                "name": "default",
                "tenants": ["default"],
                "held": 43,
                "limit": 60,
                "cooldown_until": None,
            }
        ],
        "jumps": [],
        **more,
    }


def sight(path: str = "/", *, role: str = "operator", query: dict[str, str] | None = None, **seen: Any) -> Sight:
    """Return what somebody sees who is given these documents, or readings."""
    return Sight(
        seen={name: one if isinstance(one, Seen) else Seen(data=one, at=NOW_MS) for name, one in seen.items()},
        visit=Visit(key="k", scope=Scope(role=role, tenants=None), began_s=0, seen_s=0),
        path=path,
        query=query or {},
        wish="wish",
    )


@dataclass
class FakeApi:
    """An API that answers what it is told to, and keeps what it was asked."""

    answers: dict[str, Callable[[httpx.Request], httpx.Response]] = field(default_factory=dict)
    asked: list[httpx.Request] = field(default_factory=list)
    keys: dict[str, Json] = field(default_factory=lambda: {"good-key": {"role": "operator", "tenants": None}})
    refusals: dict[str, httpx.Response] = field(default_factory=dict)
    is_down: bool = False

    def transport(self) -> httpx.MockTransport:
        """Return what leads to it."""
        return httpx.MockTransport(self._answer)

    def says(self, path: str, document: Json, *, status: int = 200) -> None:
        """Have it answer a path so from now on."""
        self.answers[path] = lambda _: answer(document, status=status)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request)
        if self.is_down:
            raise httpx.ConnectError("refused", request=request)
        path = request.url.path.removeprefix("/v1/operator")
        me = self.keys.get(request.headers["authorization"].removeprefix("Bearer "))
        if me is None and path in self.refusals:
            return self.refusals[path]
        if me is None:
            return answer({"code": "unauthorized", "detail": "no key", "status": 401}, status=401)
        if path == "/me":
            return answer(me)
        return self.answers[path](request)


def answer(document: Json, *, status: int = 200) -> httpx.Response:
    """Return an answer as the API writes it."""
    headers = {"Date": NOW.strftime("%a, %d %b %Y %H:%M:%S GMT"), "Content-Type": "application/json"}
    return httpx.Response(status, content=json.dumps(document), headers=headers)
