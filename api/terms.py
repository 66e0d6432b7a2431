"""The terms of a request, as its headers say them: `Idempotency-Key` of every POST, `If-Match` of every write."""

from __future__ import annotations

import hashlib
import re
from typing import Annotated, Final

import msgspec
from fastapi import Depends, Header, Request, Response
from pydantic.config import JsonDict

from api.auth import Caller, CallerDep
from api.errors import RequestInvalidError
from api.headers import header_lines
from api.limits import DOCUMENT, NO_DOCUMENT
from api.schemas.fields import Omittable
from orchestrator.core.terms import Idempotency, Terms

IDEMPOTENCY_KEY: Final = "Idempotency-Key"
IF_MATCH: Final = "If-Match"
IF_NONE_MATCH: Final = "If-None-Match"
REPLAYED: Final = "Idempotency-Replayed"
LONGEST_KEY: Final = 255

_IDEMPOTENCY_KEY, _IF_MATCH, _IF_NONE_MATCH = (
    name.lower().encode() for name in (IDEMPOTENCY_KEY, IF_MATCH, IF_NONE_MATCH)
)

_BARE: Final = rf"[!#-~][ -~]{{0,{LONGEST_KEY - 1}}}"
_QUOTED: Final = rf'"(?:[ !#-\[\]-~]|\\["\\]){{1,{LONGEST_KEY}}}"'
_KEY: Final = re.compile(f"{_BARE}|{_QUOTED}")
_ESCAPED: Final = re.compile(r"\\(.)")
_TAG: Final = r'(?:W/)?"[!#-~\x80-\xff]*"'
_TAGS: Final = re.compile(rf"[ \t]*\*[ \t]*|[ \t,]*{_TAG}(?:[ \t]*,[ \t,]*{_TAG})*[ \t,]*")
_PARTS: Final = re.compile(r'(W/)?"([^"]*)"')
_SEQ: Final = re.compile(r"0|[1-9][0-9]{0,15}")
_DIGEST_SIZE: Final = 16
_OPERATORS: Final = " operators"


def _described(form: re.Pattern[str]) -> JsonDict:
    """Say of a header what it must be like; what it is, `key_of` and `seqs_of` find out, which see every line of it."""
    return {"pattern": f"^(?:{form.pattern})$"}


Key = Annotated[
    Omittable[str],
    Header(
        alias=IDEMPOTENCY_KEY,
        json_schema_extra=_described(_KEY),
        description="Names this request, so that it is carried out once however often it comes; the same key with "
        "another body is refused. 1 to 255 printable ASCII characters, bare or as a structured-field string.",
    ),
]
Match = Annotated[
    Omittable[str],
    Header(
        alias=IF_MATCH,
        json_schema_extra=_described(_TAGS),
        description="Write only if the session is at one of these entity tags (`ETag` of what you read); `*` is any.",
    ),
]
NoneMatch = Annotated[
    Omittable[str],
    Header(
        alias=IF_NONE_MATCH,
        json_schema_extra=_described(_TAGS),
        description="Answer 304 if the session is still at one of these entity tags.",
    ),
]


def key_of(lines: list[str]) -> str:
    """Read an idempotency key. Raises RequestInvalidError."""
    value = lines[0] if len(lines) == 1 else ""
    if not _KEY.fullmatch(value):
        raise RequestInvalidError.of_parameter(
            IDEMPOTENCY_KEY, f"send one key of 1 to {LONGEST_KEY} printable ASCII characters"
        )
    return _ESCAPED.sub(r"\1", value[1:-1]) if value.startswith('"') else value


def seqs_of(lines: list[str], *, header: str, takes_weak: bool) -> frozenset[int] | None:
    """Read entity tags (RFC 9110) as the sequence numbers they stand for, None for `*`.

    A tag that is none of ours stands for nothing, nor does a weak one unless it is taken. Raises RequestInvalidError.
    """
    value = ", ".join(lines)
    if not _TAGS.fullmatch(value):
        raise RequestInvalidError.of_parameter(header, 'send entity tags such as "7", or *')
    if value.strip() == "*":
        return None
    tags = [tag for weak, tag in _PARTS.findall(value) if takes_weak or not weak]
    return frozenset(int(tag) for tag in tags if _SEQ.fullmatch(tag))


def etag(seq: int) -> str:
    """Return the entity tag of a session at this sequence number."""
    return f'"{seq}"'


async def idempotency(request: Request, caller: CallerDep, _: Key = None) -> Idempotency | None:
    """Return what the request is recognised by when it comes again, None when it has no key.

    The sender is the tenant, not the one API key or token it used: a key that is replaced between a request and its
    repeat must not make two of them. So operators are one sender, too, and none that a tenant's name could be.
    """
    lines = header_lines(request.scope, _IDEMPOTENCY_KEY)
    if not lines:
        return None
    return _named(request, caller, key_of(lines), said=request.scope[DOCUMENT])


async def secret_idempotency(request: Request, caller: CallerDep, _: Key = None) -> Idempotency | None:
    """Return what a request is recognised by whose `fields` are secret: what they hold has no part in it.

    Nobody who reads the store can then try out what they held. The price: with another secret and the same key it is
    the same request.
    """
    lines = header_lines(request.scope, _IDEMPOTENCY_KEY)
    if not lines:
        return None
    document = request.scope[DOCUMENT]
    fields = document.get("fields") if isinstance(document, dict) else None
    if isinstance(document, dict) and isinstance(fields, dict):
        document = {**document, "fields": sorted(fields)}
    return _named(request, caller, key_of(lines), said=document)


def _named(request: Request, caller: Caller, key: str, *, said: object) -> Idempotency:
    named = [caller.tenant_id or _OPERATORS, request.method, request.scope["path"], key]
    document = msgspec.json.encode({} if said is NO_DOCUMENT else said, order="sorted")
    return Idempotency(name=_digest(msgspec.json.encode(named)), fingerprint=_digest(document))


async def conditional(request: Request, _: Match = None) -> Terms:
    """Return the terms of a write that may be repeated anyway."""
    lines = header_lines(request.scope, _IF_MATCH)
    return Terms(seqs=seqs_of(lines, header=IF_MATCH, takes_weak=False)) if lines else Terms()


async def keyed(idempotency: Annotated[Idempotency | None, Depends(idempotency)]) -> Terms:
    """Return the terms of a POST that concerns no session there is."""
    return Terms(idempotency=idempotency)


async def keyed_conditional(
    idempotency: Annotated[Idempotency | None, Depends(idempotency)],
    terms: Annotated[Terms, Depends(conditional)],
) -> Terms:
    """Return the terms of a POST that changes a session."""
    return Terms(idempotency=idempotency, seqs=terms.seqs)


async def secret_keyed_conditional(
    idempotency: Annotated[Idempotency | None, Depends(secret_idempotency)],
    terms: Annotated[Terms, Depends(conditional)],
) -> Terms:
    """Return the terms of a POST that changes a session, and whose `fields` are secret."""
    return Terms(idempotency=idempotency, seqs=terms.seqs)


Conditional = Annotated[Terms, Depends(conditional)]
Keyed = Annotated[Terms, Depends(keyed)]
KeyedConditional = Annotated[Terms, Depends(keyed_conditional)]
SecretKeyedConditional = Annotated[Terms, Depends(secret_keyed_conditional)]


def is_known(request: Request, seq: int) -> bool:
    """Tell whether whoever reads has the session at this sequence number already (`If-None-Match`)."""
    lines = header_lines(request.scope, _IF_NONE_MATCH)
    if not lines:
        return False
    seqs = seqs_of(lines, header=IF_NONE_MATCH, takes_weak=True)
    return seqs is None or seq in seqs


def mark_replay(response: Response, *, is_replay: bool) -> None:
    """Say that the request had been carried out before."""
    if is_replay:
        response.headers[REPLAYED] = "true"


def _digest(text: bytes) -> str:
    return hashlib.blake2b(text, digest_size=_DIGEST_SIZE).hexdigest()
