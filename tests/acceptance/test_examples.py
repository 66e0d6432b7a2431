"""The example hosts, started as their reader would start them, beside a deployment."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

import httpx
import pytest

from tests.acceptance.installation import Installation, everything_up
from tests.acceptance.starting import started
from tests.support.clients import NODE, ROOT
from tests.support.patience import PATIENT

pytestmark = pytest.mark.slow

EXAMPLES: Final = ROOT / "examples"
HOSTS: Final = ("fastapi_host.py", "express_host.mjs")
NODE_MODULES: Final = ROOT / "clients" / "node" / "node_modules"


@pytest.fixture(name="up", scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """Everything, on one machine."""
    with everything_up(tmp_path_factory.mktemp("examples") / "data") as installation:
        yield installation


@pytest.fixture(name="host", scope="module", params=[HOSTS[0], pytest.param(HOSTS[1], marks=pytest.mark.npm_packages)])
def hosted(
    request: pytest.FixtureRequest, up: Installation, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    """Somebody who calls each host."""
    folder = tmp_path_factory.mktemp("host")
    (folder / request.param).write_bytes((EXAMPLES / request.param).read_bytes())
    (folder / "page").symlink_to(EXAMPLES / "page")
    command = [sys.executable, "-m", "uvicorn", "fastapi_host:app", "--port", "0"]
    if request.param.endswith(".mjs"):
        (folder / "node_modules").mkdir()
        (folder / "node_modules" / "express").symlink_to(NODE_MODULES / "express")
        (folder / "node_modules" / "zapwright-client").symlink_to(ROOT / "clients" / "node")
        command = [NODE, request.param]
    with started(command, folder, up.variables) as url, httpx.Client(base_url=url, **PATIENT) as client:
        yield client


def token_of(host: httpx.Client, login: str, integration: str = "crm") -> dict[str, str]:
    """Ask the host as its page does."""
    answer = host.post(f"/integrations/{integration}/zapwright", headers={"login": login})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()
    return found


def session_with(token: dict[str, str], session_id: str) -> httpx.Response:
    """Read a session as a page does, with its token."""
    url = f"{token['api_url']}/v1/sessions/{session_id}"
    return httpx.get(url, headers={"Authorization": f"Bearer {token['token']}"}, **PATIENT)


def test_a_host_serves_the_page_that_asks_it(host: httpx.Client) -> None:
    """As it stands in the examples."""
    answer = host.get("/page/")

    assert answer.text == (EXAMPLES / "page" / "index.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("login", ["", "login-of-nobody"])
def test_nobody_gets_a_token_without_signing_in(host: httpx.Client, login: str) -> None:
    """And nothing of Zapwright's is in the answer."""
    answer = host.post("/integrations/crm/zapwright", headers={"login": login})

    assert answer.status_code == 401
    assert answer.json() == {"detail": "sign in first"}


def test_a_user_gets_a_token_for_a_session_of_their_own(host: httpx.Client) -> None:
    """With it their page reads that session; asked again, the host gives a token for the same one."""
    first, second = token_of(host, "login-of-ada"), token_of(host, "login-of-ada")
    read = session_with(first, first["session_id"])

    assert read.status_code == 200, read.text
    assert (read.json()["user_id"], read.json()["reference"]) == ("ada", "crm")
    assert second["session_id"] == first["session_id"]


def test_nobody_gets_another_users_session(host: httpx.Client) -> None:
    """Though both ask for the same integration; nor does the token of one open the session of the other."""
    of_ada, of_bob = token_of(host, "login-of-ada"), token_of(host, "login-of-bob")

    assert of_ada["session_id"] != of_bob["session_id"]
    assert session_with(of_bob, of_bob["session_id"]).json()["user_id"] == "bob"
    assert session_with(of_bob, of_ada["session_id"]).status_code in {403, 404}


def test_a_token_opens_nothing_that_is_a_backends(host: httpx.Client) -> None:
    """The host's key stays with the host."""
    token = token_of(host, "login-of-ada")
    headers = {"Authorization": f"Bearer {token['token']}"}
    answers = [
        httpx.get(f"{token['api_url']}/v1/sessions", headers=headers, **PATIENT),
        httpx.post(f"{token['api_url']}/v1/sessions", json={"user_id": "ada"}, headers=headers, **PATIENT),
    ]

    assert [answer.status_code for answer in answers] == [403, 403]


@pytest.mark.parametrize("name", HOSTS)
def test_an_example_fits_on_a_screen(name: str) -> None:
    """Under thirty lines."""
    assert len((EXAMPLES / name).read_text(encoding="utf-8").splitlines()) < 30
