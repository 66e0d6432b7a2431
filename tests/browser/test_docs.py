"""What the README, docs/browser.md and docs/sign-in.md show, run as it stands."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, BrowserContext, Route, expect
from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response

from tests.acceptance.installation import Installation
from tests.acceptance.starting import started
from tests.browser.builder import sign_in
from tests.browser.product import Product
from tests.browser.scenes import SOON_MS, walk_to_login
from tests.support.clients import NODE, ROOT
from tests.support.patience import RUNS_WITHIN_S

pytestmark = [pytest.mark.browser, pytest.mark.slow]

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
PAGE: Final = (ROOT / "docs" / "browser.md").read_text(encoding="utf-8")
SMALLEST: Final = (ROOT / "examples" / "page" / "index.html").read_text(encoding="utf-8")
ITS_API: Final = "http://127.0.0.1:8000"
EXAMPLES: Final = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
SIGN_IN_PAGE: Final = (ROOT / "docs" / "sign-in.md").read_text(encoding="utf-8")
(SIGN_IN_EXAMPLE,) = re.findall(r"```js\n(.*?)```", SIGN_IN_PAGE, re.DOTALL)
(BACKEND_EXAMPLE,) = re.findall(r"```python backend\n(.*?)```", SIGN_IN_PAGE, re.DOTALL)
ELSEWHERE: Final = "https://zapwright.example.com"
REACT: Final = """
export const createElement = (type, properties, ...children) => ({ type, properties, children });
export const useState = (make) => [make()];
export const useSyncExternalStore = (subscribe, read) => read();
"""
FORM_PAGE: Final = """
import { createConnect } from "API/web/connect.js";
import { fieldsOf } from "/example.js";

const connect = createConnect({ getToken: () => fetch("TOKEN", { method: "POST" }).then((answer) => answer.json()) });
document.querySelector("#create").onclick = fieldsOf(connect, "STEP", document.querySelector("#form"));
"""
BUTTON_PAGE: Final = """
import { signInButton } from "/example.js";

const getToken = () => fetch("TOKEN", { method: "POST" }).then((answer) => answer.json());
signInButton(getToken, document.querySelector("#place"));
"""
RENDERED: Final = """
import { Steps } from "./example.mjs";
console.log(JSON.stringify(Steps({ getToken: async () => { throw new Error("not while rendering"); } })));
"""


async def test_the_smallest_page_signs_in_chooses_an_app_and_connects_an_account(
    context: BrowserContext, product: Product, installation: Installation, tmp_path: Path
) -> None:
    """With the example's host as it stands, whose user nobody knew before."""
    (await product.backend.delete("/v1/users/ada")).raise_for_status()
    (tmp_path / "page").mkdir()
    (tmp_path / "page" / "index.html").write_text(SMALLEST.replace(ITS_API, product.api_url))
    (tmp_path / "fastapi_host.py").write_bytes((ROOT / "examples" / "fastapi_host.py").read_bytes())
    page = await context.new_page()
    command = [sys.executable, "-m", "uvicorn", "fastapi_host:app", "--port", "0"]
    with started(command, tmp_path, installation.variables) as host:

        async def to_the_host(route: Route) -> None:
            await route.continue_(url=route.request.url.replace(product.origin, host))

        await page.route(f"{product.origin}/**", to_the_host)
        await page.goto(f"{product.origin}/page/")
        button = page.get_by_role("button")
        await expect(button).to_have_text("No app yet: sign-in-needed", timeout=SOON_MS)
        async with page.expect_popup() as opening:
            await button.click()
        await sign_in(await opening.value, "ada")
        await expect(button).to_have_text("No app yet: choose-app", timeout=SOON_MS)
        await button.click()
        await expect(button).to_have_text("HubSpot: ready", timeout=SOON_MS)
        async with page.expect_popup() as opening:
            await button.click()
        popup = await opening.value
        await walk_to_login(popup)
        await popup.locator("#allow").click()

        await expect(button).to_have_text("HubSpot: resolved", timeout=SOON_MS)


async def test_the_form_shows_at_the_field_what_keeps_the_zap_from_being_created(
    chromium: Browser, product: Product
) -> None:
    """Once that is mended the same button creates the Zap, with what was filled in."""
    session = await product.session("form-guide", "Formatter", "Code")
    path = f"/v1/sessions/{session['id']}"
    steps = [step["id"] for step in session["steps"]]
    for step, kind, key in zip(steps, ("READ", "WRITE"), ("new_batch", "run_javascript"), strict=True):
        action = {"key": key, "action_type": kind}
        (await product.backend.put(f"{path}/steps/{step}/action", json=action)).raise_for_status()
    (await product.backend.patch(path, json={"title": "By the form"})).raise_for_status()
    product.files["form"] = (
        '<div id="form"></div><button id="create">Create</button><script type="module" src="/form-page.js"></script>'
    )
    product.files["form-page.js"] = (
        FORM_PAGE.replace("API", product.api_url)
        .replace("TOKEN", f"/token?session={session['id']}&user=form-guide")
        .replace("STEP", steps[1])
    )
    product.files["example.js"] = EXAMPLES[0].replace(ELSEWHERE, product.api_url)
    page = await chromium.new_page()
    await page.goto(f"{product.origin}/form")
    code = page.get_by_role("textbox", name="Code")
    await code.fill("output = {{x}};")
    async with page.expect_response(lambda answer: answer.url.endswith("/zap")) as refusing:
        await page.get_by_role("button", name="Create").click()
    assert (await refusing.value).status == HTTPStatus.CONFLICT
    await expect(code).to_have_accessible_description(re.compile("Zapier takes .* for a reference"))
    await code.fill("output = [];")
    async with page.expect_response(lambda answer: answer.url.endswith("/zap")) as creating:
        await page.get_by_role("button", name="Create").click()
    created = await (await creating.value).json()
    await page.close()

    assert created["status"] == "created"
    assert created["steps"][1]["inputs"] == {"code": "output = [];"}


async def test_the_button_for_signing_in_does_what_its_guide_says(chromium: Browser, product: Product) -> None:
    """The popup opens in the click, and the page says how far it is."""
    made = await product.backend.post("/v1/sessions", json={"user_id": "docs-ada", "steps": []})
    session = made.raise_for_status().json()["id"]
    product.files["sign-in"] = '<div id="place"></div><script type="module" src="/sign-in-page.js"></script>'
    product.files["sign-in-page.js"] = BUTTON_PAGE.replace("TOKEN", f"/token?session={session}&user=docs-ada")
    product.files["example.js"] = SIGN_IN_EXAMPLE.replace(ELSEWHERE, product.api_url)
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(f"{product.origin}/sign-in")
    async with page.expect_popup() as opening:
        await page.get_by_role("button", name="Sign in to Zapier").click()
    await sign_in(await opening.value, "docs-ada")

    await expect(page.locator("p")).to_have_text("signed_in", timeout=SOON_MS)
    await context.close()


async def test_a_backend_leads_its_user_to_zapier_and_back(
    chromium: Browser, product: Product, installation: Installation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By answering three requests for one address of its own."""
    here = f"{product.origin}/zapier"
    for name in ("ZAPWRIGHT_API_URL", "ZAPWRIGHT_API_KEY"):
        monkeypatch.setenv(name, installation.variables[name])
    guide: dict[str, Any] = {}
    exec(BACKEND_EXAMPLE.replace("https://app.example.com/zapier", here), guide)  # noqa: S102 - the guide's own
    asked: list[dict[str, str]] = []

    def answer(request: Request) -> Response:
        asked.append(dict(request.query_params))
        where = guide["go_to_zapier"]("docs-bob", asked[-1])
        return PlainTextResponse(where) if where.startswith("/") else RedirectResponse(where)

    product.answers["zapier"] = answer
    context = await chromium.new_context()
    page = await context.new_page()
    await page.goto(here)
    await sign_in(page, "docs-bob")
    await expect(page.locator("body")).to_have_text("/settings?zapier=signed_in", timeout=SOON_MS)
    await context.close()

    assert [sorted(query) for query in asked] == [[], ["zapwright_browser"], ["zapwright_sign_in"]]


def test_the_react_example_renders_without_a_token(tmp_path: Path) -> None:
    """Rendering has no effect: nothing is asked until the component is mounted."""
    packages = {
        "react": {"index.js": REACT},
        "zapwright-connect": {name: (ROOT / "api" / "web" / name).read_text() for name in ("connect.js", "react.js")},
    }
    exports: dict[str, Any] = {
        "react": "./index.js",
        "zapwright-connect": {".": "./connect.js", "./react": "./react.js"},
    }
    for package, files in packages.items():
        folder = tmp_path / "node_modules" / package
        folder.mkdir(parents=True)
        manifest = json.dumps({"type": "module", "exports": exports[package]})
        (folder / "package.json").write_text(manifest)
        for name, text in files.items():
            (folder / name).write_text(text)
    (tmp_path / "example.mjs").write_text(f"{EXAMPLES[1]}\nexport {{ Steps }};\n")
    (tmp_path / "rendered.mjs").write_text(RENDERED)
    done = subprocess.run(
        [NODE, "rendered.mjs"], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=RUNS_WITHIN_S
    )

    assert done.stdout == "[]\n", done.stderr


def test_every_example_is_run() -> None:
    """None is added beside those above, and the smallest page is the example's wherever it is shown."""
    shown = [re.findall(r"```html\n(.*?)```", text, re.DOTALL) for text in (README, PAGE)]

    assert shown == [[SMALLEST], [SMALLEST]]
    assert len(EXAMPLES) == 2
    assert "```js" not in README
