"""The store itself, for commands that do not go through the API."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

from cli import devenv
from cli.environment import read_settings, sealing_keys, store_url
from cli.errors import CommandError
from orchestrator.bootstrap import rate_limits
from orchestrator.core.errors import ZapwrightError
from orchestrator.settings import Settings
from orchestrator.store.opening import Store, open_store

Result = TypeVar("Result")


def on_store(data_dir: Path | None, do: Callable[[Store, Settings], Awaitable[Result]]) -> Result:
    """Do something on the store that the environment names, else on that of `up` in this directory.

    Raises CommandError.
    """
    devenv.enter(data_dir or read_settings().data_dir)
    settings = read_settings()
    url, keys = store_url(settings), sealing_keys(settings)

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
    except ZapwrightError as error:
        raise CommandError(error.message) from error
