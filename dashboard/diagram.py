"""The machine, drawn from its table, with the state of a step lit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dashboard.nodes import Node, h
from orchestrator.core.machine import ANY, TABLE, Edge
from orchestrator.core.session import StepState

ANY_STATE: Final = "any state"
WIDTH, HEIGHT = 760, 312


@dataclass(frozen=True, slots=True)
class _Box:
    x: int
    y: int
    width: int
    height: int = 44


BOXES: Final = {
    ANY_STATE: _Box(12, 138, 96, 36),
    StepState.CHOOSE_APP.value: _Box(168, 24, 132),
    StepState.NO_AUTH_REQUIRED.value: _Box(168, 244, 164),
    StepState.NEEDS_AUTH.value: _Box(276, 134, 132),
    StepState.AWAITING_POPUP.value: _Box(536, 40, 156),
    StepState.RESOLVED.value: _Box(536, 228, 132),
}

WAYS: Final = {
    (ANY_STATE, "choose-app"): "M60 136 C60 80 100 46 162 46",
    (ANY_STATE, "no-auth-required"): "M60 176 C60 232 100 266 162 266",
    (ANY_STATE, "needs-auth"): "M110 156 H270",
    ("needs-auth", "awaiting-popup"): "M380 132 C410 84 460 58 530 54",
    ("awaiting-popup", "needs-auth"): "M534 78 C478 84 430 108 412 142",
    ("needs-auth", "resolved"): "M412 168 C440 196 480 222 530 236",
    ("resolved", "needs-auth"): "M534 260 C450 258 390 226 364 182",
    ("awaiting-popup", "resolved"): "M586 86 V222",
    ("resolved", "awaiting-popup"): "M632 226 V90",
    ("needs-auth", "needs-auth"): "M300 132 C290 96 340 96 328 129",
    ("awaiting-popup", "awaiting-popup"): "M694 52 C738 40 738 84 698 74",
    ("resolved", "resolved"): "M670 240 C714 228 714 272 674 262",
}
"""How each arrow runs. Which arrows there are the table says, and a test holds these against it."""


def pairs() -> dict[tuple[str, str], list[Edge]]:
    """Return the table's lines by the arrows they are: one for each pair of states, and one from any state."""
    found: dict[tuple[str, str], list[Edge]] = {}
    for edge in TABLE:
        for source in (ANY_STATE,) if edge.sources == ANY else tuple(state.value for state in edge.sources):
            found.setdefault((source, edge.to.value), []).append(edge)
    return found


def drawn(lit: str, *, name: str) -> Node:
    """Draw the machine with one state lit, and every arrow that leads on from it."""
    arrows = [_arrow(pair, edges, is_lit=pair[0] in {lit, ANY_STATE}, name=name) for pair, edges in pairs().items()]
    boxes = [_box(state, box, is_lit=state == lit) for state, box in BOXES.items()]
    tips = h("defs", _tip(f"{name}-tip", "tip"), _tip(f"{name}-tip-lit", "tip lit"))
    return h(
        "svg",
        tips,
        h("circle", cx=140, cy=46, r=0, cls="start"),
        *arrows,
        *boxes,
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        role="img",
        aria_label=f"The machine: this step is in {lit}",
        cls="machine",
    )


def ways_on(lit: str) -> list[Edge]:
    """Return the table's lines that lead on from a state."""
    return [edge for edge in TABLE if lit in {state.value for state in edge.sources}]


def _arrow(pair: tuple[str, str], edges: list[Edge], *, is_lit: bool, name: str) -> Node:
    title = f"{pair[0]} → {pair[1]}: " + "; ".join(edge.when for edge in edges)
    tip = f"{name}-tip-lit" if is_lit else f"{name}-tip"
    return h(
        "g",
        h("title", title),
        h("path", d=WAYS[pair], marker_end=f"url(#{tip})"),
        cls="way lit" if is_lit else "way",
    )


def _box(state: str, box: _Box, *, is_lit: bool) -> Node:
    shape = h("rect", x=box.x, y=box.y, width=box.width, height=box.height, rx=box.height // 2)
    label = h("text", state, x=box.x + box.width // 2, y=box.y + box.height // 2, text_anchor="middle", dy="0.35em")
    classes = ["state", *(["lit"] if is_lit else []), *(["any"] if state == ANY_STATE else [])]
    return h("g", shape, label, cls=" ".join(classes))


def _tip(id_: str, cls: str) -> Node:
    shape = h("path", d="M0 0 L8 4 L0 8 Z")
    return h(
        "marker",
        shape,
        id=id_,
        cls=cls,
        viewBox="0 0 8 8",
        refX=7,
        refY=4,
        markerWidth=7,
        markerHeight=7,
        orient="auto",
    )
