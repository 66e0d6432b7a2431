"""The promises of receipts and references, on every adapter."""

from __future__ import annotations

import asyncio

import pytest

from orchestrator.core.effects import ClaimAuthentication, Unclaimed
from orchestrator.core.errors.sessions import SessionNotFoundError
from orchestrator.core.errors.store import GuardFailedError, ReferenceTakenError, StaleVersionError
from orchestrator.core.ports.sessions import Receipt, Written
from orchestrator.core.session import Session, SessionStatus, Zap, ZapState, shard_of
from orchestrator.core.terms import Idempotency
from tests.support.store_values import (
    APP,
    NOON,
    SHARDS,
    TENANT,
    USER,
    AnyStore,
    a_receipt,
    a_record,
    a_session,
    committed,
    next_commit,
    wait,
)

SHARD = shard_of(TENANT, USER, shards=SHARDS)
CLAIM = ClaimAuthentication(app_id=APP, step_id="st1", authentication_id="7", by_difference=False)


async def test_a_commit_leaves_its_receipt(store: AnyStore) -> None:
    """Whoever asks by its name finds it, of this user only."""
    await committed(store, a_session(), receipt=a_receipt())

    assert await store.receipts.find(TENANT, USER, "r1", now=NOON) == a_receipt()
    assert await store.receipts.find(TENANT, USER, "r2", now=NOON) is None
    assert await store.receipts.find(TENANT, "user-2", "r1", now=NOON) is None
    assert await store.receipts.find("other", USER, "r1", now=NOON) is None


async def test_what_has_a_receipt_is_not_done_again(store: AnyStore) -> None:
    """The commit is told what was done; of what it would have written there is nothing."""
    session = await committed(store, a_session(), receipt=a_receipt())
    again = next_commit(
        session,
        commit_id="again",
        title="twice",
        effects=[wait(strong=NOON)],
        record=a_record(),
        receipt=a_receipt(fingerprint="f2", commit_id="again"),
    )

    assert await store.sessions.commit(again) == a_receipt()
    assert await store.sessions.load_any(session.id) == session
    assert await store.sessions.signals(session.id) == ()
    assert len((await store.sessions.events(session.id, after=0)).events) == 1
    assert (await store.watches.peek(now=NOON, limit=9)) == ()


async def test_a_receipt_counts_before_everything_else(store: AnyStore) -> None:
    """Also for a commit whose version is old, whose guard fails, or that would begin another session."""
    session = await committed(store, a_session(), receipt=a_receipt(), reference="order")
    ended = await committed(store, session, commit_id="later")
    commits = [
        next_commit(session, commit_id="stale", receipt=a_receipt()),
        next_commit(
            ended, commit_id="guarded", receipt=a_receipt(), guards=[Unclaimed(app_id=APP, authentication_id="7")]
        ),
        next_commit(a_session("b"), commit_id="new", receipt=a_receipt(), reference="order"),
    ]

    assert [await store.sessions.commit(commit) for commit in commits] == [a_receipt()] * 3
    with pytest.raises(SessionNotFoundError):
        await store.sessions.load_any(a_session("b").id)


async def test_of_many_requests_of_one_name_one_is_carried_out(store: AnyStore) -> None:
    """However many come at once, and though each would begin a session of its own."""
    commits = [
        next_commit(
            a_session(f"s{number}"),
            commit_id=f"commit-{number}",
            receipt=a_receipt(session=a_session(f"s{number}"), commit_id=f"commit-{number}"),
        )
        for number in range(20)
    ]

    answers = await asyncio.gather(*(store.sessions.commit(commit) for commit in commits))

    told = {answer.session_id for answer in answers if isinstance(answer, Receipt)}
    pairs = zip(commits, answers, strict=True)
    written = [commit.session.id for commit, answer in pairs if isinstance(answer, Written)]
    assert len(written) == 1
    assert told == set(written)
    assert set(await store.sessions.of_user(TENANT, USER)) == told


async def test_a_commit_that_is_not_written_leaves_no_receipt(store: AnyStore) -> None:
    """Whoever tries again with the same name is not told that it was done."""
    session = await committed(store, a_session(), effects=[CLAIM])
    guards = [Unclaimed(app_id=APP, authentication_id="7")]
    with pytest.raises(GuardFailedError):
        await committed(store, session, receipt=a_receipt(), guards=guards)
    with pytest.raises(StaleVersionError):
        await committed(store, a_session(), commit_id="x", receipt=a_receipt())

    assert await store.receipts.find(TENANT, USER, "r1", now=NOON) is None


async def test_repeating_a_commit_finds_that_it_is_written(store: AnyStore) -> None:
    """Its own receipt is no reason to think that somebody else wrote it: while it is the last, and afterwards."""
    commit = next_commit(a_session(), commit_id="ours", receipt=a_receipt(commit_id="ours"))
    await store.sessions.commit(commit)
    assert isinstance(await store.sessions.commit(commit), Written)

    await committed(store, commit.session, commit_id="theirs")

    assert await store.sessions.commit(commit) == commit.receipt


async def test_a_receipt_is_good_until_its_time_is_over(store: AnyStore) -> None:
    """From then on the name is free for another request."""
    session = await committed(store, a_session(), receipt=a_receipt(until=NOON + 10))
    assert await store.receipts.find(TENANT, USER, "r1", now=NOON + 9) == a_receipt(until=NOON + 10)
    assert await store.receipts.find(TENANT, USER, "r1", now=NOON + 10) is None

    await committed(store, session, now=NOON + 10, receipt=a_receipt(fingerprint="f2", until=NOON + 99))

    assert await store.receipts.find(TENANT, USER, "r1", now=NOON + 10) == a_receipt(fingerprint="f2", until=NOON + 99)


async def test_old_receipts_are_forgotten_the_oldest_first(store: AnyStore) -> None:
    """So many at a time, in their shard, and none that is good."""
    session = a_session()
    for number in range(5):
        receipt = a_receipt(f"r{number}", until=NOON + number)
        session = await committed(store, session, commit_id=f"c{number}", now=NOON - 1, receipt=receipt)

    assert await store.receipts.forget((SHARD + 1) % SHARDS, now=NOON + 2, limit=9) == 0
    assert [await store.receipts.forget(SHARD, now=NOON + 2, limit=2) for _ in range(3)] == [2, 1, 0]
    kept = [await store.receipts.find(TENANT, USER, f"r{number}", now=NOON - 1) for number in range(5)]
    assert [receipt and receipt.name for receipt in kept] == [None, None, None, "r3", "r4"]


async def test_a_receipt_that_was_written_again_is_not_forgotten(store: AnyStore) -> None:
    """Its new time counts."""
    session = await committed(store, a_session(), receipt=a_receipt(until=NOON + 10))
    await committed(store, session, now=NOON + 10, receipt=a_receipt(until=NOON + 50))

    assert await store.receipts.forget(SHARD, now=NOON + 20, limit=9) == 0
    assert await store.receipts.find(TENANT, USER, "r1", now=NOON + 20) is not None


async def test_a_body_is_bound_to_a_name_for_a_while(store: AnyStore) -> None:
    """The first one counts, in its tenant, until its time is over."""
    first, other = (Idempotency(name="n", fingerprint=fingerprint) for fingerprint in ("f1", "f2"))

    async def bind(idempotency: Idempotency, now: int, tenant: str = TENANT) -> str:
        return await store.receipts.bind(tenant, idempotency, now=now, until=now + 1_000)

    assert [await bind(first, NOON), await bind(other, NOON), await bind(first, NOON + 999)] == ["f1"] * 3
    assert await bind(other, NOON, tenant="other") == "f2"
    assert await bind(other, NOON + 1_000) == "f2"


# --- references -----------------------------------------------------------------------------------------------


async def test_a_reference_leads_to_the_session_that_has_it(store: AnyStore) -> None:
    """Of this user only."""
    session = await committed(store, a_session(), reference="order")

    assert await store.sessions.referred(TENANT, USER, "order") == session.id
    assert await store.sessions.referred(TENANT, USER, "other") is None
    assert await store.sessions.referred(TENANT, "user-2", "order") is None


async def test_a_second_session_of_a_reference_is_refused(store: AnyStore) -> None:
    """Nothing of it is written, and the error leads to the first; another user's is nobody's business."""
    first = await committed(store, a_session("a"), reference="order")

    with pytest.raises(ReferenceTakenError) as taken:
        await committed(store, a_session("b"), reference="order", receipt=a_receipt())

    assert (taken.value.session_id, taken.value.facts["reference"]) == (first.id, "order")
    assert await store.sessions.of_user(TENANT, USER) == (first.id,)
    assert await store.receipts.find(TENANT, USER, "r1", now=NOON) is None
    await committed(store, a_session("b", user="user-2"), reference="order")


async def test_of_many_sessions_of_one_reference_one_begins(store: AnyStore) -> None:
    """However many come at once."""
    beginnings = [
        committed(store, a_session(f"s{number}"), commit_id=f"c{number}", reference="order") for number in range(20)
    ]

    outcomes = await asyncio.gather(*beginnings, return_exceptions=True)

    begun = [outcome.id for outcome in outcomes if isinstance(outcome, Session)]
    taken = [outcome.session_id for outcome in outcomes if isinstance(outcome, ReferenceTakenError)]
    assert (len(begun), taken) == (1, begun * 19)


@pytest.mark.parametrize("end", [SessionStatus.EXPIRED, SessionStatus.CANCELLED])
async def test_a_session_that_ends_frees_its_reference(store: AnyStore, end: SessionStatus) -> None:
    """The next one may have it, and keeps it though the first is erased."""
    first = await committed(store, a_session("a"), reference="order")
    ended = await committed(store, first, ended=end)
    assert await store.sessions.referred(TENANT, USER, "order") is None

    second = await committed(store, a_session("b"), reference="order")
    await store.sessions.purge(ended)

    assert await store.sessions.referred(TENANT, USER, "order") == second.id


async def test_a_session_that_is_erased_without_an_end_frees_its_reference(store: AnyStore) -> None:
    """One of which it never became known whether its Zap was made."""
    session = await committed(store, a_session(), reference="order", zap=Zap(state=ZapState.UNKNOWN))
    assert await store.sessions.referred(TENANT, USER, "order") == session.id

    await store.sessions.purge(session)

    assert await store.sessions.referred(TENANT, USER, "order") is None


async def test_a_session_from_before_references_were_kept_takes_its_own(store: AnyStore) -> None:
    """With its next commit, unless a younger session has it by then."""
    first = await committed(store, a_session("a"))
    second = await committed(store, a_session("b"))

    first = await committed(store, first, reference="order")
    await committed(store, second, reference="order")

    assert await store.sessions.referred(TENANT, USER, "order") == first.id
