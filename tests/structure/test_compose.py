"""The container files start commands that exist, with settings that exist, as nobody special."""

import json
import re
from typing import Any, Final

import pytest
import yaml

from api.server import GRACE_S
from orchestrator.core.session import SECOND
from orchestrator.settings import Settings
from orchestrator.store.limits import Limits
from simulator.accounts import secret_of
from tests.structure.commands import help_of, unknown_options
from tests.structure.settings import variables
from tests.structure.tree import ROOT
from tests.support.image import stages
from workers.timing import check_limit

TEXT: Final = (ROOT / "docker-compose.yml").read_text(encoding="utf-8")
COMPOSE: Final[dict[str, Any]] = yaml.safe_load(TEXT)
DEPLOYMENT: Final = (ROOT / "docs" / "deployment.md").read_text(encoding="utf-8")
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = sorted(name for name, service in SERVICES.items() if "build" in service)


def passed_through(name: str) -> set[str]:
    """Return the settings that a service is given out of the environment."""
    return {setting for setting, value in SERVICES[name]["environment"].items() if value is None}


def test_the_parts_of_a_deployment_are_there() -> None:
    """Store, API, worker and dashboard always; the simulator only when asked for."""
    assert set(SERVICES) == {"valkey", "api", "worker", "dashboard", "simulator"}
    assert [name for name, service in SERVICES.items() if "profiles" in service] == ["simulator"]


def test_the_store_keeps_what_it_was_told() -> None:
    """Every write is on disk before it is answered, in a volume, and nothing is evicted."""
    command = SERVICES["valkey"]["command"]
    options = dict(zip(command[1::2], command[2::2], strict=True))

    assert options == {"--appendonly": "yes", "--appendfsync": "always", "--maxmemory-policy": "noeviction"}
    assert SERVICES["valkey"]["volumes"] == ["valkey:/data"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_starts_a_command_that_exists(name: str) -> None:
    """The command and each of its options are in its help."""
    assert unknown_options(SERVICES[name]["command"]) == set()


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_given_settings_that_exist(name: str) -> None:
    """A misspelt variable would be ignored in silence."""
    assert SERVICES[name]["environment"].keys() - variables() == set()


def test_a_secret_that_is_exported_reaches_whoever_needs_it() -> None:
    """By name, which a file beside it is not: what the guide lists is passed to the services it lists it for."""
    rows = re.findall(
        r"^\| `(\w+)` \| ([\w, ]+) \|",
        DEPLOYMENT.partition("\n## On one host\n")[2].partition("\n## ")[0],
        re.MULTILINE,
    )
    told = {
        name: {setting for setting, readers in rows if name in readers.casefold().split(", ")}
        for name in ("api", "worker")
    }

    assert told["api"] >= {"ZAPWRIGHT_API_KEY", "ZAPWRIGHT_TOKEN_KEYS", "ZAPWRIGHT_CREDENTIAL_KEYS"}
    assert {name: settings - passed_through(name) for name, settings in told.items()} == {"api": set(), "worker": set()}


def test_the_simulator_sends_browsers_where_they_reach_it() -> None:
    """Its links, where users sign in, and the origin whose messages pages believe are its published port's."""
    named = dict(re.findall(r"^# +(ZAPWRIGHT_\w+)=(\S+)$", TEXT, re.MULTILINE))
    command = SERVICES["simulator"]["command"]
    origin = command[command.index("--origin") + 1]
    (published,) = SERVICES["simulator"]["ports"]

    assert origin == f"http://{published.rpartition(':')[0]}"
    assert named == {
        "ZAPWRIGHT_ZAPIER_API_URL": f"http://simulator:{published.rpartition(':')[2]}",
        "ZAPWRIGHT_ZAPIER_AUTHORIZE_URL": f"{origin}/v2/authorize",
        "ZAPWRIGHT_ZAPIER_MESSAGE_ORIGIN": origin,
        "ZAPWRIGHT_ZAPIER_CLIENT_SECRET": secret_of(Settings.model_fields["zapier_client_id"].default),
    }
    assert named.keys() - variables() == set()
    assert named.keys() <= passed_through("api")


def test_the_simulator_is_given_no_secret() -> None:
    """It asks for no key, and needs none."""
    assert SERVICES["simulator"]["environment"] == {}
    assert SERVICES["simulator"]["env_file"] == []


def test_only_this_machine_reaches_what_is_published() -> None:
    """Opening a port to the world is the reader's decision."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_the_dashboard_is_given_no_secret() -> None:
    """Whoever breaks into it finds what operators see, and no key of the deployment."""
    assert SERVICES["dashboard"]["environment"].keys() == {"ZAPWRIGHT_API_URL", "ZAPWRIGHT_PUBLIC_DASHBOARD_URL"}
    assert SERVICES["dashboard"]["env_file"] == []


def test_volumes_that_are_used_are_declared() -> None:
    """And none is declared that is not used."""
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert used == COMPOSE["volumes"].keys()


@pytest.mark.parametrize("name", sorted(SERVICES))
def test_a_service_says_how_it_is(name: str) -> None:
    """By a check of its own, or by the image's, which asks an API."""
    assert "healthcheck" in SERVICES[name] or SERVICES[name]["command"] == ["api"]


@pytest.mark.parametrize("name", OURS)
def test_a_service_may_finish_what_is_under_way(name: str) -> None:
    """The engine kills nothing that would still end by itself."""
    longest_s = max(GRACE_S, check_limit(Limits(), pages=2) // SECOND)

    assert int(SERVICES[name]["stop_grace_period"].removesuffix("s")) >= longest_s + 5


def test_the_image_installs_by_hash_and_runs_as_nobody_special() -> None:
    """What runs is what was tested, and it is not root, which Kubernetes can only tell by a number."""
    build, image = stages()

    assert any("--require-hashes --requirement requirements/runtime.txt" in command for command in build.all("RUN"))
    assert image.base == "python:${PYTHON_VERSION}-slim"
    assert int(image.one("USER")) > 0
    assert f"--uid {image.one('USER')} " in image.one("RUN")


def test_the_image_starts_a_command_that_exists() -> None:
    """`docker run zapwright` answers."""
    (command,) = json.loads(stages()[1].one("CMD"))

    assert help_of(command)


def test_the_image_is_reached_where_it_says() -> None:
    """It sets settings that exist, listens at the port that it exposes, and is asked there how it is."""
    image = stages()[1]
    environment = image.environment

    assert {name for name in environment if name.startswith("ZAPWRIGHT_")} - variables() == set()
    assert environment["ZAPWRIGHT_API_PORT"] == image.one("EXPOSE")
    assert f"http://127.0.0.1:{image.one('EXPOSE')}/readyz" in image.one("HEALTHCHECK")
