"""`zapwright up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import shutil
import sys
import threading
from pathlib import Path
from typing import Final

from rich.table import Table

from cli import devenv
from cli.deployment import Deployment, alone_in, running
from cli.environment import read_settings
from cli.interrupts import interruptible
from cli.plan import Wishes, made_directory, plan
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


def show_addresses(voice: Voice, deployment: Deployment) -> None:
    """Print where everything is."""
    planned = deployment.plan
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    table.add_column(no_wrap=True)
    table.add_row("API", planned.api_url, "[dim]see /openapi.json[/]")
    if planned.simulator_url is not None:
        table.add_row("demo", f"{planned.api_url}/demo", "[dim]build a Zap yourself[/]")
        table.add_row("comparison", f"{planned.api_url}/demo/compare", "[dim]the first minute[/]")
        table.add_row("simulator", planned.simulator_url, "[dim]plays Zapier[/]")
    table.add_row("keys and addresses", str(devenv.path_in(planned.data_dir)))
    table.add_row("logs", str(deployment.folder))
    table.add_row("sessions", f"{own_name()} sessions list --data-dir {planned.data_dir}")
    voice.console.print(table)
    pid = deployment.folder / f"{deployment.workers[0].name}.pid"
    voice.console.print(f"kill -9 $(cat {pid}) ends a worker, and does no harm.", soft_wrap=True, highlight=False)
