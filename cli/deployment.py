"""Store, simulator, API, workers and dashboard on this machine: started, watched over, ended."""

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
from cli.api_keys import keep_operator_key
from cli.children import ENDS_WITHIN_S, Child, end_orphans
from cli.environment import sealing_keys, store_url
from cli.errors import CommandError
from cli.plan import Plan
from cli.storage import on_store_at
from cli.voice import Voice
from orchestrator.core.errors.store import StoreError, StoreUnavailableError
from orchestrator.store.embedded import EmbeddedStore, start
from workers.fetching import fetchers

READY_WITHIN_S: Final = 60.0
_ROUND_S: Final = 0.1
_STORE_ROUND_S: Final = 2.0
_PROBE_LIMIT_S: Final = 2.0


class AlreadyUpError(CommandError):
    """Another supervisor has this data directory."""


class StartFailedError(CommandError):
    """A process did not become ready; the message has its last words."""


class BundledStore:
    """The store that `up` keeps running, whoever started it."""

    def __init__(self, plan: Plan, voice: Voice) -> None:
        self._plan = plan
        self._voice = voice
        self._store: EmbeddedStore | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        if self._store is None:
            raise RuntimeError("the store was not started")
        return self._store.url

    def keep(self) -> None:
        """See to it that it runs. Raises StoreError when it does not start."""
        found = start(self._plan.data_dir, appendfsync=self._plan.settings.appendfsync)
        if self._store is not None and found.pid != self._store.pid:
            self._voice.bad("store had ended; started it again on its data")
        self._store = found

    def stop(self) -> None:
        """End it, its data written."""
        if self._store is not None:
            self._store.stop()


class Deployment:
    """Everything `zapwright up` runs. Used as `with running(plan, voice) as deployment`."""

    def __init__(
        self, plan: Plan, voice: Voice, *, store: BundledStore | None, lifeline_end: int, hurry: threading.Event
    ) -> None:
        self.plan = plan
        self.redis_url = store.url if store is not None else store_url(plan.settings)
        self._store = store
        self._hurry = hurry
        self._voice = voice
        self._lifeline_end = lifeline_end
        self.folder = plan.data_dir / "run"
        self._probe = httpx.Client(trust_env=False, timeout=_PROBE_LIMIT_S)
        environment = plan.environment(redis_url=self.redis_url)

        def child(name: str, arguments: Sequence[str], is_ready: Callable[[int], bool]) -> Child:
            return Child(name, arguments, folder=self.folder, environment=environment, is_ready=is_ready)

        self.workers = [child(f"worker-{number}", ["worker"], self._fetches) for number in range(1, plan.workers + 1)]
        self.api = child("api", ["api"], self._serves)
        self.dashboard = child("dashboard", ["dashboard"], self._shows)
        self.children = [self.api, *self.workers, self.dashboard]
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
                    if waiting:
                        self._voice.update(_names(waiting))
                self._check_start(waiting, began)
                time.sleep(_ROUND_S)

    def watch(self, until: threading.Event) -> None:
        """Start again what dies, until told to stop."""
        store_due = 0.0
        due: dict[str, float] = {}
        while not until.wait(_ROUND_S):
            if time.monotonic() >= store_due:
                self._keep_store()
                store_due = time.monotonic() + _STORE_ROUND_S
            for child in self.children:
                if child.pid is None:
                    self._revive(child, due)

    def _keep_store(self) -> None:
        if self._store is None:
            return
        try:
            self._store.keep()
        except StoreError as error:
            self._voice.bad(error.message)
        if self._store.url != self.redis_url:
            self._move_store(self._store.url)

    def _move_store(self, url: str) -> None:
        """The store could not have its former port: tell everybody, who end and are started again."""
        self._voice.bad("store has another port: everything starts again")
        self.redis_url = url
        devenv.write(self.plan.data_dir, self.plan.variables(redis_url=url))
        for child in self.children:
            child.environment = self.plan.environment(redis_url=url)
            child.ask_to_end()

    def _revive(self, child: Child, due: dict[str, float]) -> None:
        """Start a dead process again once its pause is over; `due` has when that is."""
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

    def _answers(self, url: str, *, key: str = "") -> bool:
        try:
            return self._probe.get(url, headers={"Authorization": f"Bearer {key}"} if key else {}).is_success
        except httpx.TransportError:
            return False

    def _serves(self, _: int) -> bool:
        """Whether our API is ready, and not somebody else's who took the port: ours knows the key."""
        url, key = self.plan.api_url, self.plan.settings.api_key
        return self._answers(f"{url}/readyz") and (
            key is None or self._answers(f"{url}/v1/sessions?limit=1", key=key.get_secret_value())
        )

    def _shows(self, _: int) -> bool:
        """Whether the dashboard lives; the sign-in page of somebody else's who took the port would not say so."""
        return self._answers(f"{self.plan.dashboard_url}/healthz")

    def _simulates(self, _: int) -> bool:
        """Whether our simulator is ready, and not somebody else's who took the port: ours says so in its log."""
        log = self.folder / "simulator.log"
        is_listening = "listening on" in log.read_text(encoding="utf-8", errors="replace")
        return is_listening and self._answers(f"{self.plan.simulator_url}/_control/stats")

    def _fetches(self, pid: int) -> bool:
        try:
            found = fetchers(self.plan.settings.queues_url(self.redis_url))
        except StoreUnavailableError:
            return False
        return (socket.gethostname(), pid) in {(one.host, one.pid) for one in found}


@contextmanager
def running(plan: Plan, voice: Voice, *, hurry: threading.Event) -> Iterator[Deployment]:
    """Have everything run, with dev.env written; end all of it afterwards, the store last.

    Orphans of a supervisor that was killed are ended first, a store that still runs is adopted. The data directory must
    be ours (`alone_in`). Raises StartFailedError.
    """
    with ExitStack() as stack:
        folder = plan.data_dir / "run"
        folder.mkdir(exist_ok=True, mode=0o700)
        for orphan in end_orphans(folder):
            voice.say(f"  {orphan} was left over from a killed run: ended")
        store = BundledStore(plan, voice) if plan.has_own_store else None
        if store is not None:
            with voice.waiting("store"):
                store.keep()
            stack.callback(store.stop)
            voice.good("store")
            _keep_operator_key(plan, store.url)
        lifeline_end = stack.enter_context(_lifeline())
        deployment = Deployment(plan, voice, store=store, lifeline_end=lifeline_end, hurry=hurry)
        devenv.write(plan.data_dir, plan.variables(redis_url=deployment.redis_url))
        stack.callback(deployment.stop)
        deployment.start()
        yield deployment


@contextmanager
def alone_in(data_dir: Path) -> Iterator[None]:
    """Be the only supervisor of this directory; the lock ends with the process, however that ends.

    Raises AlreadyUpError.
    """
    with (data_dir / devenv.LOCK).open("a+", encoding="utf-8") as lock:
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


def _keep_operator_key(plan: Plan, url: str) -> None:
    """Have the operator's key of dev.env in a store of our own."""
    text = plan.operator_key
    if text is not None:
        on_store_at(
            url,
            lambda store, _: keep_operator_key(store, text),
            settings=plan.settings,
            keys=sealing_keys(plan.settings),
        )


def _simulator(plan: Plan) -> list[str]:
    port = urlsplit(plan.simulator_url or "").port
    folder = plan.data_dir / "simulator"
    switches = json.dumps(plan.simulator_switches)
    return ["simulator", "--port", str(port), "--data-dir", str(folder), "--switches", switches]


def _names(children: Sequence[Child]) -> str:
    return ", ".join(child.name for child in children)
