"""`zapwright probe`: what the live Partner API does where its documentation is silent, measured."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import typer
from cryptography.fernet import Fernet
from pydantic import SecretStr
from rich.console import Console
from rich.text import Text

from cli import devenv, tables
from cli.environment import read_settings, store_url
from cli.errors import CommandError
from cli.rows import Cell, Rows
from cli.storage import said_of
from orchestrator import logs
from orchestrator.bootstrap import rate_limits
from orchestrator.clock import SystemClock
from orchestrator.core.errors.store import StoreError
from orchestrator.core.ports.budget import Budget
from orchestrator.settings import Settings, millis
from orchestrator.store.memory.budget import MemoryBudget
from orchestrator.store.opening import open_store
from orchestrator.zapier.address import ApiAddress
from orchestrator.zapier.exchange import Exchange
from orchestrator.zapier.limits import Limits
from orchestrator.zapier.probing import Finding, Lab, Question, planned, probe

TOKEN: Final = "ZAPWRIGHT_PROBE_TOKEN"  # noqa: S105 - the name of a variable
ZAPIER: Final = "https://api.zapier.com"


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of the command."""

    app: str | None = None
    token_file: Path | None = None
    with_writes: bool = False
    yes: bool = False
    as_json: bool = False


def run_probe(data_dir: Path | None, wishes: Wishes) -> int:
    """Ask, and print each answer; return 1 if something is otherwise than Zapwright assumes. Raises CommandError."""
    devenv.enter(data_dir or read_settings().data_dir)
    settings = read_settings()
    logs.configure(settings.model_copy(update={"log_level": "error"}))
    token = read_token(wishes.token_file)
    said = Console(highlight=False, stderr=wishes.as_json)
    questions = planned(with_writes=wishes.with_writes)
    most = sum(question.calls for question in questions)
    where = settings.zapier_api_url or ZAPIER
    said.print(f"  up to {most} calls to {where}, each under a permit that nothing more urgent wants")
    if settings.redis_url is None:
        said.print("  [yellow]no store is named (REDIS_URL): these calls are counted apart from everything else[/]")
    try:
        findings, calls = asyncio.run(_asked(settings, token, wishes, said))
    except StoreError as error:
        raise CommandError(f"there are no permits to be had: {said_of(error)}") from error
    report = {"api": where, "calls": calls, "findings": [asdict(found) for found in findings]}
    report |= {"settings": settings_of(findings), "simulator": switches_of(findings)}
    if wishes.as_json:
        tables.as_json(Console(highlight=False), report)
    else:
        _print(said, findings, calls)
    return int(any(found.holds is False for found in findings))


def read_token(path: Path | None) -> SecretStr:
    """Return the token to ask with: from a file, `-` for standard input, else from the environment.

    Raises CommandError.
    """
    try:
        given = _given(path)
    except OSError as error:
        raise CommandError(f"the token cannot be read: {error.strerror}") from error
    if not given.strip():
        raise CommandError(
            f"a user's access token is needed: in {TOKEN}, or in a file named with --token-file; "
            "never on the command line, where everybody on this machine can read it"
        )
    return SecretStr(given.strip())


def _given(path: Path | None) -> str:
    if path is None:
        return os.environ.get(TOKEN, "")
    return sys.stdin.readline() if str(path) == "-" else path.read_text(encoding="utf-8")


@asynccontextmanager
async def opened_lab(settings: Settings, token: SecretStr) -> AsyncIterator[Lab]:
    """Open what is asked with; calls take permits of the deployment's budget where there is a store."""
    clock = SystemClock()
    async with (
        _budget(settings) as budget,
        httpx.AsyncClient(trust_env=False, follow_redirects=False) as http,
    ):
        default = Settings.model_fields["zapier_client_id"].default
        yield Lab(
            Exchange(http, limits=Limits(call_limit=millis(settings.call_limit_s))),
            address=ApiAddress(settings.zapier_api_url or ZAPIER),
            token=token.get_secret_value(),
            client_id=None if settings.zapier_client_id == default else settings.zapier_client_id,
            budget=budget,
            clock=clock,
            egress=settings.egress_group,
            partner=settings.zapier_client_id,
        )


@asynccontextmanager
async def _budget(settings: Settings) -> AsyncIterator[Budget]:
    limits = rate_limits(settings)
    if settings.redis_url is None:
        yield MemoryBudget(limits)
        return
    store = open_store(
        store_url(settings),
        shards=settings.shards,
        limits=limits,
        credential_keys=[Fernet.generate_key().decode()],  # nothing that is sealed is read
    )
    try:
        yield store.budget
    finally:
        await store.aclose()


async def _asked(settings: Settings, token: SecretStr, wishes: Wishes, said: Console) -> tuple[list[Finding], int]:
    async def connected(link: str) -> None:
        said.print("  connect an account in the popup at this address, then press Enter:")
        said.print(link, soft_wrap=True)
        await asyncio.to_thread(sys.stdin.readline)

    def allows(question: Question) -> bool:
        return wishes.with_writes and (wishes.yes or _agreed(question))

    async with opened_lab(settings, token) as lab:
        answers = probe(lab, app=wishes.app, allows=allows, person=None if wishes.yes else connected)
        return [found async for found in answers], lab.calls


def _agreed(question: Question) -> bool:
    """Ask whether something may be written. Raises CommandError when nobody is there to answer."""
    try:
        return typer.confirm(f"  {question.name}: this makes {question.writes}. Go on?", err=True)
    except typer.Abort as error:
        raise CommandError("nobody agreed to what is written: say --yes, or leave out --writes") from error


def switches_of(findings: list[Finding]) -> dict[str, Any]:
    """Return the document of switches with which the simulator answers as this API did."""
    document: dict[str, Any] = {}
    for found in findings:
        for section, switches in found.switches.items():
            before = document.get(section, {})
            document[section] = before | {name: _both(before.get(name), value) for name, value in switches.items()}
    return document


def _both(one: object, other: object) -> object:
    """Return what was found last; of lists, all that was found."""
    return [*one, *other] if isinstance(one, list) and isinstance(other, list) else other


def settings_of(findings: list[Finding]) -> Mapping[str, str]:
    """Return the settings of ours that suit this API better than those in force."""
    return {name: value for found in findings for name, value in found.settings.items()}


def _print(console: Console, findings: list[Finding], calls: int) -> None:
    rows: list[Mapping[str, Cell]] = [
        {
            "holds": _mark(found),
            "what was asked": found.question,
            "assumed": found.assumed,
            "found": f"{found.found}\n→ {found.advice}" if found.advice else found.found,
        }
        for found in findings
    ]
    console.print(Rows(groups=(("holds",), ("what was asked",), ("assumed",), ("found",)), rows=rows))
    for name, value in settings_of(findings).items():
        console.print(f"  set {name}={value}")
    console.print("  for a simulator that answers so: PATCH /_control/faults with")
    tables.as_json(console, switches_of(findings))
    differs = sum(found.holds is False for found in findings)
    still_open = sum(found.holds is None for found in findings)
    console.print(f"{len(findings)} asked, {differs} otherwise than assumed, {still_open} open, {calls} calls")


_MARKS: Final = {True: ("✓", "green"), False: ("✗", "red"), None: ("?", "yellow")}


def _mark(found: Finding) -> Text:
    return Text(*_MARKS[found.holds])
