"""Settings: what an operator writes is what the deployment does, or is refused before it starts."""

from __future__ import annotations

import pytest
from pydantic import SecretStr, ValidationError

from orchestrator.bootstrap import rate_limits
from orchestrator.core.schedule import Policy
from orchestrator.core.session import MINUTE, SECOND
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant
from orchestrator.settings import Settings


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting comes from the machine the tests run on."""
    for name in ("REDIS_URL", "QUEUE_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    for field in Settings.model_fields:
        monkeypatch.delenv(f"ZAPWRIGHT_{field}".upper(), raising=False)


def test_without_any_setting_the_policy_is_the_tuned_one() -> None:
    """The defaults here and those of the core are the same."""
    assert Settings().policy() == Policy()


def test_settings_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """The store's addresses under their usual names, all others with our prefix; lists have commas."""
    monkeypatch.setenv("REDIS_URL", "redis://store.test/1")
    monkeypatch.setenv("ZAPWRIGHT_SHARDS", "4")
    monkeypatch.setenv("ZAPWRIGHT_CREDENTIAL_KEYS", "new, old,")
    settings = Settings()

    assert settings.redis_url == SecretStr("redis://store.test/1")
    assert (settings.shards, settings.queue_redis_url) == (4, None)
    assert settings.credential_keys == (SecretStr("new"), SecretStr("old"))


def test_durations_are_seconds_outside_and_milliseconds_inside() -> None:
    """Fractions are meant."""
    policy = Settings(attempt_s=0.25, baseline_fresh_s=90, retention_s=1, history_s=2).policy()

    assert (policy.attempt, policy.baseline_fresh, policy.history, policy.retention) == (
        250,
        90 * SECOND,
        2 * SECOND,
        SECOND,
    )


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("attempt_s", "0"),
        ("attempt_s", "0.0001"),
        ("attempt_s", "-1"),
        ("call_limit_s", "inf"),
        ("call_limit_s", "41"),
        ("retention_s", "nan"),
        ("shards", "0"),
        ("shards", "257"),
        ("api_port", "65536"),
        ("max_body_bytes", "1"),
        ("rate_limit_egress", "-1"),
        ("token_keys", "short"),
        ("token_keys", f"{'k' * 32},{'k' * 31}"),
        ("client_token_s", "59"),
        ("origins", "https://a.example,*"),
        ("public_api_url", "zaps.example.com"),
        ("appendfsync", "no"),
        ("log_level", "loud"),
    ],
)
def test_what_makes_no_sense_is_refused(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything starts, and by the setting's name."""
    monkeypatch.setenv(f"ZAPWRIGHT_{name}".upper(), value)

    with pytest.raises(ValidationError, match=name):
        Settings()


@pytest.mark.parametrize("url", ["https://api.zapier.com", "https://API.zapier.com:443/", "https://zapier.com."])
def test_zapier_is_no_simulator(url: str) -> None:
    """Else anybody could act for every user by `/dev`, which asks for no key."""
    with pytest.raises(ValidationError, match="no real upstream"):
        Settings(simulator_url=url, zapier_api_url=url)


def test_the_call_that_creates_a_zap_has_ended_when_it_is_given_up() -> None:
    """However late it began, and however long calls may take."""
    settings = Settings(call_limit_s=40)
    limits = rate_limits(settings)

    assert limits.start_delay + limits.call_limit < settings.policy().creation


@pytest.mark.parametrize(
    "durations",
    [
        {"attempt_s": 1801},
        {"attempt_visible_s": 599},
        {"attempt_longest_s": 1799},
        {"attempt_s": 7200, "attempt_visible_s": 7200},
    ],
)
def test_an_attempt_never_outlasts_the_memory_of_its_popup(durations: dict[str, float]) -> None:
    """A popup is remembered as long as its attempt's longest time says; were an attempt longer, it could be misread."""
    with pytest.raises(ValidationError, match="attempt_longest_s"):
        Settings.model_validate(durations)


def test_a_session_never_outlasts_the_memory_of_claims() -> None:
    """Claims are forgotten a week and an hour after they were made."""
    longest = Policy().session_ttl_longest / SECOND

    assert Settings(session_ttl_s=longest).policy().session_ttl == 7 * 24 * 60 * MINUTE
    with pytest.raises(ValidationError, match="session_ttl_s"):
        Settings(session_ttl_s=longest + 1)


def test_secrets_never_print_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither the settings nor an error about one of them."""
    monkeypatch.setenv("REDIS_URL", "redis://:hush@store.test")
    monkeypatch.setenv("ZAPWRIGHT_API_KEY", "hush")
    monkeypatch.setenv("ZAPWRIGHT_CREDENTIAL_KEYS", "hush")
    monkeypatch.setenv("ZAPWRIGHT_TOKEN_KEYS", "hush" * 8)
    monkeypatch.setenv("ZAPWRIGHT_ZAPIER_CLIENT_SECRET", "hush")
    shown = repr(Settings()) + str(Settings().model_dump())
    with pytest.raises(ValidationError) as refused:
        Settings(attempt_s=7200)

    assert "hush" not in shown + str(refused.value)


@pytest.mark.parametrize("name", ["redis_url", "queue_redis_url"])
@pytest.mark.parametrize("url", ["http://:hush@store.test", "redis+sentinel://:hush@store.test:26379"])
def test_an_address_that_is_none_is_refused_without_repeating_it(name: str, url: str) -> None:
    """It holds a password."""
    with pytest.raises(ValidationError, match=name) as refused:
        Settings.model_validate({name: url})

    assert "hush" not in str(refused.value)


def test_queues_need_a_place_beside_a_cluster() -> None:
    """RQ's keys are spread over slots, so a cluster cannot hold them; sessions may live there."""
    cluster = "redis+cluster://store.test:6379"
    settings = Settings.model_validate({"redis_url": cluster, "queue_redis_url": "redis://queue.test"})

    assert settings.redis_url == SecretStr(cluster)
    for given in ({"redis_url": cluster}, {"redis_url": cluster, "queue_redis_url": cluster}):
        with pytest.raises(ValidationError, match="QUEUE_REDIS_URL must name one server"):
            Settings.model_validate(given)


def test_the_default_tenant_is_what_the_settings_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Origins are written as browsers send them."""
    monkeypatch.setenv("ZAPWRIGHT_ORIGINS", "https://App.example.com/, http://localhost:3000")
    monkeypatch.setenv("ZAPWRIGHT_ZAPIER_CLIENT_ID", "client-1")
    tenant = Settings().default_tenant()

    assert tenant == Tenant(
        id=DEFAULT_TENANT,
        name=DEFAULT_TENANT,
        origins=("https://app.example.com", "http://localhost:3000"),
        zapier_client_id="client-1",
        created_at=0,
    )
    assert Settings(zapier_client_secret=SecretStr("hush")).default_tenant().has_client_secret


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, "https://zapier.com/oauth/token/"),
        ({"zapier_api_url": "https://api.zapier.com"}, "https://zapier.com/oauth/token/"),
        ({"zapier_api_url": "http://127.0.0.1:8089/"}, "http://127.0.0.1:8089/oauth/token/"),
        ({"zapier_api_url": "https://notzapier.com"}, "https://notzapier.com/oauth/token/"),
        ({"zapier_token_url": "https://proxy.example/token"}, "https://proxy.example/token"),
    ],
)
def test_refresh_tokens_are_sent_to_zapier_or_to_what_stands_in_its_place(given: dict[str, str], expected: str) -> None:
    """Never a simulator's to Zapier, or the other way round."""
    assert Settings(**given).token_url() == expected  # type: ignore[arg-type]


def test_scopes_are_written_with_commas_and_each_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The old names, for whoever needs them."""
    monkeypatch.setenv("ZAPWRIGHT_ZAPIER_SCOPES", "zap, authentication")

    assert Settings().zapier_scopes == ("zap", "authentication")
    with pytest.raises(ValidationError):
        Settings(zapier_scopes=("zap authentication",))
