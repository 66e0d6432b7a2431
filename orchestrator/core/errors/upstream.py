"""Errors between Zapier and us."""

from __future__ import annotations

from typing import TYPE_CHECKING

from orchestrator.core.errors.base import ZapwrightError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from orchestrator.core.session import Millis


class UpstreamError(ZapwrightError):
    """Something between Zapier and us."""

    code = "upstream"


class UpstreamBusyError(UpstreamError):
    """No call to Zapier can be made now: there is no room under its limits, it is away, or there is no good token yet.

    `pages`: how many the list has, as far as is known, when it was broken off after its first one.
    """

    code = "upstream_busy"

    def __init__(
        self,
        *,
        retry_after: Millis,
        pages: int = 1,
        why: str = "Zapier's rate limit leaves no room for this call",
    ) -> None:
        self.retry_after = retry_after
        self.pages = pages
        self.why = why
        super().__init__(f"{why}; repeat it in {max(1, round(retry_after / 1000))} s", retry_after_ms=retry_after)


class UpstreamUnavailableError(UpstreamError):
    """Zapier gave no usable answer."""

    code = "upstream_unavailable"

    def __init__(self, *, problem: str) -> None:
        super().__init__(f"Zapier gave no usable answer ({problem}); repeat the request", problem=problem)


class UpstreamRefusedError(UpstreamError):
    """Zapier answered that it will not do this."""

    code = "upstream_refused"

    def __init__(self, *, status: int, problem: str) -> None:
        super().__init__(f"Zapier answered {status}: {problem}", status=status, problem=problem)


class FieldsRefusedError(UpstreamError):
    """Zapier makes no authentication of these fields."""

    code = "fields_refused"

    def __init__(self, *, step_id: str, problem: str, flaws: Sequence[Mapping[str, str]] = ()) -> None:
        super().__init__(
            f"Zapier made no authentication of these fields ({problem}): correct them, then send them anew",
            step_id=step_id,
            problem=problem,
            flaws=list(flaws),
        )


class StepTestFailedError(UpstreamError):
    """The action was carried out, and failed."""

    code = "test_failed"

    def __init__(self, *, status: int, problem: str) -> None:
        super().__init__(f"the test failed: {problem}", status=status, problem=problem)


class StepTestUnknownError(UpstreamError):
    """Whether the action was carried out is unknown."""

    code = "test_unknown"

    def __init__(self, *, problem: str) -> None:
        super().__init__(
            f"nobody knows whether the action was carried out ({problem}): look at the app before testing again",
            problem=problem,
        )
