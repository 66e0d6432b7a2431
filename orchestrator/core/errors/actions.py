"""Errors about what a step does: its app, its action, its fields and its test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from orchestrator.core.errors.base import NotFoundError, SignalRefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


class AppNotFoundError(NotFoundError):
    """Zapier's catalogue has no app with this id."""

    code = "app_not_found"

    def __init__(self, *, app_id: str) -> None:
        super().__init__(f"Zapier lists no app with the id {app_id!r}; search for it first", app_id=app_id)


class ActionNotFoundError(NotFoundError):
    """The app has no such action."""

    code = "action_not_found"

    def __init__(self, *, app_id: str, key: str, action_type: str) -> None:
        super().__init__(
            f"app {app_id} has no {action_type} action with the key {key!r}; list its actions and choose one",
            app_id=app_id,
            key=key,
            action_type=action_type,
        )


class FieldNotFoundError(NotFoundError):
    """The step's action asks for no such field."""

    code = "field_not_found"

    def __init__(self, *, step_id: str, field: str) -> None:
        super().__init__(f"step {step_id} has no field {field!r}; read its fields again", step_id=step_id, field=field)


class StepNotUsableError(SignalRefusedError):
    """The step cannot be asked for fields yet."""

    code = "step_not_usable"

    def __init__(self, *, session_id: str, step_id: str, lacks: str) -> None:
        super().__init__(
            f"step {step_id} of session {session_id} {lacks}", session_id=session_id, step_id=step_id, lacks=lacks
        )


class InputsFlawedError(SignalRefusedError):
    """What steps are filled with, or what they rely on, is not as it must be."""

    code = "inputs_flawed"

    def __init__(self, *, session_id: str, problems: Sequence[Mapping[str, str | None]]) -> None:
        said = "; ".join(
            f"step {one['step_id']}" + (f", {one['field']}" if one["field"] else "") + f": {one['detail']}"
            for one in problems[:_SAID]
        )
        more = f" (and {len(problems) - _SAID} more)" if len(problems) > _SAID else ""
        super().__init__(
            f"session {session_id} is not right yet: {said}{more}", session_id=session_id, problems=list(problems)
        )


_SAID: Final = 3
"""As many problems as a person reads in one sentence."""


class StepTestRepeatedError(SignalRefusedError):
    """This very test was carried out before; its results are not kept."""

    code = "test_repeated"

    def __init__(self, *, session_id: str, step_id: str) -> None:
        super().__init__(
            f"this test of step {step_id} of session {session_id} was begun before, and what came of it is not kept: "
            "use a new idempotency key to carry the action out once more",
            session_id=session_id,
            step_id=step_id,
        )
