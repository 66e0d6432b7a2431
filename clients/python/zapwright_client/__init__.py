"""What a Python backend says to Zapwright: `Client` for threads, `AsyncClient` for asyncio.

Every route is a method. Answers are dataclasses of `zapwright_client.shapes`, problems are exceptions.
"""

from zapwright_client.client import AsyncClient, Client
from zapwright_client.errors import (
    ConflictError,
    ForbiddenError,
    NoAnswerError,
    NotFoundError,
    PreconditionFailedError,
    ProblemError,
    RequestRefusedError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
    ZapwrightError,
)
from zapwright_client.sending import Patience

__all__ = [
    "AsyncClient",
    "Client",
    "ConflictError",
    "ForbiddenError",
    "NoAnswerError",
    "NotFoundError",
    "Patience",
    "PreconditionFailedError",
    "ProblemError",
    "RequestRefusedError",
    "UnauthorizedError",
    "UnavailableError",
    "UnexpectedAnswerError",
    "ZapwrightError",
]
