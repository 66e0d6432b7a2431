"""Programs of the examples, started as their readers would."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.support.clients import ROOT
from tests.support.processes import eventually


@contextmanager
def started(command: list[str], folder: Path, variables: Mapping[str, str]) -> Iterator[str]:
    """Have a server that says where it listens; give its address."""
    path = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "clients" / "python"), "PORT": "0"}
    log = folder / "host.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env={**variables, **path},
            stdout=output,
            stderr=output,
            start_new_session=True,  # Node comes as a child of its wrapper, and is ended with it
        )

    def port() -> str | None:
        assert process.poll() is None, log.read_text(encoding="utf-8")
        found = re.search(r"(?:listening on |running on \S+:)(\d+)", log.read_text(encoding="utf-8"))
        return found and found[1]

    try:
        yield f"http://127.0.0.1:{eventually(port, what='the host')}"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
