"""Writes the parts of the documents that the code knows better: `make docs`.

A part stands between `<!-- generated: name -->` and `<!-- end -->`. A test fails while any of them is out of date.
"""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

from prometheus_client import Counter, Gauge, Histogram
from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from api import views
from orchestrator.core import machine
from orchestrator.core.events import CATALOGUE, Kind
from orchestrator.core.session import StepState
from orchestrator.metrics import CATALOGUE as METRICS
from orchestrator.settings import Settings
from orchestrator.zapier.probing import planned

ROOT = Path(__file__).parent.parent
DOCUMENTS = (
    "README.md",
    "docs/probe.md",
    "docs/reference/events.md",
    "docs/reference/settings.md",
    "docs/reference/machine.md",
    "docs/reference/metrics.md",
)
_METRIC_KINDS = {Counter: "counter", Gauge: "gauge", Histogram: "histogram"}
_PART = re.compile(r"(?<=<!-- generated: )(\w+)( -->\n)(.*?)(?=<!-- end -->)", re.DOTALL)


def diagram() -> str:
    """Draw the machine."""
    return f"```mermaid\n{machine.mermaid()}```\n"


def transitions() -> str:
    """List the table."""
    rows = [
        f"| {_states(edge.sources)} | `{edge.trigger}` | {edge.when} | `{edge.to}`"
        f"{f', `{edge.reason}`' if edge.reason else ''} |"
        for edge in machine.TABLE
    ]
    return "\n".join(["| from | trigger | when | to |", "| --- | --- | --- | --- |", *rows, ""])


def settings() -> str:
    """List the settings."""
    texts = _field_docstrings(Settings)
    rows = [
        f"| `{_variable(name, field)}` | {_default(field)} | {' '.join(texts[name].split())} |"
        for name, field in Settings.model_fields.items()
    ]
    return "\n".join(["| setting | default | meaning |", "| --- | --- | --- |", *rows, ""])


def events() -> str:
    """List the catalogue."""
    rows = [
        f"| `{name}` | {'yes' if kind.is_outcome else ''} | {kind.when} | {_members(kind)} | {kind.schema} |"
        for name, kind in CATALOGUE.items()
    ]
    return "\n".join(["| event | outcome | when | data | schema |", "| --- | --- | --- | --- | --- |", *rows, ""])


def questions() -> str:
    """List what a live API is asked."""
    rows = [
        f"| {question.name} | {question.assumed} | {question.calls or '–'} | {question.writes or ''} |"
        for question in planned(with_writes=True)
    ]
    header = ["| what is asked | what we assume | calls, at most | what it writes |", "| --- | --- | --- | --- |"]
    return "\n".join([*header, *rows, ""])


def metrics() -> str:
    """List the metrics."""
    rows = [
        f"| `{metric.shown}` | {_METRIC_KINDS[metric.kind]} | {', '.join(f'`{name}`' for name in metric.labels)} | "
        f"{metric.text} | {', '.join(metric.by)} |"
        for metric in METRICS
    ]
    return "\n".join(
        ["| metric | kind | labels | what it says | shown by |", "| --- | --- | --- | --- | --- |", *rows, ""]
    )


PARTS: dict[str, Callable[[], str]] = {
    "diagram": diagram,
    "transitions": transitions,
    "settings": settings,
    "events": events,
    "questions": questions,
    "metrics": metrics,
}


def generated(text: str) -> str:
    """Return the document with every generated part as the code has it now. Raises KeyError for an unknown part."""
    return _PART.sub(lambda part: f"{part[1]}{part[2]}{PARTS[part[1]]()}", text)


def main() -> None:
    """Rewrite all documents."""
    for name in DOCUMENTS:
        path = ROOT / name
        path.write_text(generated(path.read_text(encoding="utf-8")), encoding="utf-8")


def _states(states: tuple[StepState, ...]) -> str:
    return "any" if states == machine.ANY else ", ".join(f"`{state}`" for state in states)


def _members(kind: Kind) -> str:
    members = views.data(kind.data).items()
    return ", ".join(
        f"`{name}`{'?' if name in kind.optional else ''}: `{json.dumps(value)}`" for name, value in members
    )


def _variable(name: str, field: FieldInfo) -> str:
    alias = field.validation_alias
    return name.upper() if alias is not None else f"ZAPWRIGHT_{name.upper()}"


def _default(field: FieldInfo) -> str:
    default: Any = field.default
    if default is PydanticUndefined or default in (None, ()) or isinstance(default, SecretStr):
        return "–"
    return f"`{default:g}`" if isinstance(default, float) else f"`{default}`"


def _field_docstrings(model: type[Settings]) -> dict[str, str]:
    """Read the string under each field."""
    tree = ast.parse(inspect.getsource(model)).body[0]
    body = tree.body if isinstance(tree, ast.ClassDef) else []
    return {
        field.target.id: text.value.value
        for field, text in pairwise(body)
        if isinstance(field, ast.AnnAssign)
        and isinstance(field.target, ast.Name)
        and isinstance(text, ast.Expr)
        and isinstance(text.value, ast.Constant)
        and isinstance(text.value.value, str)
    }


if __name__ == "__main__":
    main()
