"""Zapier accounts and the bearer tokens that open them. Nothing here is stored: an account is its name.

A token `sim-<account>` belongs to that account and to the partner `demo-partner`. What follows a `+` tells tokens of
one account apart (two of a product's users who share one Zapier profile); what follows an `@` names another partner:
`sim-alice`, `sim-alice+second`, `sim-alice@other-partner`, `sim-alice+second@other-partner`.
"""

import re
from dataclasses import dataclass
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

from simulator.ids import keyed_digest

#: What an account may be called, for us and for browsers (whose `v` flag wants the hyphen escaped). Not `sim-…`: that
#: is the beginning of a token, and given by mistake.
ACCOUNT_NAME: Final = r"(?!sim-)[A-Za-z0-9](?:[A-Za-z0-9._\-]{0,62}[A-Za-z0-9])?"
AccountName: TypeAlias = Annotated[str, Meta(pattern=rf"^{ACCOUNT_NAME}$")]
DEFAULT_PARTNER: Final = "demo-partner"

#: What a partner's client id may be. Every one exists, and has the secret that `secret_of` returns.
CLIENT_ID: Final = r"[A-Za-z0-9._-]{1,128}"
ClientId: TypeAlias = Annotated[str, Meta(pattern=rf"^{CLIENT_ID}$")]

_TOKEN: Final = re.compile(rf"sim-(?P<account>{ACCOUNT_NAME})(\+[^@]*)?(@(?P<partner>{CLIENT_ID}))?")


@dataclass(frozen=True, slots=True)
class Bearer:
    """Whom a token speaks for."""

    token: str
    account: str
    partner: str


@dataclass(frozen=True, slots=True)
class Account:
    """One Zapier account, as `GET /v1/profiles/me` shows it."""

    name: str
    id: int
    first_name: str
    last_name: str

    @property
    def email(self) -> str:
        """An address at a domain that can never exist."""
        return f"{self.name}@example.test"


def bearer_of(token: str) -> Bearer | None:
    """Return whom `token` speaks for, or None if the simulator could never have issued it."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        return None
    return Bearer(token=token, account=match["account"], partner=match["partner"] or DEFAULT_PARTNER)


def secret_of(client_id: str) -> str:
    """Return the client secret of this client id."""
    return f"secret-of-{client_id}"


def account_of(name: str, *, seed: str) -> Account:
    """Return the account called `name`; the same name and seed always give the same account."""
    digest = keyed_digest(f"account:{name}".encode(), seed=seed, size=6)
    first, *rest = [part.capitalize() for part in re.split(r"[._-]+", name) if part]
    return Account(name=name, id=int.from_bytes(digest), first_name=first, last_name=" ".join(rest) or "Example")
