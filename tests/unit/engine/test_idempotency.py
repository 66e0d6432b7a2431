"""Requests that come again: each effect happens once, whatever dies, is lost, or comes between."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import Final, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.core.errors.attempts import AttemptStaleError, CandidatesFoundError
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.requests import IdempotencyInFlightError, IdempotencyKeyReusedError
from orchestrator.core.errors.sessions import AliasTakenError, PreconditionFailedError, SessionNotFoundError
from orchestrator.core.errors.store import StaleVersionError, StoreUnavailableError
from orchestrator.core.events import EventName
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.ports.sessions import Outcome, SessionQuery
from orchestrator.core.ports.upstream import ZapMade, ZapNotMade, ZapUnknown
from orchestrator.core.session import MINUTE, SECOND, HintKind, Session, SessionKey, SessionStatus
from orchestrator.core.signals import (
    Context,
    CredentialChanged,
    Hinted,
    PopupCancelled,
    SessionCancelled,
    SessionChanged,
    StepAdded,
    StepReset,
)
from orchestrator.core.terms import RECEIPT_KEPT, Idempotency, Terms
from orchestrator.engine import NewSession, NewStep
from tests.support.interference import Fuse, Killed, Script, Turns, lost_answer
from tests.support.scenes import SEND, TENANT, Process, Scene

MADE: Final = ZapMade(zap_id="zap-1", editor_url=None)
NOWHERE: Final = SessionKey(tenant_id=TENANT, session_id="")
MAKES: Final = {
    "create": EventName.SESSION_CREATED,
    "step": EventName.STEP_ADDED,
    "popup": EventName.POPUP_OPENED,
    "named popup": EventName.POPUP_OPENED,
    "message": EventName.POPUP_OPENED,
    "zap": EventName.ZAP_REQUESTED,
}

Answer: TypeAlias = tuple[Outcome, str, str | None]
"""What became of a request: its outcome, the session, the id of what it made."""

Request: TypeAlias = Callable[[Process, Terms], Awaitable[Answer]]


def keyed(name: str = "n1", fingerprint: str = "f1") -> Terms:
    """Return the terms of a request that has a key."""
    return Terms(idempotency=Idempotency(name=name, fingerprint=fingerprint))


@pytest.fixture(name="scene")
async def _scene() -> Scene:
    """A deployment whose user Ann is signed in."""
    return await a_scene()


async def a_scene() -> Scene:
    """Return one such deployment."""
    scene = Scene()
    await scene.sign_in("ann")
    scene.zapier.zap_answer = MADE
    return scene


async def a_request(scene: Scene, kind: str) -> Request:
    """Prepare a session for a request of this kind, and return the request."""
    session = (
        None if kind == "create" else await (scene.ready("ann") if kind == "zap" else scene.session("ann", "slack"))
    )
    key, step_id = (session.key, session.steps[0].id) if session else (NOWHERE, "")

    async def create(process: Process, terms: Terms) -> Answer:
        new = NewSession(tenant_id=TENANT, user_id="ann", steps=(NewStep(app_id="slack"),))
        applied = await process.engine.create_session(new, terms=terms)
        return applied.outcome, applied.session.id, None

    async def step(process: Process, terms: Terms) -> Answer:
        added = StepAdded(step_id=process.engine.new_step_id(), alias="more")
        applied = await process.engine.apply(key, added, terms=terms)
        return applied.outcome, applied.session.id, applied.made

    async def popup(process: Process, terms: Terms) -> Answer:
        attempt_id = "at-page" if kind == "named popup" else None
        opened = await process.engine.open_popup(key, step_id, attempt_id, terms=terms)
        return opened.outcome, opened.session.id, opened.attempt.id

    async def message(process: Process, terms: Terms) -> Answer:
        said = Hinted(step_id=step_id, attempt_id="at-page", kind=HintKind.FINISHED)
        applied = await process.engine.apply(key, said, terms=terms)
        return applied.outcome, applied.session.id, applied.made

    async def zap(process: Process, terms: Terms) -> Answer:
        applied = await process.creator.create(key, terms=terms)
        return applied.outcome, applied.session.id, applied.made

    known: dict[str, Request] = {"create": create, "step": step, "message": message, "zap": zap}
    return known.get(kind, popup)


async def made(scene: Scene, kind: str) -> int:
    """Count what requests of this kind made."""
    page = await scene.store.sessions.find(SessionQuery(tenant_id=TENANT))
    return sum([(await scene.told(session)).count(MAKES[kind]) for session in page.sessions])


async def patiently(scene: Scene, request: Request) -> Answer:
    """Send the request again, and once more when its call must be over, if that is what is asked for."""
    try:
        return await request(scene.here, keyed())
    except IdempotencyInFlightError:
        scene.clock.advance(2 * MINUTE)
        await scene.here.sweep()
        return await request(scene.here, keyed())


@pytest.mark.parametrize("kind", sorted(MAKES))
async def test_a_request_that_comes_again_is_answered_again(scene: Scene, kind: str) -> None:
    """With the same ids and the same outcome, by any process, and nothing happens."""
    scene.zapier.zap_answer = ZapUnknown(problem="silence")  # so that the session has not ended
    request = await a_request(scene, kind)

    first = await request(scene.here, keyed())
    calls = len(scene.zapier.requests)
    answers = [await request(scene.process(), keyed()) for _ in range(3)]

    assert answers == [first] * 3
    assert await made(scene, kind) == 1
    assert len(scene.zapier.requests) == calls


@pytest.mark.parametrize("kind", ["create", "popup"])
async def test_without_a_key_every_request_counts(scene: Scene, kind: str) -> None:
    """Nobody can tell a repeat from a second wish."""
    request = await a_request(scene, kind)

    answers = [await request(scene.here, Terms()) for _ in range(2)]

    assert answers[0] != answers[1]
    assert await made(scene, kind) == 2


@pytest.mark.parametrize("kind", sorted(MAKES))
async def test_a_key_that_is_used_with_another_body_is_refused(scene: Scene, kind: str) -> None:
    """Whatever the other body says; nothing happens."""
    scene.zapier.zap_answer = ZapUnknown(problem="silence")
    request = await a_request(scene, kind)
    await request(scene.here, keyed())

    with pytest.raises(IdempotencyKeyReusedError):
        await request(scene.here, keyed(fingerprint="f2"))

    assert await made(scene, kind) == 1


@pytest.mark.parametrize("kind", sorted(MAKES))
async def test_after_a_day_a_key_is_free(scene: Scene, kind: str) -> None:
    """And the sweeper takes old receipts away."""
    request = await a_request(scene, kind)
    await request(scene.here, keyed())
    await scene.here.sweep()
    found = await scene.store.receipts.find(TENANT, "ann", "n1", now=scene.clock.now())
    scene.clock.advance(RECEIPT_KEPT)
    await scene.here.sweep()

    assert found is not None
    assert await scene.store.receipts.find(TENANT, "ann", "n1", now=found.until - 1) is None
    assert scene.clock.now() - found.until < MINUTE


@pytest.mark.parametrize("kind", sorted(MAKES))
async def test_a_process_may_die_anywhere_in_a_request(kind: str) -> None:
    """The same request is then carried out, or was: never twice, and never less than once."""
    clean, fuse = await a_scene(), Fuse()
    await (await a_request(clean, kind))(clean.process(fuse), keyed())

    for moment in range(fuse.count):
        scene = await a_scene()
        request = await a_request(scene, kind)
        with suppress(Killed):
            await request(scene.process(Fuse(moment)), keyed())
        answers = [await patiently(scene, request) for _ in range(2)]

        assert answers[0] == answers[1], fuse.log[moment]
        assert await made(scene, kind) == 1, fuse.log[moment]
        assert len(scene.zapier.zaps) <= 1, fuse.log[moment]


@pytest.mark.parametrize("kind", sorted(MAKES))
@pytest.mark.parametrize("seed", range(5))
async def test_the_same_request_many_times_at_once_is_one(kind: str, seed: int) -> None:
    """In any interleaving; whoever is too early is told to wait."""
    scene = await a_scene()
    scene.zapier.zap_answer = ZapUnknown(problem="silence")
    request = await a_request(scene, kind)
    processes = [scene.process(Turns(Random(seed * 10 + number))) for number in range(6)]

    answers = await asyncio.gather(*(request(process, keyed()) for process in processes), return_exceptions=True)

    told = {answer for answer in answers if not isinstance(answer, IdempotencyInFlightError)}
    assert len(told) == 1, answers
    assert await made(scene, kind) == 1


@pytest.mark.parametrize("kind", ["create", "step", "popup", "named popup", "message"])
@pytest.mark.parametrize("when", ["instead", "after"])
async def test_an_answer_of_the_store_that_is_lost_for_long_is_found_by_the_repeat(
    scene: Scene, kind: str, when: str
) -> None:
    """The caller hears 503 and comes again; whether it was written or not, it is then, once."""
    script = Script()
    request = await a_request(scene, kind)
    script.goes("sessions.commit", lost_answer(), when=when, times=6)  # type: ignore[arg-type]
    with pytest.raises(StoreUnavailableError):
        await request(scene.process(script), keyed())

    answers = [await request(scene.here, keyed()) for _ in range(2)]

    assert answers[0] == answers[1]
    assert await made(scene, kind) == 1


async def test_a_lost_answer_is_no_repeat_though_others_commit_upon_it(scene: Scene) -> None:
    """The receipt that is found is one's own: the request was carried out just now, and its call must still be made."""
    session, script = await scene.ready("ann"), Script()

    async def told() -> None:
        await scene.here.commits.apply(session.key, CredentialChanged(state=CredentialState.NEEDS_SIGN_IN))

    script.goes("sessions.commit", lost_answer(), when="after", then=told)
    applied = await scene.process(script).creator.create(session.key, terms=keyed())

    assert (applied.is_replay, applied.session.status) == (False, SessionStatus.CREATED)
    assert EventName.SIGN_IN_NEEDED in await scene.told(session)
    assert len(scene.zapier.zaps) == 1


@pytest.mark.parametrize("kind", ["step", "named popup", "message"])
async def test_a_key_costs_no_exchange_with_the_store(scene: Scene, kind: str) -> None:
    """The commit that writes the receipt is the one that looks for it."""
    scripts = [Script() for _ in range(2)]
    for script, terms in zip(scripts, (Terms(), keyed()), strict=True):
        await (await a_request(scene, kind))(scene.process(script), terms)

    assert scripts[0].calls == scripts[1].calls


# --- each kind ---


async def test_a_repeat_shows_the_session_as_it_is_now(scene: Scene) -> None:
    """What was made may have changed since, or be gone; the ids and the outcome are those of then."""
    session = await scene.session("ann")
    added = StepAdded(step_id="st-new", alias="more")
    await scene.here.engine.apply(session.key, added, terms=keyed())
    now = (await scene.here.engine.apply(session.key, SessionCancelled())).session

    again = await scene.here.engine.apply(session.key, StepAdded(step_id="st-other", alias="more"), terms=keyed())

    assert (again.session, again.made, again.outcome, again.is_replay) == (now, "st-new", Outcome.APPLIED, True)


async def test_a_refusal_is_not_remembered(scene: Scene) -> None:
    """The same request may be made again once its time has come, and counts then."""
    session = await scene.session("ann")
    await scene.here.engine.apply(session.key, StepAdded(step_id="st-1", alias="more"))
    request = StepAdded(step_id="st-2", alias="more")
    with pytest.raises(AliasTakenError):
        await scene.here.engine.apply(session.key, request, terms=keyed())
    await scene.here.engine.apply(session.key, StepReset(step_id="st-1"))

    with pytest.raises(AliasTakenError):
        await scene.here.engine.apply(session.key, request, terms=keyed("n2"))
    renamed = await scene.here.engine.apply(session.key, StepAdded(step_id="st-3", alias="other"), terms=keyed())

    assert (renamed.outcome, renamed.made) == (Outcome.APPLIED, "st-3")


async def test_a_repeat_is_not_heard_again(scene: Scene) -> None:
    """Five seconds later the same words would count anew; the same request does not."""
    session = await scene.waiting("ann")
    focus = Hinted(step_id=session.steps[0].id, attempt_id="at-1", kind=HintKind.FOCUS, context=Context(visible=True))
    heard = await scene.here.engine.apply(session.key, focus, terms=keyed())
    log = await scene.store.sessions.signals(session.id)
    scene.clock.advance(30 * SECOND)

    again = await scene.here.engine.apply(session.key, focus, terms=keyed())
    other = await scene.here.engine.apply(session.key, focus, terms=keyed("n2"))

    assert (again.outcome, again.session, again.is_replay) == (Outcome.APPLIED, heard.session, True)
    assert len(log) + 1 == len(await scene.store.sessions.signals(session.id))
    assert other.outcome is Outcome.APPLIED


async def test_a_cancel_that_comes_again_does_not_cancel_what_came_after(scene: Scene) -> None:
    """The user opened another popup meanwhile."""
    session = await scene.waiting("ann")
    cancel = PopupCancelled(step_id=session.steps[0].id, attempt_id="at-1")
    await scene.here.engine.apply(session.key, cancel, terms=keyed())
    reopened = await scene.open(session, "at-2")

    again = await scene.here.engine.apply(session.key, cancel, terms=keyed())

    assert again.session == reopened.session == await scene.now(session)


async def test_a_popup_whose_step_has_another_app_by_now_is_stale(scene: Scene) -> None:
    """There is no link to answer with, and no second attempt is begun."""
    session = await scene.session("ann", "slack")
    step_id = session.steps[0].id
    await scene.here.engine.open_popup(session.key, step_id, None, terms=keyed())
    await scene.here.engine.choose_app(session.key, step_id, "gmail")

    with pytest.raises(AttemptStaleError):
        await scene.here.engine.open_popup(session.key, step_id, None, terms=keyed())

    assert await made(scene, "popup") == 1


async def test_what_a_popups_preparation_finds_is_told_until_it_opens(scene: Scene) -> None:
    """Candidates are a refusal: the same request goes ahead when it comes again, as it does without a key."""
    session = await scene.session("ann", "slack")
    step_id = session.steps[0].id
    await scene.here.engine.open_popup(session.key, step_id, "at-1")
    await scene.here.engine.apply(session.key, PopupCancelled(step_id=step_id, attempt_id="at-1"))
    scene.zapier.connect("ann", "slack", "meanwhile")
    with pytest.raises(CandidatesFoundError):
        await scene.here.engine.open_popup(session.key, step_id, None, terms=keyed())

    first, again = [await scene.here.engine.open_popup(session.key, step_id, None, terms=keyed()) for _ in range(2)]

    assert (first.attempt, first.outcome) == (again.attempt, again.outcome)
    assert (first.is_replay, again.is_replay) == (False, True)


async def test_one_key_never_opens_two_intents(scene: Scene) -> None:
    """Zapier said no, and the session can be edited: a new wish needs a new key."""
    session = await scene.ready("ann")
    scene.zapier.zap_answer = ZapNotMade(status=400, problem="no")
    failed = await scene.here.creator.create(session.key, terms=keyed())
    scene.zapier.zap_answer = MADE

    again = await scene.here.creator.create(session.key, terms=keyed())
    anew = await scene.here.creator.create(session.key, terms=keyed("n2"))
    late = await scene.here.creator.create(session.key, terms=keyed())

    assert (again.session, again.outcome) == (failed.session, Outcome.APPLIED)
    assert (anew.session.status, anew.outcome) == (SessionStatus.CREATED, Outcome.APPLIED)
    assert (late.session, late.outcome, late.is_replay) == (anew.session, Outcome.DUPLICATE, True)
    assert len(scene.zapier.zaps) == 2


async def test_while_the_call_is_under_way_a_repeat_is_told_to_wait(scene: Scene) -> None:
    """It takes no permit for itself, and makes no call."""
    session, told = await scene.ready("ann"), []

    async def repeat() -> None:
        held = await scene.held()
        try:
            await scene.process().creator.create(session.key, terms=keyed())
        except IdempotencyInFlightError as in_flight:
            told.append((in_flight.retry_after > 0, await scene.held() - held))

    scene.zapier.meanwhile("zaps", repeat)
    await scene.here.creator.create(session.key, terms=keyed())

    assert told == [(True, 0)]
    assert len(scene.zapier.zaps) == 1


async def test_a_rival_that_commits_first_costs_no_permit(scene: Scene) -> None:
    """Both looked at Zapier; the one that finds the other's receipt gives its permit back."""
    session, script = await scene.ready("ann"), Script()
    scene.zapier.zap_answer = ZapNotMade(status=400, problem="no")

    async def rival() -> None:
        await scene.here.creator.create(session.key, terms=keyed())

    script.goes("sessions.commit", lost_answer(), then=rival)
    before = len(scene.zapier.requests)
    applied = await scene.process(script).creator.create(session.key, terms=keyed())
    asked = len(scene.zapier.requests) - before

    assert (applied.is_replay, len(scene.zapier.zaps), asked) == (True, 1, 5)
    assert await scene.held() == len(scene.zapier.requests)


# --- beginning a session ---


async def test_a_key_is_bound_to_its_body_whoever_it_speaks_of(scene: Scene) -> None:
    """Another user's session lies somewhere else, and the key is still known."""
    await scene.sign_in("bob")
    ann, bob = (NewSession(tenant_id=TENANT, user_id=user) for user in ("ann", "bob"))
    await scene.here.engine.create_session(ann, terms=keyed())

    with pytest.raises(IdempotencyKeyReusedError):
        await scene.here.engine.create_session(bob, terms=keyed(fingerprint="f2"))

    assert await scene.store.sessions.of_user(TENANT, "bob") == ()


async def test_a_session_that_is_no_longer_kept_is_not_begun_again(scene: Scene) -> None:
    """Its time came and went within the day: the request was carried out."""
    new = NewSession(tenant_id=TENANT, user_id="ann")
    begun = (await scene.here.engine.create_session(new, terms=keyed())).session
    ended = (await scene.here.engine.apply(begun.key, SessionCancelled())).session
    await scene.store.sessions.purge(ended)

    with pytest.raises(SessionNotFoundError):
        await scene.here.engine.create_session(new, terms=keyed())


@pytest.mark.parametrize("app", [None, "slack"])
async def test_a_reference_leads_to_the_live_session(scene: Scene, app: str | None) -> None:
    """Whatever else the repeat says, and without asking Zapier again."""
    steps = (NewStep(app_id=app),)
    new = NewSession(tenant_id=TENANT, user_id="ann", reference="order", steps=steps)
    first = await scene.here.engine.create_session(new)
    calls = len(scene.zapier.requests)

    again = await scene.here.engine.create_session(
        NewSession(tenant_id=TENANT, user_id="ann", reference="order", title="other", steps=(*steps, *steps))
    )

    assert (first.outcome, again.outcome) == (Outcome.APPLIED, Outcome.DUPLICATE)
    assert again.session == first.session
    assert len(scene.zapier.requests) == calls


async def test_a_reference_is_free_when_its_session_ends(scene: Scene) -> None:
    """The next session is another one."""
    new = NewSession(tenant_id=TENANT, user_id="ann", reference="order")
    first = (await scene.here.engine.create_session(new)).session
    await scene.here.engine.apply(first.key, SessionCancelled())

    second = await scene.here.engine.create_session(new)

    assert (second.outcome, second.session.id != first.id) == (Outcome.APPLIED, True)


@pytest.mark.parametrize("seed", range(5))
async def test_sessions_of_one_reference_begun_at_once_are_one(scene: Scene, seed: int) -> None:
    """One began it, the others were led to it."""
    new = NewSession(tenant_id=TENANT, user_id="ann", reference="order", steps=(NewStep(app_id="slack"),))
    processes = [scene.process(Turns(Random(seed * 10 + number))) for number in range(6)]

    begun = await asyncio.gather(*(process.engine.create_session(new) for process in processes))

    assert len({one.session.id for one in begun}) == 1
    assert [one.outcome for one in begun].count(Outcome.APPLIED) == 1


# --- preconditions ---


async def test_a_session_at_another_number_is_not_written(scene: Scene) -> None:
    """It is refused, logged, and told where it is; at the right number it is written."""
    session = await scene.session("ann")

    with pytest.raises(PreconditionFailedError) as refused:
        await scene.here.engine.apply(session.key, SessionChanged(title="x"), terms=Terms(seqs=frozenset({0, 9})))
    (record,) = await scene.store.sessions.signals(session.id)
    changed = await scene.here.engine.apply(
        session.key, SessionChanged(title="x"), terms=Terms(seqs=frozenset({session.seq}))
    )

    assert refused.value.seq == session.seq
    assert (record.outcome, record.detail) == (Outcome.REFUSED, "precondition_failed")
    assert changed.session.title == "x"


async def test_a_precondition_holds_at_the_very_moment_of_writing(scene: Scene) -> None:
    """Somebody commits between our reading and our writing: then we do not write."""
    session, script = await scene.session("ann"), Script()

    async def win() -> None:
        await scene.here.engine.apply(session.key, SessionChanged(title="theirs"))

    script.goes("sessions.commit", StaleVersionError(session_id=session.id), then=win)
    with pytest.raises(PreconditionFailedError):
        await scene.process(script).engine.apply(
            session.key, SessionChanged(title="ours"), terms=Terms(seqs=frozenset({session.seq}))
        )

    assert (await scene.now(session)).title == "theirs"


@pytest.mark.parametrize("seed", range(5))
async def test_of_many_writers_that_know_the_same_session_one_writes(scene: Scene, seed: int) -> None:
    """The others are told that it is another one by now."""
    session = await scene.session("ann")
    terms = Terms(seqs=frozenset({session.seq}))
    writers = [
        scene.process(Turns(Random(seed * 10 + number))).engine.apply(
            session.key, SessionChanged(title=str(number)), terms=terms
        )
        for number in range(6)
    ]

    outcomes = await asyncio.gather(*writers, return_exceptions=True)

    assert sum(isinstance(outcome, PreconditionFailedError) for outcome in outcomes) == 5


async def test_a_repeat_is_answered_though_it_changed_the_number_itself(scene: Scene) -> None:
    """Its precondition held when it was carried out."""
    session = await scene.session("ann")
    terms = Terms(idempotency=keyed().idempotency, seqs=frozenset({session.seq}))
    first = await scene.here.engine.apply(session.key, StepAdded(step_id="st-1"), terms=terms)

    again = await scene.here.engine.apply(session.key, StepAdded(step_id="st-2"), terms=terms)

    assert (again.made, again.session, again.is_replay) == ("st-1", first.session, True)


async def test_what_prepares_a_popup_does_not_break_its_precondition(scene: Scene) -> None:
    """The baseline is read anew, which is an event; the popup builds on that, and on nothing else."""
    session = await scene.session("ann", "slack")
    step_id = session.steps[0].id
    scene.clock.advance(6 * MINUTE)

    opened = await scene.here.engine.open_popup(session.key, step_id, None, terms=Terms(seqs=frozenset({session.seq})))

    told = [event.name for event in await scene.events(session)][session.seq :]
    assert told == [EventName.AUTHENTICATIONS_REFRESHED, EventName.POPUP_OPENED]
    assert opened.session.seq == session.seq + 2


async def test_a_popup_is_not_opened_on_a_session_that_changed_while_it_was_prepared(scene: Scene) -> None:
    """Not even when the change came before the listing was written."""
    session = await scene.session("ann", "slack")
    scene.clock.advance(6 * MINUTE)

    async def win() -> None:
        await scene.here.engine.apply(session.key, SessionChanged(title="theirs"))

    scene.zapier.meanwhile("authentications", win)
    with pytest.raises(PreconditionFailedError):
        await scene.here.engine.open_popup(
            session.key, session.steps[0].id, None, terms=Terms(seqs=frozenset({session.seq}))
        )

    assert await made(scene, "popup") == 0


@pytest.mark.parametrize("write", ["choose_app", "same app", "choose_action", "select", "open_popup", "create"])
async def test_every_write_keeps_to_its_precondition(scene: Scene, write: str) -> None:
    """Before Zapier is asked for anything."""
    session = await (scene.ready("ann") if write == "create" else scene.session("ann", "slack"))
    step_id, terms, engine = session.steps[0].id, Terms(seqs=frozenset({99})), scene.here.engine
    calls = len(scene.zapier.requests)
    writes: dict[str, Awaitable[object]] = {
        "choose_app": engine.choose_app(session.key, step_id, "gmail", terms=terms),
        "same app": engine.choose_app(session.key, step_id, "slack", terms=terms),
        "choose_action": engine.choose_action(session.key, step_id, SEND, terms=terms),
        "select": engine.select(session.key, step_id, "a1", terms=terms),
        "open_popup": engine.open_popup(session.key, step_id, None, terms=terms),
        "create": scene.here.creator.create(session.key, terms=terms),
    }
    for name, unused in writes.items():
        if name != write:
            unused.close()  # type: ignore[attr-defined]

    with pytest.raises(PreconditionFailedError):
        await writes[write]

    assert len(scene.zapier.requests) == calls
    assert await scene.now(session) == session


# --- any order ---


@dataclass(frozen=True, slots=True)
class Delivery:
    """One arrival of the request of this number at a process that dies, or loses an answer, at a moment."""

    number: int
    dies_at: int | None
    loses: bool


deliveries = st.builds(Delivery, number=st.integers(0, 2), dies_at=st.none() | st.integers(0, 9), loses=st.booleans())
others = st.sampled_from(["title", "cancel popup", "open popup", "reset", "time"])


@given(
    kinds=st.lists(st.sampled_from(sorted(set(MAKES) - {"create", "zap"})), min_size=3, max_size=3),
    story=st.lists(deliveries | others, max_size=25),
)
async def test_any_order_of_arrivals_deaths_and_other_writes(kinds: list[str], story: list[Delivery | str]) -> None:
    """Each request makes at most one thing, whoever else writes in between, and answers always name the same one."""
    scene = await a_scene()
    session = await scene.session("ann", "slack")
    told: dict[int, set[str | None]] = {}
    for number, part in enumerate(story):
        if isinstance(part, str):
            with suppress(ZapwrightError):
                await _write(scene, session, part, number)
            continue
        script_or_fuse = Fuse(part.dies_at)
        process = scene.process(script_or_fuse)
        if part.loses:
            script = Script()
            script.goes("sessions.commit", lost_answer(), when="after", times=6)
            process = scene.process(script)
        with suppress(Killed, ZapwrightError):
            made_now = await _deliver(process, session, kinds[part.number], keyed(f"n{part.number}"), part.number)
            told.setdefault(part.number, set()).add(made_now)

    assert all(len(made_ids) == 1 for made_ids in told.values())
    events = await scene.events(session)
    opened = [event.data["attempt_id"] for event in events if event.name is EventName.POPUP_OPENED]
    added = [event.step_id for event in events if event.name is EventName.STEP_ADDED]
    assert len(set(opened)) == len(opened)
    assert len(added) <= kinds.count("step")
    assert sum(str(attempt_id).startswith("at-o") for attempt_id in opened) <= story.count("open popup")


async def _write(scene: Scene, session: Session, write: str, number: int) -> None:
    step_id = session.steps[0].id
    match write:
        case "title":
            await scene.here.engine.apply(session.key, SessionChanged(title=str(number)))
        case "open popup":
            await scene.here.engine.open_popup(session.key, step_id, f"at-o{number}")
        case "cancel popup":
            await scene.here.engine.apply(session.key, PopupCancelled(step_id=step_id, attempt_id="at-page-0"))
        case "reset":
            await scene.here.engine.apply(session.key, StepReset(step_id=step_id))
            await scene.here.engine.choose_app(session.key, step_id, "slack")
        case _:
            scene.clock.advance(30 * SECOND)


async def _deliver(process: Process, session: Session, kind: str, terms: Terms, number: int) -> str | None:
    step_id = session.steps[0].id
    match kind:
        case "step":
            added = StepAdded(step_id=process.engine.new_step_id(), alias=f"s{number}")
            return (await process.engine.apply(session.key, added, terms=terms)).made
        case "popup":
            return (await process.engine.open_popup(session.key, step_id, None, terms=terms)).attempt.id
        case "named popup":
            return (await process.engine.open_popup(session.key, step_id, f"at-page-{number}", terms=terms)).attempt.id
        case _:
            said = Hinted(step_id=step_id, attempt_id=f"at-page-{number}", kind=HintKind.FINISHED)
            await process.engine.apply(session.key, said, terms=terms)
            return None
