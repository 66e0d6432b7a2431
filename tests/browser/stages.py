"""What the pictures of our pages show: each scene brings a page of a real installation into one state.

A scene is a function of a `Stage`, put into the table by `@scene`; it returns the page, and what of it a small screen
should show first. Scenes run side by side: each has a user of its own, breaks the simulator only for apps or users of
its own, and returns when the state is there. `make screenshots` draws them all, in both themes and on two screens, and
`docs/pages.md` shows them. The modules with scenes are named in `tests/browser/screenshots.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import httpx
from playwright.async_api import BrowserContext, Locator, Page

Shown: TypeAlias = tuple[Page, Locator | None]
Scene: TypeAlias = Callable[["Stage"], Awaitable[Shown]]

SCENES: Final[dict[str, Scene]] = {}
"""By the name of its pictures: <page>-<state>."""

ATTEMPT_S: Final = 60
TOKEN_S: Final = 60
USERS: Final = (
    *("ada", "grace", "alan", "edsger", "barbara", "donald", "radia", "ken", "frances", "dennis", "hedy", "john"),
    *("joan", "niklaus", "mary", "tony", "jean", "claude", "anita", "vint", "lynn", "tim", "shafi", "leslie"),
    *("sophie", "bjarne", "katherine", "guido", "carol", "linus", "susan", "brian", "adele", "robin", "karen", "peter"),
    *("elizabeth", "james", "margaret", "kurt", "emmy", "george", "rosa", "blaise", "rita", "konrad", "ida", "edgar"),
    *("mabel", "otto", "irma", "hugo", "selma", "erik", "nora", "felix", "edith", "jonas", "klara", "axel"),
    *("astrid", "bruno", "clara", "dora", "enzo", "fritz", "gerda", "hanna", "ivo", "julia", "karl", "lena"),
    *("sarah", "henry", "alma", "viktor", "greta", "oskar", "lotte", "emil", "ruth", "paul", "wanda", "kai"),
    *("theo", "marta", "anton", "helen", "lena", "bruno", "clara", "max"),
)


@dataclass
class Stage:
    """An installation, a browser of one user, and what the scene may do to both of them."""

    context: BrowserContext
    user: str
    variables: Mapping[str, str]
    api: httpx.AsyncClient = field(repr=False)

    async def read(self, path: str) -> dict[str, Any]:
        """Ask the API as a backend does."""
        answer = await self.api.get(path)
        found: dict[str, Any] = answer.raise_for_status().json()
        return found


def scene(function: Scene) -> Scene:
    """Put a scene into the table, under its function's name: `builder_waiting` draws `builder-waiting-….png`."""
    SCENES[function.__name__.replace("_", "-")] = function
    return function
