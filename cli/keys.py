"""`zapwright keys rotate`: every secret under the newest key, so that the older ones can go."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Final

from cryptography.fernet import Fernet
from rich.console import Console

from cli import devenv, tables
from cli.deployment import AlreadyUpError, alone_in
from cli.environment import read_settings, sealing_keys
from cli.plan import CREDENTIAL_KEYS, REDIS_URL, STARTED, STORE
from cli.storage import on_store
from orchestrator.settings import Settings
from orchestrator.store.embedded import start
from orchestrator.store.opening import Store
from orchestrator.store.rotation import Resealed

PENDING: Final = "ZAPWRIGHT_KEYS_PENDING"
"""In dev.env: a new key that the processes running now do not know yet. `up` writes the file without it."""


def rotate(data_dir: Path | None, *, as_json: bool) -> int:
    """Seal every secret anew and say which keys may go; 1 if there are some that no key opens. Raises CommandError."""
    data_dir = (data_dir or read_settings().data_dir).resolve()
    former = devenv.read(data_dir)
    console = Console(highlight=False)
    if CREDENTIAL_KEYS in former and os.environ.get(CREDENTIAL_KEYS, "") in {"", former[CREDENTIAL_KEYS]}:
        return _rotate_own(data_dir, former, console, as_json=as_json)
    devenv.enter(data_dir)
    keys = sealing_keys(read_settings())
    return _show(console, _resealed(data_dir, keys=keys), keys=keys, as_json=as_json)


def _rotate_own(data_dir: Path, former: Mapping[str, str], console: Console, *, as_json: bool) -> int:
    """Do it for what `up` runs here, with a new key unless the last one is still to be finished.

    Processes that run must know the new key before anything is sealed with it: then they are to be started again first.
    """
    keys = former[CREDENTIAL_KEYS].split(",")
    with _alone(data_dir) as is_alone:
        if len(keys) == 1:
            keys = [Fernet.generate_key().decode(), *keys]
            former = {**former, CREDENTIAL_KEYS: ",".join(keys)} | ({} if is_alone else {PENDING: "1"})
            devenv.write(data_dir, former)
        if PENDING in former and not is_alone:
            if as_json:
                tables.as_json(console, {"pending": True})
            else:
                console.print("There is a new key. Start `zapwright up` again, so that all know it, then repeat this.")
            return 0
        with _store_url(data_dir, former, is_alone=is_alone) as url:
            resealed = _resealed(data_dir, keys=keys, url=url)
        kept = {name: value for name, value in former.items() if name != PENDING}
        devenv.write(data_dir, {**kept, CREDENTIAL_KEYS: keys[0]})
    return _show(console, resealed, keys=keys, as_json=as_json, are_gone=True)


@contextmanager
def _alone(data_dir: Path) -> Iterator[bool]:
    """Tell whether nothing runs here; then nothing is started meanwhile either."""
    try:
        with alone_in(data_dir):
            yield True
    except AlreadyUpError:
        yield False


@contextmanager
def _store_url(data_dir: Path, former: Mapping[str, str], *, is_alone: bool) -> Iterator[str]:
    """Have the store that `up` uses; its own is started for this when nothing runs."""
    if not is_alone or STORE not in former.get(STARTED, "").split():
        yield former[REDIS_URL]
        return
    store = start(data_dir, appendfsync=read_settings().appendfsync)
    try:
        yield store.url
    finally:
        store.stop()


def _resealed(data_dir: Path, *, keys: Sequence[str], url: str | None = None) -> Resealed:
    async def reseal(store: Store, _: Settings) -> Resealed:
        return await store.reseal()

    return on_store(data_dir, reseal, url=url, keys=keys)


def _show(console: Console, resealed: Resealed, *, keys: Sequence[str], as_json: bool, are_gone: bool = False) -> int:
    older = len(keys) - 1
    if as_json:
        tables.as_json(console, {"pending": False, **asdict(resealed), "older_keys": older})
    else:
        for line in _said(resealed, older, are_gone=are_gone):
            console.print(line)
    return int(bool(resealed.unreadable))


def _said(resealed: Resealed, older: int, *, are_gone: bool) -> Iterator[str]:
    yield f"{resealed.resealed} secrets sealed anew, {resealed.current} were so already"
    if resealed.unreadable:
        yield f"[red]{resealed.unreadable} cannot be read with any key: their users must sign in again[/]"
    if are_gone:
        yield f"{devenv.NAME} has the new key alone; what runs goes on"
    elif older:
        yield f"every key of {CREDENTIAL_KEYS} but the first may go now ({older})"
    else:
        yield f"there is one key: to rotate, put a new one before it in {CREDENTIAL_KEYS} of every process"
