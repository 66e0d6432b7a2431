"""What the simulated service remembers: who has connected what, which Zaps exist, which tokens are dead.

Time comes as an argument, ids follow from the seed, and each change is written to the journal before it is made, so
that a reader of the world never sees what a restart would forget.
"""

import uuid
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self, TypeAlias

import msgspec
from msgspec import Struct

from simulator.accounts import Account, account_of
from simulator.apps import CATALOGUE, Action, App
from simulator.ids import Issue, authentication_id, open_action_id, seal_action_id
from simulator.journal import Journal, JournalError
from simulator.switches import Actions

DEFAULT_SEED: Final = "zapwright"
#: The seeded account that has more authentications for one app than fit on a page.
COLLECTOR: Final = "collector"
COLLECTED_APP: Final = "Google Sheets"
COLLECTED: Final = 35

_FORMAT: Final = 1
_REWRITE_AFTER: Final = 10_000
_ZAP_NAMESPACE: Final = uuid.uuid5(uuid.NAMESPACE_URL, "https://simulator.example/zaps")


class Authentication(Struct, frozen=True, tag="authentication", tag_field="kind", kw_only=True, omit_defaults=True):
    """A connection of an account to an app. `shared_with` may use it, and never sees it listed."""

    id: str
    serial: int
    owner: str
    app: str
    title: str
    is_expired: bool = False
    listed_at: int = 0  #: Unix ms from which it is listed
    shared_with: str | None = None


class ZapStep(Struct, frozen=True, kw_only=True):
    """A step of a Zap, with its action by the names that last."""

    app: str
    key: str
    action_type: str
    action: str  #: the action id that the caller sent
    authentication: str | None
    alias: str | None
    inputs: dict[str, Any]


class Zap(Struct, frozen=True, tag="zap", tag_field="kind", kw_only=True):
    """A Zap that was created."""

    id: str
    serial: int
    owner: str
    title: str
    created_at: int  #: Unix ms
    steps: list[ZapStep]


class Revocation(Struct, frozen=True, tag="revocation", tag_field="kind", kw_only=True):
    """A token that no longer opens anything."""

    id: str


class Code(Struct, frozen=True, tag="code", tag_field="kind", kw_only=True):
    """What a browser brings back from the sign-in: good once, for a while, to its client."""

    id: str
    serial: int
    owner: str
    client_id: str
    redirect_uri: str
    scope: str
    expires_at: int  #: Unix ms


class RefreshToken(Struct, frozen=True, tag="refresh_token", tag_field="kind", kw_only=True):
    """What its client exchanges for new tokens, as long as it is there."""

    id: str
    serial: int
    owner: str
    client_id: str
    scope: str


class AccessToken(Struct, frozen=True, tag="access_token", tag_field="kind", kw_only=True):
    """A token that was handed out: unlike those that anybody may make up, it ends."""

    id: str
    serial: int
    scope: str
    expires_at: int  #: Unix ms


Issued: TypeAlias = Code | RefreshToken | AccessToken
Record: TypeAlias = Authentication | Zap | Revocation | Issued


class _Head(Struct, frozen=True, kw_only=True):
    """The journal's first line."""

    format: int
    seed: str
    serial: int


class _Change(Struct, frozen=True, omit_defaults=True):
    """A journal's other lines: what came to be, or became different, and what is gone."""

    put: list[Record] = []
    drop: list[str] = []  #: ids of authentications, and of tokens that are revoked no more
    spent: list[str] = []  #: codes and refresh tokens


@dataclass(frozen=True, slots=True)
class FoundAction:
    """What an action id stands for."""

    app: App
    action: Action


class World:
    """The state of one simulated service. Not for several threads."""

    def __init__(self, *, seed: str = DEFAULT_SEED, journal: Journal | None = None) -> None:
        """Begin with the seeded world, or with what `journal` holds. Raises JournalError if that is not readable."""
        self.seed: Final = seed
        self.catalogue: Final = CATALOGUE
        self._journal = journal
        self._serial = 0
        self._clear()
        lines = journal.lines() if journal is not None else []
        if lines:
            self._replay(lines)
            self._rewrite()
        else:
            self.reset()

    @classmethod
    def open(cls, directory: Path | None, *, seed: str = DEFAULT_SEED) -> Self:
        """Open the world kept in `directory`, new where there is none; None keeps nothing. Raises JournalError."""
        journal = Journal(directory) if directory is not None else None
        try:
            return cls(seed=seed, journal=journal)
        except JournalError:
            if journal is not None:
                journal.close()
            raise

    def close(self) -> None:
        """Let go of the data directory."""
        if self._journal is not None:
            self._journal.close()

    def reset(self) -> None:
        """Go back to the seeded world."""
        self._clear()
        app = self.catalogue.find(COLLECTED_APP)
        assert app is not None, "the catalogue lacks the app of the seeded world"  # noqa: S101
        seeded = self._new_authentications(COLLECTOR, app, title=None, count=COLLECTED)
        self._apply(_Change(put=list(seeded)))
        self._rewrite()

    # ------------------------------------------------------------------------------------------- accounts and tokens

    def account(self, name: str) -> Account:
        """Return the account of this name; every name has one."""
        return account_of(name, seed=self.seed)

    def is_revoked(self, token: str) -> bool:
        """Whether this token was revoked."""
        return token in self._revoked

    def revoke(self, token: str, *, revoked: bool = True) -> None:
        """Revoke a token, or let it live again."""
        self._commit(_Change(put=[Revocation(id=token)]) if revoked else _Change(drop=[token]))

    # ------------------------------------------------------------------------------------------- codes and tokens

    def issued(self, text: str) -> Issued | None:
        """Return the code or token that was handed out as `text`, if it still is one."""
        return self._issued.get(text)

    def knows(self, account: str) -> bool:
        """Tell whether there is anything of this account, so that it is no new one."""
        owners = (owner for owner, _ in self._owned)
        handed_out = (one.owner for one in self._issued.values() if not isinstance(one, AccessToken))
        return account in self._zaps_of or account in owners or account in handed_out

    def next_serial(self) -> int:
        """Return the serial number of what comes to be next."""
        return self._serial + 1

    def issue(self, *made: Issued, spent: Sequence[str] = ()) -> None:
        """Hand out codes and tokens, for those that are spent."""
        self._commit(_Change(put=list(made), spent=list(spent)))

    # ------------------------------------------------------------------------------------------- authentications

    def listed(self, owner: str, app_id: str, *, now: int) -> list[Authentication]:
        """Return the authentications that `owner` sees listed for an app, oldest first."""
        return [found for found in self._owned.get((owner, app_id), {}).values() if found.listed_at <= now]

    def owned(self, owner: str, app_id: str) -> list[Authentication]:
        """Return the authentications that `owner` has for an app, listed by now or not, oldest first."""
        return list(self._owned.get((owner, app_id), {}).values())

    def authentication(self, authentication_id: str) -> Authentication | None:
        """Return the authentication with this id, whoever owns it."""
        return self._authentications.get(authentication_id)

    def authentications(self) -> Iterable[Authentication]:
        """Return every authentication there is, oldest first."""
        return self._authentications.values()

    def connect(  # noqa: PLR0913 - an authentication has this many properties
        self,
        owner: str,
        app: App,
        *,
        title: str | None = None,
        count: int = 1,
        is_expired: bool = False,
        listed_at: int = 0,
        shared_with: str | None = None,
    ) -> list[Authentication]:
        """Make `count` new authentications at once; without a title each is named after app and account."""
        made = [
            msgspec.structs.replace(new, is_expired=is_expired, listed_at=listed_at, shared_with=shared_with)
            for new in self._new_authentications(owner, app, title=title, count=count)
        ]
        self._commit(_Change(put=list(made)))
        return made

    def amend(
        self, before: Authentication, *, title: str | None = None, is_expired: bool | None = None
    ) -> Authentication:
        """Give an authentication another title or expiry, or both, and return it as it is then."""
        after = msgspec.structs.replace(
            before,
            title=before.title if title is None else title,
            is_expired=before.is_expired if is_expired is None else is_expired,
        )
        self._commit(_Change(put=[after]))
        return after

    def disconnect(self, authentication_id: str) -> bool:
        """Delete an authentication, and return whether there was one with this id."""
        if authentication_id not in self._authentications:
            return False
        self._commit(_Change(drop=[authentication_id]))
        return True

    # ------------------------------------------------------------------------------------------- actions

    def action_id(self, action: Action, *, now: int, actions: Actions) -> str:
        """Return an id for this action, good for a while from `now`."""
        number = self.catalogue.number_of(action)
        if actions.stable_ms:
            return seal_action_id(Issue(number, now - now % actions.stable_ms, 0), seed=self.seed)
        self._nonce += 1
        return seal_action_id(Issue(number, now, self._nonce), seed=self.seed)

    def action(self, action_id: str, *, now: int, actions: Actions) -> FoundAction | None:
        """Return what `action_id` stands for, or None if it never stood for anything or is stale."""
        issue = open_action_id(action_id, seed=self.seed)
        if issue is None or issue.number >= len(self.catalogue.actions):
            return None
        if now > issue.issued_at + actions.stable_ms + actions.valid_ms:
            return None
        found = FoundAction(*self.catalogue.actions[issue.number])
        return None if found.action.key in actions.gone else found

    # ------------------------------------------------------------------------------------------- Zaps

    def zaps(self, owner: str | None = None) -> Sequence[Zap]:
        """Return the Zaps of one account, or all, oldest first."""
        if owner is None:
            return list(self._zaps.values())
        return self._zaps_of.get(owner, [])

    def create_zap(self, owner: str, *, title: str, steps: list[ZapStep], now: int) -> Zap:
        """Create a Zap. Asked twice it creates two: the API has no idempotency key."""
        serial = self._serial + 1
        zap_id = str(uuid.uuid5(_ZAP_NAMESPACE, f"{self.seed}:{serial}"))
        zap = Zap(id=zap_id, serial=serial, owner=owner, title=title, created_at=now, steps=steps)
        self._commit(_Change(put=[zap]))
        return zap

    # ------------------------------------------------------------------------------------------- changes

    def _new_authentications(self, owner: str, app: App, *, title: str | None, count: int) -> Iterator[Authentication]:
        taken: set[str] = set()
        already = len(self._owned.get((owner, app.id), {}))
        for position in range(1, count + 1):
            serial = self._serial + position
            new_id = self._free_id(serial, taken)
            taken.add(new_id)
            name = f"{app.title} ({_address(owner, already + position)})" if title is None else title
            yield Authentication(id=new_id, serial=serial, owner=owner, app=app.id, title=name)

    def _free_id(self, serial: int, taken: set[str]) -> str:
        salt = 0
        while (
            found := authentication_id(serial, seed=self.seed, salt=salt)
        ) in self._authentications or found in taken:
            salt += 1
        return found

    def _commit(self, change: _Change) -> None:
        if self._journal is not None:
            self._journal.append(msgspec.json.encode(change))
        self._apply(change)
        records = len(self._authentications) + len(self._zaps) + len(self._issued)
        if self._journal is not None and self._journal.appended > _REWRITE_AFTER + 4 * records:
            self._rewrite()

    def _apply(self, change: _Change) -> None:
        for record in change.put:
            match record:
                case Authentication():
                    self._authentications[record.id] = record
                    self._owned.setdefault((record.owner, record.app), {})[record.id] = record
                    self._serial = max(self._serial, record.serial)
                case Zap():
                    self._zaps[record.id] = record
                    self._zaps_of.setdefault(record.owner, []).append(record)
                    self._serial = max(self._serial, record.serial)
                case Code() | RefreshToken() | AccessToken():
                    self._issued[record.id] = record
                    self._serial = max(self._serial, record.serial)
                case Revocation():
                    self._revoked.add(record.id)
        for gone in change.drop:
            self._forget(gone)
        for text in change.spent:
            self._issued.pop(text, None)

    def _forget(self, gone: str) -> None:
        self._revoked.discard(gone)
        authentication = self._authentications.pop(gone, None)
        if authentication is not None:
            del self._owned[authentication.owner, authentication.app][gone]

    def _clear(self) -> None:
        self._serial = 0
        self._nonce = 0
        self._authentications: dict[str, Authentication] = {}
        self._owned: dict[tuple[str, str], dict[str, Authentication]] = {}
        self._zaps: dict[str, Zap] = {}
        self._zaps_of: dict[str, list[Zap]] = {}
        self._revoked: set[str] = set()
        self._issued: dict[str, Issued] = {}

    def _replay(self, lines: Sequence[bytes]) -> None:
        try:
            head = msgspec.json.decode(lines[0], type=_Head)
            changes = [msgspec.json.decode(line, type=_Change) for line in lines[1:]]
        except msgspec.MsgspecError as problem:
            raise JournalError(f"the simulator's world cannot be read: {problem}") from problem
        if head.format != _FORMAT:
            raise JournalError(f"the simulator's world has format {head.format}, this version reads {_FORMAT}")
        if head.seed != self.seed:
            raise JournalError(f"the simulator's world was made with the seed {head.seed!r}, not {self.seed!r}")
        for change in changes:
            self._apply(change)
        self._serial = max(self._serial, head.serial)

    def _rewrite(self) -> None:
        if self._journal is None:
            return
        head = _Head(format=_FORMAT, seed=self.seed, serial=self._serial)
        revoked = [Revocation(id=token) for token in sorted(self._revoked)]
        rest = [*self._zaps.values(), *self._issued.values(), *revoked]
        records: list[Record] = [*self._authentications.values(), *rest]
        self._journal.rewrite([msgspec.json.encode(head), *(msgspec.json.encode(_Change([one])) for one in records)])


def _address(account: str, number: int) -> str:
    """Return an e-mail address for an account's nth connection to an app."""
    return f"{account}@example.test" if number == 1 else f"{account}.{number}@example.test"
