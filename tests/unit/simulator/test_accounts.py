"""Accounts and tokens."""

import pytest

from simulator.accounts import DEFAULT_PARTNER, Bearer, account_of, bearer_of


@pytest.mark.parametrize(
    ("token", "account", "partner"),
    [
        ("sim-alice", "alice", DEFAULT_PARTNER),
        ("sim-alice+second", "alice", DEFAULT_PARTNER),
        ("sim-alice@acme", "alice", "acme"),
        ("sim-alice+second@acme", "alice", "acme"),
        ("sim-a.b-c_9", "a.b-c_9", DEFAULT_PARTNER),
    ],
)
def test_a_token_tells_its_account_and_partner(token: str, account: str, partner: str) -> None:
    """Nothing has to be registered before a token works."""
    expected = Bearer(token=token, account=account, partner=partner)

    assert expected == bearer_of(token)


@pytest.mark.parametrize(
    "token", ["", "alice", "sim-", "sim-sim-alice", "sim-al ice", "sim-alice@", "sim-alice.", f"sim-{'a' * 65}"]
)
def test_anything_else_is_no_token(token: str) -> None:
    """What the simulator never issued opens nothing, not even by accident."""
    found = bearer_of(token)

    assert found is None


def test_an_account_is_the_same_each_time() -> None:
    """Its id and names follow from its name and the seed."""
    account = account_of("ada.lovelace", seed="s")

    assert account == account_of("ada.lovelace", seed="s")
    assert (account.first_name, account.last_name, account.email) == ("Ada", "Lovelace", "ada.lovelace@example.test")


def test_accounts_differ_by_name_and_seed() -> None:
    """Two accounts are never one by chance."""
    ids = {account_of(name, seed=seed).id for name in ("ada", "bob") for seed in ("s", "t")}

    assert len(ids) == 4
