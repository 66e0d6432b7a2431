"""The connect page's words: every page has some, and nobody's name is anything but text."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from typing import Final

import pytest

from api.connect_page import Kind, Page, html
from api.elements import LONGEST_NAME
from orchestrator.core.session import App

PLAIN: Final = Page(
    kind=Kind.ASK,
    app=App(id="slack", title="Slack", image="https://zapier.com/slack.png"),
    asker="Acme",
    zap="New leads",
    account="a•••@example.com",
    code="K7Q2MX4D",
    step_id="st1",
    return_url="https://app.example.test/",
    reference="abcdefghijkl",
)
HOSTILE: Final = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</title></style><svg onload=alert(1)>",
    "\u202ekcalS",
    "{asker} {app} {0} {x!r} $zap %s",
    "<!--",
    "&amp;lt;",
    "W" * 5000,
    " ",
    "'",
)


class Seen(HTMLParser):
    """What a browser makes of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("kind", Kind)
def test_every_page_has_a_title_a_heading_and_a_place_for_news(kind: Kind) -> None:
    """With everything known, and with nothing: no sentence is left with a hole."""
    for page in (replace(PLAIN, kind=kind), Page(kind=kind)):
        seen = Seen(html(page))

        assert [seen.tags.count(tag) for tag in ("title", "h1", "main")] == [1, 1, 1]
        assert ("role", "status") in seen.attributes
        assert "{" not in seen.text
        assert "None" not in seen.text


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names_are_text(kind: Kind, name: str) -> None:
    """Of the company, the Zap, the app and its account; what is too long to be a name is cut."""
    plain = replace(PLAIN, kind=kind)
    hostile = replace(plain, app=App(id="a", title=name, image="https://zapier.com/slack.png"), asker=name, zap=name)
    before, after = Seen(html(plain)), Seen(html(hostile))

    assert after.tags == before.tags
    assert [attribute for attribute, _ in after.attributes] == [attribute for attribute, _ in before.attributes]
    if len(name) <= LONGEST_NAME:
        assert name in after.text


@pytest.mark.parametrize("image", ["javascript:alert(1)", "data:text/html,x", "//evil.example/x.png", "", None])
def test_a_picture_comes_from_an_address_of_the_web_or_not_at_all(image: str | None) -> None:
    """Its first letter stands there anyway."""
    seen = Seen(html(replace(PLAIN, app=App(id="slack", title="slack", image=image))))

    assert "img" not in seen.tags
    assert "S" in seen.text


def test_only_pages_that_go_on_have_a_program() -> None:
    """What is over stands still."""
    assert {kind for kind in Kind if "script" in Seen(html(replace(PLAIN, kind=kind))).tags} == {
        Kind.FOLLOW,
        Kind.WAITING,
    }


def test_names_keep_their_direction_of_writing_to_themselves() -> None:
    """One written from right to left does not turn the sentence around."""
    assert "<bdi>Acme</bdi> asks you to connect your <bdi>Slack</bdi> account." in html(PLAIN)


def test_who_may_fill_in_a_password_here_is_not_told_that_it_stays_elsewhere() -> None:
    """An app of the tenant's own with fields takes them on this page; every other is signed in to where it is."""
    elsewhere, here = Seen(html(PLAIN)), Seen(html(replace(PLAIN, takes_fields=True)))

    assert "You sign in at Zapier and Slack. Your password stays there." in elsewhere.text
    assert "fill in here what Slack asks for" in here.text
    assert "Your password stays there." not in here.text
