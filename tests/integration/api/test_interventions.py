"""What operators read of one session and do to help: by the rules of everybody, each on record."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from api.schemas.fields import timestamp
from orchestrator.core.deliveries import Answer
from orchestrator.core.ports.workers import WorkerReport
from orchestrator.core.session import MINUTE, SECOND
from orchestrator.core.tenants import ApiKey, Scope, digest_of, key_text
from tests.support.deployment import AN_ATTEMPT, Deployment, problem_of

SECRET = "s" * 40


class Desk:
    """A deployment with an operator and a viewer."""

    def __init__(self) -> None:
        self.api = Deployment()

    async def open(self) -> None:
        for key_id, scope in (("ak0", Scope.OPERATOR), ("ak1", Scope.VIEWER)):
            key = ApiKey(
                id=key_id,
                tenant_id=None,
                name=f"Ann {scope}",
                scopes=frozenset({scope}),
                digest=digest_of(SECRET),
                created_at=0,
            )
            await self.api.store.api_keys.create(key)
        self.operator = self.api.caller({"Authorization": f"Bearer {key_text('ak0', SECRET)}"})
        self.viewer = self.api.caller({"Authorization": f"Bearer {key_text('ak1', SECRET)}"})

    async def act(
        self, path: str, body: dict[str, Any] | None = None, *, headers: dict[str, str] | None = None
    ) -> httpx.Response:
        """Do something, for a reason, later than anything before."""
        self.api.sim.clock.advance(1)
        wish = {"reason": "they rang"} | (body or {})
        return await self.operator.post(f"/v1/operator/{path}", json=wish, headers=headers)

    async def read(self, path: str) -> Any:
        """Look at something."""
        answer = await self.viewer.get(f"/v1/operator/{path}")
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def audited(self, query: str = "") -> list[tuple[str, str, str | None]]:
        """Return what the audit says was done, and what became of it, oldest first."""
        entries = (await self.read(f"audit{query}"))["entries"]
        return [(one["action"], one["outcome"], one["detail"]) for one in reversed(entries)]

    async def works(self) -> None:
        """Have a worker report."""
        now = self.api.clock.now()
        report = WorkerReport(id="w1", host="here", pid=1, started_at=now, seen_at=now)
        await self.api.store.workers.report(report)

    async def connected(self, app: str, *, user: str = "alice") -> str:
        """Have a user connect an account at Zapier, without any message; return the authentication's id."""
        made = await self.api.sim.control("POST", "/authentications", {"user": user, "app": self.api.sim.app_id(app)})
        authentication_id: str = made.json()["id"]
        return authentication_id

    async def aclose(self) -> None:
        for client in (self.operator, self.viewer):
            await client.aclose()
        await self.api.aclose()


@pytest.fixture(name="desk")
async def _desk() -> AsyncIterator[Desk]:
    """One of each."""
    desk = Desk()
    await desk.open()
    yield desk
    await desk.aclose()


async def test_a_key_says_whose_it_is(desk: Desk) -> None:
    """The dashboard shows it, and offers what it may do."""
    assert await desk.read("me") == {"key_id": "ak1", "name": "Ann viewer", "role": "viewer", "tenants": None}


async def test_check_now_finds_what_the_popup_could_not_say(desk: Desk) -> None:
    """By the difference, as any other check would; the audit has who wanted it, and why."""
    session, _address = await desk.api.awaiting()
    step = session["steps"][0]["id"]
    connected = await desk.connected("Slack")
    desk.api.sim.clock.advance(5 * SECOND)
    assert await desk.api.check() == 0
    await desk.works()

    planned = (await desk.act(f"sessions/{session['id']}/steps/{step}/check-now")).json()
    checks = await desk.api.check()
    now = await desk.api.read(session)

    assert (planned["outcome"], planned["cooldown_until"]) == ("applied", None)
    assert planned["says"] == "Zapier is asked now, as soon as a call is free."
    assert checks == 1
    assert now["state"] == "resolved"
    assert now["steps"][0]["authentication"]["id"] == connected
    assert now["steps"][0]["evidence"]["channels"] == ["difference"]
    (entry,) = (await desk.read(f"audit?session_id={session['id']}"))["entries"]
    assert (entry["key_id"], entry["key_name"], entry["reason"]) == ("ak0", "Ann operator", "they rang")
    assert (entry["action"], entry["step_id"], entry["outcome"]) == ("check_now", step, "applied")


async def test_check_now_finds_what_came_after_the_time_was_over(desk: Desk) -> None:
    """It is offered; what a popup was waited for too short a time for is not lost."""
    session, _address = await desk.api.awaiting()
    step = session["steps"][0]["id"]
    desk.api.sim.clock.advance(11 * MINUTE)
    await desk.api.check()
    assert (await desk.api.read(session))["steps"][0]["reason"] == "timed_out"
    connected = await desk.connected("Slack")

    answer = await desk.act(f"sessions/{session['id']}/steps/{step}/check-now")
    await desk.api.check()

    assert answer.json()["outcome"] == "applied"
    assert answer.json()["says"].startswith("No worker runs: Zapier is asked as soon as one does.")
    assert [one["id"] for one in (await desk.api.read(session))["steps"][0]["candidates"]] == [connected]


async def test_a_step_is_bound_to_what_zapier_lists(desk: Desk) -> None:
    """And to nothing else; the evidence says that an operator spoke for it."""
    session, _address = await desk.api.awaiting()
    steps = f"sessions/{session['id']}/steps/{session['steps'][0]['id']}"
    connected = await desk.connected("Slack")

    wrong = await desk.act(f"{steps}/bind", {"authentication_id": "99"})
    right = await desk.act(f"{steps}/bind", {"authentication_id": connected})
    again = await desk.act(f"{steps}/bind", {"authentication_id": connected})
    step = right.json()["session"]["steps"][0]

    assert problem_of(wrong) == (409, "authentication_not_usable")
    assert (step["state"], step["authentication"]["id"]) == ("resolved", connected)
    assert step["evidence"]["channels"] == ["operator"]
    assert again.json()["outcome"] == "duplicate"
    assert again.json()["says"] == "Nothing was changed: the step has this authentication already."
    assert await desk.audited() == [
        ("bind", "refused", "authentication_not_usable"),
        ("bind", "applied", None),
        ("bind", "duplicate", None),
    ]


async def test_what_was_so_already_is_told_in_words(desk: Desk) -> None:
    """Whoever asks twice reads what the first time came to."""
    session, _address = await desk.api.awaiting()
    here = f"sessions/{session['id']}"
    step = f"{here}/steps/{session['steps'][0]['id']}"
    for path in (f"{step}/check-now", f"{step}/reset", f"{here}/cancel"):
        await desk.act(path)

        again = (await desk.act(path)).json()

        assert (again["outcome"], again["says"]) == ("duplicate", ALREADY[path.rpartition("/")[2]])


ALREADY = {
    "check-now": "Nothing was changed: a check was asked for a moment ago, see what comes of that.",
    "reset": "Nothing was changed: the step is at its beginning already.",
    "cancel": "Nothing was changed: the session was over already.",
}


async def test_a_session_is_given_more_time_and_ended(desk: Desk) -> None:
    """Its popup, too, but never more than a popup may have."""
    session, _ = await desk.api.awaiting()
    path = f"sessions/{session['id']}"

    extended = (await desk.act(f"{path}/extend", {"by_s": 3600})).json()
    longer = extended["session"]
    attempt = longer["steps"][0]["attempt"]
    reset = await desk.act(f"{path}/steps/{session['steps'][0]['id']}/reset")
    ended = await desk.act(f"{path}/cancel")
    late = await desk.act(f"{path}/extend")

    assert re.fullmatch(r"The session goes on until 22 Sep \d\d:\d\d UTC\.", extended["says"])
    assert longer["deadline"] > session["deadline"]
    assert attempt["deadline"] > attempt["opened_at"]
    assert reset.json()["session"]["state"] == "choose-app"
    assert ended.json()["session"]["status"] == "cancelled"
    assert problem_of(late) == (409, "session_locked")
    assert await desk.audited() == [
        ("extend", "applied", None),
        ("reset", "applied", None),
        ("cancel", "applied", None),
        ("extend", "refused", "session_locked"),
    ]


async def test_a_request_that_comes_twice_acts_once(desk: Desk) -> None:
    """And is on record once, also when what it did is past by then."""
    session, _ = await desk.api.awaiting()
    path = f"sessions/{session['id']}/steps/{session['steps'][0]['id']}/reset"
    key = {"Idempotency-Key": "once"}

    first, second = [await desk.act(path, headers=key) for _ in range(2)]
    other = await desk.act(path, {"reason": "another"}, headers=key)

    assert (first.status_code, second.status_code) == (200, 200)
    assert second.headers["Idempotency-Replayed"] == "true"
    assert problem_of(other) == (422, "idempotency_key_reused")
    assert await desk.audited() == [("reset", "applied", None), ("reset", "refused", "idempotency_key_reused")]


async def test_a_delivery_is_sent_again(desk: Desk) -> None:
    """It goes out once more, and the audit names it."""
    made = (await desk.api.ok("POST", "/v1/webhooks", {"url": "https://hooks.example/"}, status=201)).json()["id"]
    session, address = await desk.api.awaiting()
    await desk.api.signal(address, "cancelled")
    await desk.api.deliver()
    (sent,) = (await desk.read(f"sessions/{session['id']}"))["deliveries"]

    answer = await desk.act(f"deliveries/{made}/{session['id']}/{sent['seq']}/replay")
    await desk.api.deliver()
    entries = (await desk.read("audit?action=replay"))["entries"]

    assert (sent["webhook_id"], sent["state"]) == (made, "delivered")
    assert (answer.status_code, answer.json()["state"]) == (201, "pending")
    assert len(desk.api.posts.sent) == 2
    assert [entry["about"] for entry in entries] == [f"{made} {sent['seq']}"]
    assert (await desk.act(f"deliveries/{made}/{session['id']}/999/replay")).status_code == 404


async def test_the_story_tells_everything(desk: Desk) -> None:
    """What came, what became of it, what was planned, and why it is as it is."""
    session, address = await desk.api.awaiting()
    await desk.api.signal(address, "focus")
    await desk.works()
    story = await desk.read(f"sessions/{session['id']}?after=1")

    assert story["session"]["tenant_id"] == "default"
    assert [one["signal"] for one in story["timeline"]][-2:] == ["popup_opened", "focus"]
    assert [one["seq"] for one in story["events"]] == list(range(2, session["seq"] + 2))
    assert [one["id"] for one in story["attempts"]] == [AN_ATTEMPT]
    assert [hint["kind"] for hint in story["attempts"][0]["hints"]] == ["focus"]
    assert [one["waiting"] for one in story["watches"]] == [1]
    assert [(one["endpoint"], one["status"]) for one in story["calls"]] == [
        ("GET /v2/apps", 200),
        ("GET /v2/authentications", 200),
    ]
    assert story["watches"][0]["next_check_at"] is not None
    assert "awaiting_popup" in story["diagram"]
    assert story["why"]["verdict"] == "working"
    assert (await desk.read(f"why?session={session['id']}"))["findings"] == story["why"]["findings"]


async def test_who_waits_for_nothing_is_told_so(desk: Desk) -> None:
    """No worker runs: nobody would ever look. Of the session, and of its app."""
    session, address = await desk.api.awaiting()
    await desk.api.signal(address, "focus")
    desk.api.sim.clock.advance(MINUTE)
    app = session["steps"][0]["app"]
    of_session, of_app = [await desk.read(f"why?{query}") for query in (f"session={session['id']}", f"app={app['id']}")]

    assert of_session["verdict"] == of_app["verdict"] == "stuck"
    assert of_session["findings"][0]["code"] == of_app["findings"][0]["code"] == "worker_missing"
    assert "zapwright worker" in of_app["findings"][0]["do"]
    assert of_app["findings"][0]["says"].startswith("Slack: 1 of 1 waiting session: a check has been due")


async def test_a_session_tells_what_its_webhooks_lack(desk: Desk) -> None:
    """Of endpoints that are paused, or cannot receive."""
    made = (await desk.api.ok("POST", "/v1/webhooks", {"url": "https://hooks.example/"}, status=201)).json()["id"]
    desk.api.posts.answer = Answer(status=500, took=7)
    session, address = await desk.api.awaiting()
    await desk.api.signal(address, "cancelled")
    await desk.api.deliver()
    failing = await desk.read(f"why?session={session['id']}")
    await desk.api.ok("PATCH", f"/v1/webhooks/{made}", {"paused": True})
    paused = await desk.read(f"why?session={session['id']}")

    assert "deliveries_failing" in [one["code"] for one in failing["findings"]]
    assert " yet: tried once, last: it answered 500; next " in failing["findings"][-1]["says"]
    assert paused["findings"][0]["code"] == "endpoint_paused"
    assert paused["verdict"] == "stuck"


async def test_a_check_in_cooldown_says_when_it_is_made(desk: Desk) -> None:
    """It waits like any other, and is made then; meanwhile that is what is going on."""
    session, _ = await desk.api.awaiting()
    await desk.works()
    until = desk.api.clock.now() + 40 * SECOND
    partner = desk.api.settings.zapier_client_id
    await desk.api.store.budget.cool_down(egress=desk.api.settings.egress_group, partner=partner, until=until)

    answer = (await desk.act(f"sessions/{session['id']}/steps/{session['steps'][0]['id']}/check-now")).json()
    why = await desk.read(f"why?session={session['id']}")

    assert answer["check_at"] == answer["cooldown_until"] == timestamp(until)
    assert answer["says"].startswith("Zapier has asked us to wait: it is asked at ")
    assert "cooldown" in [one["code"] for one in why["findings"]]


async def test_a_check_needs_the_user_to_be_signed_in(desk: Desk) -> None:
    """Who asks is told so, and that is on record."""
    session, _ = await desk.api.awaiting()
    await desk.api.store.credentials.need_sign_in("default", "alice", generation=1)

    answer = await desk.act(f"sessions/{session['id']}/steps/{session['steps'][0]['id']}/check-now")

    assert problem_of(answer) == (409, "zapier_sign_in_required")
    assert await desk.audited() == [("check_now", "refused", "zapier_sign_in_required")]


async def test_a_claim_is_taken_from_who_has_it_by_difference_alone(desk: Desk) -> None:
    """An operator's word counts as the user's: the other step returns to the choice, and says why."""
    first, _ = await desk.api.awaiting()
    second = await desk.api.session("Slack")
    connected = await desk.connected("Slack")
    await desk.act(f"sessions/{first['id']}/steps/{first['steps'][0]['id']}/check-now")
    await desk.api.check()
    held = (await desk.api.read(first))["steps"][0]
    bound = await desk.act(
        f"sessions/{second['id']}/steps/{second['steps'][0]['id']}/bind", {"authentication_id": connected}
    )

    assert held["evidence"]["channels"] == ["difference"]
    assert bound.json()["session"]["state"] == "resolved"
    lost = (await desk.api.read(first))["steps"][0]
    assert (lost["state"], lost["reason"]) == ("needs-auth", "claimed_elsewhere")


async def test_what_is_decided_on_an_old_reading_is_not_done(desk: Desk) -> None:
    """With `If-Match`; the audit has it as refused."""
    session, address = await desk.api.awaiting()
    await desk.api.signal(address, "cancelled")

    answer = await desk.act(f"sessions/{session['id']}/cancel", headers={"If-Match": f'"{session["seq"]}"'})

    assert problem_of(answer) == (412, "precondition_failed")
    assert (await desk.api.read(session))["status"] == "building"
    assert await desk.audited() == [("cancel", "refused", "precondition_failed")]


async def test_a_hostile_title_is_only_shown(desk: Desk) -> None:
    """Whatever a page would make of it; what is too long never came in."""
    evil = "<script>alert(1)</script>\u202e"
    session = await desk.api.session(title=evil, metadata={"note": "<b>" + "x" * 3_000 + "\u0007"})
    huge = await desk.api.client.post("/v1/sessions", json={"user_id": "alice", "metadata": {"note": "x" * 100_000}})

    story = await desk.read(f"sessions/{session['id']}")

    assert story["session"]["title"] == evil
    assert story["session"]["metadata"]["note"].endswith("\u0007")
    assert huge.status_code == 422
    assert all("script" not in one["says"] for one in story["why"]["findings"])


async def test_an_app_nobody_has_used_is_not_known(desk: Desk) -> None:
    """Until a session has it."""
    await desk.api.sign_in()
    session = await desk.api.session("Slack")
    app = session["steps"][0]["app"]
    known, unknown = [await desk.read(f"why?app={app_id}") for app_id in (app["id"], "salck")]

    assert (known["about"], known["title"], known["verdict"]) == (app["id"], "Slack", "fine")
    assert (unknown["title"], unknown["verdict"]) == (None, "unknown")
    assert unknown["findings"][0]["code"] == "app_unknown"


@pytest.mark.parametrize("query", ["", "?session=zs00abcdefghij&app=x"])
async def test_one_thing_is_asked_about(desk: Desk, query: str) -> None:
    """Neither nothing nor two."""
    assert problem_of(await desk.viewer.get(f"/v1/operator/why{query}")) == (422, "request_invalid")


@pytest.mark.parametrize("reason", ["", "   ", "x" * 501, "a\nb", None])
async def test_nothing_is_done_without_a_reason(desk: Desk, reason: str | None) -> None:
    """Of 1 to 500 characters, on one line."""
    session, _ = await desk.api.awaiting()
    wish = {} if reason is None else {"reason": reason}
    answer = await desk.operator.post(f"/v1/operator/sessions/{session['id']}/cancel", json=wish)

    assert problem_of(answer) == (422, "request_invalid")
    assert (await desk.api.read(session))["status"] == "building"
    assert await desk.audited() == []
