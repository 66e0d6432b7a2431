"""Documents of every version that was ever written are read for ever."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from orchestrator.store.codec import (
    DocumentError,
    decode_delivery,
    decode_endpoint,
    decode_event,
    decode_receipt,
    decode_session,
    decode_signal,
    encode,
    encode_sparse,
)

FIXTURES = Path(__file__).parent / "fixtures"


def common(written: object, rewritten: object) -> object:
    """Give of what was rewritten the parts that had been written: later releases add fields, at any depth."""
    if isinstance(written, dict) and isinstance(rewritten, dict):
        return {name: common(written[name], rewritten[name]) for name in written}
    if isinstance(written, list) and isinstance(rewritten, list):
        return [common(*pair) for pair in zip(written, rewritten, strict=True)]
    return rewritten


def test_a_session_of_version_1_is_read_without_loss() -> None:
    """Everything that was written is in the value that is read, and is written again."""
    written = (FIXTURES / "session-1.json").read_bytes()

    rewritten = json.loads(encode(decode_session(written)))
    assert json.loads(written) == common(json.loads(written), rewritten)


def test_a_document_without_what_is_usual_says_the_same() -> None:
    """And which version it is; what was given by users stays as they gave it."""
    session = decode_session((FIXTURES / "session-1.json").read_bytes())
    given = replace(session, metadata={"empty": None, "list": [], "of": {}})

    sparse = encode_sparse(given)

    assert decode_session(sparse) == given
    assert len(sparse) < len(encode(given))
    assert json.loads(sparse)["document"] == 1


def test_all_that_lies_beside_sessions_is_read_without_loss() -> None:
    """They have no version of their own; what is written of them stays readable."""
    event = (FIXTURES / "event-1.json").read_bytes()
    record = (FIXTURES / "signal-1.json").read_bytes()
    receipt = (FIXTURES / "receipt-1.json").read_bytes()
    endpoint = (FIXTURES / "endpoint-1.json").read_bytes()
    delivery = (FIXTURES / "delivery-1.json").read_bytes()

    assert json.loads(event) == json.loads(encode(decode_event(event)))
    assert json.loads(record) == json.loads(encode(decode_signal(record)))
    assert json.loads(receipt) == json.loads(encode(decode_receipt(receipt)))
    assert json.loads(endpoint) == json.loads(encode(decode_endpoint(endpoint)))
    assert json.loads(delivery) == json.loads(encode(decode_delivery(delivery)))


def test_a_document_of_a_later_release_is_refused() -> None:
    """A deployment that was rolled back says so, instead of writing what it did not understand."""
    later = json.loads((FIXTURES / "session-1.json").read_bytes()) | {"document": 2}

    with pytest.raises(DocumentError, match="version 2; this release reads 1"):
        decode_session(json.dumps(later).encode())


@pytest.mark.parametrize("document", [b"", b"{}", b"[1]", b"\xff", b'{"id": 7}'])
def test_what_is_no_document_is_said_to_be_none(document: bytes) -> None:
    """The error is the store's, not a crash."""
    with pytest.raises(DocumentError):
        decode_session(document)
