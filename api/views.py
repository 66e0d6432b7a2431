"""How sessions, pages and lists are shown. What is decided elsewhere is only written down here."""

from __future__ import annotations

from typing import Any, Self

import msgspec

from api.schemas import answers
from api.schemas.fields import moment, timestamp
from orchestrator.core import machine
from orchestrator.core.deliveries import Answer, Delivery, Try
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.events import CATALOGUE, Event, EventName
from orchestrator.core.fields import Fieldset, Form, FormPart, InfoField, InputField, ValueType
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.links import state_of
from orchestrator.core.mapping import FieldFlaw, reference
from orchestrator.core.ports.audit import AuditPage
from orchestrator.core.ports.calls import CallRecord
from orchestrator.core.ports.credentials import Credential, CredentialState, Standing
from orchestrator.core.ports.sessions import EventPage, SignalRecord
from orchestrator.core.ports.upstream import AppPage, CatalogAction, CatalogApp, Output, StepTestRun
from orchestrator.core.ports.watches import PAUSED, Watch
from orchestrator.core.ports.webhooks import DeliveryPage
from orchestrator.core.session import Attempt, ConnectLink, Evidence, Instant, JsonObject, Millis, Session, Step, Zap
from orchestrator.core.tenants import OwnApp
from orchestrator.core.values import value
from orchestrator.core.why.findings import Diagnosis
from orchestrator.engine import OpenedPopup, Picker
from orchestrator.filling import Filling, Found
from orchestrator.insight import Story
from orchestrator.queries import Snapshot
from orchestrator.relaying import Render
from orchestrator.settings import Settings
from orchestrator.webhooks import Made

_INSTANTS = frozenset({"deadline"})
"""The members of events' data that are moments."""


@value
class Views:
    """Shows sessions.

    `message_origin` is whose messages pages may believe, `baseline_fresh` how long a listing serves. With `only_step`
    they show nothing of other steps, nor what the tenant keeps for itself.
    """

    message_origin: str
    baseline_fresh: Millis
    only_step: str | None = None

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """Show sessions as the settings say."""
        return cls(message_origin=settings.zapier_message_origin, baseline_fresh=settings.policy().baseline_fresh)

    def session(self, snapshot: Snapshot) -> answers.Session:
        """Show a session with everything a page needs."""
        session, credential = snapshot.session, snapshot.credential
        return answers.Session(
            id=session.id,
            user_id=session.user_id,
            status=session.status,
            state=session.state,
            seq=session.seq,
            title=session.title,
            reference=session.reference if self.only_step is None else None,
            metadata=session.metadata if self.only_step is None else {},
            created_at=timestamp(session.created_at),
            deadline=timestamp(session.deadline),
            credential=answers.SessionCredential(
                state=credential.state if credential else CredentialState.MISSING,
                account=credential.email if credential else None,
                reason=credential.reason if credential else None,
            ),
            zap=_zap(session.zap),
            steps=tuple(
                self._step(step, position, snapshot)
                for position, step in enumerate(session.steps)
                if self.only_step in {None, step.id}
            ),
        )

    def message(self, event: Event, snapshot: Snapshot) -> answers.WebhookMessage:
        """Show an event as webhook endpoints get it."""
        at = timestamp(event.at)
        return answers.WebhookMessage(
            type=event.name,
            timestamp=at,
            data=answers.MessageData(
                seq=event.seq,
                name=event.name,
                at=at,
                step_id=event.step_id,
                data=data(event.data),
                schema=CATALOGUE[event.name].schema,
                session=self.session(snapshot),
            ),
        )

    def operators(self, snapshot: Snapshot) -> answers.OperatorsSession:
        """Show a session to operators."""
        return answers.OperatorsSession(**self.session(snapshot).parts(), tenant_id=snapshot.session.tenant_id)

    def story(self, story: Story) -> answers.Story:
        """Show all that is known of a session."""
        next_checks = {watch.key.app_id: watch.next_check_at for watch in story.watches}
        snapshot = Snapshot(session=story.session, credential=story.credential, next_checks=next_checks)
        return answers.Story(
            session=self.operators(snapshot),
            why=why(story.session.id, story.diagnosis),
            diagram=machine.mermaid(),
            attempts=tuple(
                _story_attempt(step.id, attempt) for step in story.session.steps for attempt in step.attempts
            ),
            watches=tuple(map(_story_watch, story.watches)),
            timeline=signals(story.signals).signals,
            events=self.events(story.events).events,
            events_truncated=story.events.truncated,
            calls=tuple(map(_call, story.calls)),
            deliveries=tuple(map(story_delivery, story.deliveries)),
            audit=tuple(map(audit_entry, story.audit)),
        )

    def picker(self, picker: Picker, snapshot: Snapshot, *, own_app: OwnApp | None) -> answers.Picker:
        """Show what there is to choose from."""
        return answers.Picker(
            authentications=tuple(answers.Authentication.of(found) for found in picker.authentications),
            listed_at=moment(picker.listed_at),
            own_app=None if own_app is None else answers.OwnApp.of(own_app),
            session=self.session(snapshot),
        )

    def events(self, page: EventPage) -> answers.EventPage:
        """Show a page of events."""
        shown = (event for event in page.events if self.only_step is None or event.step_id in {None, self.only_step})
        return answers.EventPage(events=tuple(_event(event) for event in shown), truncated=page.truncated)

    def _step(self, step: Step, position: int, snapshot: Snapshot) -> answers.Step:
        return answers.Step(
            id=step.id,
            position=position,
            alias=step.alias,
            state=step.state,
            reason=step.reason,
            app=answers.App.of(step.app) if step.app else None,
            connect=self._connect(step, snapshot.credential),
            authentication=answers.Authentication.of(step.authentication) if step.authentication else None,
            candidates=tuple(answers.Authentication.of(found) for found in step.candidates),
            attempt=_attempt(step, snapshot),
            evidence=_evidence(step.evidence) if step.evidence else None,
            action=answers.Action.of(step.action) if step.action else None,
            inputs=step.inputs,
        )

    def _connect(self, step: Step, credential: Standing | None) -> answers.Connect | None:
        if step.connect is None:
            return None
        return answers.Connect(
            url=step.connect.url,
            fresh_until=moment(self._fresh_until(step, credential)),
            message_origin=self.message_origin,
        )

    def _fresh_until(self, step: Step, credential: Standing | None) -> Instant | None:
        """Return until when a popup may be opened as the step is; a listing of another Zapier account serves never."""
        if step.connect is None or step.baseline is None:
            return None
        if credential is None or credential.account != step.baseline.account:
            return None
        return min(step.baseline.taken_at, step.connect.read_at) + self.baseline_fresh


def _zap(zap: Zap) -> answers.Zap:
    return answers.Zap(
        state=zap.state,
        id=zap.id,
        editor_url=zap.editor_url,
        problem=zap.problem,
        matches=tuple(answers.ZapMatch.of(match) for match in zap.matches),
    )


def rendering(settings: Settings) -> Render:
    """Return what writes webhook messages down, as JSON."""
    views = Views.of(settings)
    return lambda event, snapshot: msgspec.json.encode(views.message(event, snapshot))


def webhook(endpoint: Endpoint) -> answers.Webhook:
    """Show an endpoint without its secrets."""
    return answers.Webhook(**_webhook(endpoint))


def created_webhook(made: Made) -> answers.CreatedWebhook:
    """Show an endpoint with its newest secret."""
    return answers.CreatedWebhook(**_webhook(made.endpoint), secret=made.secret)


def tested(answer: Answer) -> answers.WebhookTested:
    """Show what came of a test."""
    return answers.WebhookTested(
        received=answer.is_receipt,
        status=answer.status,
        took_ms=answer.took,
        problem=answer.problem,
        answer=answer.text,
    )


def deliveries(page: DeliveryPage) -> answers.DeliveryPage:
    """Show a page of deliveries."""
    return answers.DeliveryPage(deliveries=tuple(map(delivery, page.deliveries)), cursor=page.cursor)


def delivery(kept: Delivery) -> answers.Delivery:
    """Show a delivery with its tries."""
    return answers.Delivery(
        session_id=kept.lane.session_id,
        seq=kept.seq,
        event=kept.name,
        message_id=kept.message_id,
        state=kept.state,
        created_at=timestamp(kept.created_at),
        next_try_at=moment(kept.next_at),
        failures=kept.failures,
        tries=tuple(map(_try, kept.tries)),
    )


def story_delivery(kept: Delivery) -> answers.StoryDelivery:
    """Show a delivery, and to which endpoint."""
    return answers.StoryDelivery(**delivery(kept).parts(), webhook_id=kept.lane.endpoint_id)


def apps(page: AppPage) -> answers.AppPage:
    """Show a page of the catalogue."""
    return answers.AppPage(apps=tuple(_app(found) for found in page.apps), cursor=page.cursor)


def actions(found: tuple[CatalogAction, ...]) -> answers.ActionList:
    """Show what an app can do; the ids Zapier gives actions are left out, for they do not last."""
    return answers.ActionList(actions=tuple(answers.FoundAction.of(action) for action in found))


def popup(opened: OpenedPopup) -> answers.OpenedPopup:
    """Show an attempt and where its popup goes."""
    return answers.OpenedPopup(
        attempt_id=opened.attempt.id, url=opened.url, deadline=timestamp(opened.attempt.deadline)
    )


def form(step: Step, found: Form, problems: tuple[FieldFlaw, ...]) -> answers.Form:
    """Show what an action asks for."""
    return answers.Form(
        fields=tuple(_part(part) for part in found.parts),
        inputs=step.inputs,
        problems=tuple(answers.FieldFlaw.of(flaw) for flaw in problems),
    )


def filling(filled: Filling, session: answers.Session) -> answers.Filling:
    """Show a form after a change."""
    shown = form(filled.step, filled.form, filled.problems)
    return answers.Filling(**shown.parts(), cleared=filled.cleared, session=session)


def choices(found: Found) -> answers.ChoicePage:
    """Show what a field may be."""
    return answers.ChoicePage(
        choices=tuple(answers.Choice.of(one) for one in found.choices),
        looked_through=found.looked_through,
        cursor=found.cursor,
    )


def outputs(step_id: str, found: tuple[Output, ...]) -> answers.OutputList:
    """Show what a step gives."""
    return answers.OutputList(
        outputs=tuple(
            answers.Output(id=one.id, title=one.title, sample=one.sample, reference=reference(step_id, one.id))
            for one in found
        )
    )


def test_run(run: StepTestRun) -> answers.StepTestRun:
    """Show what came of carrying an action out."""
    return answers.StepTestRun.of(run)


def _part(part: FormPart) -> answers.FormPart:
    fields = tuple(_field(one) for one in part.fields) if isinstance(part, Fieldset) else ()
    return answers.FormPart(**_field(part).parts(), fields=fields)


def _field(part: FormPart) -> answers.FormField:
    if isinstance(part, InputField):
        return answers.FormField(
            kind="input",
            id=part.id,
            title=part.title,
            description=part.description,
            value_type=part.value_type,
            format=part.format,
            is_required=part.is_required,
            default=part.default,
            placeholder=part.placeholder,
            depends_on=part.depends_on,
            invalidates=part.invalidates,
            items=part.items if part.value_type is ValueType.ARRAY else None,
        )
    return answers.FormField(
        kind="info" if isinstance(part, InfoField) else "fieldset",
        id=part.id,
        title=part.title if isinstance(part, Fieldset) else "",
        description=part.description if isinstance(part, InfoField) else "",
        value_type=None,
        format=None,
        is_required=False,
        default=None,
        placeholder="",
        depends_on=(),
        invalidates=False,
        items=None,
    )


def credential(kept: Credential) -> answers.Credential:
    """Show a credential without its token."""
    return answers.Credential(
        user_id=kept.user_id,
        state=kept.state,
        account=kept.email,
        expires_at=moment(kept.expires_at),
        has_refresh_token=kept.has_refresh_token,
    )


def signals(heard: tuple[SignalRecord, ...]) -> answers.SignalLog:
    """Show what was heard of a session."""
    return answers.SignalLog(signals=tuple(_signal(record) for record in heard))


def _signal(record: SignalRecord) -> answers.SignalRecord:
    return answers.SignalRecord(
        at=timestamp(record.at),
        signal=record.signal,
        outcome=record.outcome,
        step_id=record.step_id,
        attempt_id=record.attempt_id,
        detail=record.detail,
    )


def why(about: str, diagnosis: Diagnosis) -> answers.Why:
    """Show what is going on."""
    return answers.Why(
        about=about,
        title=diagnosis.title,
        verdict=diagnosis.verdict,
        findings=tuple(map(answers.Finding.of, diagnosis.findings)),
    )


def audit(page: AuditPage) -> answers.AuditPage:
    """Show a page of the audit."""
    return answers.AuditPage(entries=tuple(map(audit_entry, page.entries)), cursor=page.cursor)


def audit_entry(entry: AuditEntry) -> answers.AuditEntry:
    """Show what an operator did."""
    return answers.AuditEntry(**{**vars(entry), "at": timestamp(entry.at)})


def _story_attempt(step_id: str, attempt: Attempt) -> answers.StoryAttempt:
    return answers.StoryAttempt(
        id=attempt.id,
        step_id=step_id,
        app_id=attempt.app_id,
        opened_at=timestamp(attempt.opened_at),
        deadline=timestamp(attempt.deadline),
        ended=attempt.ended,
        offers_only=attempt.offers_only,
        hints=tuple(answers.HintSeen(kind=hint.kind, at=timestamp(hint.at)) for hint in attempt.hints),
        pending_messages=len(attempt.messages),
        visible_until=moment(attempt.visible_until or None),
        page_gone=attempt.page_gone,
    )


def _story_watch(watch: Watch) -> answers.StoryWatch:
    is_paused = watch.retry_at == PAUSED
    return answers.StoryWatch(
        app_id=watch.key.app_id,
        next_check_at=moment(watch.next_check_at),
        checks=tuple(map(timestamp, watch.checks)),
        failures=watch.failures,
        retry_at=None if is_paused else moment(watch.retry_at),
        paused=is_paused,
        leased_until=moment(watch.lease_until) if watch.lease_token is not None else None,
        waiting=len(watch.waiters),
        popups=len(watch.popups),
    )


def _call(call: CallRecord) -> answers.UpstreamCall:
    return answers.UpstreamCall(
        at=timestamp(call.at),
        endpoint=call.endpoint,
        app_id=call.app_id,
        status=call.status,
        problem=call.problem,
        took_ms=call.took,
    )


def _webhook(endpoint: Endpoint) -> dict[str, Any]:
    return {
        "id": endpoint.id,
        "url": endpoint.url,
        "session_id": endpoint.session_id,
        "events": tuple(name for name in EventName if name in endpoint.events),
        "description": endpoint.description,
        "created_at": timestamp(endpoint.created_at),
        "paused": endpoint.paused,
        "paused_at": moment(endpoint.paused_at),
    }


def _try(made: Try) -> answers.Try:
    return answers.Try(
        at=timestamp(made.at), took_ms=made.took, status=made.status, problem=made.problem, answer=made.answer
    )


def connect_link(link: ConnectLink, step: Step, session: Session, *, now: Instant) -> answers.ConnectLink:
    """Show a connect link; its token is not kept, so its address is not shown."""
    return answers.ConnectLink(
        id=link.id,
        step_id=step.id,
        state=state_of(link, step, session, now=now),
        made_at=timestamp(link.made_at),
        expires_at=timestamp(link.expires_at),
        opened_at=moment(link.browser.at if link.browser else None),
        return_url=link.return_url,
        waiting=tuple(answers.WaitingBrowser(code=one.code, since=timestamp(one.at)) for one in link.waiting),
    )


def _evidence(evidence: Evidence) -> answers.Evidence:
    return answers.Evidence(
        channels=evidence.channels, checked_at=timestamp(evidence.checked_at), attempt_id=evidence.attempt_id
    )


def _attempt(step: Step, snapshot: Snapshot) -> answers.Attempt | None:
    attempt = step.live_attempt
    if attempt is None:
        return None
    return answers.Attempt(
        id=attempt.id,
        opened_at=timestamp(attempt.opened_at),
        deadline=timestamp(attempt.deadline),
        next_check_at=moment(snapshot.next_checks.get(attempt.app_id)),
    )


def _event(event: Event) -> answers.Event:
    return answers.Event(
        seq=event.seq, name=event.name, at=timestamp(event.at), step_id=event.step_id, data=data(event.data)
    )


def data(found: JsonObject) -> JsonObject:
    """Show an event's data."""
    return {
        name: timestamp(value) if name in _INSTANTS and isinstance(value, int) else value
        for name, value in found.items()
    }


def _app(found: CatalogApp) -> answers.FoundApp:
    return answers.FoundApp(
        id=found.app.id,
        title=found.app.title,
        image=found.app.image,
        hex_color=found.app.hex_color,
        description=found.description,
        action_types=found.action_types,
        needs_authentication=found.connect is not None,
    )
