"""The headers that say on what terms a request wants to be carried out."""

from __future__ import annotations

import pytest

from api.errors import RequestInvalidError
from api.terms import IF_MATCH, etag, key_of, seqs_of


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("8e03978e-40d5-43dd-bc93-6894a57f9324", "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        ('"8e03978e-40d5-43dd-bc93-6894a57f9324"', "8e03978e-40d5-43dd-bc93-6894a57f9324"),
        (r'"a \"quoted\" \\ key"', r'a "quoted" \ key'),
        ("order 7, twice", "order 7, twice"),
        ("a\\b", "a\\b"),
        ("~", "~"),
        ("k" * 255, "k" * 255),
        (f'"{"k" * 255}"', "k" * 255),
    ],
)
def test_a_key_may_be_bare_or_quoted(sent: str, meant: str) -> None:
    """Both ways of writing it are the same key (structured fields: RFC 8941, 3.3.3)."""
    assert key_of([sent]) == meant


@pytest.mark.parametrize(
    "sent",
    ["", '""', '"', '"a', '"a" b', r'"a\b"', '"a";p=1', "k" * 256, f'"{"k" * 256}"', "schlüssel", "a\tb", "a\x7f"],
)
def test_what_is_no_key_is_refused(sent: str) -> None:
    """Also what was meant to be quoted and is not well formed."""
    with pytest.raises(RequestInvalidError, match="Idempotency-Key"):
        key_of([sent])


def test_two_keys_are_no_key() -> None:
    """Nobody could say which is meant."""
    with pytest.raises(RequestInvalidError):
        key_of(["a", "a"])


@pytest.mark.parametrize(
    ("lines", "seqs"),
    [
        (['"7"'], {7}),
        (['"7", "9"'], {7, 9}),
        (['"7"', '"9"'], {7, 9}),
        ([' ,"7" ,, "9",'], {7, 9}),
        (['"0"'], {0}),
        (['W/"7"'], set()),
        (['W/"7", "9"'], {9}),
        (['"07"', '"7"', '"+7"', '"7.0"', '"-7"'], {7}),
        (['"theirs"', '"a,b"', '""', '"\u00b2"', f'"{"9" * 5000}"'], set()),
    ],
)
def test_entity_tags_stand_for_sequence_numbers(lines: list[str], seqs: set[int]) -> None:
    """One that is not ours stands for none, and a weak one never matches strongly (RFC 9110, 8.8.3 and 13.1.1)."""
    assert seqs_of(lines, header=IF_MATCH, takes_weak=False) == frozenset(seqs)


def test_weak_tags_are_enough_to_read() -> None:
    """Whoever asks whether it changed may ask weakly (RFC 9110, 13.1.2)."""
    assert seqs_of(['W/"7", "9"'], header="If-None-Match", takes_weak=True) == frozenset({7, 9})


def test_a_star_is_any() -> None:
    """There is no number to compare."""
    assert seqs_of([" * "], header=IF_MATCH, takes_weak=False) is None


@pytest.mark.parametrize("line", ["", "7", "*, *", '*, "7"', '"7', '"7" "9"', "w/'7'", 'w/"7"', '"a b"', ", ,"])
def test_what_is_no_list_of_tags_is_refused(line: str) -> None:
    """The problem names the header."""
    with pytest.raises(RequestInvalidError, match="If-Match"):
        seqs_of([line], header=IF_MATCH, takes_weak=False)


def test_a_hostile_list_takes_no_time() -> None:
    """However long, it is read once."""
    with pytest.raises(RequestInvalidError):
        seqs_of([" , \t" * 16_000 + "x"], header=IF_MATCH, takes_weak=False)


def test_what_is_sent_is_what_is_understood() -> None:
    """A tag that was read can be sent back as it is."""
    assert seqs_of([etag(12)], header=IF_MATCH, takes_weak=False) == frozenset({12})
