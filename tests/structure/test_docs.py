"""The documents speak of everything a person can set."""

import pytest

from tests.structure.settings import variables
from tests.structure.tree import ROOT


@pytest.mark.parametrize("variable", sorted(variables()))
def test_every_setting_is_documented(variable: str) -> None:
    """Whoever runs Zapwright reads the documents, not the source."""
    reference = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")

    assert f"`{variable}`" in reference
