"""Bounds of requests are exact, and nothing unknown passes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from api.schemas import requests
from api.schemas.fields import timestamp
from orchestrator.core import signals
from orchestrator.core.session import HintKind
from orchestrator.engine import NewSession, NewStep

ATTEMPT = "12345678"


def taken(shape: type[BaseModel], **body: Any) -> bool:
    """Tell whether a body has the shape."""
    try:
        shape.model_validate(body)
    except ValidationError:
        return False
    return True


def session(**more: Any) -> dict[str, Any]:
    """Give the body of a new session."""
    return {"user_id": "ann", **more}


def signal(**more: Any) -> dict[str, Any]:
    """Give the body of a popup signal."""
    return {"attempt_id": ATTEMPT, "kind": "message", **more}


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (requests.NewSession, session()),
        (requests.NewSession, session(user_id="u" * 128)),
        (requests.NewSession, session(user_id="auth0|5f/x@example.com")),
        (requests.NewSession, session(title="t" * 255, reference="r" * 255)),
        (requests.NewSession, session(title="Ärger, 日本語, 😀")),
        (requests.NewSession, session(steps=[{}] * 25)),
        (requests.NewSession, session(steps=[{"alias": None, "app_id": None}])),
        (requests.NewSession, session(steps=[{"alias": "a" + "_9" * 31}])),
        (requests.NewSession, session(ttl_s=7 * 24 * 3600)),
        (requests.NewSession, session(metadata={"k": "v" * (4 * 1024 - 8)})),
        (requests.GivenInputs, {"inputs": {"k": "v" * (64 * 1024 - 8)}}),
        (requests.StepChange, {}),
        (requests.StepChange, {"position": 24}),
        (requests.PopupOpening, {"attempt_id": "3f2b7c1e-0000-4000-8000-000000000000", "elapsed_ms": 0}),
        (requests.PopupSignal, signal(authentication_id="9")),
        (requests.PopupSignal, signal(context={"visible": True, "focused": False, "gone": True, "elapsed_ms": 5})),
        (requests.NewCredential, {"access_token": "t" * 4096, "expires_in": 1}),
        (requests.ZapRequest, {"again": True}),
    ],
    ids=repr,
)
def test_what_is_within_bounds_is_taken(shape: type[BaseModel], body: dict[str, Any]) -> None:
    """The last value that fits, fits."""
    assert taken(shape, **body)


@pytest.mark.parametrize(
    ("shape", "body"),
    [
        (requests.NewSession, {}),
        (requests.NewSession, session(user_id="")),
        (requests.NewSession, session(user_id="u" * 129)),
        (requests.NewSession, session(user_id="a b")),
        (requests.NewSession, session(user_id="ann\n")),
        (requests.NewSession, session(user_id=7)),
        (requests.NewSession, session(title="")),
        (requests.NewSession, session(title="t" * 256)),
        (requests.NewSession, session(title="bell\a")),
        (requests.NewSession, session(steps=[{}] * 26)),
        (requests.NewSession, session(steps=[{"alias": "Upper"}])),
        (requests.NewSession, session(steps=[{"alias": "9lives"}])),
        (requests.NewSession, session(steps=[{"alias": "a" * 65}])),
        (requests.NewSession, session(steps=[{"alias": "a\n"}])),
        (requests.NewSession, session(ttl_s=0)),
        (requests.NewSession, session(ttl_s=7 * 24 * 3600 + 1)),
        (requests.NewSession, session(ttl_s=1.5)),
        (requests.NewSession, session(ttl_s="60")),
        (requests.NewSession, session(ttl_s=True)),
        (requests.NewSession, session(metadata=[])),
        (requests.NewSession, session(metadata={"k": "v" * (4 * 1024 - 7)})),
        (requests.NewSession, session(meta={})),
        (requests.SessionChange, {"title": None}),
        (requests.SessionChange, {"metadata": None}),
        (requests.StepChange, {"alias": None}),
        (requests.StepChange, {"position": -1}),
        (requests.StepChange, {"position": 25}),
        (requests.GivenInputs, {"inputs": {"k": "v" * (64 * 1024 - 7)}}),
        (requests.GivenInputs, {"inputs": None}),
        (requests.AppChoice, {"app_id": ""}),
        (requests.PopupOpening, {"attempt_id": "1234567"}),
        (requests.PopupOpening, {"elapsed_ms": -1}),
        (requests.PopupOpening, {"attempt_id": "a" * 65}),
        (requests.PopupOpening, {"attempt_id": "12345678\n"}),
        (requests.PopupOpening, {"attempt_id": "../../etc"}),
        (requests.PopupSignal, signal(kind="opened")),
        (requests.PopupSignal, signal(kind="closed", authentication_id="9")),
        (requests.PopupSignal, signal(context={"screen": "big"})),
        (requests.PopupSignal, signal(context={"elapsed_ms": -1})),
        (requests.PopupSignal, signal(context=None)),
        (requests.NewCredential, {"access_token": ""}),
        (requests.NewCredential, {"access_token": "t" * 4097}),
        (requests.NewCredential, {"access_token": "t", "expires_in": 0}),
        (requests.ZapRequest, {"again": 1}),
        (requests.ActionChoice, {"key": "k"}),
    ],
    ids=lambda value: value.__name__ if isinstance(value, type) else repr(value)[:60],
)
def test_what_is_beyond_them_is_not(shape: type[BaseModel], body: dict[str, Any]) -> None:
    """Nor is a value of another type turned into the right one."""
    assert not taken(shape, **body)


def test_a_token_does_not_show_itself() -> None:
    """Neither in a log nor in an error."""
    credential = requests.NewCredential.model_validate({"access_token": "hunter2"})

    assert "hunter2" not in repr(credential)


def test_a_new_session_means_the_same_to_the_engine() -> None:
    """Seconds become milliseconds, nothing is lost."""
    new = requests.NewSession.model_validate(
        session(title="T", reference="r", steps=[{"alias": "a"}, {"app_id": "x"}], metadata={"m": 1}, ttl_s=60)
    )

    assert new.meant("acme") == NewSession(
        tenant_id="acme",
        user_id="ann",
        title="T",
        reference="r",
        metadata={"m": 1},
        steps=(NewStep(alias="a"), NewStep(app_id="x")),
        ttl=60_000,
    )


CONTEXT = signals.Context(visible=True, focused=None, gone=False, elapsed_ms=7)


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        (
            {"kind": "message", "authentication_id": "9"},
            signals.MessageReceived(step_id="st", attempt_id=ATTEMPT, authentication_id="9", context=CONTEXT),
        ),
        (
            {"kind": "message"},
            signals.Hinted(step_id="st", attempt_id=ATTEMPT, kind=HintKind.MESSAGE, context=CONTEXT),
        ),
        ({"kind": "closed"}, signals.Hinted(step_id="st", attempt_id=ATTEMPT, kind=HintKind.CLOSED, context=CONTEXT)),
        ({"kind": "focus"}, signals.Hinted(step_id="st", attempt_id=ATTEMPT, kind=HintKind.FOCUS, context=CONTEXT)),
        (
            {"kind": "finished"},
            signals.Hinted(step_id="st", attempt_id=ATTEMPT, kind=HintKind.FINISHED, context=CONTEXT),
        ),
        ({"kind": "blocked"}, signals.PopupBlocked(step_id="st", attempt_id=ATTEMPT, context=CONTEXT)),
        ({"kind": "cancelled"}, signals.PopupCancelled(step_id="st", attempt_id=ATTEMPT, context=CONTEXT)),
    ],
    ids=lambda value: value["kind"] if isinstance(value, dict) else type(value).__name__,
)
def test_each_kind_of_signal_means_one_thing(said: dict[str, Any], meant: signals.PopupSignal) -> None:
    """A message without an id is only a reason to look."""
    context = {"visible": True, "elapsed_ms": 7}
    given = requests.PopupSignal.model_validate({"attempt_id": ATTEMPT, "context": context, **said})

    assert given.meant("st") == meant


@pytest.mark.parametrize(
    ("at", "text"),
    [
        (0, "1970-01-01T00:00:00.000Z"),
        (1_790_000_000_250, "2026-09-21T14:13:20.250Z"),
        (1_790_000_000_999, "2026-09-21T14:13:20.999Z"),
    ],
)
def test_moments_have_milliseconds_and_a_zone(at: int, text: str) -> None:
    """Rounding never moves one."""
    assert timestamp(at) == text
