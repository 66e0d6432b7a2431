"""Before a Zap is created: what may have changed is read again, and everything that is wrong is said at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from orchestrator.core.errors.actions import ActionNotFoundError, InputsFlawedError
from orchestrator.core.errors.upstream import UpstreamRefusedError
from orchestrator.core.fields import Form, with_defaults
from orchestrator.core.mapping import Compiler, aliases
from orchestrator.core.ports.around import Clock
from orchestrator.core.ports.credentials import Credential
from orchestrator.core.ports.upstream import ActionUse, CatalogAction, Upstream, ZapDraft, ZapStep
from orchestrator.core.recognition import title_of
from orchestrator.core.schedule import Policy
from orchestrator.core.session import (
    MINUTE,
    Action,
    App,
    Authentication,
    JsonObject,
    Listing,
    Reason,
    Session,
    Step,
    ZapState,
)
from orchestrator.engine import Engine
from orchestrator.filling import problems_of, shown


@dataclass(slots=True)
class _Found:
    """What was read, and what is wrong so far, by step and field."""

    actions: dict[str, tuple[CatalogAction, ...]] = field(default_factory=dict)
    listings: dict[str, Listing] = field(default_factory=dict)
    forms: dict[str, Form] = field(default_factory=dict)
    problems: list[Mapping[str, str | None]] = field(default_factory=list)

    def complain(self, step: Step, code: str, detail: str) -> None:
        self.problems.append({"step_id": step.id, "field": None, "code": code, "detail": detail})

    def complain_of_action(self, step: Step) -> None:
        app, action = _chosen(step)
        self.complain(step, "action_not_found", f"{app.title} has no {action.action_type} {action.key} any more")

    def action_id(self, step: Step) -> str | None:
        """Return the id that the step's action has at this moment, None when it is gone."""
        app, action = _chosen(step)
        names = action.key, action.action_type
        offered = self.actions.get(app.id, ())
        return next((found.id for found in offered if (found.key, found.action_type) == names), None)


class Preflight:
    """Turns sessions into drafts of Zaps. Nothing is written but that a step's authentication is lost."""

    def __init__(self, upstream: Upstream, *, engine: Engine, clock: Clock, policy: Policy) -> None:
        self._upstream = upstream
        self._engine = engine
        self._clock = clock
        self._policy = policy

    async def draft(self, session: Session, credential: Credential) -> ZapDraft:
        """Return the Zap that a ready session stands for, its actions under the ids they have now.

        What is known of actions and fields serves for a minute, and of authentications as long as a baseline does;
        once Zapier has refused the session's Zap, actions and authentications are read now. Raises InputsFlawedError
        with every problem of every step, and what reads raise.
        """
        found = _Found()
        for step in session.steps:
            await self._look_at(session, step, credential, found)
        if found.problems:
            raise InputsFlawedError(session_id=session.id, problems=found.problems)
        return _draft(session, found)

    async def _look_at(self, session: Session, step: Step, credential: Credential, found: _Found) -> None:
        app, _ = _chosen(step)
        if app.id not in found.actions:
            age = 0 if _was_refused(session) else MINUTE
            found.actions[app.id] = await self._upstream.actions(credential, app.id, age=age)
        is_usable = True
        if found.action_id(step) is None:
            is_usable = False
            found.complain_of_action(step)
        wrong = None
        if step.authentication is not None:
            wrong = await self._wrong_with(session, step, step.authentication, credential, found)
        if wrong is not None:
            is_usable = False
            found.complain(step, *wrong)
            await self._engine.refresh(session, step, found.listings[app.id])
        if is_usable:
            await self._judge(session, step, credential, found)

    async def _wrong_with(
        self, session: Session, step: Step, authentication: Authentication, credential: Credential, found: _Found
    ) -> tuple[str, str] | None:
        app, _ = _chosen(step)
        if app.id not in found.listings:
            if self._is_known(step, credential) and not _was_refused(session):
                return None
            found.listings[app.id] = await self._upstream.authentications(credential, app.id)
        listing = found.listings[app.id]
        listed = listing.get(authentication.id)
        if listed is None:
            return _gone(app, authentication) if listing.complete else None
        return _expired(authentication) if listed.is_expired else None

    def _is_known(self, step: Step, credential: Credential) -> bool:
        """Whether it was seen a short while ago, in the Zapier account that the Zap will be in."""
        seen_at = step.evidence.checked_at if step.evidence else 0
        is_of_account = step.baseline is not None and step.baseline.account == credential.account
        return is_of_account and self._clock.now() - seen_at <= self._policy.baseline_fresh

    async def _judge(self, session: Session, step: Step, credential: Credential, found: _Found) -> None:
        app, action = _chosen(step)
        use = ActionUse(
            app_id=app.id,
            action=action,
            authentication_id=step.authentication.id if step.authentication else None,
            inputs=Compiler(session.steps, step.id).inputs(step.inputs),
        )
        try:
            form = await self._upstream.fields(credential, use)
        except ActionNotFoundError:
            found.complain_of_action(step)
            return
        except UpstreamRefusedError as refused:
            found.complain(step, *await self._why(session, step, refused))
            return
        found.forms[step.id] = form
        found.problems += [shown(step.id, flaw) for flaw in problems_of(session, step, form)]

    async def _why(self, session: Session, step: Step, refused: UpstreamRefusedError) -> tuple[str, str]:
        """Say why Zapier does not tell what a step asks for: its authentication may be lost."""
        if step.authentication is not None:
            _, seen = await self._engine.look_again(session.key, step.id)
            if seen.reason is Reason.REVOKED:
                return _gone(_chosen(step)[0], step.authentication)
            if seen.reason is Reason.EXPIRED:
                return _expired(step.authentication)
        return "fields_unreadable", str(refused.facts["problem"])


def _draft(session: Session, found: _Found) -> ZapDraft:
    named, referred = aliases(session.steps), set[str]()
    compiled: dict[str, JsonObject] = {}
    for step in session.steps:
        compiler = Compiler(session.steps, step.id)
        compiled[step.id] = compiler.inputs(with_defaults(found.forms[step.id], step.inputs))
        referred |= compiler.referred
    return ZapDraft(
        title=title_of(session),
        steps=tuple(
            ZapStep(
                action_id=found.action_id(step) or "",
                authentication_id=step.authentication.id if step.authentication else None,
                inputs=compiled[step.id],
                alias=step.alias or (named.get(step.id) if step.id in referred else None),
            )
            for step in session.steps
        ),
    )


def _gone(app: App, authentication: Authentication) -> tuple[str, str]:
    return "authentication_gone", f"{app.title} is no longer connected by {authentication.title}"


def _expired(authentication: Authentication) -> tuple[str, str]:
    return "authentication_expired", f"{authentication.title} must be connected again"


def _was_refused(session: Session) -> bool:
    """Whether the last call for the session's Zap failed: something may be other than it is known."""
    return session.zap.state is ZapState.FAILED


def _chosen(step: Step) -> tuple[App, Action]:
    """Return app and action of a step of a ready session, which has both."""
    if step.app is None or step.action is None:
        raise AssertionError(step.id)
    return step.app, step.action
