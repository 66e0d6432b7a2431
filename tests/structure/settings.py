"""The names under which the environment sets our settings."""

import importlib
import inspect
from collections.abc import Iterator

from pydantic import AliasChoices, BaseModel
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings


def variables() -> set[str]:
    """Give the environment variable of every setting, in upper case."""
    module = importlib.import_module("orchestrator.settings")
    own = [value for _, value in inspect.getmembers(module, inspect.isclass) if value.__module__ == module.__name__]

    return {name for settings in own if issubclass(settings, BaseSettings) for name in _of(settings)}


def _of(settings: type[BaseSettings]) -> Iterator[str]:
    prefix = settings.model_config.get("env_prefix") or ""
    delimiter = settings.model_config.get("env_nested_delimiter") or ""
    for name, field in settings.model_fields.items():
        for variable in _names(name, field, prefix):
            if delimiter and inspect.isclass(field.annotation) and issubclass(field.annotation, BaseModel):
                yield from (f"{variable}{delimiter}{inner}".upper() for inner in field.annotation.model_fields)
            else:
                yield variable.upper()


def _names(name: str, field: FieldInfo, prefix: str) -> list[str]:
    match field.validation_alias:
        case str(alias):
            return [alias]
        case AliasChoices(choices=choices):
            return [choice for choice in choices if isinstance(choice, str)]
        case _:
            return [f"{prefix}{name}"]
