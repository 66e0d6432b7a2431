"""Whatever happens, nothing that is printed or written to a log holds a secret."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from cli import devenv
from cli.walking import browser_in, outcome_in, walk
from orchestrator.core.events import EventName
from tests.acceptance.installation import WITHOUT_LIMITS, Installation, everything_up, installed
from tests.support.patience import PATIENT, RUNS_WITHIN_S
from tests.support.ports import free_port
from tests.support.processes import come_true
from tests.support.receivers import a_receiver

KEYS: Final = re.compile(r"_KEYS?$|_SECRET$")
SHAPES: Final = re.compile(r"zwk_[\w-]{8,}|whsec_[\w+/=-]{8,}|eyJ[\w-]+\.[\w-]+\.[\w-]+|\bBearer +(?!…)\S+")
ORIGIN: Final = "http://127.0.0.1:1"


def own(folder: Path) -> set[str]:
    """Give the secrets that a deployment made for itself."""
    return {
        part
        for name, value in devenv.read(folder).items()
        if KEYS.search(name)
        for part in value.split(",")
        if len(part) > 7
    }


def written(folder: Path) -> Iterator[tuple[str, str]]:
    """Give every file below the folder that somebody may read: not dev.env, which holds the keys."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.name != "dev.env":
            yield str(path.relative_to(folder)), path.read_text(encoding="utf-8", errors="replace")


def found(secrets: set[str], texts: Iterator[tuple[str, str]]) -> list[tuple[str, str]]:
    """Give each secret that stands in a text, and in which."""
    return [(name, secret) for name, text in texts for secret in secrets if secret in text]


def log_files(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the logs below the folder."""
    return ((name, text) for name, text in written(folder) if name.rpartition(".")[2] in {"log", "1"})


@pytest.mark.slow
def test_a_demo_prints_no_secret(tmp_path: Path) -> None:
    """Neither what it says nor any of its logs, at the loudest: no key of its own, and nothing that looks like one."""
    environment = {"ZAPWRIGHT_API_PORT": str(free_port()), "ZAPWRIGHT_LOG_LEVEL": "debug"}
    folder = tmp_path / "home"
    folder.mkdir()
    with installed(folder / "demo", **environment) as installation:
        demo = installation.command("demo", "--data-dir", str(folder / "demo"), "--once")
        status = demo.wait(within_s=RUNS_WITHIN_S)
        secrets = own(folder / "demo") | {"sim-demo"}
        texts = [*log_files(folder), ("what it said", demo.output)]

    assert status == 0, demo.output
    assert len(secrets) > 3
    assert {"api.log", "simulator.log"} <= {Path(name).name for name, _ in texts}
    assert found(secrets, iter(texts)) == []
    assert [(name, SHAPES.findall(text)) for name, text in texts if SHAPES.search(text)] == []


class Story:
    """Everything that has a secret, done once; `secrets` are all that were seen."""

    def __init__(self, installation: Installation, hook: str) -> None:
        self.installation = installation
        self.hook = hook
        self.secrets: set[str] = {"sim-ada", "sim-eve", "refresh-of-eve-0123456789", "code-of-nobody-0123456789"}

    async def go(self) -> None:
        """Do it."""
        async with self.installation.api() as api:
            await self.keys(api)
            session = await self.session(api)
            await self.webhooks(api, session["id"])
            await self.links(api, session)
            await self.refusals(api)
            await self.sign_in(api)

    async def ok(self, api: httpx.AsyncClient, method: str, path: str, body: object = None) -> Any:
        """Send a request that must succeed."""
        answer = await api.request(method, path, json=body)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    async def keys(self, api: httpx.AsyncClient) -> None:
        """Use a key that was made."""
        making = self.installation.command(
            "api-keys", "create", "--name", "ci", "--data-dir", str(self.installation.folder)
        )
        assert making.wait() == 0, making.output
        (key,) = re.findall(r"zwk_\S+", making.output)
        self.secrets.add(key)
        await self.ok(api, "GET", "/v1/sessions")
        answer = await api.get("/v1/sessions", headers={"Authorization": f"Bearer {key}"})
        assert answer.is_success

    async def session(self, api: httpx.AsyncClient) -> Any:
        """Put credentials, one of which must be refreshed in vain, and begin a session."""
        await self.ok(api, "PUT", "/v1/users/ada/credential", {"access_token": "sim-ada"})
        late = {"access_token": "sim-eve", "refresh_token": "refresh-of-eve-0123456789", "expires_in": 1}
        await self.ok(api, "PUT", "/v1/users/eve/credential", late)
        await api.post("/v1/sessions", json={"user_id": "eve", "steps": [{"app_id": "no-such-app"}]})
        session = await self.ok(api, "POST", "/v1/sessions", {"user_id": "ada", "steps": [{}]})
        token = session["client_token"]["token"]
        more = await self.ok(api, "POST", f"/v1/sessions/{session['id']}/client-tokens", {"user_id": "ada"})
        self.secrets |= {token, more["token"]}
        page = {"Authorization": f"Bearer {token}"}
        async with api.stream("GET", f"/v1/sessions/{session['id']}/stream", headers=page) as stream:
            assert stream.is_success
        (app, *_) = (await self.ok(api, "GET", f"/v1/sessions/{session['id']}/apps?query=hubspot"))["apps"]
        step = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
        await self.ok(api, "PUT", f"{step}/app", {"app_id": app["id"]})
        popup = await self.ok(api, "POST", f"{step}/popup", {})
        self.secrets |= {value for values in parse_qs(urlsplit(popup["url"]).query).values() for value in values[:1]}
        self.secrets = {secret for secret in self.secrets if len(secret) > 6}
        return session

    async def webhooks(self, api: httpx.AsyncClient, session_id: str) -> None:
        """Have messages signed with two secrets, sent, refused and tested."""
        wish = {"url": self.hook, "events": [name.value for name in EventName]}
        made = await self.ok(api, "POST", "/v1/webhooks", wish)
        renewed = await self.ok(api, "POST", f"/v1/webhooks/{made['id']}/secrets")
        self.secrets |= {made["secret"], renewed["secret"]}
        await self.ok(api, "POST", f"/v1/webhooks/{made['id']}/test", {})
        await self.ok(api, "PATCH", f"/v1/sessions/{session_id}", {"title": "heard"})

    async def links(self, api: httpx.AsyncClient, session: Any) -> None:
        """Open a connect link, and one that a proxy spoilt."""
        step = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
        url = (await self.ok(api, "POST", f"{step}/connect-links", {"user_id": "ada"}))["url"]
        self.secrets.add(url.rpartition("-")[2])
        async with httpx.AsyncClient(**PATIENT) as browser:
            for address in (url, url.replace("/connect", "/zaps/connect"), f"{url}/../{url.rpartition('/')[2]}"):
                await browser.get(address)

    async def refusals(self, api: httpx.AsyncClient) -> None:
        """Say secrets where they do not belong."""
        for secret in list(self.secrets):
            for path in (f"/v1/{secret}", f"/v1/sessions?cursor={secret}", f"/v1/users/{secret}/nothing"):
                await api.get(path, headers={"Authorization": f"Bearer {secret}", "Cookie": f"zapwright={secret}"})
            await api.post("/v1/sessions", json={"user_id": "ada", "password": secret, "steps": secret})
            await api.post(
                "/v1/sessions", json={"user_id": "ada"}, headers={"Idempotency-Key": "k", "If-Match": secret}
            )

    async def sign_in(self, api: httpx.AsyncClient) -> None:
        """Sign a user in at Zapier from end to end, and come back once more with a code of nobody's."""
        async with httpx.AsyncClient(**PATIENT) as browser:
            name = browser_in(await browser.get(f"{api.base_url}/zapier-sign-in", params={"origin": self.origin(api)}))
            wish = {"browser": name}
            address = (await self.ok(api, "POST", "/v1/users/ida/zapier-sign-in", wish))["url"]
            self.secrets.add(address.rpartition("/")[2])
            steps = walk(address, account="ada", answer="allowed")
            method, here, form = next(steps)
            asked: dict[str, list[str]] = {}
            last: httpx.Response | None = None
            while last is None:
                asked = parse_qs(urlsplit(here).query) or asked
                self.secrets |= {value for key in ("code", "state") for value in asked.get(key, [])}
                answer = await browser.request(method, here, data=form)
                try:
                    method, here, form = steps.send(answer)
                except StopIteration as end:
                    last = end.value
            assert outcome_in(last) == "signed_in", last.text
            state = next(iter(asked.get("state", ["none"])))
            bogus = {"code": "code-of-nobody-0123456789", "state": state}
            await browser.get(f"{api.base_url}/zapier-sign-in/callback", params=bogus)

    def origin(self, api: httpx.AsyncClient) -> str:
        """Give an origin of the deployment's own pages."""
        return str(api.base_url).rstrip("/")


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "console"])
async def test_no_log_and_nothing_in_the_store_holds_a_secret_in_the_clear(tmp_path: Path, form: str) -> None:
    """Keys, tokens of every kind, codes, links and webhook secrets, used well and badly, with all that is logged."""
    environment = {
        **WITHOUT_LIMITS,
        "ZAPWRIGHT_LOG_LEVEL": "debug",
        "ZAPWRIGHT_LOG_FORMAT": form,
        "ZAPWRIGHT_WEBHOOK_ALLOWED_NETWORKS": "127.0.0.0/8",
    }
    folder = tmp_path / "up"
    async with a_receiver() as receiver:
        with everything_up(folder, **environment) as installation:
            story = Story(installation, receiver.url)
            await story.go()
            await come_true(lambda: has_heard(receiver.heard, "heard"))
            assert installation.supervisor is not None
            said = installation.supervisor.output
        secrets = story.secrets | own(folder)
        logs = [*log_files(folder), ("what it said", said)]
        store = [(name, text) for name, text in written(folder) if name.startswith("store")]

    assert len(secrets) >= 15
    assert {"api.log", "worker-1.log", "simulator.log"} <= {Path(name).name for name, _ in logs}
    assert found(secrets, iter(logs)) == []
    assert any("appendonly" in name for name, _ in store)
    assert found(secrets - {"sim-ada", "sim-eve"}, iter(store)) == []


async def has_heard(heard: list[Any], title: str) -> bool:
    """Tell whether a message has come that shows this title."""
    return any(json.loads(one.body)["data"]["session"]["title"] == title for one in heard)
