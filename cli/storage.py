"""The store itself, for commands that do not go through the API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TypeVar

from cli import devenv
from cli.environment import read_settings, sealing_keys, store_url
from cli.errors import CommandError
from orchestrator.bootstrap import rate_limits
from orchestrator.core.errors.base import ZapwrightError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.settings import Settings
from orchestrator.store.opening import Store, open_store

Result = TypeVar("Result")


def on_store(
    data_dir: Path | None,
    do: Callable[[Store, Settings], Awaitable[Result]],
    *,
    url: str | None = None,
    keys: Sequence[str] | None = None,
) -> Result:
    """Do something on the store that the environment names, else on that of `up` in this directory.

    `url` and `keys` come before what these say. Raises CommandError.
    """
    devenv.enter(data_dir or read_settings().data_dir)
    settings = read_settings()
    return on_store_at(url or store_url(settings), do, settings=settings, keys=keys or sealing_keys(settings))


def on_store_at(
    url: str, do: Callable[[Store, Settings], Awaitable[Result]], *, settings: Settings, keys: Sequence[str]
) -> Result:
    """Do something on the store at an address. Raises CommandError."""

    async def done() -> Result:
        store = open_store(
            url,
            shards=settings.shards,
            limits=rate_limits(settings),
            credential_keys=keys,
            replicas=settings.store_replicas,
        )
        try:
            await store.check()
            return await do(store, settings)
        finally:
            await store.aclose()

    try:
        return asyncio.run(done())
    except StoreUnavailableError as error:
        raise CommandError(f"{said_of(error)}: does it run, where REDIS_URL says? `zapwright doctor` looks") from error
    except ZapwrightError as error:
        raise CommandError(error.message) from error


def said_of(error: ZapwrightError) -> str:
    """Say what went wrong to somebody at a terminal, who repeats no requests."""
    match error:
        case StoreUnavailableError():
            return f"the store did not answer ({error.facts['problem']})"
        case _:
            return error.message
