"""HTML of our own pages, as a tree that is written out escaped: text that comes from elsewhere becomes text."""

from __future__ import annotations

from typing import Final, TypeAlias
from xml.etree.ElementTree import Element, tostring

Child: TypeAlias = Element | str | None

LONGEST_NAME: Final = 120
"""Of an app or a company; what is longer is no name."""


def document(title: str, body: Element, *, files: str, styles: tuple[str, ...], script: str | None = None) -> str:
    """Return a page's document; `files` is the path under which browsers find styles and scripts."""
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="color-scheme", content="light dark"),
        element("meta", name="robots", content="noindex"),
        element("title", title),
        element("link", rel="icon", href=f"{files}/mark.svg", type="image/svg+xml"),
        *(element("link", rel="stylesheet", href=f"{files}/{style}") for style in styles),
        element("script", type="module", src=f"{files}/{script}") if script else None,
    )
    return "<!doctype html>\n" + tostring(element("html", head, body, lang="en"), encoding="unicode", method="html")


def short(name: str) -> str:
    """Return a name, cut where it is too long to be one."""
    return name if len(name) <= LONGEST_NAME else name[: LONGEST_NAME - 1] + "…"


def element(tag: str, *children: Child, **attributes: str | None) -> Element:
    """Return an element; what is None is left out."""
    made = Element(tag, {name: value for name, value in attributes.items() if value is not None})
    last: Element | None = None
    for child in children:
        if isinstance(child, Element):
            made.append(child)
            last = child
        elif child is not None and last is None:
            made.text = (made.text or "") + child
        elif child is not None and last is not None:
            last.tail = (last.tail or "") + child
    return made
