"""The documents show every state of every page, and pictures of nothing else."""

from __future__ import annotations

import itertools
from typing import Final

from tests.browser.screenshots import ALBUM, FOLDER, PAGES, SCREENS, THEMES, album, file_of
from tests.browser.stages import SCENES

MOST_BYTES: Final = 7 * 1024 * 1024


def test_every_scene_has_its_pictures() -> None:
    """Both themes, both screens; `make screenshots` draws them."""
    wanted = {file_of(*variant) for variant in itertools.product(SCENES, THEMES, SCREENS)}

    assert {path.name for path in FOLDER.glob("*.png")} == wanted


def test_every_scene_is_in_the_album() -> None:
    """`make screenshots` writes it."""
    assert all(name.partition("-")[0] in PAGES for name in SCENES)
    assert ALBUM.read_text(encoding="utf-8") == album()


def test_pictures_do_not_weigh_much() -> None:
    """Whoever clones the project gets them all."""
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST_BYTES
