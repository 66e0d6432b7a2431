"""The simulator's manual: each of its commands is run, and nothing that can be set is missing from it."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, get_args

import msgspec
import pytest

from simulator.apps import CATALOGUE
from simulator.control import FinishedPopup
from simulator.oauth import TOKENS
from simulator.routes import ROUTES
from simulator.switches import Fault, Rule, Switches
from tests.integration.simulator.conftest import Served
from tests.support.patience import RUNS_WITHIN_S

ROOT: Final = Path(__file__).resolve().parents[3]
MANUAL: Final = (ROOT / "docs" / "simulator.md").read_text(encoding="utf-8")
#: A command, and the answer shown under it, if one is.
EXAMPLE: Final = re.compile(r"```sh\n(curl .*?)\n```(?:\n\n```json\n(.*?)\n```)?", re.DOTALL)


def run(command: str, served: Served) -> Any:
    """Do what `curl` would, and return the answer's document. Raises ValueError for options it does not know."""
    words = iter(shlex.split(command.replace("$SIMULATOR_URL", served.url))[1:])
    method, url, headers, content = "GET", "", {"Content-Type": "application/x-www-form-urlencoded"}, None
    for word in words:
        match word:
            case "-X":
                method = next(words)
            case "-H":
                name, _, value = next(words).partition(": ")
                headers[name] = value
            case "-d":
                content = next(words)
            case _ if word.startswith("-"):
                raise ValueError(word)
            case _:
                url = word
    with served.client(None) as client:
        answer = client.request(method, url, headers=headers, content=content)
    assert answer.is_success, f"{command}\n{answer.text}"
    return answer.json() if answer.content else None


def shows(shown: Any, answered: Any) -> bool:
    """Whether the manual shows a part of what was answered: it may leave members out, not rows."""
    if isinstance(shown, dict) and isinstance(answered, dict):
        return all(name in answered and shows(value, answered[name]) for name, value in shown.items())
    if isinstance(shown, list) and isinstance(answered, list):
        return len(shown) == len(answered) and all(map(shows, shown, answered))
    return bool(shown == answered)


def test_every_command_does_what_the_manual_says(served: Served) -> None:
    """In the order of the page, beginning with a fresh simulator."""
    examples = EXAMPLE.findall(MANUAL)
    for command, shown in examples:
        answered = run(command, served)
        assert not shown or shows(json.loads(shown), answered), f"{command}\n{json.dumps(answered, indent=2)}"

    assert MANUAL.count("```sh\ncurl") == len(examples) > 10


def test_the_example_in_python_runs() -> None:
    """As it stands, in an interpreter of its own."""
    (source,) = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
    done = subprocess.run(
        [sys.executable, "-c", source], cwd=ROOT, capture_output=True, text=True, timeout=RUNS_WITHIN_S, check=True
    )

    assert "'HubSpot'" in done.stdout


def test_every_endpoint_is_in_the_manual() -> None:
    """With its scope."""
    missing = {endpoint for endpoint in {**ROUTES, **TOKENS} if f"| `{endpoint}` |" not in MANUAL}

    assert missing == set()


def test_every_switch_is_in_the_manual() -> None:
    """By its path."""
    sections = {
        "limits",
        "answers",
        "paging",
        "actions",
        "choices",
        "inputs",
        "outputs",
        "tests",
        "zaps",
        "authentications",
        "popups",
        "scopes",
        "tokens",
        "sign_in",
    }
    document = msgspec.to_builtins(Switches())
    paths = {f"{section}.{member}" for section in sections for member in document[section]}

    assert document.keys() - sections == {"apps", "rules"}
    assert {path for path in paths if f"`{path}`" not in MANUAL} == set()


@pytest.mark.parametrize("kind", get_args(Rule), ids=lambda kind: str(kind.__name__))
def test_every_fault_is_in_the_manual(kind: type[Fault]) -> None:
    """With every member of its own."""
    row = next((line for line in MANUAL.splitlines() if line.startswith(f"| `{kind.__struct_config__.tag}` |")), "")
    members = set(kind.__struct_fields__) - set(Fault.__struct_fields__)

    assert row
    assert {member for member in members if f"`{member}`" not in row} == set()


def test_every_member_of_a_finished_popup_is_in_the_manual() -> None:
    """In its table."""
    missing = {member for member in FinishedPopup.__struct_fields__ if f"\n| `{member}` |" not in MANUAL}

    assert missing == set()


def test_the_manual_counts_the_apps() -> None:
    """As many as there are."""
    without = [app.title for app in CATALOGUE.apps if not app.needs_authentication]

    assert f"{len(CATALOGUE.apps)} apps, six of which need no authentication" in MANUAL
    assert all(title in MANUAL for title in without)
