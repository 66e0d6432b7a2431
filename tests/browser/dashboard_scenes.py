"""The dashboard in an incident, and in its other states.

All scenes show one deployment: it is brought into the incident once, by whichever scene comes first.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from typing import Final, Self

import httpx
from playwright.async_api import Page, expect

from tests.browser.dashboard import SOON_MS, Dashboard, Waiting, usual, waiting
from tests.browser.product import Product
from tests.browser.stages import Shown, Stage, scene
from tests.support.ports import free_port
from tests.support.processes import ROOT

LOSES: Final = "HubSpot"
WELL: Final = ("Slack", "Gmail", "Notion")
STUCK: Final = ("Lead from form to deal", "Orders to sheet", "Tickets to channel")
UNDECIDED: Final = "noor-k"
STUCK_WITHIN_MS: Final = 50_000
_BEGUN: Final[dict[str, asyncio.Task[Waiting]]] = {}


def _product(stage: Stage) -> Product:
    variables = stage.variables
    url = variables["ZAPWRIGHT_API_URL"]
    return Product(url, api_url=url, api_key=variables["ZAPWRIGHT_API_KEY"], simulator_url=variables["SIMULATOR_URL"])


async def _incident(stage: Stage) -> Waiting:
    """Have the incident begun, and return somebody who is stuck in it."""
    begun = _BEGUN.get(stage.variables["ZAPWRIGHT_API_URL"])
    if begun is None:
        begun = _BEGUN[stage.variables["ZAPWRIGHT_API_URL"]] = asyncio.create_task(_begin(_product(stage), stage))
    return await begun


async def _begin(product: Product, stage: Stage) -> Waiting:
    now = round(time.time() * 1000)
    for number, title in enumerate((LOSES, *WELL)):
        app = (await product.session(f"usual-{number}", title))["steps"][0]["app"]
        await usual(stage.variables, app["id"], app["title"], now=now)
    for number in range(4):
        found = await waiting(product, f"lost-{number}", LOSES, title="Lead from form to deal")
        await found.finish()
    for number, title in enumerate(WELL):
        await waiting(product, f"open-{number}", title, title=f"{title} to sheet")
    stuck = [await waiting(product, f"kim-{number}", LOSES, title=title) for number, title in enumerate(STUCK)]
    rules = {
        f"deaf-{one.user}": {
            "fault": "status",
            "status": 503,
            "endpoint": "GET /v2/authentications",
            "user": one.user,
        }
        for one in stuck
    }
    (await product.simulator.patch("/_control/faults", json={"rules": rules})).raise_for_status()
    for one in stuck:
        await one.finish()
    await _webhooks(product, stage)
    await _undecided(product)
    return stuck[0]


async def _undecided(product: Product) -> None:
    """Have a user who connected two accounts, of which only they can say which one is meant."""
    found = await waiting(product, UNDECIDED, "Notion", title="Notes to pages")
    for _ in range(2):
        await product.connect_account(found.user, "Notion")
    await found.finish()


async def _webhooks(product: Product, stage: Stage) -> None:
    """Have an endpoint that nobody listens at, and one operator who helped."""
    answer = await product.backend.post("/v1/webhooks", json={"url": f"http://127.0.0.1:{free_port()}/zapwright"})
    answer.raise_for_status()
    done = await waiting(product, "grace-h", "Slack", title="Tickets to channel")
    await product.connect_account(done.user, done.title)
    step = done.session["steps"][0]["id"]
    headers = {"Authorization": f"Bearer {stage.variables['ZAPWRIGHT_OPERATOR_KEY']}", "Idempotency-Key": "scene"}
    looked = await product.backend.post(
        f"/v1/operator/sessions/{done.id}/steps/{step}/check-now",
        json={"reason": "the user called: Slack does not connect"},
        headers=headers,
    )
    looked.raise_for_status()


async def _dashboard(stage: Stage, path: str = "/", *, url: str | None = None) -> Dashboard:
    """Be signed in, at a page."""
    page = await stage.context.new_page()
    dashboard = Dashboard(stage.context, page, url or stage.variables["ZAPWRIGHT_DASHBOARD_URL"])
    await page.goto(f"{dashboard.url}{path}")
    await dashboard.sign_in(stage.variables["ZAPWRIGHT_OPERATOR_KEY"])
    await expect(page.locator("#board h1")).to_be_visible(timeout=SOON_MS)
    return dashboard


async def _stuck(stage: Stage, path: str) -> tuple[Page, Waiting]:
    """See a page when those who are stuck have been so for long enough."""
    found = await _incident(stage)
    dashboard = await _dashboard(stage)
    await expect(dashboard.page.get_by_role("link", name=STUCK[0])).to_be_visible(timeout=STUCK_WITHIN_MS)
    await expect(dashboard.page.locator(".tile", has_text="over 30 s").locator(".count")).to_have_text(
        str(len(STUCK)), timeout=SOON_MS
    )
    if path != "/":
        await dashboard.open(path)
    return dashboard.page, found


@scene
async def dashboard_sign_in(stage: Stage) -> Shown:
    """Nobody is signed in."""
    page = await stage.context.new_page()
    await page.goto(stage.variables["ZAPWRIGHT_DASHBOARD_URL"])
    return page, None


@scene
async def dashboard_refused(stage: Stage) -> Shown:
    """A key that opens nothing."""
    page = await stage.context.new_page()
    await page.goto(stage.variables["ZAPWRIGHT_DASHBOARD_URL"])
    await Dashboard(stage.context, page, "").sign_in("a-key-of-somebody-else")
    await expect(page.get_by_role("alert")).to_be_visible()
    return page, None


@scene
async def dashboard_loading(stage: Stage) -> Shown:
    """What draws a page is on its way."""
    page = (await _dashboard(stage)).page
    await page.route("**/nicegui.js", lambda _: None)
    await page.goto(f"{stage.variables['ZAPWRIGHT_DASHBOARD_URL']}/sessions", wait_until="commit")
    await expect(page.get_by_role("status")).to_have_text("Loading …")
    return page, None


@scene
async def dashboard_overview(stage: Stage) -> Shown:
    """An app began to lose messages, and some of its users wait."""
    page, _ = await _stuck(stage, "/")
    await expect(page.get_by_role("alert").filter(has_text=f"{LOSES} loses messages")).to_be_visible()
    return page, None


@scene
async def dashboard_sessions(stage: Stage) -> Shown:
    """Those who wait for a popup."""
    page, _ = await _stuck(stage, "/sessions?state=awaiting-popup")
    return page, None


@scene
async def dashboard_nothing(stage: Stage) -> Shown:
    """Filters that match nothing."""
    await _incident(stage)
    dashboard = await _dashboard(stage, "/sessions?q=order-4711&status=created")
    return dashboard.page, None


@scene
async def dashboard_session(stage: Stage) -> Shown:
    """One session: why it does not go on, and what can be done."""
    page, stuck = await _stuck(stage, "/")
    await page.goto(f"{stage.variables['ZAPWRIGHT_DASHBOARD_URL']}/sessions/{stuck.id}")
    await expect(page.get_by_role("region", name="Why")).to_be_visible(timeout=SOON_MS)
    return page, None


@scene
async def dashboard_story(stage: Stage) -> Shown:
    """What happened to it, in words."""
    page, stuck = await _stuck(stage, "/")
    await page.goto(f"{stage.variables['ZAPWRIGHT_DASHBOARD_URL']}/sessions/{stuck.id}")
    story = page.get_by_role("region", name="What happened")
    await expect(story).to_be_visible(timeout=SOON_MS)
    return page, story


@scene
async def dashboard_acting(stage: Stage) -> Shown:
    """Every action asks for a reason."""
    page, stuck = await _stuck(stage, "/")
    await page.goto(f"{stage.variables['ZAPWRIGHT_DASHBOARD_URL']}/sessions/{stuck.id}")
    await page.get_by_role("button", name="Check now").click()
    await page.locator("dialog[open]").get_by_label("Why?").fill("the user called: HubSpot does not connect")
    return page, None


@scene
async def dashboard_giving(stage: Stage) -> Shown:
    """Of what the session knows, an account is chosen; any other is named by its id."""
    await _incident(stage)
    dashboard = await _dashboard(stage, f"/sessions?user_id={UNDECIDED}")
    page = dashboard.page
    await page.get_by_role("link", name="Notes to pages").click()
    await expect(page.get_by_text("Offered", exact=True)).to_be_visible(timeout=STUCK_WITHIN_MS)
    await page.get_by_role("button", name="Give it an account").click()
    await page.locator("dialog[open]").get_by_role("radio").first.check()
    return page, None


@scene
async def dashboard_missing(stage: Stage) -> Shown:
    """An address that no page has."""
    await _incident(stage)
    dashboard = await _dashboard(stage)
    await dashboard.page.goto(f"{stage.variables['ZAPWRIGHT_DASHBOARD_URL']}/nonsense")
    return dashboard.page, None


@scene
async def dashboard_app(stage: Stage) -> Shown:
    """An app that loses messages."""
    page, _ = await _stuck(stage, "/")
    await page.get_by_role("link", name=f"Look at {LOSES}").click()
    await expect(page.get_by_role("region", name="By the hour")).to_be_visible(timeout=SOON_MS)
    return page, None


@scene
async def dashboard_deliveries(stage: Stage) -> Shown:
    """A receiver that does not answer."""
    await _incident(stage)
    dashboard = await _dashboard(stage, "/deliveries")
    await expect(dashboard.page.get_by_text("tries failed").first).to_be_visible(timeout=STUCK_WITHIN_MS)
    return dashboard.page, None


@scene
async def dashboard_workers(stage: Stage) -> Shown:
    """Who works, and what is due."""
    await _incident(stage)
    dashboard = await _dashboard(stage, "/workers")
    return dashboard.page, None


@scene
async def dashboard_audit(stage: Stage) -> Shown:
    """What operators did."""
    await _incident(stage)
    dashboard = await _dashboard(stage, "/audit")
    await expect(dashboard.page.locator("#board tbody tr").first).to_be_visible(timeout=SOON_MS)
    return dashboard.page, None


@scene
async def dashboard_unreachable(stage: Stage) -> Shown:
    """The API is down while the page is open."""
    await _incident(stage)
    api = httpx.URL(stage.variables["ZAPWRIGHT_API_URL"])
    async with _Way(api.host, api.port or 0) as way:
        dashboard = await _another(stage, way.url)
        way.close()
        await expect(dashboard.page.get_by_text("The API does not answer.")).to_be_visible(timeout=SOON_MS)
    return dashboard.page, None


async def _another(stage: Stage, api_url: str) -> Dashboard:
    """Have a dashboard of its own that reaches the API by another way; it ends with this process."""
    port = free_port()
    environment = {"PATH": os.environ["PATH"], "ZAPWRIGHT_API_URL": api_url, "ZAPWRIGHT_DASHBOARD_PORT": str(port)}
    await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "import os, threading, time\n"
        "ours = os.getppid()\n"
        "def last():\n"
        "    while os.getppid() == ours: time.sleep(0.5)\n"
        "    os._exit(0)\n"
        "threading.Thread(target=last, daemon=True).start()\n"
        "from dashboard.server import serve; from orchestrator.settings import Settings; serve(Settings())",
        cwd=ROOT,
        env=environment,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    url = f"http://127.0.0.1:{port}"
    async with httpx.AsyncClient(trust_env=False) as client, asyncio.timeout(30):
        while True:
            try:
                await client.get(f"{url}/healthz")
                break
            except httpx.TransportError:
                await asyncio.sleep(0.1)
    return await _dashboard(stage, url=url)


class _Way:
    """A way to the API that can be closed."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._open: list[asyncio.StreamWriter] = []
        self._server: asyncio.Server | None = None
        self.url = ""

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.url = f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Let nothing through any more."""
        if self._server is not None:
            self._server.close()
        while self._open:
            self._open.pop().transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(*self._target)
        self._open += [writer, onward]
        await asyncio.gather(_pump(reader, onward), _pump(there, writer), return_exceptions=True)


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(65_536):
        writer.write(data)
