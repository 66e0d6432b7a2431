"""Encrypted stores: a cluster and a watched primary to which nothing travels in clear."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from redis import Redis

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from tests.integration.store.conftest import SEALING_KEY
from tests.support.ports import HOST, free_port
from tests.support.store_values import SHARDS, a_session, committed
from tests.support.valkey import REDIS_SERVER, ValkeyServer, wait_until
from workers.queues import connect

pytestmark = pytest.mark.redis_server  # the bundled server has no TLS

APP: Final = ("--user", "app", "on", ">secret", "~*", "&*", "+@all")


class Certificate:
    """A certificate for this machine that vouches for itself."""

    def __init__(self, folder: Path) -> None:
        self.path, self._key_path = folder / "certificate.pem", folder / "key.pem"
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "zapwright's tests")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(key, hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        self.path.write_bytes(certificate.public_bytes(pem))
        self._key_path.write_bytes(
            key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        )

    @property
    def options(self) -> dict[str, str]:
        """What a server is told of it."""
        return {
            "tls-cert-file": str(self.path),
            "tls-key-file": str(self._key_path),
            "tls-ca-cert-file": str(self.path),
            "tls-auth-clients": "no",
            "tls-replication": "yes",
        }

    @property
    def arguments(self) -> tuple[str, ...]:
        """The same on a command line."""
        return tuple(word for name, value in self.options.items() for word in (f"--{name}", value))


class Sentinel(ValkeyServer):
    """A sentinel that is asked, and asks, by TLS only."""

    def __init__(self, folder: Path, certificate: Certificate, *, primary: int) -> None:
        super().__init__(folder, program=REDIS_SERVER, port=free_port())
        self._certificate = certificate
        self._conf = folder / "sentinel.conf"
        lines = [
            "port 0",
            f"tls-port {self.port}",
            f"bind {HOST}",
            f"dir {folder}",
            f"logfile {folder}/valkey.log",
            *(f"{name} {value}" for name, value in certificate.options.items()),
            f"sentinel monitor zapwright {HOST} {primary} 1",
            "",
        ]
        self._conf.write_text("\n".join(lines), encoding="utf-8")

    def client(self) -> Redis:
        return Redis(host=HOST, port=self.port, ssl=True, ssl_ca_certs=str(self._certificate.path), protocol=2)

    def _command(self) -> list[str]:
        return [REDIS_SERVER, str(self._conf), "--sentinel"]


@pytest.fixture
def certificate(tmp_path: Path) -> Certificate:
    """One for every server of a test."""
    return Certificate(tmp_path)


@contextmanager
def encrypted(certificate: Certificate, *options: str) -> Iterator[tuple[ValkeyServer, int]]:
    """Have a server that listens by TLS; gives it with its port."""
    port = free_port()
    with TemporaryDirectory(prefix="zw-", ignore_cleanup_errors=True) as folder:
        server = ValkeyServer(
            Path(folder), "--tls-port", str(port), *certificate.arguments, *options, *APP, program=REDIS_SERVER
        )
        try:
            server.start()
            yield server, port
        finally:
            server.stop()


def store_at(url: str) -> Store:
    """Return a store at an address."""
    return open_store(url, shards=SHARDS, limits=Limits(), credential_keys=[SEALING_KEY])


async def serves(url: str) -> bool:
    """Tell whether a store works there."""
    store = store_at(url)
    try:
        await store.check()
        session = await committed(store, a_session())
        return session == await store.sessions.load(session.key)
    except StoreUnavailableError:
        return False
    finally:
        await store.aclose()


async def test_an_encrypted_cluster_is_a_store(certificate: Certificate) -> None:
    """With a certificate that is trusted, and the right password; else it is away."""
    cluster = ("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", str(free_port()))
    with encrypted(certificate, *cluster) as (node, port):
        with node.client() as client:
            client.execute_command("CLUSTER ADDSLOTSRANGE", 0, 16_383)
            wait_until(lambda: client.cluster("INFO")["cluster_state"] == "ok", else_say=lambda: node.log)
        url = f"rediss+cluster://app:{{}}@{HOST}:{port}?ssl_ca_certs={{}}"

        assert await serves(url.format("secret", certificate.path))
        assert not await serves(url.format("wrong", certificate.path))
        assert not await serves(url.format("secret", ""))


async def test_an_encrypted_primary_is_found_through_encrypted_sentinels(certificate: Certificate) -> None:
    """For sessions and for queues."""
    with encrypted(certificate) as (_, port), TemporaryDirectory(prefix="zw-", ignore_cleanup_errors=True) as folder:
        sentinel = Sentinel(Path(folder), certificate, primary=port)
        sentinel.start()
        url = f"rediss+sentinel://app:secret@{HOST}:{sentinel.port}/zapwright?ssl_ca_certs={certificate.path}"
        queues = connect(url)
        try:
            assert await serves(url)
            assert not await serves(url.replace(f"?ssl_ca_certs={certificate.path}", ""))
            assert queues.ping()
        finally:
            queues.close()
            sentinel.stop()
