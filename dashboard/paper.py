"""Pages that are written once, as HTML: before anybody is signed in, and what stands around the live ones."""

from __future__ import annotations

from typing import Final

from dashboard.nodes import Node, h, html
from dashboard.visits import Visit
from dashboard.words import plain

TITLE: Final = "Zapwright operations"
STYLES: Final = tuple(h("link", rel="stylesheet", href=f"/web/{name}") for name in ("look.css", "dashboard.css"))
PAGES: Final = (
    ("/", "Overview"),
    ("/sessions", "Sessions"),
    ("/apps", "Apps"),
    ("/deliveries", "Deliveries"),
    ("/workers", "Workers"),
    ("/audit", "Audit"),
)


def head() -> str:
    """Return what every page's head has."""
    return "".join(map(html, STYLES)) + '<script defer src="/web/dashboard.js"></script>'


def top(path: str, visit: Visit) -> str:
    """Return what stands above a live page; `path` is where it is."""
    links = [
        h("li", h("a", title, href=address, aria_current="page" if _is_within(path, address) else None))
        for address, title in PAGES
    ]
    tenants, name = visit.scope.tenants, visit.scope.name or visit.scope.role
    of = "every tenant" if tenants is None else ", ".join(tenants)
    sees = f"{plain(name)}, {visit.scope.role}: sees {of}"
    who = h(
        "div",
        h("span", plain(name, longest=32), cls="badge", data_tone="plain", title=sees),
        h("form", h("button", "Sign out", cls="button quiet", type="submit"), method="post", action="/sign-out"),
        cls="who push",
    )
    bar = h(
        "header",
        h("a", "Zapwright", h("span", "operations", cls="soft small"), cls="brand", href="/"),
        h("nav", h("ul", *links), aria_label="Pages"),
        who,
        cls="bar",
    )
    return html(h("a", "Skip to the page", cls="skip", href="#board")) + html(bar)


def sign_in(*, following: str, note: Node | None = None) -> str:
    """Return the page on which an operator gives their key."""
    form = h(
        "form",
        h("input", type="hidden", name="next", value=following),
        h(
            "label",
            h("span", "Operator key"),
            h(
                "input",
                type="password",
                name="key",
                required=True,
                autofocus=True,
                autocomplete="current-password",
                spellcheck="false",
                maxlength=512,
            ),
            cls="field",
        ),
        h("button", "Sign in", cls="button primary", type="submit"),
        method="post",
        action="/sign-in",
        cls="stack",
    )
    hint = h(
        "details",
        h("summary", "I have no key"),
        h("p", "Somebody with a shell on the deployment makes one:"),
        h("pre", "zapwright api-keys create --operator --name YOU", cls="mono", tabindex=0),
    )
    name = h("p", "Zapwright", cls="brand")
    card = h("section", name, h("h1", "Operations"), note, form, hint, cls="card stack entrance")
    return _document("Sign in", card)


def sign_in_note(tone: str, title: str, text: str) -> Node:
    """Return what was wrong, or why somebody has to sign in again."""
    return h("div", h("strong", title), h("p", text), cls="note", data_tone=tone, role="alert")


def missing(path: str, visit: Visit | None) -> str:
    """Return what stands at an address that no page has, with the bar for who is signed in."""
    word = h(
        "section",
        h("h1", "There is no such page here"),
        h("p", "Nothing of the dashboard's has this address: ", h("code", plain(path, longest=80), cls="mono")),
        h("p", h("a", "To the overview", href="/", cls="button primary")),
        cls="stack",
    )
    if visit is None:
        return _document("No such page", word)
    return _document("No such page", h("div", word, id="board", tabindex=-1), above=top(path, visit))


def step_inside() -> str:
    """Return a page that asks for itself again: come from another site, a browser keeps a strict cookie back."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta http-equiv="refresh" content="0">'
        f"<title>{TITLE}</title></head><body></body></html>"
    )


def _document(title: str, body: Node, *, above: str = "") -> str:
    """Write a page; `above` is HTML that stands before it, over the page's whole width."""
    meta = (
        h("meta", charset="utf-8"),
        h("meta", name="viewport", content="width=device-width, initial-scale=1"),
        h("meta", name="color-scheme", content="light dark"),
        h("title", f"{title} · {TITLE}"),
        h("link", rel="icon", href="/web/mark.svg", type="image/svg+xml"),
        *STYLES,
    )
    main = h("main", body, cls="page wide" if above else "page narrow")
    script = '<script defer src="/web/dashboard.js"></script>' if above else ""
    inner = f'<head>{"".join(map(html, meta))}{script}</head><body class="outside">{above}{html(main)}</body>'
    return f'<!doctype html><html lang="en">{inner}</html>'


def _is_within(path: str, address: str) -> bool:
    return path == address if address == "/" else path.startswith(address)
