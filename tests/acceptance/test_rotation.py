"""Keys that `zapwright up` made itself are rotated, while it runs and while it does not."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from tests.acceptance.installation import WITHOUT_LIMITS, Installation, installed
from tests.support.patience import PATIENT


def keys_of(installation: Installation) -> list[str]:
    """Give the encryption keys in dev.env."""
    return installation.variables["ZAPWRIGHT_CREDENTIAL_KEYS"].split(",")


def ask(installation: Installation, method: str, path: str, body: object) -> httpx.Response:
    """Ask the API."""
    variables = installation.variables
    return httpx.request(
        method,
        f"{variables['ZAPWRIGHT_API_URL']}/v1/{path}",
        json=body,
        headers={"Authorization": f"Bearer {variables['ZAPWRIGHT_API_KEY']}"},
        **PATIENT,
    )


@pytest.mark.slow
def test_keys_are_rotated_while_it_runs_and_while_it_does_not(tmp_path: Path) -> None:
    """Running processes learn the new key before anything is sealed with it, and nobody has to sign in again."""
    folder = tmp_path / "deployment"
    with installed(folder, **WITHOUT_LIMITS) as installation:
        rotate = ("keys", "rotate", "--data-dir", str(folder), "--json")
        installation.up("--workers", "1")
        (oldest,) = keys_of(installation)
        put = ask(installation, "PUT", "users/ada/credential", {"access_token": "sim-ada"})
        pending = [installation.says(*rotate) for _ in range(2)]
        newer = keys_of(installation)
        installation.down()
        installation.up("--workers", "1")
        done = installation.says(*rotate)
        begun = ask(installation, "POST", "sessions", {"user_id": "ada", "steps": [{}]}).json()
        found = ask(installation, "GET", f"sessions/{begun['id']}/apps?query=slack", None)
        (new,) = keys_of(installation)
        installation.down()
        while_down = installation.says(*rotate)
        (newest,) = keys_of(installation)
        installation.up("--workers", "1")
        read = ask(installation, "GET", f"sessions/{begun['id']}/apps?query=slack", None)

    assert put.status_code == 200
    assert pending == [{"pending": True}] * 2
    assert newer == [new, oldest]
    assert done == {"pending": False, "resealed": 1, "current": 0, "unreadable": 0, "older_keys": 1}
    assert while_down == done
    assert len({oldest, new, newest}) == 3
    assert (found.status_code, read.status_code) == (200, 200)
