"""Nodes hold text, and nothing that runs or leads elsewhere."""

import pytest

from dashboard.nodes import Node, NodeError, h, html, text_of

HOSTILE = '<img src=x onerror="alert(1)">&'


def test_text_is_text() -> None:
    """Whatever it holds, in an element and in an attribute."""
    written = html(h("p", HOSTILE, title=HOSTILE))

    assert "<img" not in written
    assert written == (
        '<p title="&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;">'
        "&lt;img src=x onerror=&quot;alert(1)&quot;&gt;&amp;</p>"
    )


@pytest.mark.parametrize("tag", ["script", "style", "iframe", "img", "object", "q-btn"])
def test_no_element_runs_anything_or_loads_from_anywhere(tag: str) -> None:
    """They are refused by name."""
    with pytest.raises(NodeError):
        h(tag)


@pytest.mark.parametrize("name", ["onclick", "style", "src", "srcdoc", "formaction", "innerHTML:x", "^value", ":title"])
def test_no_attribute_is_a_program(name: str) -> None:
    """Neither of HTML's, nor one that NiceGUI or Vue would evaluate."""
    with pytest.raises(NodeError):
        h("p", "x", **{name: "alert(1)"})


@pytest.mark.parametrize(
    "address", ["https://elsewhere.example", "//elsewhere.example", "javascript:alert(1)", "\\\\x", "data:text/html,x"]
)
@pytest.mark.parametrize("name", ["href", "action"])
def test_addresses_are_our_own(name: str, address: str) -> None:
    """What a stranger wrote leads nobody away."""
    with pytest.raises(NodeError):
        h("a", "x", **{name: address})


def test_what_is_not_given_is_left_out() -> None:
    """So that a view may write a condition in its place."""
    node = h("a", None, "one", h("b", "two"), href="/x", aria_current=None, hidden=False, cls="button")

    assert html(node) == '<a href="/x" class="button"><span>one</span><b>two</b></a>'
    assert text_of(node) == "one two"


def test_equal_trees_are_equal() -> None:
    """A page that has not changed is not sent again."""
    assert h("p", h("b", "x", key="k"), cls="y") == h("p", h("b", "x", key="k"), cls="y")
    assert h("p", "x") != Node(tag="p", text="y")
