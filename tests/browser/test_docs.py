"""What docs/browser.md shows, run as it stands."""

from __future__ import annotations

import json
import re
import subprocess
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import pytest
from playwright.async_api import Browser, Route, expect

from tests.browser.product import Product
from tests.browser.scenes import SOON_MS, scene, walk_to_login
from tests.support.clients import NODE, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PAGE: Final = (ROOT / "docs" / "browser.md").read_text(encoding="utf-8")
EXAMPLES: Final = re.findall(r"```js\n(.*?)```", PAGE, re.DOTALL)
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
RENDERED: Final = """
import { Steps } from "./example.mjs";
console.log(JSON.stringify(Steps({ getToken: async () => { throw new Error("not while rendering"); } })));
"""


async def test_the_smallest_page_connects_an_account(chromium: Browser, product: Product) -> None:
    """Pasted into a page whose backend gives tokens, it does what the guide says."""
    async with scene(product, chromium, "Slack") as meant:
        page = await meant.context.new_page()
        product.files["guide"] = '<ol id="steps"></ol><script type="module" src="/example.js"></script>'
        product.files["example.js"] = EXAMPLES[0].replace(ELSEWHERE, product.api_url)

        async def token(route: Route) -> None:
            query = product.page(meant.session).partition("?")[2]
            await route.continue_(url=f"{product.origin}/token?{query}")

        await page.route("**/zapwright-token", token)
        await page.goto(f"{product.origin}/guide")
        button = page.get_by_role("button")
        await expect(button).to_have_text("Slack: ready", timeout=SOON_MS)
        async with page.expect_popup() as opening:
            await button.click()
        popup = await opening.value
        await walk_to_login(popup)
        await popup.locator("#allow").click()

        await expect(button).to_have_text("Slack: resolved", timeout=SOON_MS)


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
    product.files["example.js"] = EXAMPLES[1].replace(ELSEWHERE, product.api_url)
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
    (tmp_path / "example.mjs").write_text(f"{EXAMPLES[2]}\nexport {{ Steps }};\n")
    (tmp_path / "rendered.mjs").write_text(RENDERED)
    done = subprocess.run([NODE, "rendered.mjs"], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=60)

    assert done.stdout == "[]\n", done.stderr


def test_every_example_is_run() -> None:
    """None is added beside those above."""
    assert len(EXAMPLES) == 3
