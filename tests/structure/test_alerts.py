"""The alert rules: they can be read, each fires when it should, and each has somebody to explain it."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from orchestrator.metrics import CATALOGUE, Metrics, Process
from tests.support.patience import RUNS_WITHIN_S

ROOT: Final = Path(__file__).parents[2]
RULES: Final = ROOT / "ops" / "rules.yaml"
TESTS: Final = ROOT / "ops" / "rules.test.yaml"
RUNBOOKS: Final = ROOT / "docs" / "runbooks.md"
NAMES: Final = {
    name
    for metric in CATALOGUE
    for name in ((f"{metric.name}_bucket", f"{metric.name}_count", metric.name) if metric.buckets else (metric.shown,))
}
_METRIC: Final = re.compile(r"\bzapwright_[a-z_]+\b")
_RULES: Final = [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]
ALERTS: Final[list[dict[str, Any]]] = [rule for rule in _RULES if "alert" in rule]


def promtool(*arguments: str, said: bytes | None = None) -> subprocess.CompletedProcess[str]:
    """Run Debian's promtool."""
    given = None if said is None else said.decode()
    return subprocess.run(
        ["promtool", *arguments], check=False, capture_output=True, text=True, input=given, timeout=RUNS_WITHIN_S
    )


@pytest.mark.prometheus
def test_the_rules_can_be_read() -> None:
    """By the program that reads them."""
    done = promtool("check", "rules", str(RULES))

    assert (done.returncode, f"{len(_RULES)} rules found" in done.stdout) == (0, True), done.stderr


@pytest.mark.prometheus
@pytest.mark.slow
def test_each_alert_fires_when_it_should() -> None:
    """And not before, nor for too little; what is expected of each stands beside the rules."""
    done = promtool("test", "rules", str(TESTS))
    fires = set(re.findall(r'labels: ALERTS\{alertname="(\w+)", alertstate="firing"', TESTS.read_text()))

    assert done.returncode == 0, done.stdout + done.stderr
    assert fires == {rule["alert"] for rule in ALERTS}


@pytest.mark.prometheus
@pytest.mark.parametrize("process", Process)
def test_the_metrics_are_named_as_is_usual(process: Process) -> None:
    """Units, suffixes and texts, of every process."""
    done = promtool("check", "metrics", said=Metrics(process).render())

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("rule", ALERTS, ids=lambda rule: str(rule["alert"]))
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """It wakes somebody or waits, and leads to its section of the runbooks, which says three things."""
    runbooks = RUNBOOKS.read_text(encoding="utf-8")
    section = runbooks.partition(f"\n## {rule['alert']}\n")[2].partition("\n## ")[0]
    url = rule["annotations"]["runbook_url"]

    assert url == f'{{{{ or $externalLabels.runbooks_of_zapwright "docs/runbooks.md" }}}}#{rule["alert"].lower()}'
    assert [said for said in ("**It means**", "**Look at**", "**Do**") if said not in section] == []
    assert rule["labels"] in ({"severity": "page"}, {"severity": "ticket"})
    assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}


def test_there_is_a_runbook_for_each_alert_and_for_nothing_else() -> None:
    """Whoever renames one renames both."""
    sections = re.findall(r"^## (\w+)$", RUNBOOKS.read_text(encoding="utf-8"), re.MULTILINE)

    assert sorted(sections) == sorted(rule["alert"] for rule in ALERTS)


@pytest.mark.parametrize("path", [RULES, TESTS, RUNBOOKS], ids=lambda path: str(path.name))
def test_every_metric_that_is_named_exists(path: Path) -> None:
    """Here and in the documents."""
    named = set(_METRIC.findall(path.read_text(encoding="utf-8")))

    assert named - NAMES - {metric.name for metric in CATALOGUE} == set()


def test_every_kind_of_process_is_asked_for() -> None:
    """No metric is shown by nobody."""
    assert [metric.name for metric in CATALOGUE if not metric.by] == []
