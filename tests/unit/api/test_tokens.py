"""Client tokens: who signed them, for what, and when they are good."""

from __future__ import annotations

import base64
import json
from typing import Any, Final

import jwt
import pytest

from api.errors import TokenExpiredError, TokenInvalidError
from api.tokens import AUDIENCE, EARLIEST, ISSUER, ClientTokens, TokenKeysMissingError, is_token, key_id
from orchestrator.core.session import MINUTE, SECOND

NOW: Final = 1_790_000_000_250
LIFE: Final = 10 * MINUTE
NEW, OLD, STRANGE = "n" * 32, "o" * 32, "s" * 32
TOKENS: Final = ClientTokens([NEW, OLD], life=LIFE)
WHAT: Final[dict[str, Any]] = {
    "tenant_id": "acme",
    "session_id": "zs1",
    "user_id": "ann",
    "origins": ["https://a.example"],
}
SAID: Final = {
    "iss": ISSUER,
    "aud": AUDIENCE,
    "sub": "ann",
    "sid": "zs1",
    "tid": "acme",
    "origins": ["https://a.example"],
    "iat": NOW // SECOND,
    "nbf": NOW // SECOND,
    "exp": (NOW + LIFE) // SECOND,
}


def signed(claims: dict[str, Any], *, key: str = NEW, kid: str | None = None, algorithm: str = "HS256") -> str:
    """Sign whatever is claimed."""
    return jwt.encode(claims, key, algorithm=algorithm, headers={"kid": kid or key_id(key)})


def part(value: object) -> str:
    """Write a part of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def test_what_was_said_is_read_back() -> None:
    """User, session, tenant, origins, and when it ends."""
    token = TOKENS.make(**WHAT, now=NOW)
    claims = TOKENS.read(token.text, now=NOW)

    assert (claims.sub, claims.sid, claims.tid, claims.origins) == ("ann", "zs1", "acme", ("https://a.example",))
    assert token.expires_at == claims.exp * SECOND
    assert NOW + LIFE - SECOND < token.expires_at <= NOW + LIFE
    assert is_token(token.text)


def test_the_claims_are_those_that_others_know() -> None:
    """A JWT like any other, whose header names the key and not what it is made of."""
    text = TOKENS.make(**WHAT, now=NOW).text

    assert jwt.decode(text, options={"verify_signature": False}) == SAID
    assert jwt.get_unverified_header(text) == {"alg": "HS256", "typ": "JWT", "kid": key_id(NEW)}
    assert NEW not in key_id(NEW)


def test_a_token_of_an_older_key_is_believed_until_the_key_is_retired() -> None:
    """So keys can be changed while pages are open."""
    text = ClientTokens([OLD], life=LIFE).make(**WHAT, now=NOW).text

    assert TOKENS.read(text, now=NOW).sid == "zs1"
    with pytest.raises(TokenInvalidError, match="or is so no more"):
        ClientTokens([NEW], life=LIFE).read(text, now=NOW)


@pytest.mark.parametrize(("after", "is_good"), [(LIFE - SECOND, True), (LIFE, False), (LIFE + 5 * MINUTE, False)])
def test_a_token_ends_when_it_says(after: int, is_good: bool) -> None:
    """To the second, with an answer that says what to do."""
    token = TOKENS.make(**WHAT, now=NOW - NOW % SECOND)
    now = NOW - NOW % SECOND + after

    if is_good:
        assert TOKENS.read(token.text, now=now).exp * SECOND == token.expires_at
    else:
        with pytest.raises(TokenExpiredError, match="get a new one from your backend"):
            TOKENS.read(token.text, now=now)


@pytest.mark.parametrize("skew", [-5 * MINUTE, -MINUTE, 0, MINUTE, 5 * MINUTE])
def test_a_makers_clock_may_be_five_minutes_wrong(skew: int) -> None:
    """Ahead, the token is good at once; behind, it is good for what is left of its time."""
    token = TOKENS.make(**WHAT, now=NOW + skew)

    assert TOKENS.read(token.text, now=NOW).sid == "zs1"


def test_a_token_that_begins_later_is_refused_in_words() -> None:
    """Somebody should look at a clock."""
    token = TOKENS.make(**WHAT, now=NOW + EARLIEST + 2 * SECOND)

    with pytest.raises(TokenInvalidError, match="a clock is wrong by more than five minutes"):
        TOKENS.read(token.text, now=NOW)


@pytest.mark.parametrize("claim", sorted(SAID))
def test_a_token_without_one_of_the_claims_is_refused(claim: str) -> None:
    """Though we had signed it."""
    with pytest.raises(TokenInvalidError):
        TOKENS.read(signed({name: value for name, value in SAID.items() if name != claim}), now=NOW)


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "somebody"),
        ("aud", "zapwright"),
        ("aud", ["other"]),
        ("sid", 7),
        ("sid", None),
        ("tid", ["acme"]),
        ("origins", "https://a.example"),
        ("origins", [1]),
        ("exp", "never"),
        ("exp", True),
        ("nbf", None),
    ],
)
def test_a_token_that_says_something_else_is_refused(claim: str, value: object) -> None:
    """Of another maker, for another use, or of another form."""
    with pytest.raises(TokenInvalidError):
        TOKENS.read(signed(SAID | {claim: value}), now=NOW)


def test_a_token_that_was_changed_is_refused() -> None:
    """Another session, under the signature of the first."""
    header, _, signature = signed(SAID).split(".")

    with pytest.raises(TokenInvalidError):
        TOKENS.read(f"{header}.{part(SAID | {'sid': 'zs2'})}.{signature}", now=NOW)


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", "HS512", "RS256"])
def test_no_other_algorithm_is_taken(algorithm: str) -> None:
    """A header may say what it likes."""
    header = part({"alg": algorithm, "typ": "JWT", "kid": key_id(NEW)})

    for signature in ("", signed(SAID).rpartition(".")[2]):
        with pytest.raises(TokenInvalidError):
            TOKENS.read(f"{header}.{part(SAID)}.{signature}", now=NOW)


def test_a_token_of_another_algorithm_with_our_own_key_is_refused() -> None:
    """One algorithm is enough."""
    with pytest.raises(TokenInvalidError):
        TOKENS.read(signed(SAID, algorithm="HS512", key=NEW + NEW, kid=key_id(NEW)), now=NOW)


@pytest.mark.parametrize("kid", [key_id(NEW), key_id(STRANGE), "", "../../etc", None])
def test_a_token_of_a_strange_key_is_refused(kid: str | None) -> None:
    """Whatever key it names."""
    with pytest.raises(TokenInvalidError):
        TOKENS.read(signed(SAID, key=STRANGE, kid=kid), now=NOW)


def test_a_header_that_nests_without_end_is_refused() -> None:
    """It is read before anybody knows who sends it."""
    header = base64.urlsafe_b64encode(b"[" * 5_000).rstrip(b"=").decode()

    with pytest.raises(TokenInvalidError):
        TOKENS.read(f"{header}.{part({})}.x", now=NOW)


@pytest.mark.parametrize("text", ["..", "a.b.c", f"{part({})}.{part({})}.", "\u00e9.\u00e9.\u00e9", "x" * 9000 + ".."])
def test_what_is_no_token_is_refused(text: str) -> None:
    """Without a fault of ours."""
    with pytest.raises(TokenInvalidError):
        TOKENS.read(text, now=NOW)


def test_without_a_key_there_are_no_tokens() -> None:
    """The error says how to make one."""
    with pytest.raises(TokenKeysMissingError, match="ZAPWRIGHT_TOKEN_KEYS is not set"):
        ClientTokens([], life=LIFE)
