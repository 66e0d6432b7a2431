"""connect.js away from a browser: its size, its types, its package, and a server that imports it."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tests.support.clients import NODE, ROOT
from tests.support.patience import RUNS_WITHIN_S

WEB: Final = ROOT / "api" / "web"
PACKAGE: Final = ROOT / "clients" / "browser"
TSC: Final = ROOT / "clients" / "node" / "node_modules" / "typescript" / "bin" / "tsc"
MOST_BYTES: Final = 8_000
MOST_BYTES_OF_SIGN_IN: Final = 2_500
ON_A_SERVER: Final = """
import { createConnect } from "./connect.js";
import { hookFor } from "./react.js";
import { createSignIn } from "./sign-in.js";

createSignIn({ getToken: () => { throw new Error("nor for this") } });
const connect = createConnect({ getToken: () => { throw new Error("a server asks for no token") } });
const React = { useSyncExternalStore: (subscribe, read, readOnServer) => (subscribe(() => {})(), readOnServer()) };
const { status, steps } = hookFor(React)(connect);
console.log(status, steps.length, Object.isFrozen(steps), connect.getSnapshot() === connect.getServerSnapshot());
"""
WITHOUT_A_BACKEND: Final = """
let now = 0;
let asked = 0;
const timers = [];
const page = { hidden: false, addEventListener() {} };
const sessionStorage = { getItem: () => null, setItem() {} };
const fetch = () => Promise.reject(new TypeError("nobody"));
Object.assign(globalThis, { window: page, document: page, addEventListener() {}, sessionStorage, fetch });
Date.now = () => now;
globalThis.setTimeout = (then, ms) => timers.push({ then, at: now + ms });
globalThis.clearTimeout = (number) => number && (timers[number - 1].at = Infinity);

const { createConnect } = await import("./connect.js");
const token = { token: "t", session_id: "s", api_url: "http://z", expires_at: new Date(600_000).toISOString() };
const getToken = () => {
  asked += 1;
  if (asked > 1) throw new TypeError("the backend is away");
  return token;
};
createConnect({ getToken }).subscribe(() => {});
for (;;) {
  await new Promise(setImmediate);
  const next = timers.reduce((one, other) => (other.at < one.at ? other : one));
  if (next.at > 3_600_000) break;
  now = next.at;
  next.at = Infinity;
  next.then();
}
console.log(asked);
process.exit();
"""
API_IN_TROUBLE: Final = """
const [chance, retryAfter] = [Number(process.argv[2]), process.argv[3]];
const TIMERS_HOLD_MS = 2 ** 31 - 1;
let now = 0;
const asked = [];
const timers = [];
const page = { hidden: false, addEventListener() {} };
const sessionStorage = { getItem: () => null, setItem() {} };
const died = () => new ReadableStream({
  start: (stream) => stream.enqueue(new TextEncoder().encode(": here\\n\\n")),
  pull: (stream) => stream.error(new TypeError("the connection broke")),
});
const fetch = async (url) => {
  asked.push(now);
  const refused = { status: 503, headers: { "Retry-After": retryAfter } };
  if (retryAfter) return new Response('{"code": "upstream_busy"}', refused);
  return String(url).includes("/stream") ? new Response(died()) : Promise.reject(new TypeError("nobody"));
};
const navigator = { locks: { request: (name, how, led) => led() } };
class BroadcastChannel { postMessage() {} close() {} }
const addEventListener = () => {};
const world = { window: page, document: page, addEventListener, sessionStorage, fetch, navigator, BroadcastChannel };
for (const [name, value] of Object.entries(world))
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
Date.now = () => now;
Math.random = () => chance;
globalThis.setTimeout = (then, ms) => timers.push({ then, at: now + (ms > 0 && ms <= TIMERS_HOLD_MS ? ms : 0) });
globalThis.clearTimeout = (number) => number && (timers[number - 1].at = Infinity);

const { createConnect } = await import("./connect.js");
const token = { token: "t", session_id: "s", api_url: "http://z", expires_at: new Date(600_000).toISOString() };
createConnect({ getToken: () => token }).subscribe(() => {});
while (asked.length < 2) {
  for (let turns = 0; turns < 50; turns += 1) await new Promise(setImmediate);
  const next = timers.reduce((one, other) => (other.at < one.at ? other : one));
  now = next.at;
  next.at = Infinity;
  next.then();
}
console.log(asked[1] - asked[0]);
process.exit();
"""
CALLER: Final = """
import * as React from "./react-stub.js";
import { ConnectError, createConnect } from "zapwright-connect";
import { hookFor } from "zapwright-connect/react";
import { createSignIn } from "zapwright-connect/sign-in";
import type { Show, SignInState, Snapshot } from "zapwright-connect/types";

const connect = createConnect({
  getToken: async () => ({ token: "t", expires_at: "2026-11-25T00:00:00.000Z", api_url: "http://z", session_id: "s" }),
});
const useConnect = hookFor(React);
const snapshot: Snapshot = useConnect(connect);
const show: Show | undefined = snapshot.steps[0]?.show;
const title: string | undefined = snapshot.steps[0]?.authentication?.title;
const token = { token: "t", expires_at: "2026-11-25T00:00:00.000Z", api_url: "http://z", session_id: "s" };
const state: SignInState = createSignIn({ getToken: () => token }).getSnapshot().state;
export { ConnectError, show, state, title };
// @ts-expect-error a snapshot is not for changing
snapshot.steps.push();
// @ts-expect-error no such thing to show
export const wrong: Show = "connected";
"""
REACT: Final = """
export function useSyncExternalStore<T>(subscribe: (heard: () => void) => () => void, read: () => T): T {
  subscribe(() => {});
  return read();
}
"""
STRICT: Final = {
    "compilerOptions": {
        "strict": True,
        "noEmit": True,
        "target": "ES2022",
        "module": "NodeNext",
        "lib": ["ES2022", "DOM", "DOM.Iterable"],
        "types": [],
    },
    "files": ["caller.mts"],
}


def test_it_is_small() -> None:
    """As it is served, with every comment in it."""
    assert len(gzip.compress((WEB / "connect.js").read_bytes(), 9)) < MOST_BYTES


def test_signing_in_is_small_too() -> None:
    """A page that has connect.js needs little more."""
    assert len(gzip.compress((WEB / "sign-in.js").read_bytes(), 9)) < MOST_BYTES_OF_SIGN_IN


def test_it_brings_nothing_along() -> None:
    """One file each: none imports anything."""
    texts = [(WEB / name).read_text(encoding="utf-8") for name in ("connect.js", "react.js", "sign-in.js")]

    assert [text for text in texts if "\nimport " in text or "import(" in text] == []


def test_a_server_may_import_it_and_render(tmp_path: Path) -> None:
    """Nothing of a browser is touched until a page subscribes in one."""
    for name in ("connect.js", "react.js", "sign-in.js"):
        (tmp_path / name).write_bytes((WEB / name).read_bytes())
    (tmp_path / "server.mjs").write_text(ON_A_SERVER, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    done = subprocess.run(
        [NODE, "server.mjs"], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=RUNS_WITHIN_S
    )

    assert done.stdout == "starting 0 true true\n", done.stderr


def test_a_backend_that_gives_no_new_token_is_asked_a_few_times(tmp_path: Path) -> None:
    """Sooner each time, but never within a second; a backend in trouble is not besieged by its pages."""
    (tmp_path / "connect.js").write_bytes((WEB / "connect.js").read_bytes())
    (tmp_path / "page.mjs").write_text(WITHOUT_A_BACKEND, encoding="utf-8")
    (tmp_path / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    done = subprocess.run(
        [NODE, "page.mjs"], cwd=tmp_path, check=False, capture_output=True, text=True, timeout=RUNS_WITHIN_S
    )

    assert (done.stdout, done.stderr) == ("6\n", "")


@pytest.mark.parametrize(("chance", "wait"), [("0", 50), ("0.5", 1_000), ("0.99", 1_980)])
def test_pages_whose_api_dies_without_a_word_do_not_come_back_all_at_once(
    tmp_path: Path, chance: str, wait: int
) -> None:
    """Each tries again within two seconds, at a moment of its own."""
    assert _waited(tmp_path, chance) == wait


@pytest.mark.parametrize(
    ("said", "wait"),
    [
        ("5", 5_000),
        ("1.5", 1_500),
        ("0", 100),
        ("-5", 100),
        ("soon", 100),
        ("Fri, 15 Jan 2027 08:00:30 GMT", 100),
        ("120, 120", 100),
        ("86400", 600_000),
        ("9" * 12, 600_000),
        ("9" * 400, 600_000),
    ],
)
def test_a_page_waits_whatever_it_is_told_to(tmp_path: Path, said: str, wait: int) -> None:
    """A proxy may say when in a form of its own; to a browser's timers what is no number, or too much, is at once."""
    assert _waited(tmp_path, "0.5", said) == wait


def _waited(folder: Path, *arguments: str) -> int:
    """Return how long a page waits between the two first things it asks an API that is in trouble."""
    (folder / "connect.js").write_bytes((WEB / "connect.js").read_bytes())
    (folder / "page.mjs").write_text(API_IN_TROUBLE, encoding="utf-8")
    (folder / "package.json").write_text('{"type": "module"}', encoding="utf-8")
    command = [NODE, "page.mjs", *arguments]
    done = subprocess.run(command, cwd=folder, check=False, capture_output=True, text=True, timeout=RUNS_WITHIN_S)
    assert done.stderr == ""
    return int(done.stdout)


@pytest.mark.npm_packages
def test_the_package_is_the_served_file_with_types(tmp_path: Path) -> None:
    """What is packed is what the API serves, byte for byte, and TypeScript holds callers to its types."""
    environment = os.environ | {"PATH": f"{Path(NODE).parent}:{os.environ['PATH']}"}
    pack = ["npm", "pack", "--json", "--pack-destination", str(tmp_path)]
    done = subprocess.run(
        pack, cwd=PACKAGE, env=environment, check=True, capture_output=True, text=True, timeout=RUNS_WITHIN_S
    )
    (packed,) = json.loads(done.stdout[done.stdout.index("[") :])
    installed = tmp_path / "node_modules" / "zapwright-connect"
    with tarfile.open(tmp_path / packed["filename"]) as archive:
        archive.extractall(tmp_path / "unpacked", filter="data")
    installed.parent.mkdir()
    (tmp_path / "unpacked" / "package").rename(installed)
    (tmp_path / "caller.mts").write_text(CALLER.replace("./react-stub.js", "./react-stub.mjs"), encoding="utf-8")
    (tmp_path / "react-stub.mts").write_text(REACT, encoding="utf-8")
    (tmp_path / "tsconfig.json").write_text(json.dumps(STRICT), encoding="utf-8")
    checked = subprocess.run(
        [NODE, str(TSC), "--project", "."],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
        timeout=RUNS_WITHIN_S,
    )

    assert checked.returncode == 0, checked.stdout
    names = ("connect.js", "react.js", "sign-in.js")
    assert [name for name in names if (installed / name).read_bytes() != (WEB / name).read_bytes()] == []
    assert not (PACKAGE / "connect.js").exists()
