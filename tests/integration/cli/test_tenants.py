"""`zapwright tenants`: made, changed and listed, in tables and for programs."""

from __future__ import annotations

import pytest

from tests.integration.cli.conftest import Shell


def test_a_tenant_is_made_changed_and_listed(shell: Shell) -> None:
    """The default one is always there, first."""
    made = shell.json("tenants", "create", "acme", "--name", "Acme", "--origin", "HTTPS://App.Acme.example/")
    changed = shell.json(
        "tenants",
        "update",
        "acme",
        *("--zapier-client-id", "client-7"),
        *("--origin", "https://a.example", "--origin", "http://localhost:3000"),
        *("--own-app", "AcmeCLIAPI"),
    )
    listed = shell.json("tenants", "list")

    assert made == {
        "id": "acme",
        "name": "Acme",
        "origins": ["https://app.acme.example"],
        "zapier_client_id": None,
        "has_client_secret": False,
        "own_apps": [],
    }
    assert changed == made | {
        "origins": ["https://a.example", "http://localhost:3000"],
        "zapier_client_id": "client-7",
        "own_apps": ["AcmeCLIAPI"],
    }
    assert [tenant["id"] for tenant in listed["tenants"]] == ["default", "acme"]
    assert listed["tenants"][1] == changed


def test_a_client_secret_is_piped_in_and_not_shown(shell: Shell) -> None:
    """It stands in no option, no output and, unsealed, nowhere in the store."""
    printed = shell.run("tenants", "create", "acme", "--zapier-client-secret", piped="hush-hush\n")
    shown = shell.run("tenants", "list")
    kept = shell.ask(lambda store: store.tenants.client_secret("acme"))

    assert kept == "hush-hush"
    assert "hush" not in printed + shown
    assert "with a secret" in shown


def test_an_empty_origin_empties_the_list(shell: Shell) -> None:
    """So that no page can use it any more."""
    shell.run("tenants", "create", "acme", "--origin", "https://a.example")

    assert shell.json("tenants", "update", "acme", "--origin", "")["origins"] == []
    assert "no page can use it" in shell.run("tenants", "list")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("create", "Acme Inc"), "no id of a tenant"),
        (("create", "default"), "ZAPWRIGHT_ORIGINS"),
        (("update", "default"), "ZAPWRIGHT_ORIGINS"),
        (("create", "twice"), "already; update it instead"),
        (("update", "nobody", "--name", "N"), "no tenant has the id 'nobody'"),
        (("create", "acme", "--origin", "*"), "'*' is no origin"),
        (("create", "acme", "--origin", "https://a.example/path"), "without a path"),
        (("create", "acme", "--zapier-client-secret"), "no client secret was given"),
    ],
)
def test_what_cannot_be_done_is_refused_in_words(shell: Shell, arguments: tuple[str, ...], words: str) -> None:
    """And leaves nothing behind."""
    shell.run("tenants", "create", "twice")

    assert words in shell.refused("tenants", *arguments, piped="\n")
    assert [tenant["id"] for tenant in shell.json("tenants", "list")["tenants"]] == ["default", "twice"]


def test_without_a_store_or_a_key_it_says_what_to_set(shell: Shell) -> None:
    """Both are what the processes have."""
    shell.environment["ZAPWRIGHT_CREDENTIAL_KEYS"] = ""
    without_key = shell.refused("tenants", "list")
    shell.environment["ZAPWRIGHT_CREDENTIAL_KEYS"] = "short"
    wrong_key = shell.refused("tenants", "list")
    shell.environment["REDIS_URL"] = ""
    without_store = shell.refused("tenants", "list")

    assert "ZAPWRIGHT_CREDENTIAL_KEYS is not set" in without_key
    assert "no Fernet key" in wrong_key
    assert "short" not in wrong_key
    assert without_store


def test_a_store_that_does_not_answer_is_said(shell: Shell) -> None:
    """In a sentence."""
    shell.environment["REDIS_URL"] = "redis://127.0.0.1:1"

    assert "the store did not answer" in shell.refused("tenants", "list")
