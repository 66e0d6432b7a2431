"""Terms: a session that must be as the request knows it."""

from __future__ import annotations

import pytest

from orchestrator.core.errors.sessions import PreconditionFailedError
from orchestrator.core.session import Session
from orchestrator.core.terms import ANY_TERMS, Idempotency, Terms


def a_session(seq: int) -> Session:
    """Return a session at this sequence number."""
    return Session(id="zs00a", tenant_id="t", user_id="u", created_at=0, updated_at=0, deadline=1, seq=seq)


@pytest.mark.parametrize("terms", [ANY_TERMS, Terms(seqs=frozenset({7})), Terms(seqs=frozenset({1, 7}))])
def test_a_session_that_is_at_one_of_the_numbers_is_accepted(terms: Terms) -> None:
    """Where none is given, every session is."""
    terms.check(a_session(7))


@pytest.mark.parametrize("seqs", [frozenset({6, 8}), frozenset()])
def test_a_session_at_another_number_is_refused(seqs: frozenset[int]) -> None:
    """The error says which one it is at."""
    with pytest.raises(PreconditionFailedError) as refused:
        Terms(seqs=seqs).check(a_session(7))

    assert (refused.value.seq, refused.value.facts) == (7, {"session_id": "zs00a", "seq": 7})


def test_what_a_request_does_next_builds_on_what_it_did() -> None:
    """It wants the very session it made, and goes on being recognised; who wanted any goes on wanting any."""
    idempotency = Idempotency(name="n", fingerprint="f")

    after = Terms(idempotency=idempotency, seqs=frozenset({7, 9})).after(a_session(8))

    assert after == Terms(idempotency=idempotency, seqs=frozenset({8}))
    assert ANY_TERMS.after(a_session(8)) == ANY_TERMS
