"""What a page shows, as values: a tree of elements that is compared, kept in a browser up to date, or written as HTML.

Text is text: there is no way to put markup, a script or an address of another origin into a node.
"""

from __future__ import annotations

import html as escaping
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

Value: TypeAlias = str | int | bool | None
Content: TypeAlias = "Node | str | None"

_TAGS: Final = (
    "a b body br button circle code dd defs details dialog div dl dt em fieldset footer form g h1 h2 h3 "
    "head header html i input label legend li link main marker meta nav noscript ol optgroup option p "
    "path pre rect section select small span strong summary svg table tbody td text textarea th thead "
    "time title tr tspan ul"
)
TAGS: Final = frozenset(_TAGS.split())
VOID: Final = frozenset({"br", "input", "link", "meta"})
_ATTRIBUTE: Final = re.compile(r"(?!on)[a-z][a-zA-Z]*(-[a-z]+)*[0-9]?")
_ADDRESSES: Final = frozenset({"href", "action"})
_OWN: Final = re.compile(r"(/(?!/)|#|$)")


class NodeError(ValueError):
    """A node that no page of ours may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """An element. It has text or children, never both; among its siblings, `key` says which one it was before."""

    tag: str
    attributes: Mapping[str, str] = field(default_factory=dict)
    text: str | None = None
    children: tuple[Node, ...] = ()
    key: str | None = None


def h(tag: str, *contents: Content, key: str | None = None, **attributes: Value) -> Node:
    """Make an element: `h("a", "all", href="/sessions", aria_current="page")`; `cls` is its class.

    Attributes that are None or False, and contents that are None, are left out; text beside elements gets a `span`.
    Raises NodeError.
    """
    if tag not in TAGS:
        raise NodeError(f"no page of ours has a {tag}")
    given = {
        _name(name): _value(value) for name, value in attributes.items() if value is not None and value is not False
    }
    for name, value in given.items():
        _check(name, value)
    parts = [content for content in contents if content is not None]
    if len(parts) == 1 and isinstance(parts[0], str):
        return Node(tag=tag, attributes=given, text=parts[0], key=key)
    children = tuple(part if isinstance(part, Node) else Node(tag="span", text=part) for part in parts)
    return Node(tag=tag, attributes=given, children=children, key=key)


def html(node: Node) -> str:
    """Write it as HTML."""
    attributes = "".join(f' {name}="{escaping.escape(value)}"' for name, value in node.attributes.items())
    if node.tag in VOID:
        return f"<{node.tag}{attributes}>"
    inside = escaping.escape(node.text) if node.text is not None else "".join(map(html, node.children))
    return f"<{node.tag}{attributes}>{inside}</{node.tag}>"


def text_of(node: Node) -> str:
    """Return what a person reads, in order."""
    parts = [node.text] if node.text is not None else [text_of(child) for child in node.children]
    return " ".join(part for part in parts if part)


def _name(name: str) -> str:
    return "class" if name == "cls" else name.rstrip("_").replace("_", "-")


def _value(value: Value) -> str:
    return "" if value is True else str(value)


def _check(name: str, value: str) -> None:
    """Raise NodeError for what would run as a program, or lead elsewhere."""
    if not _ATTRIBUTE.fullmatch(name) or name in {"style", "src", "srcdoc", "formaction"}:
        raise NodeError(f"no element of ours has the attribute {name}")
    if name in _ADDRESSES and not _OWN.match(value):
        raise NodeError(f"{value} leads elsewhere")
