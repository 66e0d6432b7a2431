"""Why a session or an app is as it is: a sentence for everything that can be, and what to do."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from orchestrator.core.deliveries import Answer, Delivery, Lane
from orchestrator.core.endpoints import Pause
from orchestrator.core.events import EventName
from orchestrator.core.health import UNFINISHED, Fate, Jump, Rate
from orchestrator.core.ports.budget import Usage
from orchestrator.core.ports.credentials import CredentialState, SignInReason, Standing
from orchestrator.core.ports.sessions import Outcome
from orchestrator.core.ports.upstream import ZapMade, ZapNotMade, ZapUnknown
from orchestrator.core.ports.watches import PAUSED, Waiter, Watch
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    MINUTE,
    SECOND,
    AttemptEnd,
    BrowserFamily,
    Hint,
    HintKind,
    Instant,
    Millis,
    Reason,
    Session,
    StepState,
    WatchKey,
    ZapMatch,
)
from orchestrator.core.signals import (
    CheckWanted,
    Context,
    DeadlinesExtended,
    SessionCancelled,
    StepReset,
    ZapAnswered,
    ZapRequested,
    ZapsListed,
)
from orchestrator.core.values import replace
from orchestrator.core.waiting import STUCK_AFTER, stuck_by
from orchestrator.core.waiting import waiting as waits_in
from orchestrator.core.why.apps import why_app
from orchestrator.core.why.checks import of_check
from orchestrator.core.why.facts import AppFacts, Conditions, SessionFacts, Undelivered
from orchestrator.core.why.findings import Verdict
from orchestrator.core.why.sessions import why_session
from orchestrator.core.why.words import clock
from tests.support.diagnoses import check_diagnosis
from tests.support.stories import NOON, Story
from tests.support.webhook_values import an_endpoint

ACTIVE = Standing(tenant_id="default", user_id="ada", generation=1, account="1")
KEY = WatchKey(tenant_id="default", user_id="ada", app_id="slack")
JUMP = Jump(since=NOON, minutes=5, recent=Rate(lost=8, resolved=10), usual=Rate(lost=2, resolved=100))


@dataclass(frozen=True, kw_only=True)
class Known:
    """What is known beside the session; by default all is well."""

    now: Instant = NOON
    held: int = 3
    cooldown_until: Instant = 0
    workers: int = 2
    watch: Watch | None = None
    credential: Standing | None = ACTIVE
    undelivered: tuple[Undelivered, ...] = ()
    jump: Jump | None = None

    def of(self, session: Session) -> SessionFacts:
        """Return it together with the session."""
        egress = Usage(name="default", held=self.held, limit=60, cooldown_until=self.cooldown_until)
        partner = Usage(name="client", held=3, limit=0)
        return SessionFacts(
            session=session,
            conditions=Conditions(now=self.now, policy=Policy(), budget=(egress, partner), workers=self.workers),
            credential=self.credential,
            watches={} if self.watch is None else {self.watch.key.app_id: self.watch},
            undelivered=self.undelivered,
            jumps={} if self.jump is None else {"slack": self.jump},
        )


WELL = Known()


def told(session: Session, known: Known = WELL) -> list[tuple[str, str]]:
    """Return what is said of a session, by its codes; everything said keeps the rules of all diagnoses."""
    return [(finding.code, finding.says) for finding in check_diagnosis(known.of(session)).findings]


def codes(session: Session, known: Known = WELL) -> list[str]:
    """Return the codes alone."""
    return [code for code, _ in told(session, known)]


def waiting() -> Story:
    """Begin with a step whose popup is open."""
    return Story().choose("slack", "old").open()


def watch(story: Story, **changes: object) -> Watch:
    """Return the watch on which the story's step waits, checked next when it says."""
    due = story.watches["slack"].due.soonest
    waiter = Waiter(session_id=story.session.id, step_id="s1")
    kept = Watch(key=KEY, waiters=(waiter,), next_check_at=due)
    return replace(kept, **changes)  # type: ignore[arg-type]


# --- sessions -------------------------------------------------------------------------------------------------


def test_what_is_over_is_said_to_be_over() -> None:
    """And nothing else, whatever its steps look like."""
    created, cancelled, expired = (waiting() for _ in range(3))
    created.settle("old").act().feed(ZapRequested(intent_id="i1"))
    created.feed(ZapAnswered(intent_id="i1", answer=ZapMade(zap_id="z1", editor_url=None)))
    cancelled.feed(SessionCancelled())
    expired.later(25 * 60 * MINUTE).feed(expired.time_passed())
    no_moment = replace(cancelled.session, ended_at=None)

    assert told(created.session) == [("zap_created", "The Zap was created at 08:00:00 UTC.")]
    assert told(cancelled.session) == [("session_cancelled", "The session was cancelled at 08:00:00 UTC.")]
    assert told(no_moment) == [("session_cancelled", "The session was cancelled.")]
    assert codes(expired.session) == ["session_expired"]
    assert "16 Jan" in told(expired.session)[0][1]
    assert why_session(WELL.of(expired.session)).verdict is Verdict.OVER


def test_a_zap_that_is_being_created_is_followed_to_its_end() -> None:
    """Its answer is waited for, its Zap is looked for, and then only a person can tell."""
    story = waiting().settle("old").act()
    assert told(story.session) == [("ready", "Every step is connected, where it has to be, and has its action.")]
    story.feed(ZapRequested(intent_id="i1"))
    creating = story.session
    story.feed(ZapAnswered(intent_id="i1", answer=ZapUnknown(problem="no answer in time")))
    looking = story.session
    match = ZapMatch(id="z1", title="Leads")
    for _ in range(2):
        story.later(MINUTE).feed(ZapsListed(intent_id="i1", matches=(match,), complete=False))
    late = Known(now=story.now + 5 * MINUTE)

    assert codes(creating) == ["creating"]
    assert codes(creating, late) == ["creation_overdue"]
    assert codes(looking) == ["looking_for_zap"]
    assert codes(looking, late) == ["look_overdue"]
    assert codes(story.session, late) == ["create_unknown"]
    assert "1 of the user's Zaps may be it" in told(story.session, late)[0][1]
    nothing = replace(story.session, zap=replace(story.session.zap, matches=(), problem=None))
    assert "(no answer); none of the user's Zaps looks like it" in told(nothing, late)[0][1]


def test_a_zap_that_was_not_created_is_the_users_again() -> None:
    """With what Zapier said; not as ready beside that."""
    story = waiting().settle("old").act()
    story.feed(ZapRequested(intent_id="i1"))
    story.feed(ZapAnswered(intent_id="i1", answer=ZapNotMade(status=400, problem="invalid inputs")))
    silent = replace(story.session, zap=replace(story.session.zap, problem=None))

    assert told(story.session) == [("zap_failed", "Zapier did not create the Zap: invalid inputs.")]
    assert "it did not say why" in told(silent)[0][1]


def test_a_session_of_which_its_user_does_nothing_is_the_users() -> None:
    """Without steps, without apps, without actions."""
    empty = replace(Story().session, steps=())
    bare, chosen = Story(), Story().choose("slack", "old", "other")
    free = Story()
    free.feed(free.chosen("formatter", needs_auth=False))

    assert codes(empty) == ["no_steps"]
    assert codes(bare.session) == ["choose_app"]
    assert told(chosen.session)[0][1].startswith("Step 1 (Slack) needs an authentication, and nothing was tried yet")
    assert codes(chosen.settle("old").session) == ["choose_action"]
    assert codes(free.session) == ["choose_action"]


def test_who_is_signed_out_is_told_so_instead_of_checks() -> None:
    """Nothing is asked in their name meanwhile."""
    story = waiting()
    refused = Known(
        credential=replace(ACTIVE, state=CredentialState.NEEDS_SIGN_IN), watch=watch(story, retry_at=PAUSED)
    )
    nobody = Known(credential=None, watch=watch(story))

    assert codes(story.session, refused) == ["sign_in_needed", "awaiting_popup"]
    assert "Zapier refuses the user's token" in told(story.session, refused)[0][1]
    assert "has no Zapier credential" in told(story.session, nobody)[0][1]


def test_who_never_signed_in_is_not_told_to_do_it_again() -> None:
    """They have never heard of it."""
    session = waiting().session
    signed_out = replace(ACTIVE, state=CredentialState.NEEDS_SIGN_IN)
    (never,), (again,) = (
        [one.do for one in check_diagnosis(Known(credential=one).of(session)).findings if one.code == "sign_in_needed"]
        for one in (None, signed_out)
    )

    assert never == "Have the user sign in to Zapier; what waits then goes on by itself."
    assert again == "Have the user sign in to Zapier again; what waits then goes on by itself."


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        (SignInReason.TOKEN_REFUSED, "none to follow it"),
        (SignInReason.REFRESH_REFUSED, "used elsewhere"),
        (SignInReason.REFRESH_OUTCOME_LOST, "answer was lost"),
    ],
)
def test_why_a_user_has_to_sign_in_is_said(reason: SignInReason, word: str) -> None:
    """It tells an operator whether somebody else uses the token."""
    signed_out = replace(ACTIVE, state=CredentialState.NEEDS_SIGN_IN, reason=reason)

    assert word in told(waiting().session, Known(credential=signed_out))[0][1]


def test_a_deadline_that_is_near_or_past_is_said() -> None:
    """Past it, somebody should have ended the session, unless a popup is waited for."""
    story = Story().choose("slack", "old")
    ends = story.session.deadline
    popup = waiting()

    assert codes(story.session, Known(now=ends - 11 * MINUTE)) == ["connect"]
    assert codes(story.session, Known(now=ends - MINUTE)) == ["connect", "deadline_near"]
    assert codes(story.session, Known(now=ends + MINUTE)) == ["expiry_overdue", "connect"]
    assert "expiry_overdue" not in codes(
        popup.session, Known(now=popup.session.deadline + MINUTE, watch=watch(popup, next_check_at=None))
    )


# --- steps ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_has_its_words(reason: Reason) -> None:
    """And something to do; candidates are counted."""
    story = Story().choose("slack", "old")
    step = replace(story.step(), state=StepState.NEEDS_AUTH, reason=reason)
    offered = replace(step, candidates=story.step().baseline.authentications)  # type: ignore[union-attr]

    said = check_diagnosis(WELL.of(replace(story.session, steps=(step,)))).findings
    assert [finding.code for finding in said] == [reason.value]
    assert said[0].do
    assert said[0].verdict is Verdict.USER
    assert "1 candidate can be chosen" in told(replace(story.session, steps=(offered,)))[0][1]


@pytest.mark.parametrize("reason", sorted(set(Reason) - {Reason.UNANSWERED}))
def test_where_the_user_has_to_try_again_it_does_not_go_on_by_itself(reason: Reason) -> None:
    """Though what a popup may have made is still looked for, and another step's popup is open."""
    story = waiting()
    ended = replace(story.step().attempts[0], ended=AttemptEnd.OFFERED)
    tried = replace(story.step(), id="s0", state=StepState.NEEDS_AUTH, reason=reason, attempts=(ended,))
    both = replace(story.session, steps=(tried, story.step()))
    waits = tuple(Waiter(session_id=story.session.id, step_id=step_id) for step_id in ("s0", "s1"))
    diagnosis = check_diagnosis(Known(watch=watch(story, waiters=waits)).of(both))

    assert diagnosis.verdict is Verdict.USER
    assert [one.code for one in diagnosis.findings] == [
        reason.value,
        "check_planned",
        "awaiting_popup",
        "check_planned",
    ]


def test_what_is_under_way_comes_before_what_the_user_has_yet_to_build() -> None:
    """A step without an app is no news beside a popup that is waited for, or a worker that is missing."""
    story = waiting()
    empty = replace(Story().step(), id="s0")
    both = replace(story.session, steps=(empty, story.step()))
    diagnosis = check_diagnosis(Known(watch=watch(story), workers=0).of(both))

    assert diagnosis.verdict is Verdict.WORKING
    assert [one.code for one in diagnosis.findings] == ["awaiting_popup", "worker_missing", "choose_app"]


def test_time_outs_are_not_explained_by_what_nobody_can_see() -> None:
    """The user left, or the site failed."""
    story = waiting().later(11 * MINUTE)
    story.feed(story.listed("old"), reason=Reason.TIMED_OUT, state=StepState.NEEDS_AUTH)

    assert UNFINISHED in told(story.session, Known(now=story.now))[0][1]


def in_front(until: Millis) -> Story:
    """Begin with a step whose popup is open, and whose page is in front of the user for so long."""
    story = waiting()
    attempt = replace(story.step().attempts[0], visible_until=NOON + until)
    story.session = replace(story.session, steps=(replace(story.step(), attempts=(attempt,)),))
    return story


def test_who_opened_a_popup_just_now_is_left_alone() -> None:
    """They are in it; asked back are those of whom something was heard, or whose popup is open for a minute."""
    story = in_front(2 * MINUTE)
    known = Known(now=NOON + 59 * SECOND, watch=watch(story))
    young = why_session(known.of(story.session)).findings[0]
    old = why_session(replace(known, now=NOON + MINUTE).of(story.session)).findings[0]
    story.feed(story.hint(HintKind.FOCUS, context=Context(visible=True)))
    back = why_session(known.of(story.session)).findings[0]

    assert young.says.endswith(". The user is probably in it just now.")
    assert (young.code, young.do) == ("awaiting_popup", None)
    assert old.do is not None
    assert back.do is not None


def test_what_was_heard_of_a_popup_is_told() -> None:
    """Nothing, what the page said, that it was left, or a message that is still to be confirmed."""
    story = waiting()
    silent = told(story.session, Known(watch=watch(story)))[0][1]
    story.feed(story.hint(HintKind.FOCUS, context=Context(visible=True)))
    seen = told(story.session, Known(watch=watch(story)))[0][1]
    story.later(SECOND).feed(CheckWanted(step_id="s1"))
    story.feed(story.hint(HintKind.CLOSED, context=Context(gone=True)))
    left = told(story.session, Known(now=story.now, watch=watch(story)))[0][1]
    story.feed(story.message("new"))
    message = told(story.session, Known(now=story.now, watch=watch(story)))[0][1]
    visible = in_front(2 * MINUTE)
    after_a_minute = dict(told(visible.session, Known(now=NOON + MINUTE, watch=watch(story))))["awaiting_popup"]

    assert "No message came, and nothing was heard of it yet." in silent
    assert "No message came, and the page is in front of the user." in after_a_minute
    assert "the user was back at 08:00:00 UTC" in seen
    assert "an operator wanted a check at 08:00:01 UTC" in left
    assert left.endswith("the page was left.")
    assert "Its message came at 08:00:01 UTC" in message


@pytest.mark.parametrize("kind", HintKind)
def test_every_hint_has_its_words(kind: HintKind) -> None:
    """With when it last came."""
    story = waiting()
    attempt = replace(story.step().attempts[0], hints=(Hint(kind=kind, at=NOON + SECOND),))
    session = replace(story.session, steps=(replace(story.step(), attempts=(attempt,)),))

    assert told(session, Known(watch=watch(story)))[0][1].endswith(" at 08:00:01 UTC.")


@pytest.mark.parametrize("heard", [None, 29 * SECOND, 30 * SECOND], ids=["silent", "just heard", "heard"])
@pytest.mark.parametrize("late", [-SECOND, 29 * SECOND, 30 * SECOND], ids=["in time", "late", "overdue"])
@pytest.mark.parametrize(
    "known",
    [
        Known(),
        Known(workers=0),
        Known(held=60),
        Known(cooldown_until=NOON + 5 * MINUTE),
        Known(credential=None),
        Known(credential=replace(ACTIVE, state=CredentialState.NEEDS_SIGN_IN)),
    ],
    ids=["well", "no worker", "full", "cooldown", "no credential", "signed out"],
)
def test_who_is_stuck_is_so_wherever_it_is_said(heard: Millis | None, late: Millis, known: Known) -> None:
    """By one rule for lists, counts, an app and a session, whatever it is that holds them up."""
    story, now = waiting(), NOON + 2 * MINUTE
    hints = () if heard is None else (Hint(kind=HintKind.FINISHED, at=now - heard),)
    attempt = replace(story.step().attempts[0], hints=hints)
    session = replace(story.session, steps=(replace(story.step(), attempts=(attempt,)),))
    facts = replace(known, now=now, watch=watch(story, next_check_at=now - late)).of(session)
    listed = stuck_by(waits_in(session), is_overdue=late >= STUCK_AFTER, now=now)

    assert (check_diagnosis(facts).verdict is Verdict.STUCK) is (listed is not None)
    assert (why_app(app(facts)).verdict is Verdict.STUCK) is (listed is not None)


def test_who_was_heard_too_long_ago_is_said_to_be_stuck_though_checks_go_on() -> None:
    """Zapier fails, or finds nothing: it goes on, and yet somebody waits in vain."""
    story, now = waiting(), NOON + 2 * MINUTE
    attempt = replace(story.step().attempts[0], hints=(Hint(kind=HintKind.FINISHED, at=now - 45 * SECOND),))
    session = replace(story.session, steps=(replace(story.step(), attempts=(attempt,)),))
    failing = watch(story, next_check_at=now + SECOND, retry_at=now + SECOND, failures=2)

    assert told(session, Known(now=now, watch=failing))[0] == (
        "not_found_yet",
        (
            "The user was through at 08:01:15 UTC, as far as their page can say, and nothing that they may have "
            "connected was found in the 45 s since."
        ),
    )
    assert "zapier_fails" in codes(session, Known(now=now, watch=failing))


def test_a_popup_that_nobody_knows_of_is_said_to_be_wrong() -> None:
    """No signal leads there."""
    story = waiting()
    broken = replace(story.session, steps=(replace(story.step(), attempts=()),))

    assert why_session(WELL.of(broken)).findings[0].code == "no_attempt"


# --- checks ---------------------------------------------------------------------------------------------------


DUE = NOON + MINUTE


@pytest.mark.parametrize(
    ("changes", "known", "code", "verdict"),
    [
        ({}, Known(), "check_planned", Verdict.WORKING),
        ({"lease_token": "t", "lease_until": DUE}, Known(), "checking", Verdict.WORKING),
        ({"retry_at": PAUSED, "next_check_at": None}, Known(), "resuming", Verdict.WORKING),
        ({"next_check_at": None}, Known(), "no_check_planned", Verdict.WORKING),
        ({}, Known(cooldown_until=NOON + SECOND), "cooldown", Verdict.WORKING),
        ({"retry_at": DUE, "failures": 2}, Known(), "zapier_fails", Verdict.WORKING),
        ({"retry_at": DUE, "failures": 0}, Known(), "check_put_off", Verdict.WORKING),
        ({}, Known(now=DUE + SECOND), "check_due", Verdict.WORKING),
        ({}, Known(now=DUE + MINUTE), "worker_missing", Verdict.STUCK),
        ({}, Known(workers=0), "worker_missing", Verdict.WORKING),
        ({}, Known(workers=0, cooldown_until=NOON + SECOND), "worker_missing", Verdict.WORKING),
        ({}, Known(now=DUE + SECOND, workers=0), "worker_missing", Verdict.WORKING),
        ({}, Known(now=DUE + STUCK_AFTER, workers=0), "worker_missing", Verdict.STUCK),
        ({}, Known(now=DUE + MINUTE, cooldown_until=DUE + 2 * MINUTE), "cooldown", Verdict.STUCK),
        ({}, Known(now=DUE + SECOND, held=60), "budget_used_up", Verdict.WORKING),
        ({}, Known(now=DUE + MINUTE, held=60), "budget_used_up", Verdict.STUCK),
    ],
)
def test_what_holds_a_check_up_is_said_once(
    changes: dict[str, object], known: Known, code: str, verdict: Verdict
) -> None:
    """When Zapier is asked next, or the one thing that it waits for."""
    story = waiting()
    diagnosis = check_diagnosis(
        replace(known, watch=watch(story, **{"next_check_at": DUE, **changes})).of(story.session)
    )

    assert {finding.code for finding in diagnosis.findings} == {"awaiting_popup", code}
    assert diagnosis.verdict is verdict


def test_while_no_worker_runs_nobody_is_told_that_a_check_helps_now() -> None:
    """Neither while a popup is open, nor when it was waited for in vain."""
    story = waiting()
    known = Known(now=NOON + 20 * MINUTE, watch=watch(story), workers=0)
    left = replace(story.session, steps=(replace(story.step(), state=StepState.NEEDS_AUTH, reason=Reason.TIMED_OUT),))

    for session, code in ((story.session, "awaiting_popup"), (left, "timed_out")):
        idle, well = (
            {one.code: one.do or "" for one in why_session(facts.of(session)).findings}
            for facts in (known, replace(known, workers=2))
        )
        assert idle["worker_missing"].startswith("Start one: `zapwright worker`;")
        assert idle[code].startswith("Once a worker runs: ")
        assert idle[code].casefold() == f"once a worker runs: {well[code]}".casefold()


def test_of_a_step_that_waits_for_nothing_no_check_is_spoken_of() -> None:
    """It was reset, or another session's step waits on the watch."""
    story = waiting()
    other = replace(watch(story), waiters=(Waiter(session_id="zs00bbbbbbbb", step_id="s1"),))
    story.feed(StepReset(step_id="s1"))

    assert codes(story.session, Known(watch=watch(story))) == ["choose_app"]
    again = Story().choose("slack", "old")
    assert codes(again.session, Known(watch=other)) == ["connect"]


def test_messages_that_get_lost_are_said_where_somebody_waits() -> None:
    """With since when, how often, and how often it is usual."""
    story = waiting()
    known = Known(watch=watch(story), jump=JUMP)
    says = dict(told(story.session, known))["messages_lost"]

    assert "since 08:00:00 UTC 8 of 10 accounts connected came without their message (80 %, usually 2 %)" in says
    in_firefox = replace(known, jump=replace(JUMP, browser=BrowserFamily.FIREFOX))
    assert "connected in Firefox came" in dict(told(story.session, in_firefox))["messages_lost"]


# --- webhooks -------------------------------------------------------------------------------------------------


def test_what_webhooks_have_not_received_is_said() -> None:
    """Whoever is paused, dead, or only late."""
    story = Story()
    paused = an_endpoint("a", paused=Pause.GONE, paused_at=NOON)

    def said(undelivered: Undelivered) -> tuple[str, Verdict]:
        finding = next(
            one
            for one in why_session(Known(undelivered=(undelivered,)).of(story.session)).findings
            if one.code != "choose_app"
        )
        return finding.code, finding.verdict

    assert said(Undelivered(endpoint=paused, pending=1)) == ("endpoint_paused", Verdict.STUCK)
    assert said(Undelivered(endpoint=replace(paused, paused_at=None))) == ("endpoint_paused", Verdict.FINE)
    assert said(Undelivered(endpoint=an_endpoint(), dead=2)) == ("deliveries_dead", Verdict.STUCK)
    assert said(Undelivered(endpoint=an_endpoint(), pending=1)) == ("deliveries_failing", Verdict.FINE)


def test_how_often_an_event_was_sent_in_vain_is_said_with_what_came_of_it() -> None:
    """And when it is tried next."""
    lane = Lane(tenant_id="default", endpoint_id="a", session_id="zs00")
    failing = untried = Delivery(
        lane=lane, seq=1, name=EventName.SESSION_CREATED, message_id="m", created_at=NOON, next_at=NOON
    )
    nobody, broken = (
        Answer(status=status, took=3, problem=problem)
        for status, problem in ((None, "nobody has this name"), (500, None))
    )

    def says(pending: int, failing: Delivery | None, *, workers: int = 2) -> str:
        undelivered = Undelivered(endpoint=an_endpoint("a"), pending=pending, failing=failing)
        found = dict(told(Story().session, Known(undelivered=(undelivered,), workers=workers)))
        return found["deliveries_failing"].removeprefix(f"Webhook endpoint {an_endpoint('a').id} has not received ")

    for _ in range(3):
        failing = failing.after(nobody, at=NOON, now=NOON, jitter=0.5)
    broke = untried.after(broken, at=NOON, now=NOON - MINUTE, jitter=0.5)

    assert says(1, failing) == (
        "1 event of this session yet: "
        f"tried 3 times, last: nobody has this name; next at {clock(failing.next_at, NOON)}."
    )
    assert says(2, broke) == ("2 events of this session yet: tried once, last: it answered 500; next any moment.")
    assert says(2, broke, workers=0).endswith("last: it answered 500; next when a worker runs (none does).")
    assert "last: no answer; " in says(1, replace(failing, tries=()))
    assert says(2, None).endswith("each is tried again by itself.")


def test_who_has_to_go_on_is_the_user_whatever_webhooks_wait() -> None:
    """A session that is over stays over: that they are sent again is said beside it."""
    undelivered = (Undelivered(endpoint=an_endpoint(), pending=1),)
    building, over = Story(), Story()
    over.feed(SessionCancelled())

    assert why_session(Known(undelivered=undelivered).of(building.session)).verdict is Verdict.USER
    ended = why_session(Known(undelivered=undelivered).of(over.session))
    assert (ended.verdict, [one.code for one in ended.findings]) == (
        Verdict.OVER,
        ["session_cancelled", "deliveries_failing"],
    )


# --- apps -----------------------------------------------------------------------------------------------------


def app(*sessions: SessionFacts, **more: object) -> AppFacts:
    """Return what is known of an app."""
    facts = AppFacts(app_id="slack", title="Slack", now=NOON, waiting=sessions)
    return replace(facts, **more)  # type: ignore[arg-type]


def of_app(facts: AppFacts) -> list[tuple[str, str]]:
    """Return what is said of it."""
    return [(finding.code, finding.says) for finding in why_app(facts).findings]


def test_an_app_nobody_waits_for_is_fine() -> None:
    """What its popups did is told where there were any."""
    popups = {Fate.BY_MESSAGE: 3, Fate.WITHOUT_MESSAGE: 1, Fate.UNFINISHED: 5, Fate.BLOCKED: 6}

    assert of_app(app()) == [("nobody_waits", "Nobody waits for a popup of Slack.")]
    said = dict(of_app(app(popups=popups)))
    assert set(said) == {"nobody_waits", "popups_work", "unfinished", "blocked"}
    assert (
        "4 popups connected an account in the last day, 1 of these (25 %) without their message" in said["popups_work"]
    )
    assert UNFINISHED in said["unfinished"]
    assert of_app(app(popups=popups, jump=JUMP))[0][0] == "messages_lost"


def test_an_app_that_was_never_seen_is_not_said_to_be_well() -> None:
    """Its name may be misspelt: what to ask by is said, and nothing else."""
    (finding,) = why_app(app(app_id="salck", is_known=False)).findings

    assert (finding.code, finding.verdict) == ("app_unknown", Verdict.UNKNOWN)
    assert finding.says.startswith("No such app has been seen here: no session has 'salck'")
    assert finding.do is not None


def test_what_holds_an_apps_users_up_is_said_once_with_how_many() -> None:
    """Whatever else is true of their sessions."""
    story = waiting()
    late = watch(story, next_check_at=NOON - MINUTE)
    two = [Known(watch=late).of(story.session)] * 2
    out = Known(watch=late, credential=None).of(story.session)
    well = Known(watch=watch(story, next_check_at=DUE)).of(story.session)
    elsewhere = Known().of(Story().session)

    stuck = why_app(app(*two, out, well, more_wait=True))
    assert stuck.verdict is Verdict.STUCK
    assert [finding.code for finding in stuck.findings] == ["worker_missing", "sign_in_needed"]
    assert "Slack: 2 of more than 4 waiting sessions: a check has been due for 60 s" in stuck.findings[0].says
    assert of_app(app(well)) == [
        ("awaiting_popups", "Slack: 1 session waits for a popup, and checks are made in time.")
    ]
    assert of_app(app(elsewhere))[0][0] == "awaiting_popups"


# --- words ----------------------------------------------------------------------------------------------------


def test_a_name_somebody_else_gave_cannot_do_anything_in_a_sentence() -> None:
    """Nor make it endless."""
    story = Story()
    chosen = story.chosen("slack", "old")
    hostile = replace(chosen, app=replace(chosen.app, title="\x1b[2J<b>\n" + "x" * 100_000))
    story.feed(hostile)

    (_, says), *_ = told(story.session)
    assert len(says) < 250
    assert says.isprintable()


def test_a_check_that_was_wanted_is_said_to_come() -> None:
    """When, and what it waits for until then."""
    assert of_check(None, None, None, workers=1, now=NOON).startswith("No check is planned")
    assert (
        of_check(NOON, NOON, None, workers=1, now=NOON)
        == "Zapier has asked us to wait: it is asked at 08:00:00 UTC, not before."
    )
    assert of_check(NOON, None, NOON, workers=1, now=NOON).endswith("it is asked again at 08:00:00 UTC.")
    assert of_check(NOON, None, None, workers=1, now=NOON) == "Zapier is asked now, as soon as a call is free."
    assert of_check(NOON, None, None, workers=0, now=NOON).startswith("No worker runs: Zapier is asked as soon as one")


def test_moments_of_other_days_have_their_day() -> None:
    """Others do not need it; of other years, those too."""
    day = 24 * 60 * MINUTE

    assert clock(NOON, NOON + MINUTE) == "08:00:00 UTC"
    assert clock(NOON, NOON + day) == clock(NOON, NOON - day) == "15 Jan 08:00 UTC"
    assert clock(NOON, NOON - 30 * day) == "15 Jan 2027 08:00 UTC"
    assert "it is asked again at 15 Jan 08:00 UTC." in of_check(NOON, None, NOON, workers=1, now=NOON - day)


def test_a_session_that_was_given_more_time_is_not_near_its_end() -> None:
    """By an operator who read that it was."""
    story = Story().choose("slack", "old").later(24 * 60 * MINUTE - MINUTE)
    near = codes(story.session, Known(now=story.now))
    story.feed(DeadlinesExtended(by=60 * MINUTE), outcome=Outcome.APPLIED)

    assert near == ["connect", "deadline_near"]
    assert codes(story.session, Known(now=story.now)) == ["connect"]
