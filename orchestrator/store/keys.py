"""Every name the store uses: keys, the members that stand for something else, and channels.

A key of a user's things carries the tag `{NN}` of the user's shard (two hexadecimal digits), so that one script may
touch them all and a cluster keeps them on one node; the budget's keys share `{budget}`; what belongs to a tenant as a
whole carries the tenant's own tag. Ids that came from outside are percent-encoded, so that no id can be mistaken for a
part of a name.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache, lru_cache
from typing import Final
from urllib.parse import quote, unquote

from orchestrator.core.deliveries import Lane
from orchestrator.core.health import Popups
from orchestrator.core.ports.watches import Claim, Waiter
from orchestrator.core.session import Instant, WatchKey
from orchestrator.core.waiting import Waiting

SHARDS: Final = "zw:shards"
"""string: the number of shards, fixed at the first start."""

CHANGED: Final = "zw:changed:"
"""Channels: a session was committed; its id follows."""

DUE: Final = "zw:due"
"""Channel: a watch is due at once."""

DEAD: Final = "!dead:"
"""Beginning of `dead_member`s."""

OUTGOING: Final = "zw:outgoing"
"""Channel: an outbox that was empty is so no more."""


_PREFIXES: Final = tuple(f"zw:{{{shard:02x}}}" for shard in range(256))
_UNRESERVED: Final = re.compile(r"[A-Za-z0-9_.~-]*")


def _shard(shard: int, *parts: str) -> str:
    return ":".join((_PREFIXES[shard], *parts))


@lru_cache(maxsize=1024)
def _quoted(*ids: str) -> str:
    return ":".join([part if _UNRESERVED.fullmatch(part) else quote(part, safe="") for part in ids])


def _quoted_once(text: str) -> str:
    """Write what is hardly ever written twice."""
    return text if _UNRESERVED.fullmatch(text) else quote(text, safe="")


@lru_cache(maxsize=1024)
def _session(shard: int, session_id: str) -> str:
    return _shard(shard, "session", _quoted(session_id))


@lru_cache(maxsize=1024)
def _user(shard: int, tenant_id: str, user_id: str) -> str:
    return _shard(shard, "user", _quoted(tenant_id, user_id))


def _watch(shard: int, key: WatchKey) -> str:
    return f"{_PREFIXES[shard]}:watch:{_quoted(key.tenant_id, key.user_id, key.app_id)}"


# --- sessions -------------------------------------------------------------------------------------------------


def session(shard: int, session_id: str) -> str:
    """hash: `document` (JSON), `version`, `commit_id`, and by line `index` (its members there) and `errors`.

    `stages` are those it came to, each with a semicolon. `errors` are the references that are in `quoted`.
    In a trimmed session's `index` "@" stands for its place, with which the first line ends.
    """
    return _session(shard, session_id)


def events(shard: int, session_id: str) -> str:
    """stream: the session's events; entry id `<seq>-0`, field `event` (JSON)."""
    return f"{_session(shard, session_id)}:events"


def signals(shard: int, session_id: str) -> str:
    """list: the session's signal records (JSON), oldest first."""
    return f"{_session(shard, session_id)}:signals"


@lru_cache(maxsize=1024)
def index(shard: int, tenant_id: str) -> str:
    """zset, every score 0: `index_group`s, each followed by an `index_place`, read by lexicographic range."""
    return _shard(shard, "index", _quoted(tenant_id))


@lru_cache(maxsize=1024)
def waiting(shard: int, tenant_id: str) -> str:
    """hash: id of a session in which somebody waits → `waiting_value`."""
    return _shard(shard, "waiting", _quoted(tenant_id))


@lru_cache(maxsize=1024)
def hour(shard: int, begun: Instant) -> str:
    """hash: `stage_field`, `popup_field`, `call_field` → how often; `title_field` → title. It expires by itself."""
    return _shard(shard, "hour", str(begun))


@lru_cache(maxsize=1024)
def minute(shard: int, begun: Instant) -> str:
    """hash: `popup_field`, `call_field` → how often. It expires by itself."""
    return _shard(shard, "minute", str(begun))


@cache
def quoted(shard: int) -> str:
    """hash: reference of an error → id of the session that it was about; of each session the newest."""
    return _shard(shard, "quoted")


def open_sessions(shard: int, tenant_id: str, user_id: str) -> str:
    """zset: ids of the user's sessions that have not ended, by creation."""
    return f"{_user(shard, tenant_id, user_id)}:sessions"


def references(shard: int, tenant_id: str, user_id: str) -> str:
    """hash: reference → id of the user's session that has it and has not ended."""
    return f"{_user(shard, tenant_id, user_id)}:references"


def receipts(shard: int, tenant_id: str, user_id: str) -> str:
    """hash: name → receipt (JSON) of a request that concerned the user."""
    return f"{_user(shard, tenant_id, user_id)}:receipts"


@cache
def good_receipts(shard: int) -> str:
    """zset: receipts, as `receipt_member`, by until when they are good."""
    return _shard(shard, "receipts")


def receipt_member(tenant_id: str, user_id: str, name: str) -> str:
    """Name a receipt inside its shard."""
    return f"{_quoted(tenant_id, user_id)}:{_quoted_once(name)}"


def member_receipt(member: str) -> tuple[str, str, str]:
    """Read `receipt_member` back: tenant, user and name."""
    tenant_id, user_id, name = (unquote(part) for part in member.split(":"))
    return tenant_id, user_id, name


def bound(tenant_id: str, name: str) -> str:
    """string: `<until> <fingerprint>` of the body a request was sent with; it also expires by itself."""
    return f"zw:{{tenant:{_quoted(tenant_id)}}}:bound:{_quoted_once(name)}"


@cache
def audit(shard: int) -> str:
    """hash: id → audit entry (JSON)."""
    return _shard(shard, "audit")


@cache
def audit_index(shard: int) -> str:
    """zset, every score 0: `<dimension>:<value>:<at>:<entry id>`, read by lexicographic range."""
    return _shard(shard, "audit", "index")


def calls(shard: int, tenant_id: str, user_id: str) -> str:
    """list: records (JSON) of calls made to Zapier for the user, oldest first; it also expires by itself."""
    return f"{_user(shard, tenant_id, user_id)}:calls"


@cache
def wake(shard: int) -> str:
    """zset: session ids, by when the sweeper should look at them."""
    return _shard(shard, "wake")


@cache
def outbox(shard: int) -> str:
    """stream: the shard's events in commit order; entry id `0-<n>`, fields `session`, `tenant` and `event` (JSON)."""
    return _shard(shard, "outbox")


# --- watches --------------------------------------------------------------------------------------------------


def watch(shard: int, key: WatchKey) -> str:
    """hash: `version`, `checks`, `failures`, `retry_at`, `lease_token`, `lease_until`, and wanted `strong`, `quiet`."""
    return _watch(shard, key)


def waiters(shard: int, key: WatchKey) -> str:
    """set: the steps that wait, as `waiter_member`."""
    return f"{_watch(shard, key)}:waiters"


def popups(shard: int, key: WatchKey) -> str:
    """zset: popups that may still yield an authentication, as `popup_member`, by until when."""
    return f"{_watch(shard, key)}:popups"


def claims(shard: int, key: WatchKey) -> str:
    """hash: authentication id → `<at>`, or `<at> <waiter member>` while a step has it by difference alone."""
    return f"{_watch(shard, key)}:claims"


@cache
def strong(shard: int) -> str:
    """zset: watch names, by when a signal makes them due (leases and retries reckoned in)."""
    return _shard(shard, "due", "strong")


@cache
def quiet(shard: int) -> str:
    """zset: watch names, by when they are due without news (leases and retries reckoned in)."""
    return _shard(shard, "due", "quiet")


@cache
def visible(shard: int) -> str:
    """zset: watch names, by until when the page of somebody who waits is in front of them."""
    return _shard(shard, "due", "visible")


@cache
def pages(shard: int) -> str:
    """hash: watch name → pages of its last complete listing, for watches that have more than one."""
    return _shard(shard, "pages")


@cache
def kept(shard: int) -> str:
    """zset: watch names, by a time not later than their oldest claim, or their last commit when they have no claim."""
    return _shard(shard, "kept")


def user_watches(shard: int, tenant_id: str, user_id: str) -> str:
    """set: app ids of the user's watches."""
    return f"{_user(shard, tenant_id, user_id)}:watches"


def watch_name(key: WatchKey) -> str:
    """Name a watch inside its shard's keys."""
    return _quoted(key.tenant_id, key.user_id, key.app_id)


def watches_of(tenant_id: str) -> str:
    """Begin the names of all watches of a tenant."""
    return f"{_quoted(tenant_id)}:"


def named_watch(name: str) -> WatchKey:
    """Read `watch_name` back."""
    tenant_id, user_id, app_id = (unquote(part) for part in name.split(":"))
    return WatchKey(tenant_id=tenant_id, user_id=user_id, app_id=app_id)


def waiter_member(waiter: Waiter) -> str:
    """Write a waiting step as a member."""
    return _quoted(waiter.session_id, waiter.step_id)


def member_waiter(member: str) -> Waiter:
    """Read `waiter_member` back."""
    session_id, step_id = (unquote(part) for part in member.split(":"))
    return Waiter(session_id=session_id, step_id=step_id)


def popup_member(waiter: Waiter, attempt_id: str) -> str:
    """Write a popup as a member; it begins with its waiter's member and a colon."""
    return f"{waiter_member(waiter)}:{_quoted_once(attempt_id)}"


def member_popup(member: str) -> tuple[Waiter, str]:
    """Read `popup_member` back: the waiter and the attempt's id."""
    waiter, _, attempt_id = member.rpartition(":")
    return member_waiter(waiter), unquote(attempt_id)


def claim_value(at: Instant, holder: Waiter | None) -> str:
    """Write a claim down."""
    return f"{at} {waiter_member(holder)}" if holder else str(at)


def claim_of(value: str) -> Claim:
    """Read `claim_value` back."""
    at, _, holder = value.partition(" ")
    return Claim(at=int(at), holder=member_waiter(holder) if holder else None)


# --- webhooks -------------------------------------------------------------------------------------------------


def tenant_endpoints(tenant_id: str) -> str:
    """hash: id → endpoint (JSON, its secrets sealed) that hears of every session of the tenant."""
    return f"zw:{{tenant:{_quoted(tenant_id)}}}:endpoints"


def session_endpoints(shard: int, session_id: str) -> str:
    """hash: id → endpoint (JSON, its secrets sealed) that hears of this session alone."""
    return f"{_session(shard, session_id)}:endpoints"


def deleted_endpoints(tenant_id: str) -> str:
    """zset: ids of endpoints of the tenant that were deleted, by until when none of that id may be made."""
    return f"zw:{{tenant:{_quoted(tenant_id)}}}:endpoints:deleted"


def session_deleted_endpoints(shard: int, session_id: str) -> str:
    """zset: the same for endpoints of a session."""
    return f"{_session(shard, session_id)}:endpoints:deleted"


def all_endpoints() -> tuple[str, str]:
    """Patterns of the hashes that hold endpoints, and of nothing else."""
    return "zw:{tenant:*}:endpoints", "zw:{*}:session:*:endpoints"


def session_lanes(shard: int, session_id: str) -> str:
    """hash: endpoint name → what is pending: JSON list of `[seq, tried_at, next_at, created_at, message id]`."""
    return f"{_session(shard, session_id)}:lanes"


def session_deliveries(shard: int, session_id: str) -> str:
    """hash: `<endpoint name>:<seq>` → delivery (JSON)."""
    return f"{_session(shard, session_id)}:deliveries"


def session_messages(shard: int, session_id: str) -> str:
    """hash: message id → the bytes that are sent; `<message id>#` → how many deliveries need them still."""
    return f"{_session(shard, session_id)}:messages"


@cache
def lanes(shard: int) -> str:
    """zset: lane names, by when something is due in them, or until when they are leased."""
    return _shard(shard, "lanes")


@cache
def lane_holders(shard: int) -> str:
    """hash: lane name → token of its lease."""
    return _shard(shard, "lanes", "holders")


@cache
def lanes_held(shard: int) -> str:
    """hash: endpoint name → how many of its lanes are leased."""
    return _shard(shard, "lanes", "held")


@cache
def received(shard: int) -> str:
    """hash: endpoint name → when it last received anything of a session of this shard."""
    return _shard(shard, "received")


@cache
def troubled(shard: int) -> str:
    """hash: endpoint name → how many tries in a row failed, of sessions of this shard."""
    return _shard(shard, "troubled")


@cache
def delivery_index(shard: int) -> str:
    """zset, every score 0: `delivery_member`s, read by lexicographic range."""
    return _shard(shard, "deliveries")


def endpoint_name(tenant_id: str, endpoint_id: str) -> str:
    """Name an endpoint inside a shard's keys."""
    return _quoted(tenant_id, endpoint_id)


def lane_name(lane: Lane) -> str:
    """Name a lane inside its shard's keys; it begins with its endpoint's name and a colon."""
    return _quoted(lane.tenant_id, lane.endpoint_id, lane.session_id)


def named_lane(name: str) -> Lane:
    """Read `lane_name` back."""
    tenant_id, endpoint_id, session_id = (unquote(part) for part in name.split(":"))
    return Lane(tenant_id=tenant_id, endpoint_id=endpoint_id, session_id=session_id)


def delivery_prefix(tenant_id: str, endpoint_id: str, state: str) -> str:
    """Begin the members of all deliveries of an endpoint in this state; what follows is age, then session and seq."""
    return f"{endpoint_name(tenant_id, endpoint_id)}:{state}:"


def dead_member(created_at: Instant, lane: Lane, seq: int) -> str:
    """Name a dead delivery among those of all endpoints, which have no name that begins like this."""
    return f"{DEAD}{created_at:015d}:{lane_name(lane)}:{seq:015d}"


def delivery_place(created_at: Instant, session_id: str, seq: int) -> str:
    """End the member of one delivery."""
    return f"{created_at:015d}:{session_id}:{seq}"


# --- index members --------------------------------------------------------------------------------------------


def index_prefix(dimension: str, value: str = "") -> str:
    """Begin the index members of all sessions with this value."""
    return f"{dimension}:{_quoted(value)}:"


def index_situation(status: str, state: str, reason: str | None) -> str:
    """Write where a session stands, as the middle of its index members."""
    return f"{status}:{state}:{reason or '-'}:"


def waiting_value(waiting: Waiting, tenant_id: str, user_id: str) -> str:
    """Write down who waits: since when, heard when (0: not), and the names of the watches they wait on."""
    names = [_quoted(tenant_id, user_id, app_id) for app_id in waiting.apps]
    return f"{waiting.since} {waiting.heard_at or 0} {' '.join(names)}"


def value_waiting(value: str) -> tuple[Waiting, tuple[str, ...]]:
    """Read `waiting_value` back: who waits, and the names of their watches."""
    since, heard_at, *names = value.split(" ")
    apps = tuple(unquoted(name[name.rindex(":") + 1 :]) for name in names)
    return Waiting(since=int(since), heard_at=int(heard_at) or None, apps=apps), tuple(names)


def stage_field(tenant_id: str, stage: str) -> str:
    """Name a stage in an hour's counts."""
    return f"s:{_quoted(tenant_id)}:{stage}"


def popup_field(popups: Popups, fate: str) -> str:
    """Name what became of popups of one kind, in an hour's or a minute's counts."""
    return f"p:{_quoted(popups.tenant_id, popups.app_id)}:{popups.browser}:{fate}"


def call_field(tenant_id: str, endpoint: str, end: str) -> str:
    """Name what became of calls of one kind, in an hour's or a minute's counts."""
    return f"c:{_quoted(tenant_id, endpoint)}:{end}"


def title_field(app_id: str) -> str:
    """Name an app's title in an hour's counts."""
    return f"t:{_quoted(app_id)}"


def unquoted(part: str) -> str:
    """Read an id back that was written as a part of a name."""
    return unquote(part) if "%" in part else part


def index_place(created_at: Instant, session_id: str) -> str:
    """End the index members of one session; lexicographic order is age, then id."""
    return f"{created_at:015d}:{session_id}"


# --- the rest -------------------------------------------------------------------------------------------------


def egress(name: str) -> str:
    """zset: permits held by this egress group, by until when; a permit's id ends in `!` once its call was answered."""
    return f"zw:{{budget}}:egress:{_quoted(name)}"


def partner(name: str) -> str:
    """zset: permits held by this partner, like `egress`."""
    return f"zw:{{budget}}:partner:{_quoted(name)}"


def user_share(name: str) -> str:
    """zset: permits held by what one user does, like `egress`; the name is not legible in it."""
    return f"zw:{{budget}}:user:{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def cooldown() -> str:
    """hash: `egress:<name>` or `partner:<name>` → until when no permit is given."""
    return "zw:{budget}:cooldown"


def cooldown_fields(egress_name: str, partner_name: str) -> tuple[str, str]:
    """Name both sides in the cooldown."""
    return f"egress:{_quoted(egress_name)}", f"partner:{_quoted(partner_name)}"


def permit_count() -> str:
    """string: how many permits were ever given; their ids are its values."""
    return "zw:{budget}:permits"


def credential(shard: int, tenant_id: str, user_id: str) -> str:
    """hash: `generation`, `sealed` (the encrypted token), `state`, `account`, `profile_id`, `email`, `expires_at`."""
    return _shard(shard, "credential", _quoted(tenant_id, user_id))


@cache
def untold(shard: int) -> str:
    """set: users, as `user_member`, whose sessions may not know yet how the credential is."""
    return _shard(shard, "untold")


@cache
def last_generation(shard: int) -> str:
    """string: the highest generation of any credential that was erased; later ones begin above it."""
    return _shard(shard, "generation")


@cache
def sign_ins(shard: int) -> str:
    """hash: id → sign-in (JSON)."""
    return _shard(shard, "signins")


@cache
def kept_sign_ins(shard: int) -> str:
    """zset: ids of sign-ins, by until when they are kept."""
    return _shard(shard, "signins", "kept")


def user_sign_ins(shard: int, tenant_id: str, user_id: str) -> str:
    """zset: ids of the user's sign-ins, by when they were begun."""
    return _shard(shard, "user", _quoted(tenant_id, user_id), "signins")


def user_member(tenant_id: str, user_id: str) -> str:
    """Name a user inside their shard."""
    return _quoted(tenant_id, user_id)


def member_user(member: str) -> tuple[str, str]:
    """Read `user_member` back: tenant and user."""
    tenant_id, user_id = (unquote(part) for part in member.split(":"))
    return tenant_id, user_id


def sealed() -> tuple[str, str]:
    """Patterns of the records that hold something `sealed`: credentials and tenants."""
    return "zw:{*}:credential:*", "zw:{tenant:*}:tenant"


def profile_users(tenant_id: str, profile_id: str) -> str:
    """set: users of the tenant whose Zapier account has, or once had, this profile; `nameless` for erased ones."""
    return f"zw:{{tenant:{_quoted(tenant_id)}}}:profile:{_quoted(profile_id)}"


def nameless(until: Instant) -> str:
    """Stand for an erased user, of whom a popup may yield something until then; no user's id begins with a space."""
    return f" {until}"


def counts(member: str, *, now: Instant) -> bool:
    """Tell whether a member of `profile_users` stands for somebody."""
    return not member.startswith(" ") or int(member) > now


def user_profiles(shard: int, tenant_id: str, user_id: str) -> str:
    """set: profiles under which the user is, or may be, counted."""
    return f"{_user(shard, tenant_id, user_id)}:profiles"


def tenants() -> str:
    """set: ids of tenants; one that is being made may be in it before it is there."""
    return "zw:tenants"


def tenant(tenant_id: str) -> str:
    """hash: `name`, `origins` and `own_apps` (one per line), `client_id`, `sealed` (client secret), `created_at`."""
    return f"zw:{{tenant:{_quoted(tenant_id)}}}:tenant"


def api_keys() -> str:
    """zset: ids of API keys by creation; one that is being made may be in it before it is there."""
    return "zw:api_keys"


def api_key(key_id: str) -> str:
    """hash: `tenant`, `name`, `scopes`, `sees` (one per line), `digest`, `created_at`, `last_used_at`, `revoked_at`."""
    return f"zw:api_key:{_quoted(key_id)}"


def workers() -> str:
    """hash: id → what a worker last said of itself (JSON)."""
    return "zw:workers"


def cached(key: str) -> str:
    """string: 8 bytes (big-endian) until when it is good, then the value; it also expires by itself."""
    return f"zw:cache:{key}"


def lease(name: str) -> str:
    """hash: `holder`, `until`."""
    return f"zw:lease:{_quoted(name)}"
