"""A stage for every test: a scripted Zapier, a recording budget, a clock that stands still."""

import pytest

from tests.support.zapier import Stage


@pytest.fixture
def stage() -> Stage:
    """A client nobody has used yet."""
    return Stage()
