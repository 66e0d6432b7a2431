"""Tokens of connect links: nobody can guess one, and we can say one again."""

import re

from api.links import LinkTokens, session_of
from orchestrator.core.session import ConnectLink
from orchestrator.core.tenants import digest_of

NEW, OLD = "n" * 32, "o" * 32
SESSION = "zs0aaaaaaaaaaaaaaaaaaaaa"


def a_link(token: str, link_id: str = "cl1") -> ConnectLink:
    """Give what is kept of the link that has this token."""
    return ConnectLink(id=link_id, digest=digest_of(token), made_at=0, expires_at=1)


def test_a_token_says_its_session_and_nothing_else() -> None:
    """In letters that no mail program breaks, with 160 bits behind them."""
    token = LinkTokens([NEW]).make(SESSION, "cl1")

    assert re.fullmatch(rf"{SESSION}-[a-z2-7]{{32}}", token)
    assert session_of(token) == SESSION


def test_every_link_has_its_own() -> None:
    """Of each session, and of each key."""
    tokens = {
        LinkTokens([key]).make(session, link).partition("-")[2]
        for key in (NEW, OLD)
        for session in ("zs0a", "zs0b")
        for link in ("cl1", "cl2")
    }

    assert len(tokens) == 8


def test_a_token_is_said_again_while_its_key_is_there() -> None:
    """Whichever of the keys it was; afterwards nobody can say it."""
    token = LinkTokens([OLD]).make(SESSION, "cl1")

    assert LinkTokens([NEW, OLD]).again(SESSION, a_link(token)) == token
    assert LinkTokens([NEW]).again(SESSION, a_link(token)) is None


def test_what_is_no_token_is_of_no_session() -> None:
    """Its text is looked up like any other, and found nowhere."""
    assert [session_of(text) for text in ("", "-", "zs0a", "zs0a-b-c")] == ["", "", "zs0a", "zs0a"]
