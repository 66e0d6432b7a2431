"""Store, simulator, API and workers on this machine: started, watched over, ended."""

from __future__ import annotations

import fcntl
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import httpx

from cli import devenv
from cli.children import ENDS_WITHIN_S, Child, end_orphans
from cli.errors import CommandError
from cli.plan import Plan
from cli.voice import Voice
from orchestrator.core.errors import StoreUnavailableError
from orchestrator.store.embedded import EmbeddedStore, start
from workers.queues import fetchers

READY_WITHIN_S: Final = 60.0
_ROUND_S: Final = 0.1
_PROBE_LIMIT_S: Final = 2.0


class AlreadyUpError(CommandError):
    """Another supervisor has this data directory."""


class StartFailedError(CommandError):
    """A process did not become ready; the message has its last words."""


class Deployment:
    """Everything `zapwright up` runs. Used as `with running(plan, voice) as deployment`."""

    def __init__(
        self, plan: Plan, voice: Voice, *, redis_url: str, lifeline_end: int, hurry: threading.Event
    ) -> None:
        self.plan = plan
        self.redis_url = redis_url
        self._hurry = hurry
        self._voice = voice
        self._lifeline_end = lifeline_end
        self.folder = plan.data_dir / "run"
        self._probe = httpx.Client(trust_env=False, timeout=_PROBE_LIMIT_S)
        environment = plan.environment(redis_url=redis_url)

        def child(name: str, arguments: Sequence[str], is_ready: Callable[[int], bool]) -> Child:
            return Child(name, arguments, folder=self.folder, environment=environment, is_ready=is_ready)

        self.workers = [child(f"worker-{number}", ["worker"], self._fetches) for number in range(1, plan.workers + 1)]
        self.api = child("api", ["api"], lambda _: self._answers(f"{plan.api_url}/readyz"))
        self.children = [self.api, *self.workers]
        if plan.simulator_url is not None:
            self.children.insert(0, child("simulator", _simulator(plan), self._simulates))

    def start(self) -> None:
        """Start every process and wait until each does its work. Raises StartFailedError."""
        for child in self.children:
            child.start(self._lifeline_end)
        began = time.monotonic()
        waiting = list(self.children)
        with self._voice.waiting(_names(waiting)):
            while waiting:
                for child in [child for child in waiting if child.is_ready()]:
                    waiting.remove(child)
                    self._voice.good(f"{child.name} [dim]{time.monotonic() - began:.1f} s[/]")
                    self._voice.update(_names(waiting))
                self._check_start(waiting, began)
                time.sleep(_ROUND_S)

    def watch(self, until: threading.Event) -> None:
        """Start again what dies, until told to stop."""
        due: dict[str, float] = {}
        while not until.wait(_ROUND_S):
            for child in self.children:
                if child.pid is not None:
                    continue
                if child.name not in due:
                    pause = child.pause_s()
                    due[child.name] = time.monotonic() + pause
                    self._voice.bad(f"{child.name} ended with status {child.status}; starting it again in {pause:g} s")
                elif due[child.name] <= time.monotonic():
                    del due[child.name]
                    child.start(self._lifeline_end)

    def stop(self) -> None:
        """End every process: those that call first, the simulator they call last; kill them when in a hurry."""
        callers = [child for child in self.children if child.name != "simulator"]
        for group in (callers, [child for child in self.children if child not in callers]):
            for child in group:
                child.ask_to_end()
            deadline = time.monotonic() + ENDS_WITHIN_S
            while any(child.pid is not None for child in group):
                if self._hurry.is_set() or time.monotonic() > deadline:
                    for child in group:
                        child.kill()
                time.sleep(_ROUND_S)
        self._probe.close()

    def _check_start(self, waiting: Sequence[Child], began: float) -> None:
        for child in waiting:
            if child.pid is None:
                raise StartFailedError(f"{child.name} ended with status {child.status}:\n{child.last_words()}")
        if waiting and time.monotonic() - began > READY_WITHIN_S:
            child = waiting[0]
            raise StartFailedError(f"{child.name} is not ready after {READY_WITHIN_S:g} s:\n{child.last_words()}")

    def _answers(self, url: str) -> bool:
        try:
            return self._probe.get(url).is_success
        except httpx.TransportError:
            return False

    def _simulates(self, _: int) -> bool:
        return self._answers(f"{self.plan.simulator_url}/_control/stats")

    def _fetches(self, pid: int) -> bool:
        queue_url = self.plan.settings.queue_redis_url
        try:
            found = fetchers(queue_url.get_secret_value() if queue_url else self.redis_url)
        except StoreUnavailableError:
            return False
        return (socket.gethostname(), pid) in {(one.host, one.pid) for one in found}


@contextmanager
def running(plan: Plan, voice: Voice, *, hurry: threading.Event) -> Iterator[Deployment]:
    """Have everything run, with dev.env written; end all of it afterwards, the store last.

    Orphans of a supervisor that was killed are ended first, a store that still runs is adopted. Raises AlreadyUpError,
    StartFailedError.
    """
    with ExitStack() as stack:
        stack.enter_context(_alone(plan.data_dir))
        folder = plan.data_dir / "run"
        folder.mkdir(exist_ok=True, mode=0o700)
        for orphan in end_orphans(folder):
            voice.say(f"  {orphan} was left over from a killed run: ended")
        redis_url = _store_url(plan, voice, stack)
        devenv.write(plan.data_dir, plan.variables(redis_url=redis_url))
        lifeline_end = stack.enter_context(_lifeline())
        deployment = Deployment(plan, voice, redis_url=redis_url, lifeline_end=lifeline_end, hurry=hurry)
        stack.callback(deployment.stop)
        deployment.start()
        yield deployment


def _store_url(plan: Plan, voice: Voice, stack: ExitStack) -> str:
    """Return the address of the store; the bundled one is started, or adopted, and stopped at the end."""
    if plan.settings.redis_url is not None:
        return plan.settings.redis_url.get_secret_value()
    with voice.waiting("store"):
        store: EmbeddedStore = start(plan.data_dir / "store", appendfsync=plan.settings.appendfsync)
    stack.callback(store.stop)
    voice.good("store")
    return store.url


@contextmanager
def _alone(data_dir: Path) -> Iterator[None]:
    """Be the only supervisor of this directory; the lock ends with the process, however that ends."""
    with (data_dir / "up.lock").open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.seek(0)
            raise AlreadyUpError(
                f"zapwright is up in {data_dir} already (process {lock.read().strip()}); "
                f"its addresses are in {devenv.path_in(data_dir)}"
            ) from error
        lock.truncate(0)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        yield


@contextmanager
def _lifeline() -> Iterator[int]:
    """Return the end of a pipe that children read from until we are gone."""
    reading, writing = os.pipe()
    try:
        yield reading
    finally:
        os.close(reading)
        os.close(writing)


def _simulator(plan: Plan) -> list[str]:
    port = urlsplit(plan.simulator_url or "").port
    folder = plan.data_dir / "simulator"
    switches = json.dumps(plan.simulator_switches)
    return ["simulator", "--port", str(port), "--data-dir", str(folder), "--switches", switches]


def _names(children: Sequence[Child]) -> str:
    return ", ".join(child.name for child in children)
