"""The token endpoint, in-process: what it exchanges, how often, for whom and for how long."""

from typing import Any

import httpx
import pytest

from simulator.accounts import secret_of
from simulator.journal import Journal
from simulator.routes import opens
from simulator.switches import Scopes
from simulator.world import World
from tests.support.simulation import Simulation

PARTNER = "acme"
REDIRECT = "https://app.example.com/back"


async def ask(sim: Simulation, *, client: str = PARTNER, secret: str | None = None, **form: str) -> httpx.Response:
    """Ask the token endpoint as this client."""
    async with sim.client() as http:
        return await http.post("/oauth/token/", data=form, auth=(client, secret or secret_of(client)))


async def refresh(sim: Simulation, refresh_token: str, **more: str) -> httpx.Response:
    """Exchange a refresh token."""
    return await ask(sim, grant_type="refresh_token", refresh_token=refresh_token, **more)


async def signed_in(sim: Simulation, **more: str) -> dict[str, Any]:
    """Return the tokens of a sign-in of alice's."""
    answer = await sim.control("POST", "/grants", {"user": "alice", "client_id": PARTNER, **more})
    assert answer.status_code == 201, answer.text
    document: dict[str, Any] = answer.json()
    return document


def code_of(sim: Simulation, *, redirect_uri: str = REDIRECT) -> str:
    """Return the code that alice's browser would bring back."""
    return sim.upstream.tokens.issue_code(
        "alice",
        client_id=PARTNER,
        redirect_uri=redirect_uri,
        scope="zap connection:read",
        now=sim.clock(),
        switches=sim.upstream.switches.tokens,
    )


async def redeem(sim: Simulation, code: str, **more: str) -> httpx.Response:
    """Exchange a code."""
    return await ask(sim, **{"grant_type": "authorization_code", "code": code, "redirect_uri": REDIRECT} | more)


def refused(answer: httpx.Response) -> tuple[int, object]:
    """Return status and error of an answer."""
    return answer.status_code, answer.json().get("error")


async def test_a_code_is_exchanged_for_tokens_of_its_account(sim: Simulation) -> None:
    """As documented: ten hours, Bearer, the scopes, uncached; and they count for the client."""
    answer = await redeem(sim, code_of(sim))
    tokens = answer.json()
    listed = await sim.get("/v2/zaps", token=tokens["access_token"])

    assert answer.headers["cache-control"] == "no-store"
    assert {name: tokens[name] for name in ("expires_in", "token_type", "scope")} == {
        "expires_in": 36_000,
        "token_type": "Bearer",
        "scope": "zap connection:read",
    }
    assert listed.status_code == 200
    assert sim.upstream.limits.partners[PARTNER].usage(sim.clock(), window_ms=60_000).in_window == 2


async def test_a_code_is_good_once(sim: Simulation) -> None:
    """The second exchange is refused."""
    code = code_of(sim)
    await redeem(sim, code)

    assert refused(await redeem(sim, code)) == (400, "invalid_grant")


async def test_a_code_is_good_for_two_minutes(sim: Simulation) -> None:
    """Not a moment longer."""
    early, late = code_of(sim), code_of(sim)
    sim.clock.advance(119_999)
    in_time = await redeem(sim, early)
    sim.clock.advance(1)

    assert in_time.status_code == 200
    assert refused(await redeem(sim, late)) == (400, "invalid_grant")


@pytest.mark.parametrize("other", [{"client": "rival"}, {"redirect_uri": "https://evil.example/back"}])
async def test_a_code_given_elsewhere_is_refused_and_burnt(sim: Simulation, other: dict[str, str]) -> None:
    """To another client, or with another address than the one it was sent to."""
    code = code_of(sim)
    elsewhere = await redeem(sim, code, **other)

    assert refused(elsewhere) == (400, "invalid_grant")
    assert refused(await redeem(sim, code)) == (400, "invalid_grant")


async def test_each_refresh_gives_another_refresh_token_and_the_last_one_is_dead(sim: Simulation) -> None:
    """At once; the new one is good, and so is the access token."""
    first = await signed_in(sim)
    second = (await refresh(sim, first["refresh_token"])).json()
    third = (await refresh(sim, second["refresh_token"])).json()

    assert len({one["refresh_token"] for one in (first, second, third)}) == 3
    assert len({one["access_token"] for one in (first, second, third)}) == 3
    assert refused(await refresh(sim, first["refresh_token"])) == (400, "invalid_grant")
    assert (await sim.get("/v1/profiles/me", token=third["access_token"])).json()["email"] == "alice@example.test"


async def test_a_switch_keeps_refresh_tokens(sim: Simulation) -> None:
    """For a service that does not rotate them."""
    await sim.switch({"tokens": {"rotates": False}})
    first = await signed_in(sim)
    again = [(await refresh(sim, first["refresh_token"])).json()["refresh_token"] for _ in range(2)]

    assert again == [first["refresh_token"]] * 2


async def test_access_tokens_end_and_refresh_tokens_do_not(sim: Simulation) -> None:
    """After ten hours the API answers 401; a year later the refresh token is good."""
    tokens = await signed_in(sim)
    sim.clock.advance(36_000_000 - 1)
    before = await sim.get("/v2/zaps", token=tokens["access_token"])
    sim.clock.advance(1)
    after = await sim.get("/v2/zaps", token=tokens["access_token"])
    sim.clock.advance(365 * 86_400_000)

    assert (before.status_code, after.status_code) == (200, 401)
    assert (await refresh(sim, tokens["refresh_token"])).status_code == 200


async def test_a_refresh_token_is_its_clients_and_can_be_revoked(sim: Simulation) -> None:
    """Another client gets nothing for it, nor does its own once it is revoked."""
    tokens = await signed_in(sim)
    by_rival = await refresh(sim, tokens["refresh_token"], client="rival")
    await sim.control("PATCH", f"/tokens/{tokens['refresh_token']}", {"revoked": True})
    revoked = await refresh(sim, tokens["refresh_token"])
    await sim.control("PATCH", f"/tokens/{tokens['refresh_token']}", {"revoked": False})

    assert [refused(by_rival), refused(revoked)] == [(400, "invalid_grant")] * 2
    assert (await refresh(sim, tokens["refresh_token"])).status_code == 200


async def test_a_client_may_name_itself_in_the_body_and_send_multipart(sim: Simulation) -> None:
    """All the ways that the documentation shows."""
    form = {"grant_type": "refresh_token", "client_id": PARTNER, "client_secret": secret_of(PARTNER)}
    async with sim.client() as http:
        first = form | {"refresh_token": (await signed_in(sim))["refresh_token"]}
        urlencoded = await http.post("/oauth/token/", data=first)
        second = form | {"refresh_token": urlencoded.json()["refresh_token"]}
        multipart = await http.post("/oauth/token/", files={name: (None, value) for name, value in second.items()})

    assert (urlencoded.status_code, multipart.status_code) == (200, 200)


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ({"client": "acme", "secret": "wrong", "grant_type": "refresh_token"}, (401, "invalid_client")),
        ({"client": "", "secret": "x"}, (401, "invalid_client")),
        ({"grant_type": "refresh_token"}, (400, "invalid_request")),
        ({"grant_type": "authorization_code", "code": "x"}, (400, "invalid_request")),
        ({"grant_type": "password"}, (400, "unsupported_grant_type")),
        ({"grant_type": "refresh_token", "refresh_token": "never issued"}, (400, "invalid_grant")),
    ],
)
async def test_what_cannot_be_exchanged_is_refused(
    sim: Simulation, form: dict[str, str], expected: tuple[int, str]
) -> None:
    """In the words of RFC 6749."""
    assert refused(await ask(sim, **form)) == expected


async def test_the_endpoint_refuses_on_demand_and_counts_for_its_client(sim: Simulation) -> None:
    """A rule, before anything was done: the refresh token is good afterwards."""
    tokens = await signed_in(sim)
    await sim.switch({"rules": {"no": {"fault": "oauth_error", "error": "invalid_client", "status": 401, "times": 1}}})
    first, second = [await refresh(sim, tokens["refresh_token"]) for _ in range(2)]
    stats = (await sim.control("GET", "/stats")).json()

    assert (refused(first), second.status_code) == ((401, "invalid_client"), 200)
    assert stats["requests"]["by_endpoint"]["POST /oauth/token/"] == {"200": 1, "401": 1}
    assert stats["limits"]["partner"][PARTNER]["in_window"] == 2


@pytest.mark.parametrize(
    ("granted", "names", "is_open"),
    [
        (None, "old", True),
        ("zap connection:read", "both", True),
        ("zap authentication", "both", True),
        ("zap authentication", "new", False),
        ("zap connection:read", "old", False),
        ("zap", "both", False),
    ],
)
def test_a_renamed_scope_opens_by_the_names_that_the_switch_allows(
    granted: str | None, names: str, *, is_open: bool
) -> None:
    """Both by default; a token that was not handed out has every scope."""
    scopes = Scopes(names=names)  # type: ignore[arg-type]

    assert opens("connection:read", granted=granted, scopes=scopes) is is_open


async def test_a_token_opens_only_what_it_was_given_for(sim: Simulation) -> None:
    """The rest is 403."""
    tokens = await signed_in(sim, scope="profile")
    statuses = [
        (await sim.get(path, token=tokens["access_token"])).status_code for path in ("/v1/profiles/me", "/v2/zaps")
    ]

    assert statuses == [200, 403]


def test_what_was_handed_out_outlives_the_process(tmp_path: Any) -> None:
    """A used refresh token stays used, a code stays good, an end stays an end."""
    sim = Simulation(World(journal=Journal(tmp_path)))
    code, tokens, switches = code_of(sim), sim.upstream.tokens, sim.upstream.switches.tokens
    first = tokens.grant("alice", client_id=PARTNER, scope="zap", now=sim.clock(), switches=switches)
    second = tokens.refresh(first.refresh_token, client_id=PARTNER, now=sim.clock(), switches=switches)
    sim.world.close()
    reopened = World(journal=Journal(tmp_path))
    known = [reopened.issued(text) for text in (code, first.refresh_token, second.refresh_token, first.access_token)]
    reopened.close()

    assert [one is not None for one in known] == [True, False, True, True]
