"""Who asks, and for which sessions."""

from __future__ import annotations

import pytest
from pydantic import SecretStr

from api.auth import ApiKeyMissingError, Caller, Callers, bearer_of
from api.errors import UnauthorizedError
from orchestrator.core.errors import SessionNotFoundError
from orchestrator.core.session import SessionKey
from orchestrator.core.tenants import TENANT_SCOPES, Scope
from orchestrator.settings import DEFAULT_TENANT


async def test_the_deployments_key_is_the_default_tenants_and_may_do_all_a_tenant_may() -> None:
    """Who runs Zapwright for one company needs no other."""
    caller = await Callers(SecretStr("right")).find("right")

    assert caller == Caller(tenant_id=DEFAULT_TENANT, scopes=TENANT_SCOPES)
    assert Scope.OPERATOR not in caller.scopes


@pytest.mark.parametrize("key", ["", "rig", "right ", "RIGHT", "rightright", "r\u00efght"])
async def test_any_other_key_is_refused(key: str) -> None:
    """Also one that is nearly right."""
    with pytest.raises(UnauthorizedError):
        await Callers(SecretStr("right")).find(key)


@pytest.mark.parametrize("key", [None, SecretStr(""), SecretStr("  ")])
def test_without_a_key_nothing_starts(key: SecretStr | None) -> None:
    """An open API would be worse than none; the error says what to set."""
    with pytest.raises(ApiKeyMissingError, match="ZAPWRIGHT_API_KEY is not set"):
        Callers(key)


def test_the_key_itself_is_not_kept() -> None:
    """A dump of the process's objects does not show it."""
    assert "right" not in repr(vars(Callers(SecretStr("right"))))


@pytest.mark.parametrize("authorization", ["", "right", "Bearer", "Bearer  ", "Basic right", "Bearerright"])
def test_a_header_that_bears_nothing_is_refused(authorization: str) -> None:
    """Only `Bearer …` counts."""
    with pytest.raises(UnauthorizedError):
        bearer_of(authorization)


@pytest.mark.parametrize("authorization", ["Bearer right", "bearer right", "BEARER   right "])
def test_the_scheme_is_written_as_one_likes(authorization: str) -> None:
    """RFC 9110: schemes have no case."""
    assert bearer_of(authorization) == "right"


def test_a_session_is_named_for_its_caller() -> None:
    """Under the caller's tenant, whatever the address says."""
    caller = Caller(tenant_id="acme", scopes=TENANT_SCOPES)

    assert caller.key("zs1") == SessionKey(tenant_id="acme", session_id="zs1")


@pytest.mark.parametrize(
    "caller",
    [
        Caller(tenant_id="acme", scopes=frozenset(), session_id="zs2"),
        Caller(tenant_id=None, scopes=frozenset({Scope.OPERATOR})),
    ],
    ids=["another session's token", "an operator"],
)
def test_who_has_nothing_to_do_with_a_session_finds_none(caller: Caller) -> None:
    """As if there were none."""
    with pytest.raises(SessionNotFoundError):
        caller.key("zs1")
