"""The dashboard as a process."""

from __future__ import annotations

import signal
import sys
from contextlib import suppress
from typing import Final

import uvicorn

from dashboard.app import create_app
from orchestrator import logs
from orchestrator.priority import stand_back
from orchestrator.settings import Settings

GRACE_S: Final = 5
"""How long requests under way may take to finish when the process is asked to end; browsers come back by themselves."""

START_FAILED: Final = 3


def serve(settings: Settings) -> None:
    """Serve the pages on the settings' address until the process is asked to end (SIGTERM, SIGINT).

    The process stands back behind the API as workers do. Leaves it with status 3 when it cannot start.
    """
    logs.configure(settings)
    stand_back(settings.worker_nice)
    server = uvicorn.Server(
        uvicorn.Config(
            create_app(settings),
            host=settings.dashboard_host,
            port=settings.dashboard_port,
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=GRACE_S,
            loop="uvloop",
        )
    )
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt):  # uvicorn hands both signals on once it has stopped: that is a good end
        server.run()
    if not server.started:
        sys.exit(START_FAILED)
