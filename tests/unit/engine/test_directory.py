"""The directory: what a process remembers of tenants and keys, for how long, and what it costs the store."""

from __future__ import annotations

import pytest

from orchestrator.core.errors.store import StoreUnavailableError
from orchestrator.core.ports.tokens import Client
from orchestrator.core.session import MINUTE
from orchestrator.core.tenants import TENANT_SCOPES, ApiKey, Tenant, TenantChange, digest_of, key_text
from orchestrator.directory import GOOD_FOR, USE_NOTED_EVERY, Directory, Remembered
from orchestrator.store.memory import MemoryStore
from tests.support.clocks import ManualClock
from tests.support.interference import Script, wrapped

SECRET = "s" * 40
TEXT = key_text("ak1", SECRET)
KEY = ApiKey(id="ak1", tenant_id="acme", name="web", scopes=TENANT_SCOPES, digest=digest_of(SECRET), created_at=1)
DEFAULT = Tenant(id="default", name="default", origins=("https://d.example",), zapier_client_id="ours", created_at=0)


class Place:
    """A directory, and what it asks of the store."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.clock = ManualClock()
        self.script = Script()
        self.directory = Directory(
            tenants=wrapped(self.store.tenants, "tenants", self.script),
            api_keys=wrapped(self.store.api_keys, "api_keys", self.script),
            default=DEFAULT,
            clock=self.clock,
        )

    def asked(self, name: str) -> int:
        return self.script.calls.count(name)


@pytest.fixture(name="place")
async def _place() -> Place:
    """A store with one tenant that has one key."""
    place = Place()
    await place.store.tenants.create(
        Tenant(id="acme", name="Acme", origins=("https://a.example",), zapier_client_id="theirs", created_at=1)
    )
    await place.store.api_keys.create(KEY)
    return place


def directory_of(store: MemoryStore, *, secret: str | None) -> Directory:
    """Return a directory of a deployment that has this client secret."""
    return Directory(
        tenants=store.tenants, api_keys=store.api_keys, default=DEFAULT, clock=ManualClock(), default_secret=secret
    )


async def test_a_tenant_is_known_by_its_own_client_or_by_the_deployments() -> None:
    """Never by its own id with another's secret."""
    store = MemoryStore()
    for tenant_id, client_id, secret in [
        ("own", "theirs", "hush"),
        ("secretless", "theirs", None),
        ("plain", None, None),
        ("same", "ours", None),
    ]:
        tenant = Tenant(id=tenant_id, name="", zapier_client_id=client_id, created_at=1)
        await store.tenants.create(tenant, client_secret=secret)
    directory = directory_of(store, secret="deep")
    ours = Client(id="ours", secret="deep")

    assert await directory.client_of("own") == Client(id="theirs", secret="hush")
    assert await directory.client_of("secretless") is None
    assert [await directory.client_of(tenant_id) for tenant_id in ("plain", "same", "default")] == [ours] * 3
    assert await directory_of(store, secret=None).client_of("default") is None


async def test_a_key_is_known_without_asking_again(place: Place) -> None:
    """A busy backend costs one look into the store every five seconds."""
    found = [await place.directory.key(TEXT) for _ in range(10)]

    assert found == [KEY] * 10
    assert place.asked("api_keys.get") == 1


async def test_a_revoked_key_is_let_in_for_seconds_at_most(place: Place) -> None:
    """Every process forgets by itself."""
    await place.directory.key(TEXT)
    await place.store.api_keys.revoke("ak1", now=place.clock.now())
    before = await place.directory.key(TEXT)
    place.clock.advance(GOOD_FOR)

    assert before == KEY
    assert await place.directory.key(TEXT) is None


@pytest.mark.parametrize("text", ["", "nonsense", "zwk_ak1_short", "eyJhbGciOiJIUzI1NiJ9.e30.x"])
async def test_what_is_no_key_is_not_looked_for(place: Place, text: str) -> None:
    """It costs the store nothing."""
    assert await place.directory.key(text) is None
    assert place.script.calls == []


async def test_a_wrong_secret_opens_nothing(place: Place) -> None:
    """And is no use of the key."""
    assert await place.directory.key(key_text("ak1", "t" * 40)) is None

    await place.directory.settle()
    assert place.asked("api_keys.note_use") == 0


async def test_an_unknown_key_is_looked_for_once_in_a_while(place: Place) -> None:
    """Whoever repeats it does not reach the store each time; made meanwhile, it is known soon."""
    stranger = key_text("ak2", SECRET)
    for _ in range(10):
        assert await place.directory.key(stranger) is None
    asked = place.asked("api_keys.get")
    await place.store.api_keys.create(
        ApiKey(id="ak2", tenant_id="acme", name="", scopes=TENANT_SCOPES, digest=digest_of(SECRET), created_at=1)
    )
    place.clock.advance(GOOD_FOR)

    assert asked == 1
    assert await place.directory.key(stranger) is not None


async def test_strangers_do_not_drive_out_those_who_are_known(place: Place) -> None:
    """However many there are, what is remembered is bounded."""
    remembered: Remembered[str] = Remembered(most=3)

    async def find(name: str) -> str | None:
        return name if name == "known" else None

    await remembered.recall("known", find, now=1)
    for number in range(100):
        await remembered.recall(f"stranger-{number}", find, now=1)

    async def never(_: str) -> str | None:
        raise AssertionError("asked again")

    assert await remembered.recall("known", never, now=1) == "known"
    assert await remembered.recall("stranger-99", never, now=1) is None
    with pytest.raises(AssertionError, match="asked again"):
        await remembered.recall("stranger-0", never, now=1)


async def test_the_last_use_is_noted_once_a_minute(place: Place) -> None:
    """About is enough, and cheap."""
    begun_at = place.clock.now()
    for _ in range(3):
        await place.directory.key(TEXT)
        place.clock.advance(USE_NOTED_EVERY // 2)
    await place.directory.settle()

    kept = await place.store.api_keys.get("ak1")
    assert place.asked("api_keys.note_use") == 2
    assert kept is not None
    assert kept.last_used_at == begun_at + MINUTE


async def test_a_use_that_cannot_be_noted_disturbs_nobody(place: Place) -> None:
    """The key is let in, and the next minute notes again."""
    place.script.goes("api_keys.note_use", StoreUnavailableError(problem="away"))

    assert await place.directory.key(TEXT) == KEY
    await place.directory.settle()


async def test_a_store_that_is_away_is_said(place: Place) -> None:
    """Nobody is turned away as unknown who may be known."""
    place.script.goes("api_keys.get", StoreUnavailableError(problem="away"))

    with pytest.raises(StoreUnavailableError):
        await place.directory.key(TEXT)


async def test_calls_count_for_the_tenants_own_client_id(place: Place) -> None:
    """A tenant without one, and one that is not there, use the deployment's."""
    await place.store.tenants.create(Tenant(id="plain", name="", created_at=1))

    partners = [await place.directory.partner_of(tenant) for tenant in ("default", "acme", "plain", "nobody")]

    assert partners == ["ours", "theirs", "ours", "ours"]


async def test_the_default_tenant_is_that_of_the_settings(place: Place) -> None:
    """The store is not asked for it."""
    assert await place.directory.tenant("default") == DEFAULT
    assert place.script.calls == []


async def test_the_origins_of_all_tenants_are_known_together(place: Place) -> None:
    """A new one is there within seconds."""
    before = await place.directory.origins()
    await place.store.tenants.change("acme", TenantChange(origins=("https://b.example",)))
    meanwhile = await place.directory.origins()
    place.clock.advance(GOOD_FOR)

    assert before == meanwhile == {"https://d.example", "https://a.example"}
    assert await place.directory.origins() == {"https://d.example", "https://b.example"}


async def test_whether_anybody_could_be_let_in_is_known(place: Place) -> None:
    """Revoked keys let nobody in."""
    before = await place.directory.has_keys()
    await place.store.api_keys.revoke("ak1", now=1)

    assert (before, await place.directory.has_keys()) == (True, False)
