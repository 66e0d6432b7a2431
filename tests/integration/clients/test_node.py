"""The Node client as Node and TypeScript see it."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from pathlib import Path
from typing import Final

import pytest

from tests.support.clients import NODE, ROOT
from tests.support.patience import RUNS_WITHIN_S

CLIENT: Final = ROOT / "clients" / "node"
TSC: Final = CLIENT / "node_modules" / "typescript" / "bin" / "tsc"
CALLER: Final = """
import { ConflictError, Zapwright, type ProblemError } from "zapwright-client";
import type { Code, Session, StepState } from "zapwright-client/shapes.js";

const zapwright = new Zapwright({ url: "http://zapwright.test", key: "a-key" });
const session: Session = await zapwright.createSession({ user_id: "ada", steps: [{ alias: "a" }] });
const state: StepState = session.state;
const newer: Session = await zapwright.waitFor({ session_id: session.id, after_seq: session.seq });
const code = (error: ProblemError): Code => error.code;
await zapwright.readDelivery({ webhook_id: "wh1", session_id: session.id, seq: session.seq });
export { ConflictError, code, newer, state };
// @ts-expect-error a session is somebody's
await zapwright.createSession({ title: "Leads" });
// @ts-expect-error misspelt
await zapwright.createSession({ user_id: "ada", tilte: "Leads" });
// @ts-expect-error no such state
await zapwright.listSessions({ state: "resolvde" });
// @ts-expect-error a number
await zapwright.readDelivery({ webhook_id: "wh1", session_id: session.id, seq: "1" });
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


def test_its_own_tests_pass() -> None:
    """By Node's own test runner."""
    done = subprocess.run(
        [NODE, "--test"], cwd=CLIENT, check=False, capture_output=True, text=True, timeout=RUNS_WITHIN_S
    )

    assert done.returncode == 0, done.stdout
    assert "# pass 7" in done.stdout


@pytest.mark.npm_packages
def test_the_package_holds_its_types_and_typescript_holds_callers_to_them(tmp_path: Path) -> None:
    """What is packed is what a stranger installs; a misspelt argument is found before it runs."""
    environment = os.environ | {"PATH": f"{Path(NODE).parent}:{os.environ['PATH']}"}
    pack = ["npm", "pack", "--json", "--pack-destination", str(tmp_path)]
    packed = subprocess.run(
        pack, cwd=CLIENT, check=True, capture_output=True, text=True, timeout=RUNS_WITHIN_S, env=environment
    )
    installed = tmp_path / "node_modules" / "zapwright-client"
    with tarfile.open(tmp_path / json.loads(packed.stdout[packed.stdout.index("[") :])[0]["filename"]) as archive:
        archive.extractall(tmp_path, filter="data")
    installed.parent.mkdir()
    (tmp_path / "package").rename(installed)
    (tmp_path / "caller.mts").write_text(CALLER, encoding="utf-8")
    (tmp_path / "tsconfig.json").write_text(json.dumps(STRICT), encoding="utf-8")
    checked = subprocess.run(
        [NODE, str(TSC), "--project", str(tmp_path)], check=False, capture_output=True, text=True, timeout=RUNS_WITHIN_S
    )

    assert checked.returncode == 0, checked.stdout
    assert {path.name for path in installed.iterdir()} == {
        "README.md",
        "errors.js",
        "package.json",
        "routes.js",
        "sender.js",
        "shapes.js",
        "types",
        "zapwright.js",
    }
