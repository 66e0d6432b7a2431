"""`zapwright up`: everything on this machine, until Ctrl-C."""

from __future__ import annotations

import threading

from rich.table import Table

from cli import devenv
from cli.deployment import Deployment, running
from cli.environment import read_settings
from cli.interrupts import interruptible
from cli.plan import Wishes, plan
from cli.voice import Voice


def run_up(wishes: Wishes) -> int:
    """Run everything until told to stop, and return 0. Raises CommandError."""
    voice = Voice()
    with interruptible() as hurry:
        try:
            planned = plan(wishes, settings=read_settings())
            for line in planned.moved:
                voice.say(f"  {line}")
            with running(planned, voice, hurry=hurry) as deployment:
                show_addresses(voice, deployment)
                voice.say("Ctrl-C ends it.")
                deployment.watch(threading.Event())
        except KeyboardInterrupt:
            voice.say("ended")
    return 0


def show_addresses(voice: Voice, deployment: Deployment) -> None:
    """Print where everything is."""
    planned = deployment.plan
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_row("API", planned.api_url, "[dim]/openapi.json describes it[/]")
    if planned.simulator_url is not None:
        table.add_row("simulator", planned.simulator_url, "[dim]/_control plays Zapier's users[/]")
    table.add_row("keys and addresses", str(devenv.path_in(planned.data_dir)))
    table.add_row("logs", str(deployment.folder))
    voice.console.print(table)
