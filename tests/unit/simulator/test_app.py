"""The composition."""

import ast
from pathlib import Path
from typing import get_args

import httpx
import pytest

import simulator
from simulator.app import create_app
from simulator.inprocess import InProcessTransport
from simulator.oauth import TOKENS
from simulator.routes import ROUTES
from simulator.supplies import SUPPLIES
from simulator.switches import ENDPOINTS, LISTS, OF_ONE_APP, PAGED, REACH, Rule, SwitchError
from simulator.uses import USES
from simulator.world import World


def test_the_simulator_imports_nothing_of_what_it_tests() -> None:
    """Nor anything that does."""
    foreign = {"orchestrator", "workers", "api", "cli", "dashboard", "bench", "tests"}
    imported = set()
    for module in Path(simulator.__path__[0]).glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                imported |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom):
                imported.add((node.module or "").partition(".")[0])

    assert imported & foreign == set()


def test_rules_can_name_exactly_the_endpoints_that_are_served() -> None:
    """And what is said about faults is said about faults that exist."""
    assert set(ENDPOINTS) == {*ROUTES, *USES, *SUPPLIES, *TOKENS}
    assert PAGED < LISTS < set(ENDPOINTS)
    assert set(ENDPOINTS) > OF_ONE_APP
    assert REACH.keys() < set(get_args(Rule))


async def test_a_fixed_origin_is_what_links_name() -> None:
    """Whatever the caller asked for."""
    app = create_app(World(), origin="https://zapier.test")
    async with httpx.AsyncClient(transport=InProcessTransport(app), base_url="http://10.0.0.1") as client:
        answer = await client.get("/v2/apps", headers={"Authorization": "Bearer sim-ann"})

    assert answer.json()["links"]["next"] == "https://zapier.test/v2/apps?limit=10&offset=10"


def test_bad_switches_are_refused_at_the_start() -> None:
    """Not at the first request."""
    with pytest.raises(SwitchError):
        create_app(World(), switches={"limit": {}})
