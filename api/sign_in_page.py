"""What the pages around a sign-in to Zapier say, as HTML: before the browser goes there, and once it is back.

Each is one moment. Whatever went wrong can be tried again from where the sign-in was begun, which is said.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final
from urllib.parse import urlsplit
from xml.etree.ElementTree import Element

from api.elements import document, element, short
from orchestrator.core.sign_ins import Failure, Refusal


class Kind(StrEnum):
    """The pages there are; those of a sign-in that failed, or was refused, have the name of the reason."""

    GREETING = "greeting"
    SIGNED_IN = "signed_in"
    UNSURE = "unsure"
    DENIED = Failure.DENIED.value
    CODE_REFUSED = Failure.CODE_REFUSED.value
    CLIENT_REFUSED = Failure.CLIENT_REFUSED.value
    NOT_REACHED = Failure.NOT_REACHED.value
    ANSWER_LOST = Failure.ANSWER_LOST.value
    TOKEN_REFUSED = Failure.TOKEN_REFUSED.value
    UNKNOWN = Refusal.UNKNOWN.value
    ANOTHER_BROWSER = Refusal.ANOTHER_BROWSER.value
    EXPIRED = Refusal.EXPIRED.value
    USED = Refusal.USED.value
    FOREIGN_PAGE = "foreign_page"
    TROUBLE = "trouble"


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """What there is to say.

    `asker` is who wants the user signed in, `account` the masked address of the account they signed in to. `back` is
    where the sign-in was begun (None: in a popup); `tells` are the origins whose page, if it opened this window, hears
    of it; `browser` is this browser's name for the first of them, before anything else is known.
    """

    kind: Kind
    asker: str | None = None
    account: str | None = None
    back: str | None = None
    tells: tuple[str, ...] = ()
    browser: str | None = None
    reference: str | None = None


_AGAIN: Final = "Go back to {place} and sign in once more."
_NOTHING: Final = "Nothing has changed."
_ELSEWHERE: Final = (
    "Perhaps somebody else began it there. Finished here, it would let them use your Zapier account: it ends here."
)

_WORDS: Final[Mapping[Kind, tuple[str, str, tuple[str, ...]]]] = {
    Kind.GREETING: ("One moment", "plain", ("You are on your way to Zapier.",)),
    Kind.SIGNED_IN: ("You are signed in to Zapier", "good", ()),
    Kind.UNSURE: (
        "This may have worked",
        "wait",
        ("Zapier has led you back, and we do not know yet what came of it.", _AGAIN + " That does no harm."),
    ),
    Kind.DENIED: ("You did not allow it", "wait", (f"{_NOTHING} {_AGAIN}",)),
    Kind.CODE_REFUSED: (
        "That took too long",
        "bad",
        (f"Zapier gives two minutes for the last step, and they were over. {_NOTHING} {_AGAIN}",),
    ),
    Kind.CLIENT_REFUSED: (
        "This does not work at the moment",
        "bad",
        ("Zapier does not accept how {asker} asks. Only they can change that; they can see why.", _NOTHING),
    ),
    Kind.NOT_REACHED: ("Zapier could not be asked", "bad", (f"{_NOTHING} {_AGAIN}",)),
    Kind.ANSWER_LOST: (
        "Zapier’s answer was lost",
        "bad",
        (f"You allowed it, and Zapier did not say what we need to go on. {_AGAIN}",),
    ),
    Kind.TOKEN_REFUSED: ("Zapier takes it back", "bad", (f"What Zapier gave us, it does not accept. {_AGAIN}",)),
    Kind.UNKNOWN: (
        "We do not know this sign-in",
        "bad",
        (f"Part of the address may be missing, or it is over since long. {_NOTHING} {_AGAIN}",),
    ),
    Kind.ANOTHER_BROWSER: (
        "This sign-in belongs to another browser",
        "bad",
        (
            _ELSEWHERE,
            "Nothing has changed. To sign in yourself, begin in this browser, which must keep cookies.",
        ),
    ),
    Kind.EXPIRED: ("This sign-in is over", "wait", (f"It was not used in time. {_NOTHING} {_AGAIN}",)),
    Kind.USED: ("This sign-in was used", "wait", (f"It is good once. {_AGAIN}",)),
    Kind.FOREIGN_PAGE: (
        "This page may not sign you in",
        "bad",
        ("It is at an address that nobody here knows.", _NOTHING),
    ),
    Kind.TROUBLE: ("This does not work right now", "bad", (f"{_NOTHING} {_AGAIN}",)),
}

_BY_SCRIPT: Final = frozenset({Kind.GREETING, Kind.SIGNED_IN, *(Kind(failure.value) for failure in Failure)})


def html(page: Page, *, root: str = "") -> str:
    """Return the page's document; `root` is the path under which browsers find us."""
    title, tone, sentences = _WORDS[page.kind]
    names = {
        "asker": short(page.asker) if page.asker else "the page you came from",
        "place": short(page.asker) if page.asker else "the page you came from",
    }
    said = [element("p", sentence.format(**names)) for sentence in sentences]
    if page.account is not None:
        said.insert(0, element("p", "The account is ", element("b", page.account), "."))
    noted = said if tone == "plain" or not said else [element("div", *said, **{"class": "note", "data-tone": tone})]
    waits = element("span", **{"class": "spinner", "aria-hidden": "true"}) if page.kind is Kind.GREETING else None
    card = element(
        "section",
        element("h1", title, tabindex="-1"),
        waits,
        *noted,
        element("noscript", element("p", "This needs JavaScript.", **{"class": "note"})) if waits is not None else None,
        _way_on(page),
        _quote(page.reference),
        **{"class": "card stack"},
    )
    facts = {
        "data-kind": page.kind.value,
        "data-tells": " ".join(page.tells) or None,
        "data-browser": page.browser,
        "data-back": page.back if page.kind is Kind.SIGNED_IN else None,
    }
    main = element("main", card, id="sign-in", **{"class": "page narrow"}, **facts)
    script = "sign-in-page.js" if page.kind in _BY_SCRIPT else None
    styles = ("look.css", "connect-page.css")
    return document(title, element("body", main), files=f"{root}/web", styles=styles, script=script)


def _way_on(page: Page) -> Element | None:
    if page.kind is Kind.GREETING:
        return None
    if page.back is None:
        return element("button", "Close this window", id="close", type="button", hidden="", **{"class": "button"})
    to = short(page.asker) if page.asker else urlsplit(page.back).hostname or ""
    label = element("span", "Back to ", element("bdi", to))
    return element("a", label, href=page.back, id="back", **{"class": "button primary wide"})


def _quote(reference: str | None) -> Element | None:
    if reference is None:
        return None
    return element("p", "If you ask for help, quote ", element("span", reference, **{"class": "mono"}))
