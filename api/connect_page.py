"""What the connect page says, as HTML. Text that comes from elsewhere becomes text: the tree is written out escaped.

One page a moment: whose link it is and what it is good for decide which. Where there is something to follow, the
page's script goes on from here (`web/connect-page.js`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from api.elements import Child, document, element, short
from orchestrator.core.session import App


class Kind(StrEnum):
    """The pages there are."""

    ASK = "ask"
    ELSEWHERE = "elsewhere"
    WAITING = "waiting"
    FOLLOW = "follow"
    DONE = "done"
    EXPIRED = "expired"
    REVOKED = "revoked"
    REPLACED = "replaced"
    SESSION_OVER = "session_over"
    UNKNOWN = "unknown"
    NO_COOKIE = "no_cookie"
    ANOTHER_SITE = "another_site"
    TOO_MANY = "too_many"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What there is to say.

    `takes_fields`: the app can be connected by filling in, on this page, what it asks for. `asker` is who made the
    link. `account` is the Zapier account that what is connected will belong to, masked. `code` names this browser
    while it waits. `return_url` is given to the browser whose link it is. `reference` is what operators find the
    session by, to be quoted when something is wrong.
    """

    kind: Kind
    app: App | None = None
    takes_fields: bool = False
    asker: str | None = None
    zap: str | None = None
    account: str | None = None
    code: str | None = None
    step_id: str | None = None
    return_url: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class _Words:
    """How a page says it: `{app}`, `{asker}` and `{zap}` stand for their names."""

    title: str
    tone: str = "plain"
    said: tuple[str, ...] = ()
    button: str | None = None
    small: tuple[str, ...] = field(default=())


_WITH_FIELDS: Final = (
    "You sign in at Zapier and {app}, and your password stays there. Or you fill in here what {app} asks for: "
    "that goes to Zapier, and is kept nowhere else."
)
_UNEXPECTED: Final = "You did not expect this? Close the page: nothing has happened yet."
_NEW_ONE: Final = "Ask {asker} for a new one if you still want to connect {app}."

_WORDS: Final[Mapping[Kind, _Words]] = {
    Kind.ASK: _Words(
        title="Connect {app}",
        said=("{asker} asks you to connect your {app} account.",),
        button="Continue",
        small=("You sign in at Zapier and {app}. Your password stays there.", _UNEXPECTED),
    ),
    Kind.ELSEWHERE: _Words(
        title="This link was opened elsewhere",
        tone="wait",
        said=(
            "It belongs to another browser, or to another app of yours. Go on there if you can.",
            "To go on here, {asker} must let this browser in.",
        ),
        button="Ask to go on here",
    ),
    Kind.WAITING: _Words(
        title="Waiting to be let in",
        tone="wait",
        said=(
            "This link was opened elsewhere. Tell {asker} this code, and they can let this browser in:",
            "Keep the page open: it goes on by itself.",
        ),
    ),
    Kind.FOLLOW: _Words(title="Connect {app}"),
    Kind.DONE: _Words(title="{app} is connected", tone="good", said=("There is nothing left to do here.",)),
    Kind.EXPIRED: _Words(
        title="This link has expired",
        tone="wait",
        said=(_NEW_ONE, "If you connected something just now, it is still found."),
    ),
    Kind.REVOKED: _Words(title="This link is no longer good", tone="wait", said=(_NEW_ONE,)),
    Kind.REPLACED: _Words(
        title="There is a newer link", tone="wait", said=("Use the newest one that {asker} gave you.",)
    ),
    Kind.SESSION_OVER: _Words(
        title="There is nothing left to connect",
        said=("What this link was for has been finished, or was given up.",),
    ),
    Kind.UNKNOWN: _Words(
        title="We do not know this link",
        tone="bad",
        said=("Part of the address may be missing, or the link was good a long time ago.",),
    ),
    Kind.NO_COOKIE: _Words(
        title="This browser keeps no cookies",
        tone="bad",
        said=("One is needed, so that the link is yours alone. Allow it for this site, or use another browser.",),
        button="Try again",
    ),
    Kind.ANOTHER_SITE: _Words(
        title="Please open the link itself", tone="bad", said=("Another site sent you here with something in hand.",)
    ),
    Kind.TOO_MANY: _Words(
        title="Too many browsers wait for this link",
        tone="bad",
        said=("Ask {asker} for a new link, and keep that one to yourself.",),
    ),
    Kind.TROUBLE: _Words(
        title="This does not work right now",
        tone="bad",
        said=("Nothing is lost. Try again in a moment.",),
    ),
}

_SOMEBODY: Final = "whoever sent you this link"
_APP: Final = "the app"
_WITH_SCRIPT: Final = frozenset({Kind.FOLLOW, Kind.WAITING})
_LEADS_BACK: Final = frozenset(Kind) - {Kind.ASK, Kind.ELSEWHERE, Kind.WAITING, Kind.FOLLOW}
_TRIES_AGAIN: Final = frozenset({Kind.TROUBLE, Kind.ANOTHER_SITE, Kind.WAITING})


def html(page: Page, *, root: str = "") -> str:
    """Return the page's document; `root` is the path under which browsers find us."""
    words = _WORDS[page.kind]
    script = "connect-page.js" if page.kind in _WITH_SCRIPT else None
    styles = ("look.css", "connect-page.css")
    return document(_plain(words.title, page), _body(page, words), files=f"{root}/web", styles=styles, script=script)


def _body(page: Page, words: _Words) -> Element:
    facts = {
        "data-kind": page.kind.value,
        "data-step": page.step_id,
        "data-back": page.return_url,
        "data-asker": page.asker and short(page.asker),
        "data-reference": page.reference,
    }
    return element(
        "body",
        element("main", _card(page, words), id="connect", **{"class": "page narrow"}, **facts),
        element("p", id="told", role="status", **{"class": "unseen"}),
    )


def _card(page: Page, words: _Words) -> Element:
    return element(
        "section",
        _named(page.app) if page.app is not None else None,
        element("h1", *_said(words.title, page), tabindex="-1"),
        *_sentences(page, words),
        _account(page) if page.kind is Kind.ASK else None,
        _form(words.button) if words.button else None,
        *(element("p", *_said(text, page), **{"class": "soft small"}) for text in _small(page, words)),
        _ways_on(page),
        _quote(page.reference) if page.reference and page.kind is Kind.TROUBLE else None,
        **{"class": "card stack"},
    )


def _small(page: Page, words: _Words) -> tuple[str, ...]:
    return (_WITH_FIELDS, _UNEXPECTED) if page.kind is Kind.ASK and page.takes_fields else words.small


def _sentences(page: Page, words: _Words) -> list[Child]:
    """Return what is said; where the page goes on by script, without which it does not, that instead."""
    if page.kind is Kind.FOLLOW:
        return [
            element("p", element("span", **{"class": "spinner", "aria-hidden": "true"}), "One moment", **_ROW),
            element("noscript", element("p", "This page is a program: it needs JavaScript.", **{"class": "note"})),
        ]
    said: list[Child] = [element("p", *_said(text, page)) for text in words.said]
    if page.kind is Kind.ASK and page.zap:
        said.append(element("p", *_said("It is for “{zap}”.", page)))
    if page.code is not None:
        said.insert(1, element("p", f"{page.code[:4]}-{page.code[4:]}", id="code", **{"class": "code"}))
    if words.tone == "plain":
        return said
    return [element("div", *said, **{"class": "note", "data-tone": words.tone})]


_ROW: Final = {"class": "row"}


def _named(app: App) -> Element:
    title = short(app.title)
    picture = element("span", title[:1].upper(), **{"class": "picture", "aria-hidden": "true"})
    if app.image is not None and urlsplit(app.image).scheme in {"https", "http"}:
        picture.append(element("img", src=app.image, alt="", referrerpolicy="no-referrer"))
    return element("p", picture, element("b", element("bdi", title)), **{"class": "app"})


def _account(page: Page) -> Element | None:
    if page.account is None:
        return None
    return element("p", "It will be kept in the Zapier account ", element("b", page.account), ".")


def _form(label: str) -> Element:
    return element(
        "form",
        element("button", label, type="submit", id="continue", **{"class": "button primary wide"}),
        method="post",
    )


def _ways_on(page: Page) -> Element | None:
    again = element("a", "Look again", href="", **{"class": "button"}) if page.kind in _TRIES_AGAIN else None
    back = None
    if page.return_url is not None and page.kind in _LEADS_BACK:
        to = short(page.asker) if page.asker else urlsplit(page.return_url).hostname or ""
        label = element("span", "Back to ", element("bdi", to))
        back = element("a", label, href=page.return_url, id="back", **{"class": "button primary wide"})
    return element("div", back, again, **_ROW) if again is not None or back is not None else None


def _quote(reference: str) -> Element:
    text = "If you ask for help, quote "
    return element("p", text, element("span", reference, **{"class": "mono"}), **{"class": "small"})


def _names(page: Page) -> dict[str, str]:
    return {
        "app": short(page.app.title) if page.app is not None else _APP,
        "asker": short(page.asker) if page.asker else _SOMEBODY,
        "zap": page.zap or "",
    }


def _said(sentence: str, page: Page) -> list[Child]:
    """Return a sentence with its names in it, each of which keeps its direction of writing to itself."""
    names = _names(page)
    parts: list[Child] = [
        element("bdi", names[part]) if number % 2 else part
        for number, part in enumerate(re.split(r"\{(\w+)\}", _begun(sentence, page)))
    ]
    return [part for part in parts if part != ""]


def _plain(sentence: str, page: Page) -> str:
    return sentence.format(**_names(page))


def _begun(sentence: str, page: Page) -> str:
    """Begin a sentence with a capital where it begins with nobody's name."""
    if sentence.startswith("{asker}") and not page.asker:
        return sentence.replace("{asker}", "W" + _SOMEBODY[1:], 1)
    return sentence
