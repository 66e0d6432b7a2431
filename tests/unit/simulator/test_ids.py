"""Identifiers that follow from the seed."""

import re

from hypothesis import given
from hypothesis import strategies as st

from simulator.ids import Issue, authentication_id, open_action_id, seal_action_id

ISSUES = st.builds(Issue, st.integers(0, 2**16 - 1), st.integers(0, 2**48 - 1), st.integers(0, 2**32 - 1))


def test_an_authentication_has_the_same_id_under_the_same_seed() -> None:
    """A story told twice gives the same ids."""
    ids = [authentication_id(serial, seed="s") for serial in range(1, 200)]

    assert ids == [authentication_id(serial, seed="s") for serial in range(1, 200)]
    assert ids != [authentication_id(serial, seed="t") for serial in range(1, 200)]


def test_authentication_ids_come_in_the_forms_seen_upstream() -> None:
    """Some look like numbers, so that a client that treats them as such is found out."""
    ids = [authentication_id(serial, seed="s") for serial in range(1, 200)]

    assert all(re.fullmatch(r"\w{7,8}", one) for one in ids)
    assert 0 < sum(one.isdigit() for one in ids) < len(ids) / 2


def test_another_salt_gives_another_id() -> None:
    """Two serial numbers that meet in one id can be told apart."""
    ids = {authentication_id(7, seed="s", salt=salt) for salt in range(10)}

    assert len(ids) == 10


@given(ISSUES, st.text(max_size=80))
def test_an_action_id_opens_to_what_was_sealed(issue: Issue, seed: str) -> None:
    """Nothing has to be remembered for an id to be recognised."""
    sealed = seal_action_id(issue, seed=seed)

    assert issue == open_action_id(sealed, seed=seed)
    assert re.fullmatch(r"core:\w+", sealed)


@given(ISSUES)
def test_an_action_id_opens_under_its_own_seed_only(issue: Issue) -> None:
    """Another simulator's ids are unknown here."""
    opened = open_action_id(seal_action_id(issue, seed="s"), seed="t")

    assert opened is None


@given(st.text(max_size=40))
def test_no_text_that_was_never_issued_opens(text: str) -> None:
    """A made-up id is unknown, whatever it is made of."""
    assert open_action_id(text, seed="s") is None
    assert open_action_id(f"core:{text}", seed="s") is None


def test_an_id_that_is_too_long_is_not_even_read() -> None:
    """Turning a million digits into a number takes a while."""
    assert open_action_id("core:" + "z" * 1_000_000, seed="s") is None


def test_ids_issued_one_after_another_look_unlike() -> None:
    """A client cannot guess an id from the one before."""
    first, second = (seal_action_id(Issue(3, 1_790_000_000_000, nonce), seed="s") for nonce in (1, 2))

    assert sum(a == b for a, b in zip(first[7:], second[7:], strict=False)) < len(first) / 2
