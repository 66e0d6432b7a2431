"""Single processes, as `up` and containers run them."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from cli import lifeline
from cli.environment import queue_url, read_settings, sealing_keys, store_url
from cli.errors import CommandError
from orchestrator import logs


def run_api(*, host: str | None, port: int | None) -> int:
    """Serve the API until told to stop. Raises CommandError."""
    from api.server import serve
    from api.tokens import TokenKeysMissingError

    lifeline.hold()
    settings = read_settings(api_host=host, api_port=port)
    sealing_keys(settings)
    try:
        serve(settings, redis_url=store_url(settings))
    except TokenKeysMissingError as error:
        raise CommandError(str(error)) from error
    return 0


def run_one_worker(*, alive_file: Path | None) -> int:
    """Work until told to stop. Raises CommandError."""
    from api.views import rendering
    from workers.main import run_worker

    lifeline.hold()
    settings = read_settings()
    sealing_keys(settings)
    logs.configure(settings)
    return run_worker(
        settings,
        redis_url=store_url(settings),
        queue_url=queue_url(settings),
        render=rendering(settings),
        alive_file=alive_file,
    )


def run_dashboard(*, host: str | None, port: int | None) -> int:
    """Serve the operators' pages until told to stop. Raises CommandError."""
    from dashboard.server import serve

    lifeline.hold()
    serve(read_settings(dashboard_host=host, dashboard_port=port))
    return 0


def run_simulator(*, host: str, port: int, origin: str | None, data_dir: Path | None, switches: str | None) -> int:
    """Simulate the Partner API until told to stop. Raises CommandError."""
    from simulator.journal import JournalError
    from simulator.main import serve
    from simulator.switches import SwitchError

    lifeline.hold()
    folder = data_dir or read_settings().data_dir / "simulator"
    try:
        said = json.loads(switches) if switches else None
        serve(host, port, folder, switches=said, origin=origin, announce=_announce)
    except (OSError, JournalError, SwitchError, json.JSONDecodeError) as error:
        raise CommandError(f"simulator: {error}") from error
    return 0


def _announce(address: str) -> None:
    sys.stdout.write(f"simulator listening on {address}\n")
    sys.stdout.flush()
