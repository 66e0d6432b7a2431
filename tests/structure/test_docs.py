"""The documents speak of everything a person can set."""

from tests.structure.settings import variables
from tests.structure.tree import ROOT


def test_every_setting_is_documented() -> None:
    """Whoever runs Zapwright reads the documents, not the source."""
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")

    assert {variable for variable in variables() if f"`{variable}`" not in reference} == set()
