"""The demo's tale: one user builds a Zap of four steps, and each step is resolved in a way of its own.

What it claims in the end is computed from what the API and the simulator say.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from cli.builder import CONTACTS, ENTRIES, ROWS, WORDS, Builder, calls, created
from cli.errors import CommandError
from cli.remote import Json
from cli.sessions import whole_story

KNOWN: Final = ENTRIES
HEARD: Final = ROWS
LOST: Final = CONTACTS
NEEDLESS: Final = WORDS
CAST: Final = (KNOWN, HEARD, LOST, NEEDLESS)

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
    zaps: list[Json]
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

    builder: Builder
    kill_worker: Callable[[], str]
    finished: list[Finished] = field(default_factory=list)

    def tell(self) -> Ending:
        """Tell all of it, and count. Raises CommandError when something does not happen at all."""
        builder, before = self.builder, self.builder.stats()
        builder.sign_in()
        builder.voice.good(f"{builder.user} signed in to Zapier, and allowed us to act for them")
        builder.begin("Entries become rows and contacts")
        self._pick_what_is_there()
        self._hear_the_message()
        self._lose_the_message()
        self._need_nothing()
        for name in builder.apps:
            builder.choose_action(name)
            builder.fill(name)
        builder.create()
        return self._end(before)

    # --- the four ways ---

    def _pick_what_is_there(self) -> None:
        """An authentication that exists already is chosen from the list."""
        builder = self.builder
        existing = builder.connect(KNOWN)
        builder.choose_app(KNOWN)
        shown = builder.api.get(f"{builder.step(KNOWN)}/authentications")["authentications"]
        if existing not in {one["id"] for one in shown}:
            raise CommandError(f"{existing} is not among the {len(shown)} authentications to choose from")
        builder.api.ask("PUT", f"{builder.step(KNOWN)}/authentication", {"authentication_id": existing})
        builder.voice.good(f"{KNOWN}: the user picked {existing} from the list")

    def _hear_the_message(self) -> None:
        """The popup's message arrives; Zapier is asked whether it is true."""
        self.builder.choose_app(HEARD)
        attempt_id = self.builder.open_popup(HEARD)
        made = self._finish_popup(HEARD, attempt_id)
        self.builder.signal(HEARD, attempt_id, kind="message", authentication_id=made)
        self.builder.await_resolution(HEARD)
        self.builder.voice.good(f"{HEARD}: the popup's message named {made}, and Zapier lists it")

    def _lose_the_message(self) -> None:
        """The page is gone, no message comes, and a worker dies: the fallback finds what was connected."""
        builder = self.builder
        builder.choose_app(LOST)
        attempt_id = builder.open_popup(LOST)
        builder.signal(LOST, attempt_id, kind="closed", context={"gone": True})
        made = self._finish_popup(LOST, attempt_id)
        builder.voice.say(f"  {LOST}: the page is gone, the user finished the popup, its message is lost")
        builder.voice.say(f"  {self.kill_worker()} was killed (SIGKILL)")
        builder.await_resolution(LOST)
        builder.voice.good(f"{LOST}: a check found {made}, which was not there before")

    def _need_nothing(self) -> None:
        """Some apps need no authentication."""
        self.builder.choose_app(NEEDLESS)
        self.builder.expected[NEEDLESS] = None
        self.builder.voice.good(f"{NEEDLESS}: needs no authentication")

    def _finish_popup(self, name: str, attempt_id: str) -> str:
        made = self.builder.connect(name)
        self.finished.append(Finished(attempt_id, made))
        return made

    # --- what came of it ---

    def _end(self, before: Json) -> Ending:
        builder = self.builder
        session = builder.api.get(builder.session)
        events = whole_story(builder.api, session)["events"]
        after = builder.stats()
        heard = {event["data"].get("attempt_id") for event in events if event["name"] == "message_received"}
        resolved = {name: (builder.shown(session, name)["authentication"] or {}).get("id") for name in builder.apps}
        missing = [name for name, wanted in builder.expected.items() if resolved[name] != wanted]
        wrong = [f"{name} has another authentication than the user connected" for name in missing]
        wrong += [f"{step['id']} is {step['state']}" for step in session["steps"] if step["state"] not in _SETTLED]
        return Ending(
            session=session,
            events=events,
            zaps=created(before, after),
            results=sum(step["state"] in _SETTLED for step in session["steps"]),
            messages_lost=sum(popup.attempt_id not in heard for popup in self.finished),
            lost_by_us=len(missing),
            upstream_calls=calls(before, after),
            wrong=(*wrong, *builder.complaints(before, after)),
        )
