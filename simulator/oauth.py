"""The token endpoint (Zapier docs: user-access-token). Its errors are undocumented; here they are those of RFC 6749."""

from collections.abc import Mapping
from email import message_from_bytes
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import Request

from simulator.accounts import secret_of
from simulator.answers import Answer, Document
from simulator.gateway import Call, Handle, basic_of
from simulator.tokens import Issued, NotGoodError

_MOST_BYTES: Final = 65_536
_UNCACHED: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_MULTIPART: Final = "multipart/form-data"


async def token(call: Call) -> Answer:
    """`POST /oauth/token/`: exchanges a code, or a refresh token, for tokens."""
    form = form_of(call)
    client_id, secret = _client(call.request, form)
    if not client_id or secret != secret_of(client_id):
        return _refused("invalid_client", status=401)
    tokens, now, switches = call.upstream.tokens, call.now, call.switches.tokens
    try:
        match form:
            case {"grant_type": "authorization_code", "code": code, "redirect_uri": uri}:
                issued = tokens.redeem(code, client_id=client_id, redirect_uri=uri, now=now, switches=switches)
            case {"grant_type": "refresh_token", "refresh_token": refresh_token}:
                issued = tokens.refresh(refresh_token, client_id=client_id, now=now, switches=switches)
            case {"grant_type": "authorization_code" | "refresh_token"}:
                return _refused("invalid_request")
            case _:
                return _refused("unsupported_grant_type")
    except NotGoodError:
        return _refused("invalid_grant")
    return Answer(200, token_document(issued), dict(_UNCACHED))


#: Each endpoint and what answers it.
TOKENS: Final[Mapping[str, Handle]] = {"POST /oauth/token/": token}


def token_document(issued: Issued) -> Document:
    """Return tokens as the endpoint hands them out."""
    return {
        "access_token": issued.access_token,
        "expires_in": issued.expires_in,
        "token_type": "Bearer",
        "scope": issued.scope,
        "refresh_token": issued.refresh_token,
    }


def form_of(call: Call) -> dict[str, str]:
    """Return a form's fields, sent urlencoded or as multipart; none of one that is too big."""
    body = call.body
    if body is None or len(body) > _MOST_BYTES:
        return {}
    kind = call.request.headers.get("content-type", "")
    if not kind.lower().startswith(_MULTIPART):
        return dict(parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True))
    whole = message_from_bytes(b"Content-Type: " + kind.encode("latin-1") + b"\r\n\r\n" + body)
    fields = {}
    for part in whole.walk():
        content = part.get_payload(decode=True)
        if isinstance(content, bytes):
            fields[str(part.get_param("name", header="content-disposition"))] = content.decode("utf-8", "replace")
    return fields


def _client(request: Request, form: Mapping[str, str]) -> tuple[str, str]:
    """Return the client's id and secret: those of the header, else those in the body."""
    client_id, secret = basic_of(request)
    return (client_id, secret) if client_id else (form.get("client_id", ""), form.get("client_secret", ""))


def _refused(error: str, *, status: int = 400) -> Answer:
    return Answer(status, {"error": error}, dict(_UNCACHED))
