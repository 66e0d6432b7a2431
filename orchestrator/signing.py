"""Signatures of webhook messages, as Standard Webhooks has them: one for each live secret, over the exact bytes."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from standardwebhooks import Webhook

from orchestrator.core.endpoints import SECRET_PREFIX
from orchestrator.core.session import SECOND, Instant

ID: Final = "webhook-id"
TIMESTAMP: Final = "webhook-timestamp"
SIGNATURE: Final = "webhook-signature"
BYTES_OF_SECRET: Final = 32


def secret_of(random: bytes) -> str:
    """Write random bytes as a secret. Raises ValueError for fewer than 24."""
    if len(random) < 24:  # noqa: PLR2004 - the least that Standard Webhooks allows
        raise ValueError("a secret needs at least 24 random bytes")
    return SECRET_PREFIX + base64.b64encode(random).decode()


def signed(message_id: str, body: bytes, *, secrets: Sequence[str], now: Instant) -> dict[str, str]:
    """Return the headers that say who sent these bytes, and when."""
    at = datetime.fromtimestamp(now // SECOND, UTC)
    text = body.decode()
    return {
        ID: message_id,
        TIMESTAMP: str(now // SECOND),
        SIGNATURE: " ".join(_webhook(secret).sign(message_id, at, text) for secret in secrets),
    }


@lru_cache(maxsize=1024)
def _webhook(secret: str) -> Webhook:
    return Webhook(secret)
