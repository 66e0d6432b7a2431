"""`zapwright keys rotate`: every secret comes under the newest key, whatever happens on the way."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

import pytest
from redis import Redis

from orchestrator.core.ports.credentials import Credential, NewTokens
from orchestrator.core.tenants import Tenant
from orchestrator.store.credentials import CredentialUnreadableError
from orchestrator.store.opening import Store
from orchestrator.store.rotation import Resealed
from orchestrator.store.sealing import SealBrokenError
from tests.integration.cli.conftest import Shell
from tests.support.processes import SEALING_KEY, Gate, Process, eventually, running
from tests.support.store_values import NOON
from tests.support.valkey import ValkeyServer

OLD: Final = SEALING_KEY
NEW: Final = "bmV3LW5ldy1uZXctbmV3LW5ldy1uZXctbmV3LW5ldy0="
USERS: Final = 40


def put(shell: Shell, key: str, *users: str) -> None:
    """Put a credential for each user as a process does whose newest key this is."""

    async def each(store: Store) -> None:
        for user in users:
            await store.credentials.put("default", user, NewTokens(access_token=f"of-{user}"), profile=None, now=NOON)

    shell.ask(each, key, OLD)


def tokens(shell: Shell, *users: str, keys: tuple[str, ...]) -> list[str]:
    """Read the users' tokens with these keys."""

    async def each(store: Store) -> list[Credential | None]:
        return [await store.credentials.get("default", user) for user in users]

    return [credential.access_token for credential in shell.ask(each, *keys) if credential]


@pytest.fixture(name="users")
def _users(shell: Shell) -> list[str]:
    """Users and a tenant whose secrets are sealed with the old key; the environment has a newer one."""
    users = [f"user-{number:02}" for number in range(USERS)]
    put(shell, OLD, *users)

    async def make(store: Store) -> None:
        await store.tenants.create(Tenant(id="acme", name="", created_at=0), client_secret="hush")
        await store.tenants.create(Tenant(id="plain", name="", created_at=0))

    shell.ask(make, OLD)
    shell.environment["ZAPWRIGHT_CREDENTIAL_KEYS"] = f"{NEW},{OLD}"
    return users


def test_everything_comes_under_the_newest_key(shell: Shell, users: list[str]) -> None:
    """Credentials and tenants' secrets; afterwards the older keys can go."""
    said = shell.json("keys", "rotate")
    secret = shell.ask(lambda store: store.tenants.client_secret("acme"), NEW)

    assert said == {"pending": False, "resealed": USERS + 1, "current": 0, "unreadable": 0, "older_keys": 1}
    assert tokens(shell, *users, keys=(NEW,)) == [f"of-{user}" for user in users]
    assert secret == "hush"
    with pytest.raises(CredentialUnreadableError):
        tokens(shell, users[0], keys=(OLD,))
    with pytest.raises(SealBrokenError):
        shell.ask(lambda store: store.tenants.client_secret("acme"), OLD)


def test_it_says_which_keys_may_go(shell: Shell, users: list[str]) -> None:
    """A second time there is nothing left to do."""
    first, second = shell.run("keys", "rotate"), shell.run("keys", "rotate")
    shell.environment["ZAPWRIGHT_CREDENTIAL_KEYS"] = NEW
    alone = shell.run("keys", "rotate")

    assert f"{USERS + 1} secrets sealed anew, 0 were so already" in first
    assert f"0 secrets sealed anew, {USERS + 1} were so already" in second
    assert "every key of ZAPWRIGHT_CREDENTIAL_KEYS but the first may go now (1)" in first
    assert "put a new one before it" in alone


def test_what_no_key_opens_is_said(shell: Shell, users: list[str]) -> None:
    """The old key was dropped too early: nothing is changed, and it can still be put back."""
    shell.environment["ZAPWRIGHT_CREDENTIAL_KEYS"] = NEW
    with pytest.raises(AssertionError, match="cannot be read with any key"):
        shell.run("keys", "rotate")
    shell.environment["ZAPWRIGHT_CREDENTIAL_KEYS"] = f"{NEW},{OLD}"

    assert shell.json("keys", "rotate")["resealed"] == USERS + 1


def test_what_is_put_meanwhile_is_not_overwritten(shell: Shell, users: list[str]) -> None:
    """Whichever comes first, the newest token stays, and is under the newest key."""

    async def both(store: Store) -> Resealed:
        async def renew() -> None:
            for user in users:
                await store.credentials.put(
                    "default", user, NewTokens(access_token=f"new-{user}"), profile=None, now=NOON
                )

        resealed, _ = await asyncio.gather(store.reseal(), renew())
        return resealed

    shell.ask(both, NEW, OLD)

    assert tokens(shell, *users, keys=(NEW,)) == [f"new-{user}" for user in users]


def test_one_that_was_killed_is_simply_begun_again(
    shell: Shell, users: list[str], valkey: ValkeyServer, tmp_path: Path
) -> None:
    """What was done stays done, the rest is done now, and at every moment all can be read with both keys."""
    with Redis(unix_socket_path=str(valkey.socket), protocol=2) as redis:
        names = list(redis.scan_iter("zw:{*}:credential:*", count=500))
    gate = Gate(tmp_path, store=valkey.socket)
    gate.stop_at(names[USERS // 2])
    environment = shell.environment | {"REDIS_URL": gate.url}
    with running(Process(["cli", "keys", "rotate"], environment=environment, log=tmp_path / "log")) as process:
        eventually(gate.reached.is_set, what="the middle")
        process.kill()
    gate.close()
    halfway = tokens(shell, *users, keys=(NEW, OLD))
    said = shell.json("keys", "rotate")

    assert halfway == [f"of-{user}" for user in users]
    assert (said["resealed"] + said["current"], said["unreadable"]) == (USERS + 1, 0)
    assert 0 < said["current"] < USERS
    assert tokens(shell, *users, keys=(NEW,)) == halfway


def test_without_keys_it_says_what_to_set(shell: Shell) -> None:
    """As every command does."""
    shell.environment["ZAPWRIGHT_CREDENTIAL_KEYS"] = ""

    assert "ZAPWRIGHT_CREDENTIAL_KEYS is not set" in shell.refused("keys", "rotate")
