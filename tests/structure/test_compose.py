"""The container files start commands that exist, with settings that exist, as nobody special."""

import os
import re
import subprocess
import sys
from typing import Any, Final

import pytest
import yaml

from tests.structure.settings import variables
from tests.structure.tree import ROOT

COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = sorted(name for name, service in SERVICES.items() if "build" in service)
DOCKERFILE: Final = (ROOT / "Dockerfile").read_text(encoding="utf-8")


def help_of(*command: str) -> str:
    """Run one of our commands with --help and give what it prints."""
    program = "from cli.main import main; main()"
    environment = os.environ | {"NO_COLOR": "1", "TERM": "dumb", "COLUMNS": "120"}
    result = subprocess.run(
        [sys.executable, "-c", program, *command, "--help"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        cwd=ROOT,
        env=environment,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_the_parts_of_a_deployment_are_there() -> None:
    """Store, API and worker always; the simulator only when asked for."""
    assert set(SERVICES) == {"valkey", "api", "worker", "simulator"}
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
    command, *arguments = SERVICES[name]["command"]
    options = {argument for argument in arguments if argument.startswith("--")}

    assert options - set(re.findall(r"--[a-z-]+", help_of(command))) == set()


@pytest.mark.parametrize("name", OURS)
def test_a_service_is_given_settings_that_exist(name: str) -> None:
    """A misspelt variable would be ignored in silence."""
    assert SERVICES[name]["environment"].keys() - variables() == set()


def test_only_this_machine_reaches_what_is_published() -> None:
    """Opening a port to the world is the reader's decision."""
    ports = [port for service in SERVICES.values() for port in service.get("ports", [])]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []


def test_volumes_that_are_used_are_declared() -> None:
    """And none is declared that is not used."""
    used = {volume.partition(":")[0] for service in SERVICES.values() for volume in service.get("volumes", [])}

    assert used == COMPOSE["volumes"].keys()


def test_the_image_installs_by_hash_and_runs_as_nobody_special() -> None:
    """What runs is what was tested, and it is not root."""
    last_stage = DOCKERFILE.rpartition("\nFROM ")[2]

    assert "--require-hashes --requirement requirements/runtime.txt" in DOCKERFILE
    assert re.search(r"^USER zapwright$", last_stage, re.MULTILINE)
    assert re.search(r"python:\$\{PYTHON_VERSION\}-slim", last_stage)


def test_the_image_starts_a_command_that_exists() -> None:
    """`docker run zapwright` answers."""
    [command] = re.findall(r'^CMD \["([a-z]+)"\]$', DOCKERFILE, re.MULTILINE)

    assert help_of(command)
