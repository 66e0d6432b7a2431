"""A fresh simulator for each test."""

import pytest

from tests.support.simulation import Simulation


@pytest.fixture
def sim() -> Simulation:
    """A simulator in its seeded world, with the documented limits and no faults."""
    return Simulation()
