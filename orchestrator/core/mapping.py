"""Mappings: a field filled with what an earlier step will give.

In our API a reference is a value of its own, `{"$ref": {"step": …, "field": …}}`, alone or within a text,
`{"$text": ["Hello ", {"$ref": …}]}`. It names the step by its id, so it stays true when steps are moved or renamed.
Zapier wants text: `{{field}}` of the step before where a Zap has two steps, `{{alias.field}}` otherwise (Zapier docs:
create a Zap). Its braces cannot be written literally, so a text that Zapier would take for a reference is a flaw.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from orchestrator.core.session import JsonObject, Step

REFERENCE: Final = "$ref"
TEXT: Final = "$text"
LONGEST_ALIAS: Final = 64

_STEPS_WITHOUT_ALIASES: Final = 2
_TAKEN_FOR_A_REFERENCE: Final = re.compile(r"\{\{.*?\}\}", re.DOTALL)
_CONFUSING: Final = ("{{", "}}", "{\x00", "\x00}")
_SPEAKABLE: Final = re.compile(r"[^{}\x00-\x1f\x7f]{1,255}")


@dataclass(frozen=True, kw_only=True)
class Reference:
    """An output of a step."""

    step_id: str
    field: str


@dataclass(frozen=True, kw_only=True)
class FieldFlaw:
    """What is wrong with one field; `code` is for programs, `detail` for people."""

    field: str
    code: str
    detail: str


def is_mapped(value: object) -> bool:
    """Whether the value is a reference, or a text with references in it, well-formed or not."""
    if not isinstance(value, dict) or len(value) != 1:
        return False
    ((name, inside),) = value.items()
    return (name == REFERENCE and isinstance(inside, dict)) or (name == TEXT and isinstance(inside, list))


def has_references(value: object) -> bool:
    """Whether a reference is anywhere in the value."""
    if is_mapped(value):
        return True
    if isinstance(value, dict):
        return any(has_references(one) for one in value.values())
    return isinstance(value, list) and any(has_references(one) for one in value)


def reference(step_id: str, field: str) -> JsonObject:
    """Write a reference."""
    return {REFERENCE: {"step": step_id, "field": field}}


def aliases(steps: Sequence[Step]) -> Mapping[str, str]:
    """Return the name by which each step is referred to: its own alias, or else one that no step has.

    A Zap of two steps needs none.
    """
    if len(steps) <= _STEPS_WITHOUT_ALIASES:
        return {step.id: step.alias for step in steps if step.alias is not None}
    taken = {step.alias for step in steps if step.alias is not None}
    named: dict[str, str] = {}
    for number, step in enumerate(steps, start=1):
        named[step.id] = step.alias or _free(f"step_{number}", taken)
        taken.add(named[step.id])
    return named


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    return name


class Compiler:
    """Writes the inputs of one step as Zapier wants them, and gathers what cannot be written.

    `referred` are the steps that are referred to.
    """

    def __init__(self, steps: Sequence[Step], step_id: str) -> None:
        self._named = aliases(steps)
        self._uses_aliases = len(steps) > _STEPS_WITHOUT_ALIASES
        ids = [step.id for step in steps]
        self._earlier = set(ids[: ids.index(step_id)])
        self._known = set(ids)
        self.referred: set[str] = set()
        self.flaws: list[FieldFlaw] = []

    def inputs(self, inputs: JsonObject) -> JsonObject:
        """Return the inputs compiled; what cannot be is left out, and in `flaws`."""
        compiled = {name: self._value(name, value) for name, value in inputs.items()}
        flawed = {flaw.field for flaw in self.flaws}
        return {name: value for name, value in compiled.items() if name not in flawed}

    def _value(self, field: str, value: object) -> object:
        if is_mapped(value):
            return self._text(field, value)
        match value:
            case str():
                return self._literal(field, value)
            case list():
                return [self._value(field, one) for one in value]
            case dict():
                return {name: self._value(field, one) for name, one in value.items()}
            case _:
                return value

    def _literal(self, field: str, text: str) -> str:
        if _TAKEN_FOR_A_REFERENCE.search(text):
            self._complain(
                field, "literal_braces", "Zapier takes {{…}} for a reference: use a reference, or write { { … } }"
            )
        return text

    def _text(self, field: str, value: object) -> str:
        pieces = list(self._pieces(field, value))
        text = "".join(piece for piece, _ in pieces)
        literal = "".join("\x00" if is_reference else piece for piece, is_reference in pieces)
        if any(found in literal for found in _CONFUSING):
            self._complain(
                field, "literal_braces", "beside references a text has no {{ or }}, and no brace next to one"
            )
        return text

    def _pieces(self, field: str, value: object) -> Iterator[tuple[str, bool]]:
        """Give the pieces of a mapped value as text, and which of them are references."""
        inside = value[TEXT] if isinstance(value, dict) and TEXT in value else [value]
        for piece in inside:
            if isinstance(piece, str):
                yield piece, False
            else:
                found = _read(piece)
                if found is None:
                    self._complain(
                        field, "reference_malformed", f'a reference is {{"{REFERENCE}": {{"step", "field"}}}}'
                    )
                else:
                    self._check(field, found)
                    yield self._written(found), True

    def _check(self, field: str, found: Reference) -> None:
        self.referred.add(found.step_id)
        if found.step_id not in self._known:
            self._complain(field, "reference_unknown_step", f"there is no step {found.step_id!r}, or not any longer")
        elif found.step_id not in self._earlier:
            self._complain(field, "reference_later_step", "only a step before this one can be referred to")
        if not _SPEAKABLE.fullmatch(found.field):
            self._complain(field, "reference_unspeakable", "Zapier has no way to write an output of such a name")

    def _written(self, found: Reference) -> str:
        if not self._uses_aliases:
            return f"{{{{{found.field}}}}}"
        return f"{{{{{self._named.get(found.step_id, '')}.{found.field}}}}}"

    def _complain(self, field: str, code: str, detail: str) -> None:
        flaw = FieldFlaw(field=field, code=code, detail=detail)
        if flaw not in self.flaws:
            self.flaws.append(flaw)


def _read(piece: object) -> Reference | None:
    inside = piece.get(REFERENCE) if isinstance(piece, dict) and len(piece) == 1 else None
    if not isinstance(inside, dict) or set(inside) != {"step", "field"}:
        return None
    step_id, field = inside["step"], inside["field"]
    return Reference(step_id=step_id, field=field) if isinstance(step_id, str) and isinstance(field, str) else None
