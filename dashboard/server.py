"""The dashboard as a process."""

from __future__ import annotations

from typing import Final

import uvicorn

from dashboard.app import create_app
from orchestrator import logs, serving
from orchestrator.priority import stand_back
from orchestrator.settings import Settings

GRACE_S: Final = 5
"""How long requests under way may take to finish when the process is asked to end; browsers come back by themselves."""


def serve(settings: Settings) -> None:
    """Serve the pages on the settings' address until the process is asked to end (SIGTERM, SIGINT).

    The process stands back behind the API as workers do. Leaves it with status 3 when it cannot start.
    """
    logs.configure(settings)
    stand_back(settings.worker_nice)
    host, port = settings.dashboard_host, settings.dashboard_port
    serving.run(uvicorn.Server(serving.configured(create_app(settings), host=host, port=port, grace_s=GRACE_S)))
