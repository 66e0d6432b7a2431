"""A deployment for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.support.deployment import Deployment


@pytest.fixture
async def api() -> AsyncIterator[Deployment]:
    """The API on a store in memory, before a simulated Zapier."""
    deployment = Deployment()
    yield deployment
    await deployment.aclose()
