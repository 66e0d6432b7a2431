"""Connections are waited for as long as they may take, and no longer."""

from __future__ import annotations

from api.patience import BODY_S, READ_S, Patience

HEAD_S, ANOTHER_S = 10.0, 5.0


class Peer:
    """A connection; it notes what is given up."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def give_up_head(self) -> None:
        self.told.append("head")

    def let_body_come(self) -> None:
        self.told.append("body")

    def timeout_keep_alive_handler(self) -> None:
        self.told.append("another")

    def give_up_reader(self) -> None:
        self.told.append("reader")


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def patience() -> tuple[Patience, Clock]:
    """Return a patience, and the clock it goes by."""
    clock = Clock()
    return Patience(clock, head_s=HEAD_S, another_s=ANOTHER_S), clock


def told_after(seconds: float, clock: Clock, waiting: Patience, peer: Peer) -> list[str]:
    """Let time go by; return what was given up."""
    clock.now += seconds
    waiting.look()
    waiting.look()
    told, peer.told = peer.told, []
    return told


def test_each_wait_has_its_end() -> None:
    """Just then, and once."""
    waiting, clock = patience()
    for begin, limit, name in (
        (waiting.for_head, HEAD_S, "head"),
        (waiting.for_body, BODY_S, "body"),
        (waiting.for_another, ANOTHER_S, "another"),
        (waiting.for_reader, READ_S, "reader"),
    ):
        begin(peer := Peer())

        assert told_after(limit / 2, clock, waiting, peer) == []
        assert told_after(limit / 2, clock, waiting, peer) == [name]
        assert told_after(1000, clock, waiting, peer) == []


def test_a_head_that_comes_in_pieces_has_no_more_time() -> None:
    """Nobody holds a connection by a byte now and then."""
    waiting, clock = patience()
    waiting.for_head(peer := Peer())
    told = []
    for _ in range(5):
        told += told_after(HEAD_S / 5, clock, waiting, peer)
        waiting.for_head(peer)

    assert told == ["head"]


def test_who_comes_in_time_is_not_given_up() -> None:
    """With a head, with another request, or by going away."""
    waiting, clock = patience()
    comes, asks_again, goes = Peer(), Peer(), Peer()
    waiting.for_head(comes)
    waiting.for_another(asks_again)
    for begin in (waiting.for_head, waiting.for_body, waiting.for_another):
        begin(goes)
    waiting.has_head(comes)
    waiting.is_here(asks_again)
    waiting.end(goes)

    assert [told_after(1000, clock, waiting, peer) for peer in (comes, asks_again, goes)] == [[], [], []]


def test_only_those_who_are_late_are_given_up() -> None:
    """However many wait."""
    waiting, clock = patience()
    peers = [Peer() for _ in range(10)]
    for peer in peers:
        waiting.for_another(peer)
        clock.now += 1
    told_after(0, clock, waiting, Peer())

    assert [bool(peer.told) for peer in peers] == [True] * 6 + [False] * 4


def test_what_came_while_the_process_got_no_turn_is_read_before_anybody_is_given_up() -> None:
    """Who sent all of it in time does not pay for a machine that was busy or asleep."""
    waiting, clock = patience()
    waiting.for_head(sends := Peer())
    waiting.for_head(is_silent := Peer())
    clock.now += 1000
    waiting.look()
    waiting.has_head(sends)

    assert (told_after(0, clock, waiting, sends), told_after(0, clock, waiting, is_silent)) == ([], ["head"])


def test_who_may_go_on_waits_anew() -> None:
    """An answer that is under way comes first."""
    waiting, clock = patience()

    class Busy(Peer):
        def give_up_head(self) -> None:
            super().give_up_head()
            waiting.for_head(self)

    waiting.for_head(peer := Busy())

    assert told_after(HEAD_S, clock, waiting, peer) == ["head"]
    assert told_after(HEAD_S / 2, clock, waiting, peer) == []
    assert told_after(HEAD_S / 2, clock, waiting, peer) == ["head"]
