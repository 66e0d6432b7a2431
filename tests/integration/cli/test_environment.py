"""Settings that cannot be read are refused in words a person understands."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from cli import devenv
from cli.environment import read_settings, sealing_keys
from cli.errors import CommandError
from orchestrator.settings import Settings
from tests.support.processes import SEALING_KEY

WRONG: Final = ('foo bar"', "-1", "1e999", "9" * 5_000)


def refusals() -> Iterator[str]:
    """Give what is said of each setting that is wrong in each of these ways."""
    for name in Settings.model_fields:
        for value in WRONG:
            try:
                read_settings(**{name: value})
            except CommandError as error:
                yield str(error)


def test_no_setting_is_refused_in_another_library_s_words() -> None:
    """Nor with patterns."""
    said = list(refusals())

    assert len(said) > len(Settings.model_fields)
    assert [one for one in said if re.search(r"Input|String|should|Value error|not as documented|\^", one)] == []


def test_who_lacks_the_key_that_up_has_is_told_where_it_is(tmp_path: Path) -> None:
    """Rather than to make another one, which opens nothing."""
    settings = read_settings(data_dir=tmp_path)
    with pytest.raises(CommandError) as unheard:
        sealing_keys(settings)
    devenv.write(tmp_path, {"ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY})
    with pytest.raises(CommandError) as kept:
        sealing_keys(settings)

    assert "make one with" in str(unheard.value)
    assert str(kept.value).endswith(f"has it in {tmp_path / 'dev.env'}")


def test_a_setting_is_refused_with_what_it_may_be() -> None:
    """By the name that it has in the environment."""
    with pytest.raises(CommandError) as refused:
        read_settings(api_port="eighty")

    assert str(refused.value) == "settings: ZAPWRIGHT_API_PORT: write a whole number"
