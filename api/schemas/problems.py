"""The shape of every error answer (RFC 9457)."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from api.schemas.fields import Omittable


class Flaw(BaseModel):
    """One thing that is wrong with a request: `pointer` (RFC 6901) into the body, or `parameter` of path and query."""

    model_config = ConfigDict(frozen=True)

    detail: str
    pointer: Omittable[str] = None
    parameter: Omittable[str] = None


class Problem(BaseModel):
    """What went wrong. Programs go by `code`, people by `detail`, and `reference` finds it in the log."""

    model_config = ConfigDict(frozen=True)

    type: str = Field(description="A URI that names the kind of problem: `urn:zapwright:problem:` and its code.")
    title: str = Field(description="What all problems of this kind have in common.")
    status: int = Field(description="The answer's status.")
    detail: str = Field(description="What went wrong this time.")
    code: str = Field(description="The kind of problem, for programs; never changes.")
    reference: str = Field(description="Names the request in the log; also in the header `Zapwright-Reference`.")
    facts: dict[str, object] = Field(description="What the detail speaks of, by name.")
    errors: Omittable[list[Flaw]] = Field(default=None, description="Each flaw of a request that is `request_invalid`.")
