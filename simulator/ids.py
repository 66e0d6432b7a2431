"""Identifiers: each follows from the seed and a serial number, so that the same story gives the same ids.

Action ids are the exception in kind. The real ones change from lookup to lookup and go stale, so these carry the moment
they were issued, sealed: nothing has to be remembered for an id to be recognised, to expire, or to survive a restart.
"""

import hashlib
from typing import Final, NamedTuple

_ALPHABET: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_AUTHENTICATION_ID_LENGTH: Final = 7
_ACTION_PREFIX: Final = "core:"
_ACTION_TOKEN_LIMIT: Final = 32
_TAG_BYTES: Final = 4
_NUMBER_BYTES: Final = 2
_ISSUED_BYTES: Final = 6
_NONCE_BYTES: Final = 4
_PAYLOAD_BYTES: Final = _NUMBER_BYTES + _ISSUED_BYTES + _NONCE_BYTES


class Issue(NamedTuple):
    """What an action id holds."""

    number: int  #: which action of the catalogue
    issued_at: int  #: Unix ms
    nonce: int  #: tells ids apart that were issued in the same millisecond


def keyed_digest(text: bytes, *, seed: str, size: int) -> bytes:
    """Return `size` bytes that follow from the seed and the text alone."""
    key = hashlib.blake2b(seed.encode(), digest_size=32).digest()
    return hashlib.blake2b(text, key=key, digest_size=size).digest()


def authentication_id(serial: int, *, seed: str, salt: int = 0) -> str:
    """Return the id of the authentication with this serial number, in one of the two forms seen upstream.

    Most are short and base62; every fifth is a decimal string, which a client must not take for a number. Two serial
    numbers may meet in one id: the caller then asks again with another `salt`.
    """
    value = int.from_bytes(keyed_digest(f"authentication:{serial}:{salt}".encode(), seed=seed, size=8))
    if serial % 5 == 0:
        return str(10_000_000 + value % 90_000_000)
    return _base62(value)[-_AUTHENTICATION_ID_LENGTH:].rjust(_AUTHENTICATION_ID_LENGTH, "b")


def seal_action_id(issue: Issue, *, seed: str) -> str:
    """Return the id under which an action is handed out this time."""
    payload = b"".join(
        (
            issue.number.to_bytes(_NUMBER_BYTES),
            issue.issued_at.to_bytes(_ISSUED_BYTES),
            (issue.nonce % 2 ** (8 * _NONCE_BYTES)).to_bytes(_NONCE_BYTES),
        )
    )
    tag = keyed_digest(payload, seed=seed, size=_TAG_BYTES)
    return _ACTION_PREFIX + _base62(int.from_bytes(b"\x01" + tag + _masked(payload, tag, seed=seed)))


def open_action_id(action_id: str, *, seed: str) -> Issue | None:
    """Return what `action_id` holds, or None if it was never issued under this seed."""
    value = _from_base62(action_id.removeprefix(_ACTION_PREFIX)) if action_id.startswith(_ACTION_PREFIX) else None
    if value is None or value.bit_length() != 8 * (_TAG_BYTES + _PAYLOAD_BYTES) + 1:
        return None
    sealed = value.to_bytes(1 + _TAG_BYTES + _PAYLOAD_BYTES)
    tag = sealed[1 : 1 + _TAG_BYTES]
    payload = _masked(sealed[1 + _TAG_BYTES :], tag, seed=seed)
    if keyed_digest(payload, seed=seed, size=_TAG_BYTES) != tag:
        return None
    return Issue(
        number=int.from_bytes(payload[:_NUMBER_BYTES]),
        issued_at=int.from_bytes(payload[_NUMBER_BYTES:-_NONCE_BYTES]),
        nonce=int.from_bytes(payload[-_NONCE_BYTES:]),
    )


def _masked(payload: bytes, tag: bytes, *, seed: str) -> bytes:
    """Cover or uncover `payload`, so that ids issued one after another have nothing in common to look at."""
    mask = keyed_digest(b"mask:" + tag, seed=seed, size=len(payload))
    return (int.from_bytes(payload) ^ int.from_bytes(mask)).to_bytes(len(payload))


def _base62(value: int) -> str:
    digits = []
    while value:
        value, digit = divmod(value, 62)
        digits.append(_ALPHABET[digit])
    return "".join(reversed(digits)) or "0"


def _from_base62(text: str) -> int | None:
    if len(text) > _ACTION_TOKEN_LIMIT:
        return None
    value = 0
    for character in text:
        digit = _ALPHABET.find(character)
        if digit < 0:
            return None
        value = value * 62 + digit
    return value
