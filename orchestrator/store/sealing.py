"""Sealing: what is secret is encrypted before it reaches the store, and the keys are not in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from orchestrator.core.errors.store import StoreError


class SealBrokenError(StoreError):
    """Something was sealed with a key that is not configured."""

    code: ClassVar[str] = "seal_broken"

    def __init__(self) -> None:
        super().__init__("a secret cannot be read with the configured keys: configure the key it was sealed with")


class Seal:
    """Closes with the newest key and opens with any.

    `keys` are Fernet keys (32 bytes, URL-safe base64), newest first. Raises ValueError for one that is none, and when
    there are none.
    """

    def __init__(self, keys: Sequence[str]) -> None:
        fernets = [Fernet(key) for key in keys]
        self._newest, self._any = MultiFernet(fernets[:1]), MultiFernet(fernets)

    def close(self, secret: bytes) -> bytes:
        """Return the secret sealed."""
        return self._newest.encrypt(secret)

    def renewed(self, sealed: bytes | str) -> bytes | None:
        """Return the same secret under the newest key, None when it is so already. Raises SealBrokenError."""
        try:
            self._newest.decrypt(sealed)
        except InvalidToken:
            return self.close(self.open(sealed))
        return None

    def open(self, sealed: bytes | str) -> bytes:
        """Return what was sealed. Raises SealBrokenError."""
        try:
            return self._any.decrypt(sealed)
        except InvalidToken as error:
            raise SealBrokenError from error
