"""Sign-ins: which browser may go on with one, when, and how often."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import pytest

from orchestrator.core.errors.credentials import SignInRefusedError
from orchestrator.core.session import MINUTE
from orchestrator.core.sign_ins import (
    OPENS_WITHIN,
    RETURNS_WITHIN,
    Failure,
    Newcomer,
    Refusal,
    SignIn,
    SignInState,
    ended,
    id_prefix,
    name_for,
    open_at_zapier,
    parts_of,
    shard_in,
    take_back,
    token_of,
)
from orchestrator.core.tenants import digest_of
from tests.support.stories import NOON

HERE: Final = "https://app.example"
BROWSER: Final = "browser-secret"
CALLBACK: Final = "https://api.example/zapier-sign-in/callback"


def begun(*, origins: tuple[str, ...] = ("https://other.example", HERE), origin: str = HERE) -> SignIn:
    """Return a sign-in that a page of this origin began for the browser."""
    return SignIn(
        id="si03" + "a" * 20,
        tenant_id="acme",
        user_id="ann",
        browser=name_for(origin, BROWSER),
        origins=origins,
        digest=digest_of("first"),
        made_at=NOON,
        newcomer=Newcomer(email="ann@example.com", first_name="Ann", last_name="B"),
    )


def opened(sign_in: SignIn, *, secret: str = "first", browser: str = BROWSER, after: int = 0) -> SignIn:
    """Open it."""
    return open_at_zapier(
        sign_in,
        secret=secret,
        browser_secret=browser,
        next_secret="second",
        redirect_uri=CALLBACK,
        now=NOON + after,
    )


def back(sign_in: SignIn, *, secret: str = "second", browser: str = BROWSER, after: int = 0) -> SignIn:
    """Bring it back from Zapier."""
    return take_back(sign_in, secret=secret, browser_secret=browser, now=NOON + after)


def test_a_browser_goes_to_zapier_and_comes_back() -> None:
    """With another secret each way; who the user is, is kept no longer than it is needed."""
    away = opened(begun())
    returned = back(away, after=MINUTE)

    assert (away.state, away.redirect_uri, away.newcomer) == (SignInState.AT_ZAPIER, CALLBACK, None)
    assert ended(returned, None).state is SignInState.SIGNED_IN
    assert (ended(returned, Failure.DENIED).state, ended(returned, Failure.DENIED).failure) == ("failed", "denied")


@pytest.mark.parametrize(
    ("attempt", "why"),
    [
        (lambda: opened(begun(), browser="another"), Refusal.ANOTHER_BROWSER),
        (lambda: opened(begun(), browser=""), Refusal.ANOTHER_BROWSER),
        (lambda: opened(replace(begun(), browser=name_for(HERE, "")), browser=""), Refusal.ANOTHER_BROWSER),
        (lambda: opened(begun(origin="https://evil.example")), Refusal.ANOTHER_BROWSER),
        (lambda: opened(begun(origins=())), Refusal.ANOTHER_BROWSER),
        (lambda: opened(begun(), secret="guessed"), Refusal.UNKNOWN),
        (lambda: opened(begun(), after=OPENS_WITHIN), Refusal.EXPIRED),
        (lambda: opened(opened(begun())), Refusal.USED),
        (lambda: back(opened(begun()), browser="another"), Refusal.ANOTHER_BROWSER),
        (lambda: back(opened(begun()), secret="first"), Refusal.UNKNOWN),
        (lambda: back(opened(begun()), after=RETURNS_WITHIN), Refusal.EXPIRED),
        (lambda: back(back(opened(begun()))), Refusal.USED),
        (lambda: back(begun(), secret="first"), Refusal.USED),
    ],
    ids=[
        "another browser",
        "no cookie",
        "no cookie, and the name that this would have",
        "named to a page of another origin",
        "no origin",
        "wrong secret",
        "too late",
        "opened twice",
        "back in another browser",
        "back with the address's secret",
        "back too late",
        "back twice",
        "back before it went",
    ],
)
def test_whoever_may_not_go_on_is_refused(attempt: object, why: Refusal) -> None:
    """Each with the reason that its user can do something about."""
    assert callable(attempt)
    with pytest.raises(SignInRefusedError) as refused:
        attempt()

    assert refused.value.why == why


def test_the_last_moment_is_in_time() -> None:
    """The bounds themselves are not."""
    away = opened(begun(), after=OPENS_WITHIN - 1)

    assert back(away, after=OPENS_WITHIN - 1 + RETURNS_WITHIN - 1).state is SignInState.RETURNED


def test_a_browser_has_another_name_for_each_origin() -> None:
    """So that what one origin's pages learn is worth nothing to another's."""
    assert name_for(HERE, BROWSER) != name_for("https://other.example", BROWSER)
    assert name_for(HERE, BROWSER) != name_for(HERE, "other")
    assert BROWSER not in name_for(HERE, BROWSER)


def test_a_token_is_read_as_it_was_written() -> None:
    """And whatever else comes is some sign-in's that there is not."""
    assert parts_of(token_of("si03abc", "secret")) == ("si03abc", "secret")
    assert parts_of("nonsense") == ("nonsense", "")


@pytest.mark.parametrize("text", ["", "si", "si0g" + "a" * 20, "si03short", "zs03" + "a" * 20, "si03" + "A" * 20])
def test_what_is_no_id_has_no_shard(text: str) -> None:
    """It comes from addresses that anybody can write."""
    with pytest.raises(SignInRefusedError):
        shard_in(text)


def test_an_id_names_its_shard() -> None:
    """So the sign-in is found without knowing whose it is."""
    assert shard_in(id_prefix(31) + "a" * 20) == 31


def test_it_is_kept_for_longer_than_it_can_take() -> None:
    """What became of it can be read after the latest return."""
    one = replace(begun(), made_at=0)

    assert one.kept_until > one.opens_until + RETURNS_WITHIN
