"""`zapwright up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path
from typing import Final

from rich.text import Text

from cli import devenv
from cli.deployment import Deployment, alone_in, running
from cli.environment import read_settings
from cli.interrupts import interruptible
from cli.plan import OPERATOR_KEY, Wishes, made_directory, plan
from cli.voice import Voice

HOW_IT_ENDS: Final = "Ctrl-C (or SIGTERM) ends it."


def run_up(wishes: Wishes) -> int:
    """Run everything until told to stop, and return 0. Raises CommandError."""
    voice = Voice()
    with interruptible() as hurry:
        try:
            settings = read_settings()
            data_dir = made_directory(wishes, settings=settings)
            with alone_in(data_dir):
                planned = plan(wishes, settings=settings, data_dir=data_dir)
                for line in planned.moved:
                    voice.say(f"  {line}")
                if planned.new_keys:
                    voice.say(f"  made {', '.join(planned.new_keys)}: see {devenv.path_in(planned.data_dir)}")
                with running(planned, voice, hurry=hurry) as deployment:
                    show_addresses(voice, deployment)
                    voice.say(HOW_IT_ENDS)
                    deployment.watch(threading.Event())
        except KeyboardInterrupt:
            voice.say("ended")
    return 0


def own_name() -> str:
    """Return what a shell in this directory calls this program."""
    here = Path(sys.executable).with_name("zapwright")
    if shutil.which("zapwright") == str(here):
        return here.name
    return str(here.relative_to(Path.cwd()) if here.is_relative_to(Path.cwd()) else here)


def _way_in(deployment: Deployment) -> str:
    if deployment.plan.operator_key is None:
        return f"sign in with a key of: {own_name()} api-keys create --operator --name YOU"
    return f"sign in with {OPERATOR_KEY} of {devenv.path_in(deployment.plan.data_dir)}"


def show_addresses(voice: Voice, deployment: Deployment) -> None:
    """Print where everything is, each on one line however long, so that it can be copied."""
    planned = deployment.plan
    rows = [("API", planned.api_url, "see /openapi.json")]
    if planned.simulator_url is not None:
        rows += [
            ("demo", f"{planned.api_url}/demo", "build a Zap yourself"),
            ("comparison", f"{planned.api_url}/demo/compare", "the first minute"),
            ("simulator", planned.simulator_url, "plays Zapier"),
        ]
    rows.append(("dashboard", planned.dashboard_url, _way_in(deployment)))
    longest = max(len(address) for _, address, _ in rows)
    rows += [
        ("keys and addresses", str(devenv.path_in(planned.data_dir)), ""),
        ("logs", str(deployment.folder), ""),
        ("sessions", f"{own_name()} sessions list --data-dir {planned.data_dir}", ""),
    ]
    for name, where, about in rows:
        line = Text(f"{name:20}{where}")
        if about:
            line.append(" " * (longest - len(where) + 2) + about, style="dim")
        voice.console.print(line, soft_wrap=True, highlight=False)
    pid = deployment.folder / f"{deployment.workers[0].name}.pid"
    voice.console.print(f"kill -9 $(cat {pid}) ends a worker, and does no harm.", soft_wrap=True, highlight=False)
