"""`python -m bench.lifecycle.serve hello|floor|naive|ours|calling|worker|dashboard [fd]`: one process of the benchmark.

Servers listen on the socket of this descriptor; the store's address and our settings come from the environment.
"""

from __future__ import annotations

import os
import socket
import sys
from typing import cast

import uvicorn
from fastapi import FastAPI

from api.server import serve
from api.views import rendering
from bench.lifecycle import floor, hello, naive
from bench.lifecycle.upstream import Answers, Zapier
from dashboard.server import serve as show
from orchestrator import logs
from orchestrator.clock import SystemClock
from orchestrator.core.ports.upstream import Upstream
from orchestrator.settings import Settings
from workers.main import run_worker


def main(name: str, descriptor: int | None = None) -> int:
    """Run one process until it is asked to end."""
    sockets = [] if descriptor is None else [socket.socket(fileno=descriptor)]
    match name:
        case "hello":
            return _rival(hello.create_app(), sockets)
        case "floor":
            return _rival(floor.create_app(os.environ["REDIS_URL"]), sockets)
        case "naive":
            return _rival(naive.create_app(os.environ["REDIS_URL"]), sockets)
        case "ours":
            url, answers = os.environ["REDIS_URL"], cast("Upstream", Answers(SystemClock()))
            serve(Settings(), redis_url=url, sockets=sockets, upstream=answers)
            return 0
        case "calling":
            url, zapier = os.environ["REDIS_URL"], Zapier(is_connected=False)
            serve(Settings(), redis_url=url, sockets=sockets, transport=zapier)
            return 0
        case "worker":
            settings, url = Settings(), os.environ["REDIS_URL"]
            logs.configure(settings)
            zapier = Zapier(is_connected=True)
            return run_worker(settings, redis_url=url, queue_url=url, render=rendering(settings), transport=zapier)
        case "dashboard":
            show(Settings())
            return 0
        case _:
            raise ValueError(name)


def _rival(app: FastAPI, sockets: list[socket.socket]) -> int:
    """Serve as uvicorn does by default (uvloop, httptools), without the access log, which only costs."""
    uvicorn.Server(uvicorn.Config(app, access_log=False, log_level="warning")).run(sockets=sockets)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], *map(int, sys.argv[2:])))
