"""The simulator as a process of its own: a socket, a server, a data directory.

`python -m simulator --port 0 --data-dir DIR` prints the address it listens at, and serves until it is told to stop.
"""

import argparse
import signal
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

import msgspec
import uvicorn
from starlette.applications import Starlette
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from simulator.app import create_app
from simulator.gateway import CONNECTION
from simulator.journal import JournalError
from simulator.switches import SwitchError
from simulator.world import DEFAULT_SEED, World

DEFAULT_HOST: Final = "127.0.0.1"
DEFAULT_PORT: Final = 8089

_BACKLOG: Final = 1_024
_LAST_REQUESTS_S: Final = 1
_KEPT_S: Final = 75  # longer than clients keep an idle connection, so that none is closed as it is used


class ClosableProtocol(HttpToolsProtocol):
    """uvicorn's HTTP, which lets an application close the connection after what it has sent so far."""

    _shared: dict[object, object] | None = None

    def on_message_begin(self) -> None:
        """Begin a request, and put the way to close its connection into its scope."""
        super().on_message_begin()
        self._shared = {"close": self.transport.close}
        self.scope["extensions"] = {CONNECTION: self._shared}

    def shutdown(self) -> None:
        """Finish the request that is being answered, unless it never will be."""
        super().shutdown()
        if self._shared is not None and self._shared.get("is_hung"):
            self.transport.close()


def listen(host: str, port: int) -> socket.socket:
    """Return a socket that listens; port 0 takes a free one. Raises OSError where that is not possible."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Said to be TCP, or asyncio leaves Nagle's algorithm on and every answer waits 40 ms for an acknowledgement.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
        listening.listen(_BACKLOG)
    except OSError:
        listening.close()
        raise
    return listening


def address_of(listening: socket.socket) -> str:
    """Return the origin under which `listening` is reached."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def server_of(app: Starlette) -> uvicorn.Server:
    """Return a server whose faults are real: it can close connections under the caller."""
    config = uvicorn.Config(
        app,
        http=ClosableProtocol,
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        timeout_keep_alive=_KEPT_S,
        proxy_headers=False,  # whom a request comes from is for the application to decide
        timeout_graceful_shutdown=_LAST_REQUESTS_S,  # slow answers must not keep the process
    )
    return uvicorn.Server(config)


def serve(  # noqa: PLR0913 - everything about it is an argument
    host: str = DEFAULT_HOST,
    port: int = DEFAULT_PORT,
    data_dir: Path | None = None,
    *,
    seed: str = DEFAULT_SEED,
    switches: object = None,
    origin: str | None = None,
    login_origin: str | None = None,
    trust_forwarded_for: bool = False,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM, with the world kept in `data_dir` (None: in memory only).

    `announce` is called once with the address, when connections are accepted. The other arguments are those of
    `create_app`. Raises OSError for an address that cannot be had, JournalError for a data directory that cannot be
    used, SwitchError for switches that are not valid.
    """
    world = World.open(data_dir, seed=seed)
    try:
        app = create_app(
            world,
            switches=switches,
            origin=origin,
            login_origin=login_origin,
            trust_forwarded_for=trust_forwarded_for,
        )
        with listen(host, port) as listening:
            if announce is not None:
                announce(address_of(listening))
            signal.signal(signal.SIGTERM, signal.default_int_handler)
            with suppress(KeyboardInterrupt):  # uvicorn hands both signals on once it has stopped
                server_of(app).run(sockets=[listening])
    finally:
        world.close()


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the simulator from a command line, and return the exit status."""
    options = _parser().parse_args(arguments)
    try:
        switches = msgspec.json.decode(options.switches) if options.switches else None
        serve(
            options.host,
            options.port,
            options.data_dir,
            seed=options.seed,
            switches=switches,
            origin=options.origin,
            login_origin=options.login_origin,
            trust_forwarded_for=options.trust_forwarded_for,
            announce=_announce,
        )
    except (OSError, JournalError, SwitchError, msgspec.DecodeError) as problem:
        sys.stderr.write(f"simulator: {problem}\n")
        return 1
    return 0


def _announce(address: str) -> None:
    sys.stdout.write(f"simulator listening on {address}\n")
    sys.stdout.flush()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description="A simulated Zapier Partner API v2.")
    parser.add_argument("--host", default=DEFAULT_HOST, help="address to listen at (default: %(default)s)")
    parser.add_argument("--port", type=int, default=DEFAULT_PORT, help="port, 0 for a free one (default: %(default)s)")
    parser.add_argument("--data-dir", type=Path, help="where the world is kept (default: in memory)")
    parser.add_argument("--seed", default=DEFAULT_SEED, help="what ids and chance follow from (default: %(default)s)")
    parser.add_argument("--switches", help="a JSON document as PATCH /_control/faults takes it")
    parser.add_argument("--origin", help="the address that links name (default: the one the caller used)")
    parser.add_argument("--login-origin", help="that of the apps' login pages (default: localhost for 127.0.0.1)")
    parser.add_argument(
        "--trust-forwarded-for", action="store_true", help="take the caller's address from X-Forwarded-For"
    )
    return parser
