"""What the demos do: a product's backend and page build a Zap through the HTTP API, and a user acts at Zapier.

The user's popups are played through the simulator's control routes. What is claimed in the end is what the simulator
received.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from cli.errors import CommandError
from cli.remote import Json, Remote
from cli.voice import Voice

PATIENCE_S: Final = 90.0


@dataclass(frozen=True, slots=True)
class Picked:
    """A field that is filled with one of its choices."""

    value: str


@dataclass(frozen=True, slots=True)
class Mapped:
    """A field that is filled with what the first step will give, behind some words perhaps."""

    output: str
    words: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """What a step does. Its fields are filled as a user fills a form: each choice by itself, then the rest."""

    key: str
    action_type: str
    fields: Mapping[str, Picked | Mapped] = field(default_factory=dict)

    def received(self, alias: str) -> Json:
        """Return the inputs as Zapier is to receive them, when the first step has this alias."""
        return {name: _received(value, alias) for name, value in self.fields.items()}


ENTRIES: Final = "Typeform"
ROWS: Final = "Google Sheets"
CONTACTS: Final = "HubSpot"
WORDS: Final = "Formatter"
ROLES: Final[Mapping[str, Role]] = {
    ENTRIES: Role(key="new_entry", action_type="READ"),
    ROWS: Role(
        key="create_row",
        action_type="WRITE",
        fields={
            "spreadsheet": Picked("sheet-00001"),
            "worksheet": Picked("sheet-00001/leads"),
            "COL$A": Mapped("owner__name"),
            "COL$B": Mapped("owner__email"),
        },
    ),
    CONTACTS: Role(key="create_contact", action_type="WRITE", fields={"email": Mapped("owner__email")}),
    WORDS: Role(key="text", action_type="WRITE", fields={"text": Mapped("title", words="From the form: ")}),
}
"""The cast: someone fills in a form, which becomes a row, a contact and some text."""


@dataclass(slots=True)
class Builder:
    """One user who builds one Zap, its steps of these apps; the others take from the first.

    `sign_in` gives us the user's access to Zapier, as an account of the user's name.
    """

    api: Remote
    simulator: Remote
    voice: Voice
    user: str
    apps: tuple[str, ...]
    sign_in: Callable[[], None]
    session_id: str = ""
    steps: dict[str, str] = field(default_factory=dict)
    expected: dict[str, str | None] = field(default_factory=dict)

    # --- what a backend does ---

    def begin(self, title: str) -> None:
        """Begin the session, its steps without apps."""
        new = {"user_id": self.user, "title": title, "steps": [{} for _ in self.apps]}
        session = self.api.ask("POST", "/v1/sessions", new)
        self.session_id = session["id"]
        self.steps = {name: step["id"] for name, step in zip(self.apps, session["steps"], strict=True)}
        self.voice.say(f"  session {self.session_id}: a Zap of {len(self.steps)} steps")

    # --- what a page does ---

    def find_app(self, name: str) -> str:
        """Return an app's id, from the most popular ones, which a page shows before anybody types."""
        found = self.api.get(f"{self.session}/apps")["apps"]
        app = next((app for app in found if app["title"] == name), None)
        if app is None:
            raise CommandError(f"the most popular apps do not include {name}")
        return str(app["id"])

    def choose_app(self, name: str) -> None:
        """Find an app and give it to its step."""
        self.give_app(name, self.find_app(name))

    def give_app(self, name: str, app_id: str) -> None:
        """Give an app to its step."""
        self.api.ask("PUT", f"{self.step(name)}/app", {"app_id": app_id})

    def open_popup(self, name: str) -> str:
        """Open the popup, and return the attempt's id."""
        return str(self.api.ask("POST", f"{self.step(name)}/popup", {})["attempt_id"])

    def signal(self, name: str, attempt_id: str, **said: object) -> None:
        """Pass on what the page saw of the popup."""
        self.api.ask("POST", f"{self.step(name)}/popup/signals", {"attempt_id": attempt_id, **said})

    def await_resolution(self, name: str) -> None:
        """Wait until the step is resolved. Raises CommandError when it takes too long."""
        deadline = time.monotonic() + PATIENCE_S
        session = self.api.get(self.session)
        with self.voice.waiting(f"{name}: {_next_check(self.shown(session, name))}"):
            while self.shown(session, name)["state"] != "resolved":
                if time.monotonic() > deadline:
                    raise CommandError(f"{name} was not resolved within {PATIENCE_S:g} s")
                session = self.api.get(self.session, after_seq=session["seq"], wait_s=1)
                self.voice.update(f"{name}: {_next_check(self.shown(session, name))}")

    def choose_action(self, name: str) -> None:
        """Choose what the step does among what its app can do."""
        role = ROLES[name]
        offered = self.api.get(f"{self.step(name)}/actions")["actions"]
        if not any((one["key"], one["action_type"]) == (role.key, role.action_type) for one in offered):
            raise CommandError(f"{name} offers no {role.action_type} {role.key}")
        self.api.ask("PUT", f"{self.step(name)}/action", {"key": role.key, "action_type": role.action_type})

    def fill(self, name: str) -> None:
        """Fill the step's form as it comes: a choice may bring further fields."""
        form = self.api.get(f"{self.step(name)}/fields")
        rest = {}
        for field_id, wanted in ROLES[name].fields.items():
            if isinstance(wanted, Mapped):
                rest[field_id] = self._reference(wanted)
                continue
            if field_id not in _field_ids(form):
                raise CommandError(f"{name} does not ask for {field_id}")
            offered = self.api.get(f"{self.step(name)}/choices", field=field_id)["choices"]
            if wanted.value not in {one["id"] for one in offered}:
                raise CommandError(f"{name} does not offer {wanted.value} for {field_id}")
            form = self.api.ask("PATCH", f"{self.step(name)}/inputs", {"inputs": {field_id: wanted.value}})
        if rest:
            form = self.api.ask("PATCH", f"{self.step(name)}/inputs", {"inputs": rest})
        if form["problems"]:
            raise CommandError(f"{name} is not filled as it should be: {form['problems'][0]}")

    def create(self) -> None:
        """Create the Zap. Raises CommandError when it was not created."""
        zap = self.api.ask("POST", f"{self.session}/zap", {})["zap"]
        if zap["state"] != "created":
            raise CommandError(f"the Zap was not created: {zap['state']} {zap['problem'] or ''}")
        self.voice.good("Zap created")
        self.voice.say(f"  {zap['editor_url'] or zap['id']}")

    # --- what a user does at Zapier ---

    def connect(self, name: str) -> str:
        """Finish a popup: return the id of the authentication that arose, which the step is then to have."""
        made = self.simulator.ask("POST", "/_control/authentications", {"user": self.user, "app": name})
        self.expected[name] = str(made["id"])
        return str(made["id"])

    # --- what came of it ---

    def complaints(self, before: Json, after: Json) -> list[str]:
        """Say what the simulator received otherwise than it should, between two readings of its stats."""
        refused = after["requests"]["refused_429"] - before["requests"]["refused_429"]
        complaints = [f"Zapier refused {refused} calls"] if refused else []
        zaps = created(before, after)
        if len(zaps) != 1:
            return [*complaints, f"{len(zaps)} Zaps were created instead of one"]
        return [*complaints, *self._differences(zaps[0])]

    def _differences(self, zap: Json) -> list[str]:
        alias = str(zap["steps"][0]["alias"])
        wanted = [
            (ROLES[name].key, ROLES[name].action_type, self.expected.get(name), ROLES[name].received(alias))
            for name in self.apps
        ]
        received = [(step["key"], step["action_type"], step["authentication"], step["inputs"]) for step in zap["steps"]]
        return [] if received == wanted else [f"the Zap is {received} instead of {wanted}"]

    def stats(self) -> Json:
        """Return what the simulator has counted."""
        return self.simulator.get("/_control/stats")

    @property
    def session(self) -> str:
        """The session's address."""
        return f"/v1/sessions/{self.session_id}"

    def step(self, name: str) -> str:
        """Return the address of an app's step."""
        return f"{self.session}/steps/{self.steps[name]}"

    def shown(self, session: Json, name: str) -> Json:
        """Return how a session that was read shows an app's step."""
        return next(dict(step) for step in session["steps"] if step["id"] == self.steps[name])

    def _reference(self, wanted: Mapped) -> object:
        outputs = self.api.get(f"{self.step(self.apps[0])}/outputs")["outputs"]
        reference = next((one["reference"] for one in outputs if one["id"] == wanted.output), None)
        if reference is None:
            raise CommandError(f"{self.apps[0]} does not give {wanted.output}")
        return {"$text": [wanted.words, reference]} if wanted.words else reference


def created(before: Json, after: Json) -> list[Json]:
    """Return the Zaps that the simulator has made between two readings of its stats."""
    former = {zap["id"] for zap in before["zaps"]["list"]}
    return [zap for zap in after["zaps"]["list"] if zap["id"] not in former]


def calls(before: Json, after: Json) -> int:
    """Return how many calls the simulator has counted between two readings of its stats."""
    return int(after["requests"]["total"]) - int(before["requests"]["total"])


def _received(value: Picked | Mapped, alias: str) -> str:
    return value.value if isinstance(value, Picked) else f"{value.words}{{{{{alias}.{value.output}}}}}"


def _field_ids(form: Json) -> set[str]:
    return {str(one["id"]) for part in form["fields"] for one in (part["fields"] or (part,))}


def _next_check(step: Json) -> str:
    at = (step["attempt"] or {}).get("next_check_at")
    if at is None:
        return "a check is under way"
    left = datetime.fromisoformat(at) - datetime.now(UTC)
    return f"the next check, in {max(0, round(left.total_seconds()))} s"
