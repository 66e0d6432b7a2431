"""Rate limits: a sliding window, then a cooldown."""

from hypothesis import given
from hypothesis import strategies as st

from simulator.limits import RateLimits, Refusal
from simulator.switches import Limits

LIMITS = Limits(ip=3, partner=0, window_ms=1_000, cooldown_ms=1_000)
GAPS = st.lists(st.integers(0, 700), min_size=1, max_size=80)


def admitted(gaps: list[int], limits: Limits) -> list[tuple[int, Refusal | None]]:
    """Send requests with these gaps between them, and say when each came and how it fared."""
    meters, now, seen = RateLimits(), 0, []
    for gap in gaps:
        now += gap
        seen.append((now, meters.admit(limits, address="a", partner=None, now=now)))
    return seen


@given(GAPS)
def test_no_window_ever_holds_more_than_the_limit(gaps: list[int]) -> None:
    """However requests are spread, at most `ip` of any `window_ms` are served."""
    served = [now for now, refusal in admitted(gaps, LIMITS) if refusal is None]

    assert all(sum(start <= now < start + LIMITS.window_ms for now in served) <= LIMITS.ip for start in served)


@given(GAPS)
def test_after_a_refusal_nothing_is_served_until_it_said(gaps: list[int]) -> None:
    """The cooldown holds for every request, and ends when the first refusal said it would."""
    until = None
    for now, refusal in admitted(gaps, LIMITS):
        if until is not None and now < until:
            assert refusal == Refusal(LIMITS.ip, until)
        elif refusal is not None:
            until = now + LIMITS.cooldown_ms
            assert refusal == Refusal(LIMITS.ip, until)


@given(GAPS)
def test_a_request_within_the_limit_is_never_refused(gaps: list[int]) -> None:
    """Refused requests fill no window: once the cooldown is over, the service is there again."""
    served: list[int] = []
    until = 0
    for now, refusal in admitted(gaps, LIMITS):
        full = sum(now - LIMITS.window_ms < one for one in served) >= LIMITS.ip
        assert (refusal is not None) == (now < until or full)
        if refusal is None:
            served.append(now)
        else:
            until = refusal.until


@given(GAPS)
def test_a_cooldown_that_extends_ends_after_silence_only(gaps: list[int]) -> None:
    """With `cooldown_extends`, each request begins the cooldown anew."""
    extending = Limits(ip=3, partner=0, window_ms=1_000, cooldown_ms=1_000, cooldown_extends=True)

    for now, refusal in admitted(gaps, extending):
        assert refusal is None or refusal.until == now + extending.cooldown_ms


def test_the_sixty_first_request_of_a_minute_is_refused_for_a_minute() -> None:
    """The documented limit of one address, to the millisecond."""
    meters, limits = RateLimits(), Limits()
    for position in range(60):
        assert meters.admit(limits, address="a", partner="p", now=position) is None

    assert meters.admit(limits, address="a", partner="p", now=59_999) == Refusal(60, 119_999)
    assert meters.admit(limits, address="a", partner="p", now=119_998) == Refusal(60, 119_999)
    assert meters.admit(limits, address="a", partner="p", now=119_999) is None


def test_a_request_leaves_the_window_after_exactly_its_length() -> None:
    """The window slides: sixty requests at 0 are gone at 60 000 ms, and not one millisecond sooner."""
    meters, limits = RateLimits(), Limits(cooldown_ms=0)
    for _ in range(60):
        meters.admit(limits, address="a", partner=None, now=0)

    assert meters.admit(limits, address="a", partner=None, now=59_999) == Refusal(60, 59_999)
    assert meters.admit(limits, address="a", partner=None, now=60_000) is None


def test_a_partner_is_limited_over_all_its_addresses() -> None:
    """150 a minute, from wherever they come."""
    meters, limits = RateLimits(), Limits()
    for position in range(150):
        assert meters.admit(limits, address=f"a{position % 3}", partner="p", now=position) is None

    assert meters.admit(limits, address="a4", partner="p", now=200) == Refusal(150, 60_200)
    assert meters.admit(limits, address="a4", partner="q", now=200) is None


def test_an_address_is_limited_over_all_its_partners() -> None:
    """60 a minute, for whomever they are; the partner that was refused with it has its room left."""
    meters, limits = RateLimits(), Limits()
    for position in range(60):
        assert meters.admit(limits, address="a", partner=f"p{position % 2}", now=position) is None

    assert meters.admit(limits, address="a", partner="p0", now=70) == Refusal(60, 60_070)
    assert meters.admit(limits, address="b", partner="p0", now=70) is None


def test_a_limit_of_none_admits_even_during_a_cooldown() -> None:
    """Switching a limit off helps at once."""
    meters = RateLimits()
    for _ in range(4):
        meters.admit(LIMITS, address="a", partner=None, now=0)

    assert meters.admit(LIMITS, address="a", partner=None, now=1) == Refusal(3, 1_000)
    assert meters.admit(Limits(ip=0), address="a", partner=None, now=1) is None


def test_usage_counts_what_came_and_what_was_refused() -> None:
    """The most that ever came in one window stays known after the window is over."""
    meters = RateLimits()
    for now in (0, 1, 2, 3, 5_000):
        meters.admit(LIMITS, address="a", partner="p", now=now)
    usage = meters.addresses["a"].usage(5_000, window_ms=LIMITS.window_ms)

    assert (usage.in_window, usage.most_in_window, usage.refused, usage.cooldown_until) == (1, 4, 1, None)


def test_a_reset_forgets_every_request() -> None:
    """A test begins with empty windows."""
    meters = RateLimits()
    for _ in range(4):
        meters.admit(LIMITS, address="a", partner=None, now=0)
    meters.reset()

    assert meters.admit(LIMITS, address="a", partner=None, now=0) is None
