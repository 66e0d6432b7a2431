"""The API as a process of its own, on a socket that the test listens on."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from cryptography.fernet import Fernet

from api.server import serve
from orchestrator.settings import Settings

KEY: Final = "key-of-the-tests"
TOKEN_KEY: Final = "t" * 32
ENDS_WITHIN_S: Final = 60.0
PROGRAM: Final = """
import socket, sys, time
right, right_ns, ahead_ms = time.time, time.time_ns, int(sys.argv[3])
time.time = lambda: right() + ahead_ms / 1_000
time.time_ns = lambda: right_ns() + ahead_ms * 1_000_000
from api.server import serve
from orchestrator.settings import Settings
serve(Settings(), redis_url=sys.argv[1], sockets=[socket.socket(fileno=int(sys.argv[2]))])
"""


@contextmanager
def process(
    redis_url: str, *, clock_ahead_ms: int = 0, **environment: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Run the API, on a machine whose clock is wrong if so wished; give its process and its address."""
    variables = {
        "PATH": os.environ["PATH"],
        "ZAPWRIGHT_API_KEY": KEY,
        "ZAPWRIGHT_CREDENTIAL_KEYS": Fernet.generate_key().decode(),
        "ZAPWRIGHT_TOKEN_KEYS": TOKEN_KEY,
        "ZAPWRIGHT_LOG_FORMAT": "json",
        **environment,
    }
    with socket.create_server(("127.0.0.1", 0)) as listening:
        running = subprocess.Popen(
            [sys.executable, "-c", PROGRAM, redis_url, str(listening.fileno()), str(clock_ahead_ms)],
            env=variables,
            pass_fds=[listening.fileno()],
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            yield running, f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            running.kill()
            running.wait()
            assert running.stderr is not None
            running.stderr.close()


def serve_at(redis_url: str) -> None:
    """Serve in this process, as its environment says."""
    serve(Settings(), redis_url=redis_url)


def said(running: subprocess.Popen[str]) -> str:
    """Wait for a process's end and return its log."""
    _, log = running.communicate(timeout=ENDS_WITHIN_S)
    return log
