"""Our idea of right inputs beside the simulator's, which shares no code with it; thousands of values."""

from __future__ import annotations

import re
from typing import Any

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator.core.fields import flaws, with_defaults
from orchestrator.core.mapping import Compiler, aliases, reference
from orchestrator.core.session import Step
from orchestrator.zapier import fieldwire
from simulator.apps import CATALOGUE
from simulator.forms import form_of, wrong_with

FORMS = {
    "Slack": "channel_message",
    "HubSpot": "create_contact",
    "Google Sheets": "create_row",
    "Code": "run_javascript",
    "GitHub": "new_commit",
}
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**6), 10**6),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=8),
    st.sampled_from(["1", "-2.5", "true", "yes", "2026-11-25", "2026-11-25T14:00:00Z", "https://x.test/a", "{{a.b}}"]),
)
VALUES = st.one_of(SCALARS, st.lists(SCALARS, max_size=3), st.dictionaries(st.text(max_size=3), SCALARS, max_size=3))
STEPS = tuple(Step(id=f"st{number}", alias=alias) for number, alias in enumerate(["lead", None, "c_3", None], start=1))


@st.composite
def filled_forms(draw: Any) -> tuple[str, dict[str, Any]]:
    """Draw an app's action and inputs for it, of which some are of its fields."""
    title = draw(st.sampled_from(sorted(FORMS)))
    app = next(app for app in CATALOGUE.apps if app.title == title)
    action = next(action for action in app.actions if action.key == FORMS[title])
    names = [*form_of(app, action).fields({"worksheet": "x/leads"}), "unknown"]
    return title, draw(st.dictionaries(st.sampled_from(names), VALUES, max_size=len(names)))


@settings(max_examples=400, deadline=None)
@given(filled_forms())
def test_validation_never_accepts_what_the_contract_refuses(drawn: tuple[str, dict[str, Any]]) -> None:
    """Inputs in which we find nothing wrong are right for the simulator too, once they are compiled."""
    title, inputs = drawn
    app = next(app for app in CATALOGUE.apps if app.title == title)
    theirs = form_of(app, next(action for action in app.actions if action.key == FORMS[title]))
    body = msgspec.json.encode({"data": [part.document() for part in theirs.parts(inputs)]})
    ours = fieldwire.form(body)
    compiler = Compiler(STEPS, "st4")
    sent = compiler.inputs(with_defaults(ours, inputs))

    if not flaws(ours, inputs) and not compiler.flaws:
        assert list(wrong_with(theirs, {name: one for name, one in sent.items() if one is not None})) == []


NAMES = st.text(st.characters(exclude_categories=("Cc", "Cs"), exclude_characters="{}"), min_size=1, max_size=12)
PIECES = st.one_of(
    st.text(st.characters(exclude_categories=("Cc", "Cs")), max_size=8),
    st.sampled_from(["{", "}", "{{", "}}", "{{x}}", "a{", "}b"]),
    st.builds(reference, st.sampled_from(["st1", "st2", "st3"]), NAMES),
)


@settings(max_examples=500, deadline=None)
@given(st.lists(PIECES, max_size=6))
def test_compiled_mappings_parse_back(pieces: list[Any]) -> None:
    """What is compiled without complaint gives the same references, and the same text between them."""
    compiler = Compiler(STEPS, "st4")
    text = compiler.inputs({"a": {"$text": pieces}}).get("a")

    if not compiler.flaws:
        assert isinstance(text, str)
        names = aliases(STEPS)
        wanted = [
            piece if isinstance(piece, str) else (names[piece["$ref"]["step"]], piece["$ref"]["field"])
            for piece in pieces
        ]
        assert parsed(text) == joined(wanted)


def parsed(text: str) -> list[Any]:
    """Read a compiled text: strings, and (alias, output) for references."""
    parts = re.split(r"\{\{(.*?)\}\}", text, flags=re.DOTALL)
    return joined([part if place % 2 == 0 else tuple(part.split(".", 1)) for place, part in enumerate(parts)])


def joined(parts: list[Any]) -> list[Any]:
    """Put neighbouring strings together, and leave out empty ones."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part != "":
            found.append(part)
    return found
