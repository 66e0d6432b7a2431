"""The state machine of a step: the table, and the only module that knows the library `transitions`.

The machine is asked, never attached to a model: `decide` finds the trigger, the table says where it leads.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, cast

from transitions import Machine, Transition

from orchestrator.core.errors.sessions import IllegalSignalError
from orchestrator.core.session import Reason, StepState


class Trigger(StrEnum):
    """What a signal turned out to mean, once the facts were looked at."""

    APP_NEEDS_AUTH = "app_needs_auth"
    APP_NEEDS_NONE = "app_needs_none"
    SELECTED = "authentication_selected"
    POPUP_OPENED = "popup_opened"
    MESSAGE_CONFIRMED = "message_confirmed"
    HINTED = "hinted"
    DIFFERENCE_FOUND = "difference_found"
    OFFERED = "offered"
    NOTHING_NEW = "nothing_new"
    NOT_VISIBLE = "not_visible"
    CANCELLED = "cancelled"
    BLOCKED = "popup_blocked"
    TIMED_OUT = "timed_out"
    EXPIRED = "authentication_expired"
    REVOKED = "authentication_revoked"
    CLAIMED_ELSEWHERE = "claimed_elsewhere"
    DOUBTED = "authentication_doubted"
    SUPPLYING = "fields_sent"
    SUPPLIED = "authentication_supplied"
    NOT_MADE = "authentication_not_made"
    RESET = "reset"


@dataclass(frozen=True, kw_only=True)
class Edge:
    """One line of the table: in any of `sources`, `trigger` leads to `to`. `when` is the condition in words."""

    trigger: Trigger
    sources: tuple[StepState, ...]
    to: StepState
    when: str
    reason: Reason | None = None


ANY: Final = tuple(StepState)
_NEEDS, _AWAITING, _RESOLVED = StepState.NEEDS_AUTH, StepState.AWAITING_POPUP, StepState.RESOLVED
_WAITING: Final = (_AWAITING, _NEEDS)
"""Where an attempt may be waited for: a popup's, or the one by which fields were sent."""

TABLE: Final = (
    Edge(
        trigger=Trigger.APP_NEEDS_NONE,
        sources=ANY,
        to=StepState.NO_AUTH_REQUIRED,
        when="an app was chosen whose popup address, read with the user's token, is null",
    ),
    Edge(
        trigger=Trigger.APP_NEEDS_AUTH,
        sources=ANY,
        to=_NEEDS,
        when="an app was chosen that has a popup address; its authentications were listed",
    ),
    Edge(
        trigger=Trigger.SELECTED,
        sources=(_NEEDS, _AWAITING, _RESOLVED),
        to=_RESOLVED,
        when="the user, or an operator, chose an authentication that Zapier lists: the user's, this app's, not expired",
    ),
    Edge(
        trigger=Trigger.POPUP_OPENED,
        sources=(_NEEDS, _RESOLVED, _AWAITING),
        to=_AWAITING,
        when="the connect popup was opened: a new attempt",
    ),
    Edge(
        trigger=Trigger.HINTED,
        sources=(_AWAITING,),
        to=_AWAITING,
        when="message without id, focus, finished or closed: a reason to look",
    ),
    Edge(
        trigger=Trigger.MESSAGE_CONFIRMED,
        sources=(_AWAITING, _NEEDS, _RESOLVED),
        to=_RESOLVED,
        when="Zapier lists the id that a popup's message named",
    ),
    Edge(
        trigger=Trigger.DIFFERENCE_FOUND,
        sources=(_AWAITING,),
        to=_RESOLVED,
        when="exactly one new, unclaimed authentication, and no other popup it could have come from",
    ),
    Edge(
        trigger=Trigger.OFFERED,
        sources=_WAITING,
        to=_NEEDS,
        when="something new is listed, but whose it is cannot be known",
        reason=Reason.AMBIGUOUS,
    ),
    Edge(
        trigger=Trigger.NOTHING_NEW,
        sources=(_AWAITING,),
        to=_NEEDS,
        when="the user has finished, three listings show nothing new, and healthy authentications exist",
        reason=Reason.NOTHING_NEW,
    ),
    Edge(
        trigger=Trigger.NOT_VISIBLE,
        sources=_WAITING,
        to=_NEEDS,
        when="the message's id is in none of four complete listings over 30 s",
        reason=Reason.NOT_VISIBLE,
    ),
    Edge(
        trigger=Trigger.CANCELLED,
        sources=(_AWAITING,),
        to=_NEEDS,
        when="the user cancelled",
        reason=Reason.CANCELLED,
    ),
    Edge(
        trigger=Trigger.BLOCKED,
        sources=(_AWAITING,),
        to=_NEEDS,
        when="the browser blocked the popup",
        reason=Reason.POPUP_BLOCKED,
    ),
    Edge(
        trigger=Trigger.TIMED_OUT,
        sources=_WAITING,
        to=_NEEDS,
        when="a complete listing begun after the attempt's deadline shows nothing",
        reason=Reason.TIMED_OUT,
    ),
    Edge(
        trigger=Trigger.EXPIRED,
        sources=(_RESOLVED,),
        to=_NEEDS,
        when="Zapier lists the authentication as expired",
        reason=Reason.EXPIRED,
    ),
    Edge(
        trigger=Trigger.REVOKED,
        sources=(_RESOLVED,),
        to=_NEEDS,
        when="Zapier lists the authentication no more, two minutes after it did and later",
        reason=Reason.REVOKED,
    ),
    Edge(
        trigger=Trigger.CLAIMED_ELSEWHERE,
        sources=(_RESOLVED,),
        to=_NEEDS,
        when="the authentication, given by difference alone, was another step's by message or choice",
        reason=Reason.CLAIMED_ELSEWHERE,
    ),
    Edge(
        trigger=Trigger.DOUBTED,
        sources=(_RESOLVED,),
        to=_NEEDS,
        when="given by difference alone, while another step's popup was open of which nobody had heard",
        reason=Reason.AMBIGUOUS,
    ),
    Edge(
        trigger=Trigger.SUPPLYING,
        sources=(_NEEDS,),
        to=_NEEDS,
        when="the fields of an authentication for an app of the tenant's own are sent to Zapier, by one call",
        reason=Reason.UNANSWERED,
    ),
    Edge(
        trigger=Trigger.SUPPLIED,
        sources=(_NEEDS, _AWAITING, _RESOLVED),
        to=_RESOLVED,
        when="Zapier made an authentication of the fields; or its answer was lost, and difference finds what it made",
    ),
    Edge(
        trigger=Trigger.NOT_MADE,
        sources=(_NEEDS,),
        to=_NEEDS,
        when="Zapier surely made no authentication of the fields",
        reason=Reason.NOT_MADE,
    ),
    Edge(trigger=Trigger.RESET, sources=ANY, to=StepState.CHOOSE_APP, when="the step was reset"),
)

_EDGES: Final = {(edge.trigger, source): edge for edge in TABLE for source in edge.sources}

_MACHINE: Final = Machine(
    model=None,
    states=[state.value for state in StepState],
    initial=None,
    auto_transitions=False,
    transitions=[
        {"trigger": edge.trigger.value, "source": [source.value for source in edge.sources], "dest": edge.to.value}
        for edge in TABLE
    ],
)
_get_transitions = cast("Callable[..., list[Transition]]", _MACHINE.get_transitions)

_WAYS: Final = {
    (trigger, state): (StepState(str(found[0].dest)), _EDGES[trigger, state].reason)
    for trigger in Trigger
    for state in StepState
    if (found := _get_transitions(trigger=trigger.value, source=state.value))
}
"""What the machine answers, asked once: its table never changes, and asking costs more than the rest of a decision."""

_ANY_STATE: Final = "any state"


def allows(state: StepState, trigger: Trigger) -> bool:
    """Say whether a step in `state` takes `trigger`."""
    return (trigger, state) in _WAYS


def move(state: StepState, trigger: Trigger, *, session_id: str, step_id: str) -> tuple[StepState, Reason | None]:
    """Return the state `trigger` leads to, and the reason it gives, without changing anything.

    Raises IllegalSignalError when the table has no such edge.
    """
    found = _WAYS.get((trigger, state))
    if found is None:
        raise IllegalSignalError(session_id=session_id, step_id=step_id, state=state.value, signal=trigger.value)
    return found


def mermaid() -> str:
    """Draw the table as a Mermaid state diagram, one arrow a pair of states, and one from any."""
    arrows: dict[tuple[str, str], list[str]] = {}
    for edge in TABLE:
        sources = (_ANY_STATE,) if edge.sources == ANY else tuple(source.value for source in edge.sources)
        for source in sources:
            arrows.setdefault((source, edge.to.value), []).append(edge.trigger.value)
    names = [*(state.value for state in StepState), _ANY_STATE]
    lines = ["stateDiagram-v2", *(f"    {_name(name)} : {name}" for name in names)]
    lines += [f"    [*] --> {_name(StepState.CHOOSE_APP)}"]
    lines += [f"    {_name(source)} --> {_name(to)} : {', '.join(names)}" for (source, to), names in arrows.items()]
    return "\n".join(lines) + "\n"


def _name(state: str) -> str:
    return state.replace("-", "_").replace(" ", "_")
