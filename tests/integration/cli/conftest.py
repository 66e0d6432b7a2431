"""Commands, run in this process on a real store."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner

from cli.errors import CommandError
from cli.main import app
from orchestrator.store.limits import Limits
from orchestrator.store.opening import Store, open_store
from tests.support.processes import SEALING_KEY
from tests.support.valkey import ValkeyServer, running_valkey

Found = TypeVar("Found")


class Shell:
    """Somebody at a terminal, whose environment names the store."""

    def __init__(self, redis_url: str, folder: Path) -> None:
        self.redis_url = redis_url
        self.folder = folder
        self.environment = {
            **{name: "" for name in os.environ if name.startswith("ZAPWRIGHT_")},
            "REDIS_URL": redis_url,
            "ZAPWRIGHT_CREDENTIAL_KEYS": SEALING_KEY,
            "ZAPWRIGHT_DATA_DIR": str(folder),
            "COLUMNS": "200",
        }

    def run(self, *arguments: str, piped: str | None = None) -> str:
        """Run a command that must succeed; return what it printed to standard output."""
        result = CliRunner().invoke(app, arguments, input=piped, env=self.environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result.stdout

    def tried(self, *arguments: str) -> str:
        """Run a command that may find something wrong; return what it printed to standard output."""
        result = CliRunner().invoke(app, arguments, env=self.environment)
        assert isinstance(result.exception, SystemExit | None), result.output
        return result.stdout

    def json(self, *arguments: str, piped: str | None = None) -> Any:
        """The same for what a program reads."""
        return json.loads(self.run(*arguments, "--json", piped=piped))

    def refused(self, *arguments: str, piped: str | None = None) -> str:
        """Run a command that must refuse; return its words."""
        with pytest.raises(CommandError) as refused:
            self.run(*arguments, piped=piped)
        return str(refused.value)

    def ask(self, what: Callable[[Store], Awaitable[Found]], *keys: str) -> Found:
        """Ask the store something, as another process would that has these keys."""

        async def asked() -> Found:
            store = open_store(self.redis_url, shards=16, limits=Limits(), credential_keys=keys or (SEALING_KEY,))
            try:
                return await what(store)
            finally:
                await store.aclose()

        return asyncio.run(asked())


@pytest.fixture(scope="module")
def valkey() -> Iterator[ValkeyServer]:
    """One server for a module."""
    with running_valkey() as server:
        yield server


@pytest.fixture
def shell(valkey: ValkeyServer, tmp_path: Path) -> Shell:
    """A terminal, and an empty store."""
    valkey.flush()
    return Shell(valkey.url, tmp_path)
