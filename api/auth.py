"""Who may ask: whoever has the deployment's API key."""

from __future__ import annotations

import hashlib
import hmac
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic import SecretStr

from api.errors import UnauthorizedError
from orchestrator.settings import DEFAULT_TENANT

_bearer = HTTPBearer(auto_error=False, scheme_name="api_key", description="The API key of this deployment.")


class ApiKeyMissingError(Exception):
    """The API does not start without a key: everybody could use it."""

    def __init__(self) -> None:
        super().__init__("ZAPWRIGHT_API_KEY is not set: choose a long random key; backends send it as a bearer token")


class Keys:
    """Knows the API key by its hash. Raises ApiKeyMissingError when there is none."""

    def __init__(self, api_key: SecretStr | None) -> None:
        key = api_key.get_secret_value() if api_key is not None else ""
        if not key.strip():
            raise ApiKeyMissingError
        self._hash = _hash(key)

    def tenant_of(self, key: str) -> str:
        """Return whose key this is, in a time that tells nothing about it. Raises UnauthorizedError."""
        if not hmac.compare_digest(_hash(key), self._hash):
            raise UnauthorizedError
        return DEFAULT_TENANT


def _hash(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


async def tenant(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> str:
    """Return the tenant that asks. Raises UnauthorizedError without its key."""
    if credentials is None:
        raise UnauthorizedError
    keys: Keys = request.app.state.keys
    return keys.tenant_of(credentials.credentials)


Tenant = Annotated[str, Depends(tenant)]
