"""What a command refuses with: a sentence on standard error and the exit status 1."""


class CommandError(Exception):
    """The command cannot do what it was asked for; the message says why and what to do."""
