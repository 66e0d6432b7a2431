"""Documents: how sessions, events, signal records, receipts, sign-ins, endpoints and deliveries are written down.

JSON, so that a person can read it in the store. A document says in `document` which version it is; this release writes
version 1 and reads version 1.
"""

from __future__ import annotations

from dataclasses import MISSING, Field, fields, is_dataclass
from typing import TypeVar

import msgspec

from orchestrator.core.deliveries import Delivery
from orchestrator.core.endpoints import Endpoint
from orchestrator.core.errors.store import StoreError
from orchestrator.core.events import Event
from orchestrator.core.interventions import AuditEntry
from orchestrator.core.ports.calls import CallRecord
from orchestrator.core.ports.sessions import Receipt, SignalRecord
from orchestrator.core.ports.workers import WorkerReport
from orchestrator.core.session import DOCUMENT_VERSION, Session
from orchestrator.core.sign_ins import SignIn

_Document = TypeVar("_Document")

_encoder = msgspec.json.Encoder()
_session = msgspec.json.Decoder(Session)
_event = msgspec.json.Decoder(Event)
_signal = msgspec.json.Decoder(SignalRecord)
_receipt = msgspec.json.Decoder(Receipt)
_endpoint = msgspec.json.Decoder(Endpoint)
_sign_in = msgspec.json.Decoder(SignIn)
_delivery = msgspec.json.Decoder(Delivery)
_audit_entry = msgspec.json.Decoder(AuditEntry)
_call = msgspec.json.Decoder(CallRecord)
_worker = msgspec.json.Decoder(WorkerReport)


class DocumentError(StoreError):
    """What is written in the store is no document of a version this release reads."""

    code = "document"


def encode(value: object) -> bytes:
    """Write a value of the core as JSON."""
    return _encoder.encode(value)


def encode_sparse(value: object) -> bytes:
    """Write a value of the core without the members that are as they are by default: shorter, read back as the same.

    So a default is part of what a version of a document means; which version it is always stands there.
    """
    return _encoder.encode(_sparse(value))


def _sparse(value: object) -> object:
    if isinstance(value, tuple):
        return [_sparse(one) for one in value]
    if not is_dataclass(value) or isinstance(value, type):
        return value
    kept = ((field, getattr(value, field.name)) for field in fields(value))
    return {field.name: _sparse(found) for field, found in kept if field.name == "document" or found != _default(field)}


def _default(field: Field[object]) -> object:
    return field.default if field.default_factory is MISSING else field.default_factory()


def decode_session(document: bytes) -> Session:
    """Read a session. Raises DocumentError."""
    session = _decoded(_session, document)
    if session.document != DOCUMENT_VERSION:
        raise DocumentError(
            f"session {session.id} is a document of version {session.document}; this release reads {DOCUMENT_VERSION}"
        )
    return session


def decode_event(document: bytes) -> Event:
    """Read an event. Raises DocumentError."""
    return _decoded(_event, document)


def decode_signal(document: bytes) -> SignalRecord:
    """Read a signal record. Raises DocumentError."""
    return _decoded(_signal, document)


def decode_receipt(document: bytes) -> Receipt:
    """Read a receipt. Raises DocumentError."""
    return _decoded(_receipt, document)


def decode_endpoint(document: bytes) -> Endpoint:
    """Read an endpoint; its secrets are as they were written. Raises DocumentError."""
    return _decoded(_endpoint, document)


def decode_sign_in(document: bytes) -> SignIn:
    """Read a sign-in. Raises DocumentError."""
    return _decoded(_sign_in, document)


def decode_delivery(document: bytes) -> Delivery:
    """Read a delivery. Raises DocumentError."""
    return _decoded(_delivery, document)


def decode_audit_entry(document: bytes) -> AuditEntry:
    """Read an entry of the audit. Raises DocumentError."""
    return _decoded(_audit_entry, document)


def decode_call(document: bytes) -> CallRecord:
    """Read the record of a call. Raises DocumentError."""
    return _decoded(_call, document)


def decode_worker(document: bytes) -> WorkerReport:
    """Read what a worker said of itself. Raises DocumentError."""
    return _decoded(_worker, document)


def _decoded(decoder: msgspec.json.Decoder[_Document], document: bytes) -> _Document:
    try:
        return decoder.decode(document)
    except msgspec.MsgspecError as error:
        raise DocumentError(f"the store holds what is no document of this release: {error}") from error
