"""`zapwright doctor`: is everything as it must be, and what to change if not."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from importlib import metadata
from pathlib import Path
from platform import python_version
from typing import Final

import httpx
from cryptography.fernet import Fernet
from rich.console import Console
from rich.table import Table

from cli import devenv, tables
from cli.environment import queue_url, read_settings, store_url
from cli.errors import CommandError
from cli.plan import API_URL
from orchestrator.bootstrap import compose, rate_limits
from orchestrator.clock import RandomIds, SystemClock
from orchestrator.core.errors import SignInRequiredError, StoreError, StoreUnavailableError, UpstreamBusyError, UpstreamError
from orchestrator.settings import DEFAULT_TENANT, Settings
from orchestrator.store.client import ServerReport
from orchestrator.store.opening import Store, open_store
