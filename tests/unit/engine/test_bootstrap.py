"""The composition root: one process's parts know of each other what they must."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable

import httpx
import pytest

from orchestrator.bootstrap import Zapwright, compose, rate_limits, tick
from orchestrator.clock import RandomIds, SystemClock
from orchestrator.core.errors.credentials import SignInRequiredError
from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.credentials import CredentialState
from orchestrator.core.session import MINUTE, SECOND, Instant, Millis
from orchestrator.core.tenants import DEFAULT_TENANT, Tenant
from orchestrator.engine import NewSession, NewStep
from orchestrator.recollection import RECALLED_FOR, Recollection
from orchestrator.settings import Settings
from orchestrator.store.memory import MemoryStore
from tests.support.clocks import CountedIds, ManualClock
from tests.support.store_values import a_session

APP = "11111111-2222-3333-4444-555555555555"
SETTINGS = Settings(
    zapier_api_url="https://zapier.test",
    zapier_client_id="client-1",
    egress_group="berlin",
    rate_limit_egress=40,
    rate_limit_partner=90,
    call_limit_s=4,
    attempt_s=60,
    shards=2,
)


class Unauthorized:
    """A Zapier that knows nobody's token but lets everybody read whose it is."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.url.host}{request.url.path}")
        if request.url.path == "/v1/profiles/me":
            return httpx.Response(403)
        return httpx.Response(401)


@pytest.fixture(name="zapier")
def _zapier() -> Unauthorized:
    """What is behind the address of the API."""
    return Unauthorized()


@pytest.fixture(name="zapwright")
async def _zapwright(zapier: Unauthorized) -> AsyncIterator[Zapwright]:
    """A process on a store in memory."""
    async with httpx.AsyncClient(transport=httpx.MockTransport(zapier)) as http:
        store = MemoryStore(shards=2, limits=rate_limits(SETTINGS))
        yield compose(SETTINGS, store=store, http=http, clock=ManualClock(), ids=CountedIds())


async def test_zapier_is_asked_where_the_settings_say(zapwright: Zapwright, zapier: Unauthorized) -> None:
    """And nowhere else."""
    await zapwright.engine.put_credential(DEFAULT_TENANT, "ann", "token", expires_in=None)

    assert zapier.asked == ["zapier.test/v1/profiles/me"]


async def test_calls_are_counted_for_the_settings_egress_and_partner(zapwright: Zapwright) -> None:
    """Under the limits the settings give."""
    await zapwright.engine.put_credential(DEFAULT_TENANT, "ann", "token", expires_in=None)
    egress, partner = await zapwright.store.budget.usage(egress="berlin", partner="client-1", now=zapwright.clock.now())

    assert (egress.held, egress.limit, partner.held, partner.limit) == (1, 40, 1, 90)


async def test_a_tenants_calls_are_counted_for_its_own_client_id(zapwright: Zapwright) -> None:
    """Zapier's limit is per partner: nobody spends another's."""
    await zapwright.store.tenants.create(Tenant(id="acme", name="", zapier_client_id="client-2", created_at=0))
    await zapwright.engine.put_credential("acme", "ann", "token", expires_in=None)

    held = [
        (await zapwright.store.budget.usage(egress="berlin", partner=partner, now=zapwright.clock.now()))[1].held
        for partner in ("client-1", "client-2")
    ]
    assert held == [0, 1]


async def test_a_401_anywhere_is_told_to_the_sessions(zapwright: Zapwright) -> None:
    """The client marks the credential through the store that tells them."""
    engine = zapwright.engine
    await engine.put_credential(DEFAULT_TENANT, "ann", "token", expires_in=None)
    session = (await engine.create_session(NewSession(tenant_id=DEFAULT_TENANT, user_id="ann"))).session

    with pytest.raises(SignInRequiredError):
        await engine.create_session(NewSession(tenant_id=DEFAULT_TENANT, user_id="ann", steps=(NewStep(app_id=APP),)))

    snapshot = await zapwright.queries.session(session.key)
    assert snapshot.credential is not None
    assert (snapshot.session.signed_out, snapshot.credential.state) == (True, CredentialState.NEEDS_SIGN_IN)


async def test_decisions_are_made_with_the_settings_durations(zapwright: Zapwright) -> None:
    """All parts share one policy, clock and id source."""
    new = NewSession(tenant_id=DEFAULT_TENANT, user_id="ann")
    session = (await zapwright.engine.create_session(new)).session

    assert zapwright.policy.attempt == MINUTE
    assert session.deadline - session.created_at == zapwright.policy.session_ttl


def test_rate_limits_come_from_the_settings() -> None:
    """A call's longest time belongs to them: so long may an unanswered one count."""
    limits = rate_limits(SETTINGS)

    assert (limits.egress, limits.partner, limits.call_limit) == (40, 90, 4 * SECOND)


@pytest.mark.parametrize(("egress", "partner", "user"), [(60, 150, 30), (0, 150, 30), (0, 0, 0)])
def test_what_one_user_does_is_bounded_where_there_is_a_limit(egress: int, partner: int, user: int) -> None:
    """Where there is none, nobody takes anything from anybody."""
    limits = rate_limits(SETTINGS.model_copy(update={"rate_limit_egress": egress, "rate_limit_partner": partner}))

    assert limits.user == user


@pytest.mark.parametrize(
    ("egress", "partner", "reserves"),
    [(60, 150, (3, 15)), (1_000, 0, (3, 15)), (0, 0, (3, 15)), (20, 150, (1, 5)), (0, 8, (0, 2)), (1, 1, (0, 0))],
)
def test_a_small_limit_has_small_reserves(egress: int, partner: int, reserves: tuple[int, int]) -> None:
    """Whoever shares an address with others may give us any part of its limit."""
    limits = rate_limits(SETTINGS.model_copy(update={"rate_limit_egress": egress, "rate_limit_partner": partner}))

    assert (limits.strong_reserve, limits.quiet_reserve) == reserves


def test_the_system_clock_is_corrected_by_its_offset() -> None:
    """Processes whose machines disagree agree with the store."""
    ahead, behind = SystemClock(offset=60 * MINUTE), SystemClock()

    assert 59 * MINUTE < ahead.now() - behind.now() < 61 * MINUTE


async def test_a_process_corrects_its_clock_and_lets_go_of_what_it_recalls_though_nothing_happens() -> None:
    """The machine's was set while the process lived; a store that is away, or a busy measurement, changes nothing."""
    clock, right = SystemClock(offset=60 * MINUTE), SystemClock()
    recollection = Recollection(users := ManualClock())
    recollection.keep(a_session())
    measured: list[tuple[Millis, int]] = []
    is_over = asyncio.Event()

    async def measure(now: Callable[[], Instant]) -> Millis:
        if len(measured) == 4:
            is_over.set()
        measured.append(((wrong_by := right.now() - now()), len(recollection)))
        if len(measured) == 1:
            users.advance(RECALLED_FOR)
            raise StoreUnavailableError(problem="away")
        return wrong_by if len(measured) == 2 else 199

    ticking = asyncio.create_task(tick(clock, measure, recollection, every=1))
    async with asyncio.timeout(20):
        await is_over.wait()
    ticking.cancel()

    found = [(round(wrong_by / MINUTE), recalled) for wrong_by, recalled in measured]
    assert found == [(-60, 1), (-60, 0), (0, 0), (0, 0), (0, 0)]
    assert abs(clock.now() - right.now()) < SECOND


async def test_the_system_clock_sleeps_in_milliseconds() -> None:
    """It comes back, not much earlier than asked."""
    clock = SystemClock()
    began = clock.now()
    await clock.sleep(20)

    assert 18 <= clock.now() - began < 10 * SECOND


def test_ids_cannot_be_guessed() -> None:
    """Twenty lower-case letters and digits after the prefix, never the same."""
    ids = RandomIds()
    made = {ids.new("st") for _ in range(100)}

    assert len(made) == 100
    assert all(one.startswith("st") and len(one) == 22 and one.isalnum() and one.islower() for one in made)
