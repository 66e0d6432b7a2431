"""Keeps elements in a browser as a tree of nodes says, by as little change as there is: what has the focus keeps it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from nicegui.element import Element

from dashboard.nodes import Node

_AS_WRITTEN: Final = frozenset({"value", "checked", "selected"})
"""What a person may have changed since: only the attribute is set, never the property."""


class _Piece(Element):
    """An element of NiceGUI's without a component: its tag, its attributes, and its text."""

    def take(self, node: Node) -> None:
        """Be as the node says, children apart."""
        props = {f"^{name}" if name in _AS_WRITTEN else name: value for name, value in node.attributes.items()}
        classes = props.pop("class", "").split()
        with self.props.suspend_updates(), self.classes.suspend_updates():
            self.props.clear()
            self.props.update(props)
            self.classes[:] = classes
        self._text = node.text
        self.update()


@dataclass(slots=True)
class _Kept:
    node: Node
    piece: _Piece
    children: list[_Kept] = field(default_factory=list)


class Mirror:
    """What stands in one place of one page."""

    def __init__(self, place: Element) -> None:
        self._place = place
        self._kept: list[_Kept] = []

    def show(self, *nodes: Node) -> None:
        """Show these there, and nothing else."""
        self._kept = _fitted(self._place, self._kept, nodes)


def _fitted(parent: Element, kept: list[_Kept], nodes: Sequence[Node]) -> list[_Kept]:
    before = dict(zip(_names([one.node for one in kept]), kept, strict=True))
    now: list[_Kept] = []
    for name, node in zip(_names(nodes), nodes, strict=True):
        found = before.pop(name, None)
        now.append(_made(parent, node) if found is None else _changed(found, node))
    for gone in before.values():
        parent.remove(gone.piece)
    order = [one.piece for one in now]
    if list(parent.default_slot.children) != order:
        parent.default_slot.children[:] = order
        parent.update()
    return now


def _made(parent: Element, node: Node) -> _Kept:
    with parent:
        made = _Kept(node, _Piece(node.tag))
    made.piece.take(node)
    made.children = _fitted(made.piece, [], node.children)
    return made


def _changed(kept: _Kept, node: Node) -> _Kept:
    if kept.node == node:
        return kept
    if (kept.node.attributes, kept.node.text) != (node.attributes, node.text):
        kept.piece.take(node)
    kept.children = _fitted(kept.piece, kept.children, node.children)
    kept.node = node
    return kept


def _names(nodes: Sequence[Node]) -> list[tuple[str, str | int]]:
    """Name siblings: by their keys, or by their places among those without one."""
    places: dict[str, int] = {}
    names: list[tuple[str, str | int]] = []
    for node in nodes:
        places[node.tag] = places.get(node.tag, -1) + (node.key is None)
        names.append((node.tag, places[node.tag] if node.key is None else node.key))
    return names
