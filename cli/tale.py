"""The demo's tale: one user builds a Zap of four steps, and each step is resolved in a way of its own.

It is told through the HTTP API, as a product's backend and page would, and through the simulator's control routes that
play the user at Zapier. What it claims in the end is computed from what both sides say.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cli.errors import CommandError
from cli.remote import Json, Remote
from cli.sessions import whole_story
from cli.voice import Voice

KNOWN: Final = "Google Sheets"
HEARD: Final = "Slack"
LOST: Final = "HubSpot"
NEEDLESS: Final = "Formatter"
ACTION_TYPES: Final = {KNOWN: "READ", HEARD: "WRITE", LOST: "WRITE", NEEDLESS: "WRITE"}

PATIENCE_S: Final = 90.0
_SETTLED: Final = {"resolved", "no-auth-required"}


@dataclass(slots=True)
class Finished:
    """A popup that the user finished: what arose from it."""

    attempt_id: str
    authentication_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """What came of it, counted. `wrong` says what is not as it should be."""

    session: Json
    events: list[Json]
    results: int
    messages_lost: int
    lost_by_us: int
    upstream_calls: int
    wrong: tuple[str, ...]

    @property
    def closing_line(self) -> str:
        """The last line of the demo."""
        return (
            f"results {self.results}, messages lost {self.messages_lost}, "
            f"lost by us {self.lost_by_us}, upstream calls: {self.upstream_calls}"
        )


@dataclass(slots=True)
class Tale:
    """Tells it once. `kill_worker` ends a worker process without warning, and says which."""

    api: Remote
    simulator: Remote
    voice: Voice
    user: str
    kill_worker: Callable[[], str]
    session_id: str = ""
    steps: dict[str, str] = field(default_factory=dict)
    expected: dict[str, str | None] = field(default_factory=dict)
    finished: list[Finished] = field(default_factory=list)

    def tell(self) -> Ending:
        """Tell all of it, and count. Raises CommandError when something does not happen at all."""
        before = self._stats()
        self._begin()
        self._pick_what_is_there()
        self._hear_the_message()
        self._lose_the_message()
        self._need_nothing()
        self._create()
        return self._end(before)

    # --- the four ways ---

    def _pick_what_is_there(self) -> None:
        """An authentication that exists already is chosen from the list."""
        existing = self._connect(KNOWN)
        self._choose_app(KNOWN)
        shown = self.api.get(f"{self._step(KNOWN)}/authentications")["authentications"]
        self._expect(KNOWN, existing)
        if existing not in {one["id"] for one in shown}:
            raise CommandError(f"{existing} is not among the {len(shown)} authentications to choose from")
        self.api.ask("PUT", f"{self._step(KNOWN)}/authentication", {"authentication_id": existing})
        self.voice.good(f"{KNOWN}: the user picked {existing} from the list")

    def _hear_the_message(self) -> None:
        """The popup's message arrives; Zapier is asked whether it is true."""
        self._choose_app(HEARD)
        attempt_id = self._open_popup(HEARD)
        made = self._finish_popup(HEARD, attempt_id)
        self._signal(HEARD, attempt_id, kind="message", authentication_id=made)
        self._await_resolution(HEARD)
        self.voice.good(f"{HEARD}: the popup's message named {made}, and Zapier lists it")

    def _lose_the_message(self) -> None:
        """The page is gone, no message comes, and a worker dies: the fallback finds what was connected."""
        self._choose_app(LOST)
        attempt_id = self._open_popup(LOST)
        self._signal(LOST, attempt_id, kind="closed", context={"gone": True})
        made = self._finish_popup(LOST, attempt_id)
        self.voice.say(f"  {LOST}: the page is gone, the user finished the popup, its message is lost")
        self.voice.say(f"  {self.kill_worker()} was killed (SIGKILL)")
        self._await_resolution(LOST)
        self.voice.good(f"{LOST}: a check found {made}, which was not there before")

    def _need_nothing(self) -> None:
        """Some apps need no authentication."""
        self._choose_app(NEEDLESS)
        self._expect(NEEDLESS, None)
        self.voice.good(f"{NEEDLESS}: needs no authentication")

    # --- what happens ---

    def _begin(self) -> None:
        self.api.ask("PUT", f"/v1/users/{self.user}/credential", {"access_token": f"sim-{self.user}"})
        session = self.api.ask(
            "POST",
            "/v1/sessions",
            {"user_id": self.user, "title": "New rows become contacts", "steps": [{} for _ in ACTION_TYPES]},
        )
        self.session_id = session["id"]
        self.steps = {name: step["id"] for name, step in zip(ACTION_TYPES, session["steps"], strict=True)}
        self.voice.say(f"  session {self.session_id}: a Zap of {len(self.steps)} steps")

    def _choose_app(self, name: str) -> None:
        found = self.api.get(f"{self._session}/apps", query=name)["apps"]
        app = next((app for app in found if app["title"] == name), None)
        if app is None:
            raise CommandError(f"the catalogue has no app called {name}")
        self.api.ask("PUT", f"{self._step(name)}/app", {"app_id": app["id"]})

    def _open_popup(self, name: str) -> str:
        return str(self.api.ask("POST", f"{self._step(name)}/popup", {})["attempt_id"])

    def _finish_popup(self, name: str, attempt_id: str) -> str:
        made = self._connect(name)
        self._expect(name, made)
        self.finished.append(Finished(attempt_id, made))
        return made

    def _connect(self, name: str) -> str:
        """Do at Zapier what a user does in a popup."""
        made = self.simulator.ask("POST", "/_control/authentications", {"user": self.user, "app": name})
        return str(made["id"])

    def _signal(self, name: str, attempt_id: str, **said: object) -> None:
        self.api.ask("POST", f"{self._step(name)}/popup/signals", {"attempt_id": attempt_id, **said})

    def _await_resolution(self, name: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        session = self.api.get(self._session)
        with self.voice.waiting(f"{name}: {_next_check(self._shown(session, name))}"):
            while self._shown(session, name)["state"] != "resolved":
                if time.monotonic() > deadline:
                    raise CommandError(f"{name} was not resolved within {PATIENCE_S:g} s")
                session = self.api.get(self._session, after_seq=session["seq"], wait_s=1)
                self.voice.update(f"{name}: {_next_check(self._shown(session, name))}")

    def _create(self) -> None:
        for name, action_type in ACTION_TYPES.items():
            offered = self.api.get(f"{self._step(name)}/actions")["actions"]
            action = next(one for one in offered if one["action_type"] == action_type)
            chosen = {"key": action["key"], "action_type": action_type}
            self.api.ask("PUT", f"{self._step(name)}/action", chosen)
            self._fill(name)
        zap = self.api.ask("POST", f"{self._session}/zap", {})["zap"]
        if zap["state"] != "created":
            raise CommandError(f"the Zap was not created: {zap['state']} {zap['problem'] or ''}")
        self.voice.good(f"Zap created: {zap['editor_url'] or zap['id']}")

    def _fill(self, name: str) -> None:
        """Fill what the step's action insists on: the first choice there is, or what the first step gives."""
        outputs = self.api.get(f"{self._step(KNOWN)}/outputs")["outputs"]
        text = {"$text": ["From the sheet: ", outputs[0]["reference"]]}
        form = self.api.get(f"{self._step(name)}/fields")
        while missing := [one["field"] for one in form["problems"] if one["code"] == "required"]:
            choices = self._choices(name, form, missing[0])
            value = choices[0]["id"] if choices else text
            form = self.api.ask("PATCH", f"{self._step(name)}/inputs", {"inputs": {missing[0]: value}})

    def _choices(self, name: str, form: Json, field: str) -> list[Json]:
        shown = next(one for one in form["fields"] if one["id"] == field)
        if shown["format"] != "SELECT":
            return []
        found: list[Json] = self.api.get(f"{self._step(name)}/choices", field=field)["choices"]
        return found

    # --- what came of it ---

    def _end(self, before: Json) -> Ending:
        session = self.api.get(self._session)
        events = whole_story(self.api, session)["events"]
        after = self._stats()
        heard = {event["data"].get("attempt_id") for event in events if event["name"] == "message_received"}
        resolved = {name: (self._shown(session, name)["authentication"] or {}).get("id") for name in self.steps}
        missing = [name for name, wanted in self.expected.items() if resolved[name] != wanted]
        return Ending(
            session=session,
            events=events,
            results=sum(step["state"] in _SETTLED for step in session["steps"]),
            messages_lost=sum(popup.attempt_id not in heard for popup in self.finished),
            lost_by_us=len(missing),
            upstream_calls=after["requests"]["total"] - before["requests"]["total"],
            wrong=tuple(self._complaints(session, before, after, missing)),
        )

    def _complaints(self, session: Json, before: Json, after: Json, missing: list[str]) -> list[str]:
        complaints = [f"{name} has another authentication than the user connected" for name in missing]
        complaints += [f"{step['id']} is {step['state']}" for step in session["steps"] if step["state"] not in _SETTLED]
        refused = after["requests"]["refused_429"] - before["requests"]["refused_429"]
        if refused:
            complaints.append(f"Zapier refused {refused} calls")
        former = {zap["id"] for zap in before["zaps"]["list"]}
        zaps = [zap for zap in after["zaps"]["list"] if zap["id"] not in former]
        if len(zaps) != 1:
            complaints.append(f"{len(zaps)} Zaps were created instead of one")
        used = [[step["authentication"] for step in zap["steps"]] for zap in zaps]
        if used != [[self.expected.get(name) for name in self.steps]]:
            complaints.append(f"the Zap uses {used}")
        return complaints

    def _expect(self, name: str, authentication_id: str | None) -> None:
        self.expected[name] = authentication_id

    def _stats(self) -> Json:
        return self.simulator.get("/_control/stats")

    @property
    def _session(self) -> str:
        return f"/v1/sessions/{self.session_id}"

    def _step(self, name: str) -> str:
        return f"{self._session}/steps/{self.steps[name]}"

    def _shown(self, session: Json, name: str) -> Json:
        return next(dict(step) for step in session["steps"] if step["id"] == self.steps[name])


def _next_check(step: Json) -> str:
    at = (step["attempt"] or {}).get("next_check_at")
    if at is None:
        return "a check is under way"
    left = datetime.fromisoformat(at) - datetime.now(UTC)
    return f"the next check, in {max(0, round(left.total_seconds()))} s"
