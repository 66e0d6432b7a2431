"""Stores of several servers that stand in for each other: a primary watched by sentinels, and clusters."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, TypeVar

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from tests.support.ports import HOST, free_port
from tests.support.valkey import ClusterNode, ValkeyServer, wait_until

Server = TypeVar("Server", bound=ValkeyServer)

SERVICE: Final = "zapwright"
SLOTS: Final = 16_384
DURABLE: Final = ("--appendonly", "yes", "--appendfsync", "always")
AT_ONCE: Final = ("--repl-diskless-sync-delay", "0", "--repl-ping-replica-period", "1")
"""Replicas follow without waiting for more of them."""

PARTIAL: Final = ("--cluster-require-full-coverage", "no")
"""A cluster that serves what it has while a primary is missing, as the guide advises."""

SENTINEL: Final = """
port {port}
bind {host}
dir "{folder}"
logfile "{folder}/valkey.log"
sentinel monitor {service} {host} {primary} {quorum}
sentinel down-after-milliseconds {service} 1000
sentinel failover-timeout {service} 5000
sentinel parallel-syncs {service} 2
"""


class SentinelServer(ValkeyServer):
    """A sentinel that watches one primary."""

    def __init__(self, folder: Path, *, primary: ValkeyServer, quorum: int) -> None:
        super().__init__(folder, port=free_port())
        self._conf = folder / "sentinel.conf"
        self._conf.write_text(
            SENTINEL.format(
                port=self.port, host=HOST, folder=folder, service=SERVICE, primary=primary.port, quorum=quorum
            ),
            encoding="utf-8",
        )

    def client(self) -> Redis:
        return Redis(host=HOST, port=self.port, retry=Retry(NoBackoff(), 0), protocol=2)

    def sees(self, *, replicas: int, sentinels: int) -> bool:
        """Tell whether it knows everybody it should."""
        with self.client() as client:
            state = client.sentinel_master(SERVICE)
        return bool(state["num-slaves"] == replicas and state["num-other-sentinels"] == sentinels)

    @property
    def primary_port(self) -> int:
        """The port of the primary, as it knows."""
        with self.client() as client:
            return int(client.sentinel_master(SERVICE)["port"])

    def _command(self) -> list[str]:
        return [self._program, str(self._conf), "--sentinel"]


class Watched:
    """A primary with replicas, and sentinels that make one of these the primary when it is gone."""

    def __init__(self, servers: Sequence[ValkeyServer], sentinels: Sequence[SentinelServer]) -> None:
        self.servers = servers
        self.sentinels = sentinels
        hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in sentinels)
        self.url = f"redis+sentinel://{hosts}/{SERVICE}"

    @property
    def primary(self) -> ValkeyServer:
        """The server that the sentinels agree is the primary."""
        ports = {sentinel.primary_port for sentinel in self.sentinels}
        wait_until(
            lambda: len({sentinel.primary_port for sentinel in self.sentinels}) == 1, else_say=lambda: str(ports)
        )
        port = self.sentinels[0].primary_port
        return next(server for server in self.servers if server.port == port)

    def wait_for_another(self, former: ValkeyServer) -> None:
        """Return when another server is the primary."""
        wait_until(lambda: self.primary is not former, else_say=lambda: self.sentinels[0].log)


class ServerCluster:
    """Primaries that share the slots evenly, with a replica each."""

    def __init__(self, nodes: Sequence[ClusterNode], *, make: Callable[[], ClusterNode]) -> None:
        self.nodes = list(nodes)
        self._make = make
        self._ids = {node: node.cluster_id for node in nodes}
        self.url = f"redis+cluster://{','.join(node.host_and_port for node in nodes)}"

    @property
    def running(self) -> list[ClusterNode]:
        """The nodes whose processes live."""
        return [node for node in self.nodes if node.is_running]

    @property
    def primaries(self) -> list[ClusterNode]:
        """The nodes that take writes."""
        return [node for node in self.running if node.is_primary]

    def owner(self, slot: int) -> ClusterNode:
        """Return the node that has a slot."""
        for first, last, (_, port, *_), *_ in self.running[0].cluster("SLOTS"):
            if first <= slot <= last:
                return next(node for node in self.nodes if node.port == port)
        raise LookupError(slot)

    def replica_of(self, primary: ClusterNode) -> ClusterNode:
        """Return the node that follows a primary."""
        for _, _, (_, port, *_), *replicas in self.running[0].cluster("SLOTS"):
            if port == primary.port:
                return next(node for node in self.nodes if node.port == replicas[0][1])
        raise LookupError(primary.port)

    def has_replicas(self) -> bool:
        """Tell whether every node that lives knows of a replica for each slot."""
        return all(len(shard) > 3 for node in self.running for shard in node.cluster("SLOTS"))

    def replace(self, dead: ClusterNode, *, heir: ClusterNode) -> ClusterNode:
        """Let a new node follow the one that took the dead one's place; return it when it has everything."""
        node = self._make()
        node.start()
        heir.cluster("MEET", HOST, node.port, node.bus)
        self.nodes = [*(one for one in self.nodes if one is not dead), node]
        for one in self.running:
            wait_until(lambda one=one: node.cluster_id in one.known, else_say=lambda one=one: one.log)  # type: ignore[misc]
            if one is not node:
                one.cluster("FORGET", self._ids[dead])
        wait_until(lambda: heir.cluster_id in node.known, else_say=lambda: node.log)
        node.cluster("REPLICATE", heir.cluster_id)
        wait_until(lambda: _follows(node), else_say=lambda: node.log)
        wait_until(self.has_replicas, else_say=lambda: node.log)
        self._ids[node] = node.cluster_id
        return node

    def wait_until_settled(self) -> None:
        """Return when every node that lives knows of an owner for each slot."""
        count = len(self.nodes)
        wait_until(lambda: all(node.knows(count) for node in self.running), else_say=lambda: self.running[0].log)


@contextmanager
def running_watched(*options: str, replicas: int = 2, sentinels: int = 3) -> Iterator[Watched]:
    """Have a watched primary for as long as the block."""
    with ExitStack() as stack:
        primary, *others = servers = [
            stack.enter_context(_folder_of(lambda folder: ValkeyServer(folder, *AT_ONCE, *options, port=free_port())))
            for _ in range(1 + replicas)
        ]
        for server in servers:
            server.start()
        for replica in others:
            with replica.client() as client:
                client.replicaof(HOST, primary.port)
        quorum = sentinels // 2 + 1
        watching = [
            stack.enter_context(_folder_of(lambda folder: SentinelServer(folder, primary=primary, quorum=quorum)))
            for _ in range(sentinels)
        ]
        for sentinel in watching:
            sentinel.start()
        for sentinel in watching:
            wait_until(
                lambda one=sentinel: one.sees(replicas=replicas, sentinels=sentinels - 1),  # type: ignore[misc]
                else_say=lambda one=sentinel: one.log,  # type: ignore[misc]
            )
        for replica in others:
            wait_until(lambda one=replica: _follows(one), else_say=lambda one=replica: one.log)  # type: ignore[misc]
        yield Watched(servers, watching)


@contextmanager
def running_cluster(*options: str, primaries: int = 3) -> Iterator[ServerCluster]:
    """Have a cluster for as long as the block."""
    with ExitStack() as stack:

        def make() -> ClusterNode:
            return stack.enter_context(_folder_of(lambda folder: ClusterNode(folder, *AT_ONCE, *PARTIAL, *options)))

        nodes = [make() for _ in range(2 * primaries)]
        for number, node in enumerate(nodes, start=1):
            node.start()
            node.cluster("SET-CONFIG-EPOCH", number)
        for number, node in enumerate(nodes[:primaries]):
            node.cluster("ADDSLOTSRANGE", SLOTS * number // primaries, SLOTS * (number + 1) // primaries - 1)
        for node in nodes[1:]:
            nodes[0].cluster("MEET", HOST, node.port, node.bus)
        cluster = ServerCluster(nodes, make=make)
        cluster.wait_until_settled()
        for primary, replica in zip(nodes[:primaries], nodes[primaries:], strict=True):
            replica.cluster("REPLICATE", primary.cluster_id)
        for replica in nodes[primaries:]:
            wait_until(lambda one=replica: _follows(one), else_say=lambda one=replica: one.log)  # type: ignore[misc]
        wait_until(cluster.has_replicas, else_say=lambda: nodes[0].log)
        yield cluster


def _follows(replica: ValkeyServer) -> bool:
    """Tell whether it has everything its primary has."""
    with replica.client() as client:
        said = client.info("replication")
    return bool(said["role"] == "slave" and said["master_link_status"] == "up")


@contextmanager
def _folder_of(make: Callable[[Path], Server]) -> Iterator[Server]:
    """Have a server in a folder of its own; it is ended with the block."""
    with TemporaryDirectory(prefix="zw-", ignore_cleanup_errors=True) as folder:
        server = make(Path(folder))
        try:
            yield server
        finally:
            server.stop()
