"""The API key is needed, kept as a hash, and compared in constant time."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from api.auth import ApiKeyMissingError, Keys
from api.errors import UnauthorizedError
from orchestrator.settings import DEFAULT_TENANT


def test_the_key_names_the_tenant() -> None:
    """There is one tenant as yet."""
    assert Keys(SecretStr("right")).tenant_of("right") == DEFAULT_TENANT


@pytest.mark.parametrize("key", ["", "rig", "right ", "RIGHT", "rightright", "r\u00efght"])
def test_any_other_key_is_refused(key: str) -> None:
    """Also one that is nearly right."""
    with pytest.raises(UnauthorizedError):
        Keys(SecretStr("right")).tenant_of(key)


@pytest.mark.parametrize("key", [None, SecretStr(""), SecretStr("  ")])
def test_without_a_key_nothing_starts(key: SecretStr | None) -> None:
    """An open API would be worse than none; the error says what to set."""
    with pytest.raises(ApiKeyMissingError, match="ZAPWRIGHT_API_KEY is not set"):
        Keys(key)


def test_the_key_itself_is_not_kept() -> None:
    """A dump of the process's objects does not show it."""
    assert "right" not in repr(vars(Keys(SecretStr("right"))))
