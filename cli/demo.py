"""`zapwright demo`: everything started, the tale told or the calls counted."""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from cli import devenv, walking
from cli.builder import Builder
from cli.deployment import Deployment, alone_in, running
from cli.environment import read_settings
from cli.errors import CommandError
from cli.interrupts import interruptible
from cli.plan import API_KEY, Plan, Wishes, made_directory, plan
from cli.remote import Remote
from cli.tables import account_of, received, timeline
from cli.tale import CAST, Ending, Tale
from cli.tally import THREE_POPUPS, Tally
from cli.up import HOW_IT_ENDS, show_addresses
from cli.voice import Voice


def run_calls(data_dir: Path | None) -> int:
    """Build a Zap with as few calls as it takes, and say what each was for; return 0 if it was created as it should be.

    Raises CommandError.
    """
    voice = Voice()
    with interruptible() as hurry, ExitStack() as stack:
        planned = _planned(data_dir, stack, once=True)
        deployment = stack.enter_context(running(planned, voice, hurry=hurry))
        builder = stack.enter_context(_builder(deployment, voice, apps=THREE_POPUPS, has_token=True))
        account = Tally(builder).keep()
    voice.console.print()
    voice.console.print(received(account.zaps))
    voice.console.print()
    voice.console.print(account_of(account.entries))
    voice.console.print()
    for complaint in account.wrong:
        voice.bad(complaint)
    voice.say(f"upstream calls: {account.upstream_calls}")
    return int(bool(account.wrong))


def run_demo(data_dir: Path | None, *, once: bool) -> int:
    """Tell the tale; return 0 if all of it is as it should be, else 1. Raises CommandError.

    Without `once` everything then keeps running until told to stop.
    """
    voice = Voice()
    ending: Ending | None = None
    with interruptible() as hurry, ExitStack() as stack:
        try:
            planned = _planned(data_dir, stack, once=once)
            deployment = stack.enter_context(running(planned, voice, hurry=hurry))
            watching = stack.enter_context(_watched(deployment))
            with _builder(deployment, voice, apps=CAST) as builder:
                ending = Tale(builder=builder, kill_worker=lambda: _kill_worker(deployment)).tell()
            _show(voice, ending)
            if not once:
                show_addresses(voice, deployment)
                voice.say(HOW_IT_ENDS)
                watching.join()
        except KeyboardInterrupt:
            voice.say("ended")
    return int(ending is None or bool(ending.wrong))


def _planned(data_dir: Path | None, stack: ExitStack, *, once: bool) -> Plan:
    """Plan a demo on a store and a simulator of its own, whatever the environment says."""
    settings = read_settings().model_copy(update={"redis_url": None, "queue_redis_url": None, "zapier_api_url": None})
    if data_dir is None and once:
        data_dir = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="zapwright-demo-")))
    wishes = Wishes(data_dir=data_dir or settings.data_dir / devenv.DEMO)
    folder = made_directory(wishes, settings=settings)
    stack.enter_context(alone_in(folder))
    return plan(wishes, settings=settings, data_dir=folder)


@contextmanager
def _builder(
    deployment: Deployment, voice: Voice, *, apps: tuple[str, ...], has_token: bool = False
) -> Iterator[Builder]:
    """Have a builder whose Zaps the simulator refuses unless they are filled as their actions ask.

    The backend of one who `has_token` hands it over; else the user signs in on our pages.
    """
    planned = deployment.plan
    if planned.simulator_url is None or planned.settings.api_key is None:
        raise CommandError("the demo needs the simulator and an API key")
    key = planned.settings.api_key.get_secret_value()
    with Remote(planned.api_url, api_key=key, key_from=API_KEY) as api, Remote(planned.simulator_url) as simulator:
        simulator.ask("PATCH", "/_control/faults", {"inputs": {"checked": True}})
        user = f"ada-{secrets.token_hex(3)}"

        def sign_in() -> None:
            if has_token:
                api.ask("PUT", f"/v1/users/{user}/credential", {"access_token": f"sim-{user}"})
            else:
                walking.sign_in(planned.api_url, api_key=key, user_id=user, account=user, origin=planned.api_url)

        yield Builder(api=api, simulator=simulator, voice=voice, user=user, apps=apps, sign_in=sign_in)


def _kill_worker(deployment: Deployment) -> str:
    worker = deployment.workers[0]
    if worker.pid is not None:
        os.kill(worker.pid, signal.SIGKILL)
    return worker.name


@contextmanager
def _watched(deployment: Deployment) -> Iterator[threading.Thread]:
    """Have what dies started again while the tale is told."""
    told = threading.Event()
    watching = threading.Thread(target=deployment.watch, args=(told,), name="watch")
    watching.start()
    try:
        yield watching
    finally:
        told.set()
        watching.join()


def _show(voice: Voice, ending: Ending) -> None:
    voice.console.print()
    voice.console.print(timeline(ending.session, ending.events))
    voice.console.print()
    voice.console.print(received(ending.zaps))
    voice.console.print()
    for complaint in ending.wrong:
        voice.bad(complaint)
    voice.say(ending.closing_line)
