"""What `zapwright up` is going to run, from its options, the environment and what it ran before."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from pydantic import SecretStr

from cli import devenv, ports
from cli.errors import CommandError
from orchestrator.clock import RandomIds
from orchestrator.core.tenants import DEFAULT_TENANT, key_text, origin_of
from orchestrator.settings import Settings
from simulator.accounts import secret_of

STORE: Final = "store"
SIMULATOR: Final = "simulator"
STARTED: Final = "ZAPWRIGHT_STARTED"
"""In dev.env: which of the addresses beside it are of what `up` started itself."""

API_URL: Final = "ZAPWRIGHT_API_URL"
API_KEY: Final = "ZAPWRIGHT_API_KEY"
OPERATOR_KEY: Final = "ZAPWRIGHT_OPERATOR_KEY"
"""In dev.env: the operator's key that `up` makes in a store of its own, for the dashboard and for commands."""

DASHBOARD_URL: Final = "ZAPWRIGHT_DASHBOARD_URL"
CREDENTIAL_KEYS: Final = "ZAPWRIGHT_CREDENTIAL_KEYS"
TOKEN_KEYS: Final = "ZAPWRIGHT_TOKEN_KEYS"  # noqa: S105 - the name of a setting
REDIS_URL: Final = "REDIS_URL"
QUEUE_REDIS_URL: Final = "QUEUE_REDIS_URL"
UPSTREAM_URL: Final = "ZAPWRIGHT_ZAPIER_API_URL"
CLIENT_SECRET: Final = "ZAPWRIGHT_ZAPIER_CLIENT_SECRET"  # noqa: S105 - the name of a setting
MESSAGE_ORIGIN: Final = "ZAPWRIGHT_ZAPIER_MESSAGE_ORIGIN"
DEMO_NAME: Final = "Zapwright demo"
"""Who asks users for accounts where nobody else is named."""

OWN_APPS: Final = ("af2c7fed-ce06-59d2-ae96-40bf9d642757=username+password",)
"""The app of its own that the simulator's partner has, Acme Orders."""
SIMULATOR_URL: Final = "SIMULATOR_URL"

SIMULATOR_PORT: Final = 8089
HERE: Final = ("127.0.0.0/8", "::1/128")
"""Where webhook receivers are while one develops: on this machine."""

_FOUND_BY: Final = {
    STORE: (REDIS_URL, QUEUE_REDIS_URL),
    SIMULATOR: (UPSTREAM_URL, MESSAGE_ORIGIN, SIMULATOR_URL, CLIENT_SECRET),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """The options of the command; None leaves a choice to the settings, or to what was chosen before."""

    data_dir: Path | None = None
    api_port: int | None = None
    simulator_port: int | None = None
    dashboard_port: int | None = None
    workers: int = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that is going to run.

    `moved` says what could not have its former or usual address, `new_keys` names the keys that were made just now. The
    `operator_key` is there where the store is `up`'s own: whoever starts it puts it in.
    """

    data_dir: Path
    settings: Settings
    api_url: str
    dashboard_url: str
    simulator_url: str | None
    workers: int
    operator_key: str | None = None
    moved: tuple[str, ...] = ()
    new_keys: tuple[str, ...] = ()

    @property
    def has_own_store(self) -> bool:
        """Whether the bundled store is used."""
        return self.settings.redis_url is None

    def variables(self, *, redis_url: str) -> dict[str, str]:
        """Return what dev.env says, and what the processes find in their environment."""
        settings = self.settings
        started = [STORE] * self.has_own_store + [SIMULATOR] * (self.simulator_url is not None)
        found = {
            API_URL: self.api_url,
            DASHBOARD_URL: self.dashboard_url,
            **_keys(settings),
            OPERATOR_KEY: self.operator_key or "",
            REDIS_URL: redis_url,
            QUEUE_REDIS_URL: _secret(settings.queue_redis_url),
            UPSTREAM_URL: settings.zapier_api_url or "",
            MESSAGE_ORIGIN: settings.zapier_message_origin,
            SIMULATOR_URL: self.simulator_url or "",
            CLIENT_SECRET: _secret(settings.zapier_client_secret) if self.simulator_url else "",
            STARTED: " ".join(started),
        }
        return {name: value for name, value in found.items() if value}

    def environment(self, *, redis_url: str) -> dict[str, str]:
        """Return the environment of the processes."""
        own = {
            "ZAPWRIGHT_DATA_DIR": str(self.data_dir),
            "ZAPWRIGHT_API_HOST": self.settings.api_host,
            "ZAPWRIGHT_API_PORT": str(self.settings.api_port),
            "ZAPWRIGHT_DASHBOARD_HOST": self.settings.dashboard_host,
            "ZAPWRIGHT_DASHBOARD_PORT": str(self.settings.dashboard_port),
            "ZAPWRIGHT_ORIGINS": ",".join(self.settings.origins),
        }
        if self.simulator_url is not None:
            own["ZAPWRIGHT_TENANT_NAME"] = self.settings.tenant_name
            own["ZAPWRIGHT_OWN_APPS"] = ",".join(self.settings.own_apps)
            own["ZAPWRIGHT_WEBHOOK_ALLOWED_NETWORKS"] = ",".join(self.settings.webhook_allowed_networks or HERE)
        if self.settings.simulator_url is not None:
            own["ZAPWRIGHT_SIMULATOR_URL"] = self.settings.simulator_url
        return {**os.environ, "PYTHONUNBUFFERED": "1", **own, **self.variables(redis_url=redis_url)}

    @property
    def simulator_switches(self) -> dict[str, object]:
        """The simulator's limits: those that the settings speak of."""
        return {"limits": {"ip": self.settings.rate_limit_egress, "partner": self.settings.rate_limit_partner}}


def made_directory(wishes: Wishes, *, settings: Settings) -> Path:
    """Return the data directory, made if it was not there. Raises CommandError."""
    data_dir = (wishes.data_dir or settings.data_dir).resolve()
    try:
        data_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise CommandError(f"{data_dir} cannot be the data directory: {error.strerror}; name another one") from error
    return data_dir


def plan(wishes: Wishes, *, settings: Settings, data_dir: Path) -> Plan:
    """Decide what to run in a data directory that is ours; the keys are there before anything can depend on them.

    `settings` are those of the environment. Addresses that stand in the environment only because dev.env was read into
    it do not count as given. Raises CommandError.
    """
    former = devenv.read(data_dir)
    settings = _with_keys(_given(settings, former), former)
    operator_key = (former.get(OPERATOR_KEY) or _new_operator_key()) if settings.redis_url is None else None
    devenv.write(data_dir, former | _keys(settings) | ({OPERATOR_KEY: operator_key} if operator_key else {}))
    api_port = _port(wishes.api_port, former.get(API_URL), settings.api_port, host=settings.api_host)
    api_url = ports.origin(settings.api_host, api_port)
    dashboard_port = _port(
        wishes.dashboard_port,
        former.get(DASHBOARD_URL),
        settings.dashboard_port,
        host=settings.dashboard_host,
        but=(api_port,),
    )
    dashboard_url = ports.origin(settings.dashboard_host, dashboard_port)
    changes: dict[str, object] = {
        "data_dir": data_dir,
        "api_port": api_port,
        "api_url": api_url,
        "dashboard_port": dashboard_port,
    }
    simulator_url = None
    if settings.zapier_api_url is None:
        simulator_port = _port(
            wishes.simulator_port,
            former.get(SIMULATOR_URL),
            SIMULATOR_PORT,
            host="127.0.0.1",
            but=(api_port, dashboard_port),
        )
        simulator_url = ports.origin("127.0.0.1", simulator_port)
        changes |= {
            "zapier_api_url": simulator_url,
            "zapier_message_origin": simulator_url,
            "simulator_url": simulator_url,
            "zapier_token_url": None,
            "zapier_client_secret": SecretStr(secret_of(settings.zapier_client_id)),
            "origins": _with_own(settings.origins, api_url),
            "own_apps": settings.own_apps or OWN_APPS,
            "tenant_name": DEMO_NAME if settings.tenant_name == DEFAULT_TENANT else settings.tenant_name,
        }
    return Plan(
        data_dir=data_dir,
        settings=settings.model_copy(update=changes),
        api_url=api_url,
        dashboard_url=dashboard_url,
        simulator_url=simulator_url,
        workers=wishes.workers,
        operator_key=operator_key,
        new_keys=tuple(name for name in _keys(settings) if name not in former and not os.environ.get(name)),
        moved=_moved(
            _usual(settings) | former,
            {
                API_URL: None if wishes.api_port else api_url,
                DASHBOARD_URL: None if wishes.dashboard_port else dashboard_url,
                SIMULATOR_URL: None if wishes.simulator_port else simulator_url,
            },
        ),
    )


def _with_own(origins: Sequence[str], api_url: str) -> tuple[str, ...]:
    """Add the API's own origin, by either name of this machine, for the pages it serves itself."""
    own = (api_url, api_url.replace("//127.0.0.1:", "//localhost:"))
    return tuple(dict.fromkeys((*origins, *map(origin_of, own))))


def _given(settings: Settings, former: Mapping[str, str]) -> Settings:
    """Forget addresses of what `up` itself started, which it starts again."""
    echoed = {
        name
        for part in former.get(STARTED, "").split()
        for name in _FOUND_BY.get(part, ())
        if os.environ.get(name) == former.get(name)
    }
    forgotten: dict[str, object] = {}
    if REDIS_URL in echoed:
        forgotten |= {"redis_url": None, "queue_redis_url": None}
    if UPSTREAM_URL in echoed:
        forgotten |= {"zapier_api_url": None}
    if CLIENT_SECRET in echoed:
        forgotten |= {"zapier_client_secret": None}
    return settings.model_copy(update=forgotten)


def _with_keys(settings: Settings, former: Mapping[str, str]) -> Settings:
    """Fill in the keys: those of the environment, else the former ones, else new ones."""
    api_key = _secret(settings.api_key) or former.get(API_KEY) or f"zw_{secrets.token_urlsafe(32)}"
    credential_keys = [_secret(key) for key in settings.credential_keys]
    if not credential_keys:
        credential_keys = (former.get(CREDENTIAL_KEYS) or Fernet.generate_key().decode()).split(",")
    token_keys = [_secret(key) for key in settings.token_keys]
    if not token_keys:
        token_keys = (former.get(TOKEN_KEYS) or secrets.token_urlsafe(48)).split(",")
    return settings.model_copy(
        update={
            "api_key": SecretStr(api_key),
            "credential_keys": tuple(map(SecretStr, credential_keys)),
            "token_keys": tuple(map(SecretStr, token_keys)),
        }
    )


def _new_operator_key() -> str:
    return key_text(RandomIds().new("ak"), secrets.token_urlsafe(32))


def _keys(settings: Settings) -> dict[str, str]:
    return {
        API_KEY: _secret(settings.api_key),
        CREDENTIAL_KEYS: ",".join(_secret(key) for key in settings.credential_keys),
        TOKEN_KEYS: ",".join(_secret(key) for key in settings.token_keys),
    }


def _port(wished: int | None, former: str | None, usual: int, *, host: str, but: Sequence[int] = ()) -> int:
    """Choose and hold a port: the one wished for, else the former, else the usual, else any that is free."""
    if wished:
        if not (ports.is_free(wished, host=host) and ports.hold(wished)):
            raise CommandError(f"port {wished} is taken: end what listens there, or choose another one")
        return wished
    wanted = [port for port in (former and urlsplit(former).port, usual) if port and port not in but]
    return ports.held_port(wanted, host=host)


def _usual(settings: Settings) -> dict[str, str]:
    """Return where everything is as long as nothing else is there."""
    usual = {
        API_URL: (settings.api_host, settings.api_port),
        DASHBOARD_URL: (settings.dashboard_host, settings.dashboard_port),
        SIMULATOR_URL: ("127.0.0.1", SIMULATOR_PORT),
    }
    return {name: ports.origin(host, port) for name, (host, port) in usual.items() if port}


def _moved(former: Mapping[str, str], now: Mapping[str, str | None]) -> tuple[str, ...]:
    return tuple(
        f"{former[name]} is taken: from now on it is {address}"
        for name, address in now.items()
        if address is not None and former.get(name) not in {None, address}
    )


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value is not None else ""
