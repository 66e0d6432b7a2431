"""Actions: a button, and the dialog behind it that asks why."""

from __future__ import annotations

import re

from dashboard.nodes import Content, Node, h
from dashboard.sight import Sight

LONGEST_REASON = 200


def action(
    sight: Sight, path: str, said: str, about: str, *contents: Content, name: str, tone: str = ""
) -> Node | None:
    """Offer to do something; nothing for who may only look.

    The form goes to the dashboard at `/act` and this path of the operators' API. It is sent with the page's wish: the
    same form sent twice does it once.
    """
    if not sight.visit.may_act:
        return None
    id_ = "act-" + re.sub(r"[^A-Za-z0-9_-]", "-", name)
    form = h(
        "form",
        h("h3", said, id=f"{id_}-title"),
        h("p", about, cls="soft"),
        *contents,
        h(
            "label",
            h("span", "Why?"),
            h(
                "input",
                type="text",
                name="reason",
                value=sight.given(path, "reason") or None,
                required=True,
                maxlength=LONGEST_REASON,
                autocomplete="off",
            ),
            h("span", "It is kept in the audit, with your key's name.", cls="soft small"),
            cls="field",
        ),
        h("input", type="hidden", name="wish", value=f"{sight.wish}-{name}"),
        h("input", type="hidden", name="back", value=sight.path),
        h(
            "div",
            h("button", "Never mind", type="button", cls="button", data_closes=True),
            h("button", said, type="submit", cls=f"button {tone or 'primary'}"),
            cls="row end",
        ),
        method="post",
        action=f"/act{path}",
        cls="stack",
    )
    button = h("button", said, type="button", cls=f"button {tone}".strip(), data_opens=id_, aria_haspopup="dialog")
    return h("div", button, h("dialog", form, id=id_, aria_labelledby=f"{id_}-title"), cls="acting", key=name)
