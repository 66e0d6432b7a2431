"""What a command refuses with: a sentence on standard error and an exit status."""

from __future__ import annotations

from typing import ClassVar


class CommandError(Exception):
    """The command cannot do what it was asked for; the message says why and what to do."""

    status: ClassVar[int] = 1


class MisuseError(CommandError):
    """The command was not given what it needs, or too much of it."""

    status = 2


class UnknownError(CommandError):
    """There is no such thing as the command was asked about."""

    status = 4
