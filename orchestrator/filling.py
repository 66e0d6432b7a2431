"""Filling steps: what their actions ask for, what that may be, what they will give, and carrying one out to see."""

from __future__ import annotations

from collections.abc import Awaitable
from dataclasses import dataclass, replace
from typing import Final, TypeVar

from orchestrator.commits import Applied, Commits
from orchestrator.core.errors.actions import (
    FieldNotFoundError,
    InputsFlawedError,
    StepNotUsableError,
    StepTestRepeatedError,
)
from orchestrator.core.errors.store import StaleVersionError
from orchestrator.core.errors.upstream import StepTestFailedError, UpstreamRefusedError
from orchestrator.core.fields import Form, filled, flaws, invalidates, picked, vanished, with_defaults
from orchestrator.core.mapping import Compiler, FieldFlaw, has_references
from orchestrator.core.ports.around import Ids
from orchestrator.core.ports.credentials import Credential, CredentialStore
from orchestrator.core.ports.sessions import SessionStore
from orchestrator.core.ports.upstream import ActionUse, Choice, Output, StepTestRun, Upstream
from orchestrator.core.required import active, require_open, step_of
from orchestrator.core.session import Action, App, JsonObject, Reason, Session, SessionKey, Step
from orchestrator.core.signals import InputsGiven, Signal, StepTestRequested
from orchestrator.core.terms import ANY_TERMS, Terms
from orchestrator.engine import Engine

Answer = TypeVar("Answer")

WRITES = "WRITE"
"""The type of action that changes something elsewhere."""

MOST_PAGES_SEARCHED = 5
"""How many pages of choices one question looks through for words, each a call: Zapier searches for nobody."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """A step's form, what is wrong with what it is filled with, and which fields the last change emptied."""

    applied: Applied
    step: Step
    form: Form
    problems: tuple[FieldFlaw, ...]
    cleared: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Choices that match, out of so many that were `looked_through`. `cursor` looks on; None: these were the last."""

    choices: tuple[Choice, ...]
    cursor: str | None
    looked_through: int


@dataclass(frozen=True, slots=True, kw_only=True)
class _Place:
    """A step that can be used, as it was read."""

    session: Session
    step: Step
    app: App
    action: Action
    credential: Credential

    @property
    def authentication_id(self) -> str | None:
        return self.step.authentication.id if self.step.authentication else None

    def use(self, inputs: JsonObject) -> ActionUse:
        """Return the action with these inputs, compiled as far as they can be."""
        return ActionUse(
            app_id=self.app.id,
            action=self.action,
            authentication_id=self.authentication_id,
            inputs=Compiler(self.session.steps, self.step.id).inputs(inputs),
        )


class Filler:
    """Fills steps. Zapier is asked as seldom as the answers allow."""

    def __init__(
        self,
        *,
        engine: Engine,
        commits: Commits,
        sessions: SessionStore,
        credentials: CredentialStore,
        upstream: Upstream,
        ids: Ids,
    ) -> None:
        self._engine = engine
        self._commits = commits
        self._sessions = sessions
        self._credentials = credentials
        self._upstream = upstream
        self._ids = ids

    async def look(self, key: SessionKey, step_id: str) -> tuple[Session, Step, Form, tuple[FieldFlaw, ...]]:
        """Return the step's form, and what is wrong with what it is filled with.

        Raises StepNotUsableError, ActionNotFoundError, SignInRequiredError, UpstreamError.
        """
        place = await self._place(key, step_id)
        form = await self._form(place, place.step.inputs)
        return place.session, place.step, form, problems_of(place.session, place.step, form)

    async def fill(self, key: SessionKey, step_id: str, changes: JsonObject, *, terms: Terms = ANY_TERMS) -> Filling:
        """Change some of the step's inputs; null empties a field, and so does a change of what it depends on.

        Nothing is refused for what it is filled with: `problems` says what is wrong. Raises as `look`, and as
        `Commits.apply`.
        """
        place = await self._place(key, step_id, is_write=True)
        terms.check(place.session)
        before = place.step.inputs
        form = await self._form(place, before)
        after, cleared = filled(form, before, changes)
        known, earlier = before, form
        while invalidates(earlier, known, after):  # what goes with a change may have kept other fields there
            known, earlier, form = after, form, await self._form(place, after)
            gone = set(vanished(earlier, form, after)) - changes.keys()
            after = {name: value for name, value in after.items() if name not in gone}
            cleared = tuple(sorted({*cleared, *gone}))

        async def given(current: Session) -> Signal:
            step = step_of(current, step_id)
            if (step.action, step.authentication, step.inputs) != (place.action, place.step.authentication, before):
                raise StaleVersionError(session_id=current.id)
            kept = picked(form, after, authentication_id=place.authentication_id)
            return InputsGiven(step_id=step_id, inputs=after, picked=kept)

        applied = await self._commits.apply(key, given, terms=terms)
        step = applied.session.step(step_id) or place.step
        problems = problems_of(applied.session, step, form)
        return Filling(applied=applied, step=step, form=form, problems=problems, cleared=cleared)

    async def choices(
        self, key: SessionKey, step_id: str, field_id: str, *, query: str | None, cursor: str | None
    ) -> Found:
        """Return what a field may be: a page of all there is, or of those that match the words.

        Raises FieldNotFoundError, ValueError for a cursor that is not ours, and what `look` raises.
        """
        place = await self._place(key, step_id)
        others = {name: value for name, value in place.step.inputs.items() if name != field_id}
        form = await self._form(place, place.step.inputs)
        if field_id not in form.inputs:
            raise FieldNotFoundError(step_id=step_id, field=field_id)
        use, words = place.use(others), (query or "").casefold().split()
        found: list[Choice] = []
        looked_through = 0
        for _ in range(MOST_PAGES_SEARCHED if words else 1):
            page = await self._answer(place, self._upstream.choices(place.credential, use, field_id, cursor=cursor))
            found += [one for one in page.choices if _matches(one, words)]
            looked_through += len(page.choices)
            cursor = page.cursor
            if cursor is None:
                break
        return Found(choices=tuple(found), cursor=cursor, looked_through=looked_through)

    async def outputs(self, key: SessionKey, step_id: str, *, live: bool) -> tuple[Output, ...]:
        """Return what the step will give to later ones. Raises as `look`.

        Of an action that writes there are no live samples (Zapier docs: get-output-fields), so none are asked for.
        """
        place = await self._place(key, step_id)
        is_live = live and place.action.action_type != WRITES
        asking = self._upstream.outputs(place.credential, place.use(place.step.inputs), live=is_live)
        return await self._answer(place, asking)

    async def test(
        self, key: SessionKey, step_id: str, *, inputs: JsonObject | None, terms: Terms = ANY_TERMS
    ) -> StepTestRun:
        """Carry the step's action out once, with its inputs or others in their place.

        A reference has no value before the Zap runs, so a field with one needs another value here. That it is about to
        be carried out is committed first; a request that comes again is not carried out again.

        Raises InputsFlawedError, StepTestRepeatedError, StepTestFailedError, StepTestUnknownError, and as `look`.
        """
        place = await self._place(key, step_id, is_write=True)
        if await self._commits.earlier(place.session.tenant_id, place.session.user_id, terms) is not None:
            raise StepTestRepeatedError(session_id=key.session_id, step_id=step_id)
        terms.check(place.session)
        tried = replace(place.step, inputs=place.step.inputs | (inputs or {}))
        form = await self._form(place, tried.inputs)
        problems = [*problems_of(place.session, tried, form), *_without_values(tried.inputs)]
        if problems:
            raise InputsFlawedError(session_id=key.session_id, problems=[shown(step_id, one) for one in problems])
        requested = StepTestRequested(step_id=step_id, test_id=self._ids.new("tt"))
        applied = await self._commits.apply(key, requested, terms=terms)
        if applied.is_replay:
            raise StepTestRepeatedError(session_id=key.session_id, step_id=step_id)
        asking = self._upstream.test(place.credential, place.use(with_defaults(form, tried.inputs)))
        return await self._answer(place, asking)

    async def _form(self, place: _Place, inputs: JsonObject) -> Form:
        return await self._answer(place, self._upstream.fields(place.credential, place.use(inputs)))

    async def _answer(self, place: _Place, asking: Awaitable[Answer]) -> Answer:
        """Return what Zapier answers. Where it refuses because the step's authentication is lost, the step says so.

        Why it refuses it does not say in any documented way, so its listing is asked (`Engine.look_again`).
        """
        try:
            return await asking
        except (UpstreamRefusedError, StepTestFailedError):
            if place.step.authentication is not None:
                _require_usable(*await self._engine.look_again(place.session.key, place.step.id))
            raise

    async def _place(self, key: SessionKey, step_id: str, *, is_write: bool = False) -> _Place:
        session = await self._sessions.load(key)
        step = step_of(session, step_id)
        if is_write:
            require_open(session)
        app, action = _require_usable(session, step)
        found = await self._credentials.get(session.tenant_id, session.user_id)
        credential = active(found, user_id=session.user_id)
        return _Place(session=session, step=step, app=app, action=action, credential=credential)


def _require_usable(session: Session, step: Step) -> tuple[App, Action]:
    """Return the step's app and action. Raises StepNotUsableError when it lacks one, or its authentication."""
    if step.app is not None and step.is_settled and step.action is not None:
        return step.app, step.action
    lacks = "has no app" if step.app is None else "has no action" if step.is_settled else f"is in {step.state}"
    if step.reason is not None and step.reason in _LOST:
        lacks = f"{lacks}: {_LOST[step.reason]}"
    raise StepNotUsableError(session_id=session.id, step_id=step.id, lacks=lacks)


_LOST: Final = {
    Reason.EXPIRED: "its authentication has expired at Zapier: have it connected again, or another one chosen",
    Reason.REVOKED: "its authentication is not there any more at Zapier: have another one chosen or connected",
}


def problems_of(session: Session, step: Step, form: Form) -> tuple[FieldFlaw, ...]:
    """Say what is wrong with what a step is filled with, by its form and as mappings."""
    compiler = Compiler(session.steps, step.id)
    compiler.inputs(step.inputs)
    return (*flaws(form, step.inputs), *compiler.flaws)


def shown(step_id: str, flaw: FieldFlaw) -> dict[str, str | None]:
    """Return a flaw as an error's facts have it."""
    return {"step_id": step_id, "field": flaw.field, "code": flaw.code, "detail": flaw.detail}


def _without_values(inputs: JsonObject) -> list[FieldFlaw]:
    detail = "a reference has no value before the Zap runs: give the test a value for it"
    return [
        FieldFlaw(field=name, code="reference_without_value", detail=detail)
        for name, value in inputs.items()
        if has_references(value)
    ]


def _matches(choice: Choice, words: list[str]) -> bool:
    text = f"{choice.label} {choice.id}".casefold()
    return all(word in text for word in words)
