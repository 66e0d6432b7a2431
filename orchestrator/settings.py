"""Every setting, read from the environment. Secrets never print themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AliasChoices, Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from orchestrator.addresses import OnCluster, read_address
from orchestrator.core.endpoints import Networks
from orchestrator.core.schedule import Policy
from orchestrator.core.session import SECOND, Millis
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant, origin_of, own_app_of

SHORTEST_TOKEN_KEY = 32
ZAPIERS_API_URL = "https://api.zapier.com"
ZAPIERS_TOKEN_URL = "https://zapier.com/oauth/token/"  # noqa: S105 - an address; its last slash matters
Scope = Annotated[str, Field(pattern=r"^[\x21\x23-\x5b\x5d-\x7e]{1,64}$")]
Seconds = Annotated[float, Field(ge=0.001, allow_inf_nan=False)]


class Settings(BaseSettings):
    """What an operator may choose. Names are upper-case with the prefix `ZAPWRIGHT_`, but for the store's addresses.

    Without `REDIS_URL` the bundled store in `data_dir` is used.
    """

    model_config = SettingsConfigDict(
        env_prefix="ZAPWRIGHT_",
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,  # it holds the secrets
    )

    redis_url: SecretStr | None = Field(default=None, validation_alias=AliasChoices("REDIS_URL", "redis_url"))
    """Where sessions live: one server, sentinels or a cluster, as the forms below say."""

    queue_redis_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("QUEUE_REDIS_URL", "queue_redis_url")
    )
    """Where RQ's queues live: one server or sentinels; by default where sessions live, unless that is a cluster."""

    data_dir: Path = Path(".zapwright")
    """Where `zapwright up` keeps the bundled store, the simulator's world and `dev.env`."""

    appendfsync: Literal["always", "everysec"] = "always"
    """How soon the bundled store writes to disk: before each answer, or once a second."""

    store_replicas: Annotated[int, Field(ge=0)] = 0
    """How many replicas must have what is written before it is answered; with too few, requests answer 503."""

    shards: Annotated[int, Field(ge=1, le=256)] = 16
    """Into how many parts users are spread; fixed at the first start."""

    api_key: SecretStr | None = None
    """The key backends send as `Authorization: Bearer …`; further ones are made by `zapwright api-keys create`."""

    tenant_name: Annotated[str, Field(max_length=120)] = DEFAULT_TENANT
    """What your product is called on the connect page, which names nobody while this is `default`."""

    origins: Annotated[tuple[str, ...], NoDecode] = ()
    """The origins of your pages, comma-separated, such as `https://app.example.com`."""

    own_apps: Annotated[tuple[str, ...], NoDecode] = ()
    """Your own apps at Zapier, whose authentications users may fill in on your page: ids, comma-separated, each with
    the names of its authentication's fields, such as `0a1b2c3d-…=username+password`."""

    credential_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Fernet keys, comma-separated, newest first: the first encrypts users' Zapier tokens, all decrypt."""

    token_keys: Annotated[tuple[SecretStr, ...], NoDecode] = ()
    """Keys of at least 32 bytes, comma-separated, newest first: the first signs client tokens, all are believed."""

    client_token_s: Annotated[float, Field(ge=60, le=3600)] = 600
    """How long a client token is good."""

    public_api_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] | None = None
    """Where pages reach the API; by default where it was asked for a client token (set it behind a proxy with TLS)."""

    api_host: str = "127.0.0.1"
    """The address the API listens on."""

    api_port: Annotated[int, Field(ge=0, le=65535)] = 8700
    """The port the API listens on."""

    api_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] | None = None
    """Where the dashboard reaches the API; by default at the API's address and port on this machine."""

    dashboard_host: str = "127.0.0.1"
    """The address the dashboard listens on."""

    dashboard_port: Annotated[int, Field(ge=0, le=65535)] = 8710
    """The port the dashboard listens on."""

    public_dashboard_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] | None = None
    """Where browsers reach the dashboard (set it behind a proxy with TLS: its cookie then needs https)."""

    dashboard_idle_s: Annotated[Seconds, Field(le=12 * 3600)] = 30 * 60
    """After how long without a key or a pointer moved an operator is signed out of the dashboard."""

    max_head_s: Annotated[float, Field(gt=0, le=300)] = 10
    """The longest a request's head may take to arrive, counted from the connection or from its first byte."""

    max_body_bytes: Annotated[int, Field(ge=1024)] = 256 * 1024
    """The largest request body the API reads."""

    max_body_s: Annotated[float, Field(gt=0, le=300)] = 30
    """The longest a request body may take to arrive."""

    zapier_api_url: str | None = None
    """Where the Partner API is, without `/v2`. `zapwright up` starts the simulator when it is not set."""

    simulator_url: str | None = None
    """Where the simulator is, if it is the upstream: opens `/demo` and `/dev` to everybody (`zapwright up` sets it)."""

    zapier_client_id: str = "zapwright"
    """Your client id at Zapier; rate limits are kept per client id."""

    zapier_client_secret: SecretStr | None = None
    """Your client secret at Zapier; users' sign-ins, and refreshing their tokens, need it."""

    zapier_authorize_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] | None = None
    """Zapier's page where users sign in; by default `/v2/authorize` of the Partner API."""

    zapier_token_url: Annotated[str, Field(pattern=r"^https?://[^\s?#]+$")] | None = None
    """Zapier's token endpoint; by default its own, or `/oauth/token/` of an upstream that is not Zapier."""

    zapier_scopes: Annotated[tuple[Scope, ...], NoDecode] = (
        "profile",
        "zap",
        "zap:write",
        "connection:read",
        "connection:write",
    )
    """What users are asked to allow, comma-separated; `connection:read` was called `authentication` once."""

    zapier_message_origin: str = "https://zapier.com"
    """The origin that the popup's message comes from; pages must accept no other."""

    egress_group: str = "default"
    """Deployments that leave by the same IP address share a name here, and with it Zapier's limit per address."""

    rate_limit_egress: Annotated[int, Field(ge=0)] = 60
    """Zapier's limit per minute and address; 0 for none (simulator only)."""

    rate_limit_partner: Annotated[int, Field(ge=0)] = 150
    """Zapier's limit per minute and partner; 0 for none (simulator only)."""

    rate_limit_user: Annotated[int, Field(ge=0)] = 30
    """How many calls a minute what one user does may cause, so that no page uses up what others wait on; 0 for any."""

    call_limit_s: Annotated[Seconds, Field(le=40)] = 10
    """The longest a call to Zapier may take; the one that creates a Zap must have ended when it is given up."""

    interactive_wait_s: Seconds = 3
    """How long a request waits for room under the rate limit before it answers `upstream_busy`."""

    worker_nice: Annotated[int, Field(ge=0, le=19)] = 5
    """How far workers and dashboard stand back while processors are short (nice): users wait for the API."""

    worker_metrics_host: str = "127.0.0.1"
    """The address on which a worker shows its metrics."""

    worker_metrics_port: Annotated[int, Field(ge=0, le=65535)] | None = None
    """The port on which it does so, at `/metrics`; 0 for any that is free. Without one it shows none."""

    session_ttl_s: Seconds = 24 * 3600
    """How long a session lives unless its creator says otherwise."""

    attempt_s: Seconds = 600
    """How long a popup is waited for."""

    attempt_visible_s: Seconds = 1800
    """The same while the page says that it is visible."""

    attempt_longest_s: Seconds = 3600
    """The same while Zapier cannot be asked; also how long a popup is thought able to yield an authentication."""

    baseline_fresh_s: Seconds = 300
    """How old a listing may be when a popup is opened."""

    history_s: Seconds = 5 * 24 * 3600
    """How long an ended session's events, signals and deliveries are kept; webhooks are tried for three days."""

    retention_s: Seconds = 7 * 24 * 3600
    """How long an ended session is kept."""

    audit_retention_s: Seconds = 400 * 24 * 3600
    """How long it is kept what operators did."""

    webhook_limit_s: Annotated[Seconds, Field(le=60)] = 15
    """How long a webhook receiver may take to answer."""

    webhook_allowed_networks: Annotated[tuple[str, ...], NoDecode] = ()
    """Networks of your own, comma-separated, whose receivers messages may be sent to, by plain http too."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """What is logged."""

    log_format: Literal["console", "json"] = "console"
    """How it is logged."""

    @field_validator(
        "credential_keys",
        "token_keys",
        "origins",
        "own_apps",
        "webhook_allowed_networks",
        "zapier_scopes",
        mode="before",
    )
    @classmethod
    def _split(cls, value: object) -> object:
        return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value

    @field_validator("redis_url", "queue_redis_url")
    @classmethod
    def _an_address(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None:
            read_address(url.get_secret_value())
        return url

    @model_validator(mode="after")
    def _queues_have_a_place(self) -> Self:
        queues = self.queue_redis_url or self.redis_url
        if queues is not None and isinstance(read_address(queues.get_secret_value()), OnCluster):
            raise ValueError("RQ's queues cannot live on a cluster: QUEUE_REDIS_URL must name one server, or sentinels")
        return self

    @model_validator(mode="after")
    def _development_is_simulated(self) -> Self:
        if self.simulator_url is None:
            return self
        if _is_zapiers(self.simulator_url) or self.simulator_url != self.zapier_api_url:
            raise ValueError("simulator_url must be zapier_api_url: /demo and /dev are for no real upstream")
        return self

    @field_validator("token_keys")
    @classmethod
    def _long_enough(cls, keys: tuple[SecretStr, ...]) -> tuple[SecretStr, ...]:
        if any(len(key.get_secret_value().encode()) < SHORTEST_TOKEN_KEY for key in keys):
            raise ValueError(f"each key needs at least {SHORTEST_TOKEN_KEY} bytes")
        return keys

    @field_validator("webhook_allowed_networks")
    @classmethod
    def _networks(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        Networks.of(texts)
        return texts

    @field_validator("own_apps")
    @classmethod
    def _own_apps(cls, texts: tuple[str, ...]) -> tuple[str, ...]:
        for text in texts:
            own_app_of(text)
        return texts

    @field_validator("origins")
    @classmethod
    def _written_as_sent(cls, origins: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(origin_of, origins))

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not self.attempt_s <= self.attempt_visible_s <= self.attempt_longest_s:
            raise ValueError("attempt_s <= attempt_visible_s <= attempt_longest_s must hold")
        if millis(self.session_ttl_s) > (longest := self.policy().session_ttl_longest):
            raise ValueError(f"session_ttl_s must not be greater than {longest // SECOND}")
        return self

    def default_tenant(self) -> Tenant:
        """Return the tenant there always is."""
        return Tenant(
            id=DEFAULT_TENANT,
            name=self.tenant_name,
            origins=self.origins,
            zapier_client_id=self.zapier_client_id,
            has_client_secret=self.zapier_client_secret is not None,
            own_apps=self.own_apps,
            created_at=0,
        )

    def authorize_url(self) -> str:
        """Return where users are asked to let us act for them."""
        return self.zapier_authorize_url or f"{(self.zapier_api_url or ZAPIERS_API_URL).rstrip('/')}/v2/authorize"

    def token_url(self) -> str:
        """Return where tokens are handed out: at Zapier, or at what stands in its place."""
        if self.zapier_token_url is not None:
            return self.zapier_token_url
        api = self.zapier_api_url
        return ZAPIERS_TOKEN_URL if api is None or _is_zapiers(api) else f"{api.rstrip('/')}/oauth/token/"

    def queues_url(self, redis_url: str) -> str:
        """Return where RQ's queues live, if sessions live at `redis_url`."""
        return redis_url if self.queue_redis_url is None else self.queue_redis_url.get_secret_value()

    def policy(self) -> Policy:
        """Return the durations that decisions are made with."""
        return Policy(
            session_ttl=millis(self.session_ttl_s),
            attempt=millis(self.attempt_s),
            attempt_visible=millis(self.attempt_visible_s),
            attempt_longest=millis(self.attempt_longest_s),
            baseline_fresh=millis(self.baseline_fresh_s),
            history=millis(self.history_s),
            retention=millis(self.retention_s),
            audit_retention=millis(self.audit_retention_s),
        )


def _is_zapiers(url: str) -> bool:
    return f".{urlsplit(url).hostname}".rstrip(".").endswith(".zapier.com")


def millis(seconds: float) -> Millis:
    """Return a duration of the settings' in milliseconds."""
    return round(seconds * SECOND)
