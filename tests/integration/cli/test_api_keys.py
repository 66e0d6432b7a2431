"""`zapwright api-keys`: made and shown once, listed without their secrets, revoked."""

from __future__ import annotations

import pytest

from orchestrator.core.tenants import TENANT_SCOPES, parts_of_key
from tests.integration.cli.conftest import Shell


def test_a_key_is_shown_once_and_opens_what_is_kept(shell: Shell) -> None:
    """What is kept is its hash; the default tenant's key may do all a tenant may."""
    text = shell.run("api-keys", "create", "--name", "web").strip()
    (listed,) = shell.json("api-keys", "list")["api_keys"]
    kept = shell.ask(lambda store: store.api_keys.get(listed["id"]))

    parts = parts_of_key(text)
    assert parts is not None
    assert parts[0] == listed["id"]
    assert kept is not None
    assert kept.opens(parts[1])
    assert (listed["tenant_id"], listed["name"], listed["scopes"]) == ("default", "web", sorted(TENANT_SCOPES))
    assert parts[1] not in shell.run("api-keys", "list")


def test_a_key_has_the_scopes_it_was_given(shell: Shell) -> None:
    """For a tenant that is there."""
    shell.run("tenants", "create", "acme")
    made = shell.json("api-keys", "create", "--tenant", "acme", "--scope", "sessions:read", "--scope", "users:write")

    assert (made["tenant_id"], made["scopes"]) == ("acme", ["sessions:read", "users:write"])
    assert parts_of_key(made["key"])


def test_operators_keys_are_apart(shell: Shell) -> None:
    """They are nobody's, have one scope, and are listed by themselves."""
    operators = shell.json("api-keys", "create", "--operator")
    shell.run("api-keys", "create")

    assert (operators["tenant_id"], operators["scopes"]) == (None, ["operator"])
    assert [key["id"] for key in shell.json("api-keys", "list", "--operator")["api_keys"]] == [operators["id"]]
    assert len(shell.json("api-keys", "list", "--tenant", "default")["api_keys"]) == 1
    assert len(shell.json("api-keys", "list")["api_keys"]) == 2


def test_an_operators_key_may_only_look_or_be_restricted_to_tenants(shell: Shell) -> None:
    """Or both; the list says of each what it sees."""
    shell.run("tenants", "create", "acme")
    viewers = shell.json("api-keys", "create", "--viewer", "--name", "Ann")
    scoped = shell.json("api-keys", "create", "--operator", "--tenant", "default", "--tenant", "acme")

    assert (viewers["tenant_id"], viewers["scopes"], viewers["sees"]) == (None, ["viewer"], None)
    assert (scoped["tenant_id"], scoped["scopes"], scoped["sees"]) == (None, ["operator"], ["acme", "default"])
    assert "operators, acme, default" in " ".join(shell.run("api-keys", "list").split())


def test_the_list_is_whole_on_80_columns(shell: Shell) -> None:
    """Ids, names, scopes and moments."""
    shell.environment["COLUMNS"] = "80"
    shell.run("api-keys", "create", "--operator", "--name", "Grace of the night shift")
    key = shell.json("api-keys", "create", "--name", "the backend of the shop")
    key = shell.json("api-keys", "revoke", key["id"])
    shown = shell.run("api-keys", "list")
    when = key["revoked_at"].replace("T", " ").partition(".")[0]
    said = (key["id"], key["name"], "Grace of the night shift", *key["scopes"], "when (UTC)", f"revoked {when}")

    assert [part for part in said if part not in shown] == []


def test_a_key_is_revoked_once(shell: Shell) -> None:
    """It stays in the list, with when."""
    made = shell.json("api-keys", "create")

    first = shell.json("api-keys", "revoke", made["id"])
    again = shell.json("api-keys", "revoke", made["id"])

    assert first["revoked_at"] is not None
    assert first == again == shell.json("api-keys", "list")["api_keys"][0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "--tenant", "nobody"), "no tenant has the id 'nobody'"),
        (("create", "--scope", "everything"), "there is no scope everything; there are sessions:read"),
        (("create", "--scope", "operator"), "there is no scope operator"),
        (("create", "--operator", "--tenant", "acme"), "no tenant has the id 'acme'"),
        (("create", "--operator", "--scope", "sessions:read"), "leave --scope out"),
        (("create", "--operator", "--viewer"), "leave --viewer out"),
        (("create", "--tenant", "default", "--tenant", "acme"), "give --tenant once"),
        (("revoke", "ak-none"), "no API key has the id 'ak-none'"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    """And leaves nothing behind."""
    assert words in shell.refused("api-keys", *arguments)
    assert shell.json("api-keys", "list")["api_keys"] == []
