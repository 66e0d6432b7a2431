"""Which live pages there are: where each is, what it is called, what it is drawn from, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from dashboard.views import apps, audit, deliveries, overview, session, sessions, states, workers

Things = Callable[[str, Mapping[str, str]], Mapping[str, str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A live page. `path` may end with `{name}`; `things` gives the API's addresses, by that name and the query."""

    path: str
    title: str
    things: Things
    view: states.View


PAGES: Final = (
    Page(path="/", title="Overview", things=lambda _, __: overview.THINGS, view=overview.view),
    Page(path="/sessions", title="Sessions", things=lambda _, query: sessions.things(query), view=sessions.view),
    Page(path="/sessions/{name}", title="Session", things=session.things, view=session.view),
    Page(path="/apps", title="Apps", things=lambda _, __: {"apps": "/apps"}, view=apps.view),
    Page(
        path="/apps/{name}",
        title="App",
        things=lambda name, _: {"app": f"/apps/{quote(name, safe='')}"},
        view=apps.story,
    ),
    Page(
        path="/deliveries", title="Deliveries", things=lambda _, query: deliveries.things(query), view=deliveries.view
    ),
    Page(path="/workers", title="Workers", things=lambda _, query: workers.things(query), view=workers.view),
    Page(path="/audit", title="Audit", things=lambda _, query: audit.things(query), view=audit.view),
)
