"""The image, built by its Dockerfile's instructions without an engine, and run as docker-compose.yml has it.

No container engine runs where these tests do, so what only an engine can show (the base image, users, capabilities, the
network between services) is read by tests/structure and not tried.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
import yaml

from tests.support.image import build, context, stages
from tests.support.patience import PATIENT, RUNS_WITHIN_S
from tests.support.ports import free_port
from tests.support.processes import ROOT, SEALING_KEY, eventually
from tests.support.valkey import running_valkey

pytestmark = pytest.mark.slow

SERVICES: Final[dict[str, dict[str, Any]]] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))[
    "services"
]
ENDED: Final = {0, -signal.SIGTERM}
"""How a process leaves that was asked to: uvicorn passes the signal on when all is closed."""

PACKAGES: Final = ("api", "bench", "cli", "dashboard", "orchestrator", "simulator", "workers")


class Image:
    """What the build left, and how its commands run: outside of the tree, with what ENV sets and nothing else."""

    def __init__(self, home: Path, folder: Path) -> None:
        self.home = home
        self.folder = folder
        self._environment = stages()[1].environment | {"PATH": f"{home / 'bin'}:{os.defpath}", "HOME": str(folder)}

    def run(self, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            command,
            check=False,
            env=self._environment | environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=RUNS_WITHIN_S,
        )

    @contextmanager
    def running(self, *command: str, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """Have a command run; it is gone after the block."""
        log = self.folder / f"{command[1]}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                command, env=self._environment | environment, cwd=self.folder, stdout=output, stderr=output
            )
        try:
            yield process
        finally:
            process.kill()
            process.wait()


@pytest.fixture(name="image", scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Image:
    """Follow the Dockerfile."""
    folder = tmp_path_factory.mktemp("image")
    (folder / "source").mkdir()
    (folder / "run").mkdir()
    build(folder / "source", folder / "home")
    return Image(folder / "home", folder / "run")


def test_the_image_holds_every_file_of_our_packages_and_no_other(image: Image) -> None:
    """A script or a page that does not ship is missed on the first call in production, not before."""
    (record,) = image.home.glob("lib/python*/site-packages/zapwright-*.dist-info/RECORD")
    shipped = {line.partition(",")[0] for line in record.read_text(encoding="utf-8").splitlines()}

    modules = {path for path in shipped if not path.endswith(".pyc") and path.partition("/")[0] in PACKAGES}
    assert modules == {str(path) for path in context() if path.parts[0] in PACKAGES}
    assert any(path.endswith(".lua") for path in modules)
    assert {path.partition("/")[0] for path in shipped if not path.startswith(("..", "zapwright-"))} == set(PACKAGES)


def test_the_image_needs_nothing_of_the_tree(image: Image) -> None:
    """The command that the image starts comes up, out of the image's own files."""
    shown = image.run("zapwright", "--help")
    where = image.run("python", "-c", "import cli.main; print(cli.main.__file__)")

    assert shown.returncode == 0, shown.stderr
    assert "worker" in shown.stdout
    assert where.stdout.startswith(str(image.home))


def test_each_service_becomes_healthy_and_ends_when_told_to(image: Image) -> None:
    """Commands, settings and health checks of docker-compose.yml and the Dockerfile, run as they stand.

    Only addresses and the place of the worker's file differ here.
    """
    api_port, simulator_port, dashboard_port = str(free_port()), str(free_port()), str(free_port())
    here = {"8000": api_port, "8010": dashboard_port, "8100": simulator_port, "/tmp/alive": str(image.folder / "alive")}  # noqa: S108
    here |= {"/var/lib/zapwright": str(image.folder)}
    with running_valkey("--appendonly", "yes") as store:
        given = {
            "REDIS_URL": store.url,
            "ZAPWRIGHT_API_KEY": "a-key-of-some-length",
            "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY,
            "ZAPWRIGHT_TOKEN_KEYS": "t" * 32,
            "ZAPWRIGHT_ZAPIER_API_URL": f"http://127.0.0.1:{simulator_port}",
            "ZAPWRIGHT_API_PORT": api_port,
            "ZAPWRIGHT_DASHBOARD_PORT": dashboard_port,
        }
        for name in ("simulator", "api", "worker", "dashboard"):
            command = _replaced(["zapwright", *SERVICES[name]["command"]], here)
            check = _replaced(_health_check(name), here)
            assert image.run(*check).returncode != 0
            with image.running(*command, **given) as process:
                eventually(lambda check=check: image.run(*check).returncode == 0, what=name)  # type: ignore[misc]
                process.terminate()
                assert process.wait(timeout=_grace_s(name)) in ENDED


def test_popups_of_the_simulator_lead_where_a_browser_reaches_it(image: Image) -> None:
    """Though the API asks for them under a name that only services know."""
    port = str(free_port())
    command = _replaced(["zapwright", *SERVICES["simulator"]["command"]], {"8100": port})
    asked = {"Authorization": "Bearer sim-ada", "Host": f"simulator:{port}"}
    with image.running(*command, ZAPWRIGHT_DATA_DIR=str(image.folder / "world")):
        check = _replaced(_health_check("simulator"), {"8100": port})
        eventually(lambda: image.run(*check).returncode == 0, what="the simulator")
        apps = httpx.get(f"http://127.0.0.1:{port}/v2/apps", params={"query": "slack"}, headers=asked, **PATIENT).json()
    links = [app["links"]["connect_new_authentication"] for app in apps["data"]]

    assert {urlsplit(link).netloc for link in links} == {f"127.0.0.1:{port}"}


def test_a_worker_is_alive_without_a_store_and_not_alive_once_it_stands_still(image: Image) -> None:
    """To restart workers does not bring a store back; to restart one that hangs helps."""
    alive_file = image.folder / "without-store"
    here = {"/tmp/alive": str(alive_file)}  # noqa: S108
    command = _replaced(["zapwright", *SERVICES["worker"]["command"]], here)
    check = _replaced(_health_check("worker"), here)
    long_ago = time.time() - 31
    nowhere = {"REDIS_URL": f"unix://{image.folder}/nowhere.sock", "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY}
    with image.running(*command, **nowhere) as worker:
        eventually(alive_file.exists, what="the first sign of life")
        worker.send_signal(signal.SIGSTOP)
        os.utime(alive_file, (long_ago, long_ago))
        stood_still = image.run(*check).returncode
        worker.send_signal(signal.SIGCONT)
        eventually(lambda: alive_file.stat().st_mtime > long_ago, what="the next sign of life")
        alive = image.run(*check).returncode

    assert (stood_still, alive) == (1, 0)


def _health_check(name: str) -> list[str]:
    """Give the command of a service's health check, which is the image's where it has none of its own."""
    own = SERVICES[name].get("healthcheck")
    command: list[str] = own["test"][1:] if own else json.loads(stages()[1].one("HEALTHCHECK").partition("CMD ")[2])
    return command


def _grace_s(name: str) -> int:
    return int(SERVICES[name]["stop_grace_period"].removesuffix("s"))


def _replaced(command: list[str], here: dict[str, str]) -> list[str]:
    for there, place in here.items():
        command = [part.replace(there, place) for part in command]
    return command
