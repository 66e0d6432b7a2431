"""The bounds of single values."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Final, TypeVar

import msgspec
from fastapi import Header, Path
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    GetJsonSchemaHandler,
    SecretStr,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from api.schemas.wording import (
    ADDRESS,
    ALIAS,
    ATTEMPT,
    BROWSER,
    CODE,
    EMAIL,
    EVENT,
    PRINTABLE,
    SAYING,
    VISIBLE,
)
from orchestrator.core.decide.steps import MOST_STEPS
from orchestrator.core.endpoints import LONGEST_URL
from orchestrator.core.events import EventName
from orchestrator.core.interventions import LONGEST_EXTENSION, LONGEST_REASON, SHORTEST_EXTENSION
from orchestrator.core.schedule import Policy
from orchestrator.core.session import SECOND, Instant, JsonObject

Given = TypeVar("Given")

LONGEST_WAIT_S: Final = 30
MOST_EVENTS: Final = 500
MOST_SESSIONS: Final = 100
MOST_WATCHES: Final = 100
MOST_DELIVERIES: Final = 100
MOST_ENTRIES: Final = 100
LONGEST_TTL_S: Final = Policy().session_ttl_longest // SECOND

_BYTES_OF_METADATA: Final = 4 * 1024
_BYTES_OF_INPUTS: Final = 64 * 1024
_YEAR_S: Final = 366 * 24 * 3600


def timestamp(at: Instant) -> str:
    """Write a moment as ISO 8601, in UTC, with milliseconds."""
    return f"{_second(at // SECOND)}.{at % SECOND:03d}Z"


@lru_cache(maxsize=1024)
def _second(at: int) -> str:
    return datetime.fromtimestamp(at, UTC).replace(tzinfo=None).isoformat()


def moment(at: Instant | None) -> str | None:
    """Write a moment that may be none."""
    return None if at is None else timestamp(at)


def _at_most(size: int) -> Callable[[JsonObject], JsonObject]:
    def bounded(value: JsonObject) -> JsonObject:
        if len(msgspec.json.encode(value)) > size:
            raise ValueError(f"at most {size} bytes of JSON")
        return value

    return bounded


def _not_null(value: object) -> object:
    if value is None:
        raise ValueError("leave it out to keep what is there; null is no value of it")
    return value


class NeverNull:
    """Says of an optional value that it is left out when there is none: the schema has no null."""

    def __get_pydantic_json_schema__(self, core: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Return the schema of the value alone."""
        described = handler(core)
        choices = [choice for choice in described.pop("anyOf") if choice != {"type": "null"}]
        return {**choices[0], **described}


# --- in bodies ------------------------------------------------------------------------------------------------

Omittable = Annotated[Given | None, NeverNull()]
"""A value that may be left out."""

Kept = Annotated[Given | None, BeforeValidator(_not_null), NeverNull()]
"""A field of a change: left out, what is there stays; null is refused, since nobody could say what it meant."""

UserId = Annotated[str, Field(min_length=1, max_length=128, pattern=VISIBLE, description="Your own id of the user.")]
Origin = Annotated[str, Field(min_length=1, max_length=255, pattern=VISIBLE)]
TenantIdGiven = Annotated[str, Field(min_length=1, max_length=63, pattern=VISIBLE)]
AppId = Annotated[str, Field(min_length=1, max_length=128, pattern=VISIBLE, description="Zapier's id of the app.")]
AuthenticationId = Annotated[
    str, Field(min_length=1, max_length=128, pattern=VISIBLE, description="Zapier's id of the authentication.")
]
KeyIdGiven = Annotated[str, Field(min_length=1, max_length=64, pattern=VISIBLE)]
SessionIdGiven = Annotated[str, Field(min_length=1, max_length=64, pattern=VISIBLE)]
AttemptId = Annotated[
    str,
    Field(min_length=8, max_length=64, pattern=ATTEMPT, description="The page's own id of it, such as a UUID."),
]
Alias = Annotated[
    str,
    Field(
        min_length=1,
        max_length=64,
        pattern=ALIAS,
        description="The name by which later steps refer to this one.",
    ),
]
ReturnUrl = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        pattern=ADDRESS,
        description="Where the page's last button leads: an address at one of your origins.",
    ),
]
LinkTtl = Annotated[
    int, Field(ge=60, le=24 * 3600, description="Seconds in which the link can be opened; by default an hour.")
]
BrowserCode = Annotated[
    str,
    Field(pattern=CODE, description="As the browser's user was shown it."),
]
BrowserName = Annotated[
    str,
    Field(pattern=BROWSER, description="The browser's name for pages of your origins, as it was told to one."),
]
Email = Annotated[str, Field(min_length=3, max_length=254, pattern=EMAIL)]
PersonName = Annotated[str, Field(min_length=1, max_length=120, pattern=PRINTABLE)]
ZapId = Annotated[str, Field(min_length=1, max_length=255, pattern=VISIBLE, description="Zapier's id of the Zap.")]
Title = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]
Reference = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]
ActionKey = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]
ActionType = Annotated[str, Field(min_length=1, max_length=64, pattern=VISIBLE)]
Position = Annotated[int, Field(ge=0, lt=MOST_STEPS, description="0 is the first place; beyond the end is last.")]
AccessToken = Annotated[SecretStr, Field(min_length=1, max_length=4096)]
RefreshToken = Annotated[
    SecretStr, Field(min_length=1, max_length=4096, description="Refreshed here from now on, and by nobody else.")
]
SecretFields = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=128)],
        Annotated[SecretStr, Field(max_length=8192)],
    ],
    Field(min_length=1, max_length=50, description="By the names of the fields of your app's authentication scheme."),
]
Lifetime = Annotated[int, Field(ge=1, le=10 * _YEAR_S, description="Seconds.")]
Ttl = Annotated[int, Field(ge=1, le=LONGEST_TTL_S, description="Seconds the session lives; by default a setting.")]
Elapsed = Annotated[int, Field(ge=0, le=_YEAR_S * SECOND, description="Milliseconds since the popup was opened.")]
Metadata = Annotated[
    JsonObject, AfterValidator(_at_most(_BYTES_OF_METADATA)), Field(description="Yours; at most 4 KiB of JSON.")
]
Inputs = Annotated[
    JsonObject, AfterValidator(_at_most(_BYTES_OF_INPUTS)), Field(description="By field id; at most 64 KiB of JSON.")
]

WhyWanted = Annotated[
    str,
    Field(
        min_length=1,
        max_length=LONGEST_REASON,
        pattern=SAYING,
        description="For the audit. It outlives the user's data: name nobody.",
    ),
]
ExtensionS = Annotated[
    int,
    Field(
        ge=SHORTEST_EXTENSION // SECOND,
        le=LONGEST_EXTENSION // SECOND,
        description="Seconds; by default an hour. Popups get an hour in all, sessions a week.",
    ),
]

Url = Annotated[str, Field(min_length=1, max_length=LONGEST_URL, description="https://, without user and password.")]
EventNamed = Annotated[EventName, Field(strict=False)]
"""An event by its name: JSON has no other way to write one."""

Events = Annotated[
    list[EventNamed],
    Field(min_length=1, max_length=len(EventName), description="Which events are sent; by default outcomes."),
]
Description = Annotated[str, Field(max_length=255, pattern=PRINTABLE, description="Yours; what it is for.")]

# --- in addresses ---------------------------------------------------------------------------------------------

SessionId = Annotated[str, Path(max_length=64)]
StepId = Annotated[str, Path(max_length=64)]
EndpointId = Annotated[str, Path(max_length=160, pattern=VISIBLE)]
EventSeq = Annotated[int, Path(ge=1, le=2**53, description="The event's `seq`.")]
LinkId = Annotated[str, Path(max_length=64)]
UserIdInPath = Annotated[str, Path(max_length=128, pattern=VISIBLE)]

Cursor = Annotated[str, Field(max_length=512, description="`cursor` of the page before.")]
Quoted = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE)]
Age = Annotated[int, Field(ge=0, le=10 * _YEAR_S)]
AppIdInPath = Annotated[str, Path(max_length=128, pattern=VISIBLE, description="Zapier's id of the app.")]
Words = Annotated[str, Field(max_length=200, pattern=PRINTABLE, description="Part of the app's title.")]
FieldId = Annotated[str, Field(min_length=1, max_length=255, pattern=PRINTABLE, description="Id of one of the fields.")]
ChoiceWords = Annotated[str, Field(max_length=200, pattern=PRINTABLE, description="Words of the choice's label or id.")]
Seq = Annotated[int, Field(ge=0, le=2**53)]
Wait = Annotated[int, Field(ge=0, le=LONGEST_WAIT_S, description="Seconds to wait, when `after_seq` is given.")]
AuditLimit = Annotated[int, Field(ge=1, le=MOST_ENTRIES)]
EventLimit = Annotated[int, Field(ge=1, le=MOST_EVENTS)]
DeliveryLimit = Annotated[int, Field(ge=1, le=MOST_DELIVERIES)]
WatchLimit = Annotated[int, Field(ge=1, le=MOST_WATCHES)]
SessionLimit = Annotated[int, Field(ge=1, le=MOST_SESSIONS)]

# --- in headers -----------------------------------------------------------------------------------------------

LastEventId = Annotated[
    Omittable[str],
    Header(
        alias="Last-Event-ID",
        pattern=EVENT,
        description="`id` of the last event that was read; it comes before `after`.",
    ),
]

# --- in answers -----------------------------------------------------------------------------------------------

At = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
"""A moment: ISO 8601, UTC, with milliseconds."""
