"""The settings as the environment has them, refused in words a person understands."""

from __future__ import annotations

from typing import Final

from cryptography.fernet import Fernet
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from api.schemas.wording import said_of
from cli import devenv
from cli.errors import CommandError
from orchestrator.settings import Settings

MAKE_CREDENTIAL_KEY: Final = (
    "encrypting users' tokens needs a key that every process has: make one with "
    '`python -c "from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"`'
)


_CREDENTIAL_KEYS: Final = "ZAPWRIGHT_CREDENTIAL_KEYS"


def read_settings(**given: object) -> Settings:
    """Return the settings; what is given here comes before the environment. Raises CommandError."""
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        found = "; ".join(f"{_variable(problem['loc'])}: {_wrong(problem)}" for problem in error.errors())
        raise CommandError(f"settings: {found}") from error


def store_url(settings: Settings) -> str:
    """Return the store's address. Raises CommandError when there is none."""
    if settings.redis_url is None:
        hint = devenv.hint(settings.data_dir)
        raise CommandError(f"REDIS_URL is not set: name the store, or let `zapwright up` run one of its own{hint}")
    return settings.redis_url.get_secret_value()


def queue_url(settings: Settings) -> str:
    """Return the address of RQ's queues, by default the store's. Raises CommandError without a store."""
    return settings.queues_url(store_url(settings))


def sealing_keys(settings: Settings) -> tuple[str, ...]:
    """Return the keys that users' tokens are encrypted with. Raises CommandError without a usable one."""
    keys = tuple(key.get_secret_value() for key in settings.credential_keys)
    if not keys and _CREDENTIAL_KEYS in devenv.read(settings.data_dir):
        kept = devenv.path_in(settings.data_dir)
        raise CommandError(
            f"{_CREDENTIAL_KEYS} is not set: `zapwright up`, which runs API and workers, has it in {kept}"
        )
    if not keys:
        raise CommandError(f"{_CREDENTIAL_KEYS} is not set: {MAKE_CREDENTIAL_KEY}")
    try:
        for key in keys:
            Fernet(key)
    except ValueError as error:
        raise CommandError(f"one of ZAPWRIGHT_CREDENTIAL_KEYS is no Fernet key: {MAKE_CREDENTIAL_KEY}") from error
    return keys


def _wrong(problem: ErrorDetails) -> str:
    if problem["type"] != "string_pattern_mismatch":
        return said_of({**problem})
    if problem["ctx"]["pattern"].startswith("^https?"):
        return "write it as an address: https://zapwright.example.com, or http://127.0.0.1:8700"
    return "write words of ASCII, each of up to 64 characters, without quotes"


def _variable(place: tuple[int | str, ...]) -> str:
    name = str(place[0]).upper() if place else "ZAPWRIGHT"
    return name if name.endswith("REDIS_URL") else f"ZAPWRIGHT_{name}"
