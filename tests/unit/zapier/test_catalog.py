"""Apps and actions: what is asked, what is kept for whom, and what a user may be shown."""

import pytest

from orchestrator.core.errors.actions import AppNotFoundError
from orchestrator.core.errors.upstream import UpstreamRefusedError, UpstreamUnavailableError
from orchestrator.core.session import Connect
from orchestrator.zapier import Limits
from tests.support.zapier import (
    APP,
    BASE,
    CONNECT,
    NOON,
    OTHER_APP,
    THIRD_APP,
    Stage,
    action_row,
    answer,
    app_row,
    page,
    refusal,
)

# --- one app --------------------------------------------------------------------------------------------------


async def test_an_app_is_asked_for_by_its_id(stage: Stage) -> None:
    """There is no endpoint for one app; its link carries the moment it was read."""
    stage.zapier.answers(answer(page([app_row()])))
    found = await stage.client.app(await stage.sign_in(), APP)

    assert found.connect == Connect(url=CONNECT, read_at=NOON)
    assert stage.zapier.urls == [f"{BASE}/v2/apps?ids={APP}"]


async def test_a_connect_link_is_never_older_than_a_minute(stage: Stage) -> None:
    """It is kept until then, and asked for again afterwards."""
    credential = await stage.sign_in()
    stage.zapier.answers(answer(page([app_row()])), answer(page([app_row(link=None)])))

    first = await stage.client.app(credential, APP)
    stage.clock.at = NOON + 59_999
    kept = await stage.client.app(credential, APP)
    stage.clock.at = NOON + 60_000
    anew = await stage.client.app(credential, APP)

    assert first == kept
    assert anew.connect is None


async def test_one_users_connect_link_is_not_another_users(stage: Stage) -> None:
    """Whether it belongs to who read it is undocumented."""
    stage.zapier.answers(
        answer(page([app_row(link=f"{CONNECT}&for=ann")])), answer(page([app_row(link=f"{CONNECT}&for=bob")]))
    )
    ann = await stage.client.app(await stage.sign_in("ann"), APP)
    bob = await stage.client.app(await stage.sign_in("bob"), APP)

    assert (ann.connect, bob.connect) == (
        Connect(url=f"{CONNECT}&for=ann", read_at=NOON),
        Connect(url=f"{CONNECT}&for=bob", read_at=NOON),
    )


async def test_several_apps_are_read_with_one_call(stage: Stage) -> None:
    """Those that are known already are not asked for, nor is what is no id; one alone is left for when it is wanted."""
    stage.zapier.answers(answer(page([app_row()])), answer(page([app_row(OTHER_APP), app_row(THIRD_APP, link=None)])))
    credential = await stage.sign_in()
    await stage.client.app(credential, APP)
    await stage.client.learn_apps(credential, [APP, OTHER_APP, THIRD_APP, "chat"])
    found = [await stage.client.app(credential, app_id) for app_id in (APP, OTHER_APP, THIRD_APP)]
    stage.clock.at = NOON + 60_000
    await stage.client.learn_apps(credential, [APP])

    assert [one.connect is None for one in found] == [False, False, True]
    assert stage.zapier.urls[1:] == [f"{BASE}/v2/apps?ids={OTHER_APP}%2C{THIRD_APP}&limit=2"]


@pytest.mark.parametrize("status", [400, 404])
async def test_what_cannot_be_read_together_is_read_one_by_one(stage: Stage, status: int) -> None:
    """So that the one that is not there is known by its id."""
    stage.zapier.answers(refusal(status), answer(page([app_row()])), refusal(status))
    credential = await stage.sign_in()
    await stage.client.learn_apps(credential, [APP, OTHER_APP])

    assert (await stage.client.app(credential, APP)).app.id == APP
    with pytest.raises(AppNotFoundError):
        await stage.client.app(credential, OTHER_APP)


@pytest.mark.parametrize("app_id", ["", "chat", f"{APP},{OTHER_APP}", f" {APP}", APP.replace("-", ""), "../zaps"])
async def test_what_is_no_uuid_is_no_app(stage: Stage, app_id: str) -> None:
    """And costs no permit."""
    credential = await stage.sign_in()

    with pytest.raises(AppNotFoundError):
        await stage.client.app(credential, app_id)

    assert (stage.zapier.requests, stage.budget.taken) == ([], [])


@pytest.mark.parametrize("response", [page([]), page([app_row(OTHER_APP)])], ids=["nothing", "another"])
async def test_an_app_that_is_not_in_the_answer_is_unknown(stage: Stage, response: object) -> None:
    """An empty list is how Zapier says so."""
    stage.zapier.answers(answer(response))
    credential = await stage.sign_in()

    with pytest.raises(AppNotFoundError):
        await stage.client.app(credential, APP)


@pytest.mark.parametrize("status", [400, 404])
async def test_an_app_may_be_unknown_in_either_status(stage: Stage, status: int) -> None:
    """Which one is undocumented."""
    stage.zapier.answers(refusal(status))
    credential = await stage.sign_in()

    with pytest.raises(AppNotFoundError):
        await stage.client.app(credential, APP)


async def test_a_missing_scope_is_no_missing_app(stage: Stage) -> None:
    """403 stays a refusal."""
    stage.zapier.answers(refusal(403))
    credential = await stage.sign_in()

    with pytest.raises(UpstreamRefusedError):
        await stage.client.app(credential, APP)


@pytest.mark.parametrize(
    "row", [app_row(links=None), app_row(links={}), app_row(link="javascript:x")], ids=["a", "b", "c"]
)
async def test_an_app_whose_link_is_not_stated_cannot_be_judged(stage: Stage, row: object) -> None:
    """It is not taken for one that needs no authentication, and the answer is not kept."""
    stage.zapier.answers(answer(page([row])), answer(page([app_row()])))
    credential = await stage.sign_in()

    with pytest.raises(UpstreamUnavailableError):
        await stage.client.app(credential, APP)

    assert (await stage.client.app(credential, APP)).connect is not None


# --- searches -------------------------------------------------------------------------------------------------


async def test_a_search_asks_for_a_page(stage: Stage) -> None:
    """Words, page size and offset; the cursor carries on where Zapier's link does."""
    stage.zapier.answers(
        answer(page([app_row()], count=30, following=f"{BASE}/v2/apps?limit=10&offset=10&query=chat")),
        answer(page([app_row(OTHER_APP)], count=30)),
    )
    credential = await stage.sign_in()
    first = await stage.client.apps(credential, query="  chat\tapp ", cursor=None)
    second = await stage.client.apps(credential, query="chat app", cursor=first.cursor)

    assert stage.zapier.urls == [
        f"{BASE}/v2/apps?limit=20&offset=0&query=chat+app",
        f"{BASE}/v2/apps?limit=20&offset=10&query=chat+app",
    ]
    assert [shown.app.id for shown in (*first.apps, *second.apps)] == [APP, OTHER_APP]
    assert second.cursor is None


@pytest.mark.parametrize("query", [None, "", "  "])
async def test_without_words_all_apps_are_listed(stage: Stage, query: str | None) -> None:
    """No empty query is sent."""
    stage.zapier.answers(answer(page([])))
    await stage.client.apps(await stage.sign_in(), query=query, cursor=None)

    assert stage.zapier.urls == [f"{BASE}/v2/apps?limit=20&offset=0"]


async def test_words_that_are_no_text_are_searched_as_far_as_they_are(stage: Stage) -> None:
    """Half a character cannot be sent."""
    stage.zapier.answers(answer(page([])))
    await stage.client.apps(await stage.sign_in(), query="a\ud800b", cursor=None)

    assert stage.zapier.urls == [f"{BASE}/v2/apps?limit=20&offset=0&query=a%3Fb"]


@pytest.mark.parametrize(
    "link",
    [
        None,
        "https://elsewhere.test/v2/apps?offset=10",
        f"{BASE}/v2/apps?offset=0",
        f"{BASE}/v2/apps",
        f"{BASE}/v2/apps?offset=ten",
    ],
)
async def test_a_search_ends_where_its_link_cannot_be_followed(stage: Stage, link: str | None) -> None:
    """There is no cursor then."""
    stage.zapier.answers(answer(page([app_row()], following=link)))

    assert (await stage.client.apps(await stage.sign_in(), query=None, cursor=None)).cursor is None


@pytest.mark.parametrize("cursor", ["", "10", "o", "o-1", "ox", "o1234567890", "https://elsewhere.test/"])
async def test_a_cursor_that_is_not_ours_is_refused(stage: Stage, cursor: str) -> None:
    """Nothing is sent."""
    credential = await stage.sign_in()

    with pytest.raises(ValueError, match="cursor"):
        await stage.client.apps(credential, query=None, cursor=cursor)

    assert stage.zapier.requests == []


async def test_an_app_nobody_could_choose_is_not_shown(stage: Stage) -> None:
    """One whose popup address is not stated; the others are."""
    stage.zapier.answers(answer(page([app_row(links={}), app_row(OTHER_APP, link=None)])))
    found = await stage.client.apps(await stage.sign_in(), query=None, cursor=None)

    assert [(shown.app.id, shown.connect) for shown in found.apps] == [(OTHER_APP, None)]


async def test_a_search_serves_every_user_of_the_tenant_for_ten_minutes(stage: Stage) -> None:
    """The first page of the catalogue is what every picker shows."""
    stage.zapier.answers(answer(page([app_row()])), answer(page([])))
    ann, bob = await stage.sign_in("ann"), await stage.sign_in("bob")

    first = await stage.client.apps(ann, query="chat", cursor=None)
    second = await stage.client.apps(bob, query="chat", cursor=None)
    stage.clock.at = NOON + 600_000
    third = await stage.client.apps(bob, query="chat", cursor=None)

    assert first == second
    assert third.apps == ()


async def test_who_read_a_search_chooses_from_it_without_another_call(stage: Stage) -> None:
    """For a minute, as long as a popup address serves: it is the same answer to the same user."""
    stage.zapier.answers(answer(page([app_row(), app_row(OTHER_APP, link=None)])), answer(page([app_row()])))
    ann = await stage.sign_in()

    shown = await stage.client.apps(ann, query=None, cursor=None)
    chosen = [await stage.client.app(ann, app_id) for app_id in (APP, OTHER_APP)]
    stage.clock.at = NOON + 60_000
    await stage.client.app(ann, APP)

    assert tuple(chosen) == shown.apps
    assert stage.zapier.urls[1:] == [f"{BASE}/v2/apps?ids={APP}"]


async def test_a_search_that_another_user_read_gives_no_popup_address(stage: Stage) -> None:
    """Whether it belongs to who read it is undocumented."""
    stage.zapier.answers(answer(page([app_row()])), answer(page([app_row(link=f"{CONNECT}&for=bob")])))
    await stage.client.apps(await stage.sign_in("ann"), query=None, cursor=None)
    bob = await stage.sign_in("bob")
    await stage.client.apps(bob, query=None, cursor=None)

    assert (await stage.client.app(bob, APP)).connect == Connect(url=f"{CONNECT}&for=bob", read_at=NOON)


async def test_different_searches_are_kept_apart(stage: Stage) -> None:
    """By words and by cursor."""
    stage.zapier.answers(*(answer(page([])) for _ in range(4)))
    credential = await stage.sign_in()
    for query, cursor in [("a", None), ("b", None), ("a", "o20"), (None, "o20")]:
        await stage.client.apps(credential, query=query, cursor=cursor)

    assert len(stage.zapier.requests) == 4


# --- actions --------------------------------------------------------------------------------------------------


async def test_actions_serve_every_user_of_the_tenant_for_ten_minutes(stage: Stage) -> None:
    """They are facts about the app."""
    stage.zapier.answers(answer(page([action_row()])), answer(page([])))
    ann, bob = await stage.sign_in("ann"), await stage.sign_in("bob")

    first = await stage.client.actions(ann, APP)
    stage.clock.at = NOON + 599_999
    second = await stage.client.actions(bob, APP)
    stage.clock.at = NOON + 600_000
    third = await stage.client.actions(bob, APP)

    assert ([action.key for action in first], first, third) == (["send"], second, ())
    assert stage.zapier.urls == [f"{BASE}/v2/actions?app={APP}"] * 2


async def test_actions_are_as_young_as_is_asked(stage: Stage) -> None:
    """Ids change; what is read is kept for the others."""
    stage.zapier.answers(*(answer(page([action_row(f"core:{number}")])) for number in (1, 2, 3)))
    credential = await stage.sign_in()

    found = [await stage.client.actions(credential, APP)]
    found.append(await stage.client.actions(credential, APP, age=0))
    stage.clock.at = NOON + 59_999
    found.append(await stage.client.actions(credential, APP, age=60_000))
    stage.clock.at = NOON + 60_000
    found.append(await stage.client.actions(credential, APP, age=60_000))
    found.append(await stage.client.actions(credential, APP))

    assert [shown[0].id for shown in found] == ["core:1", "core:2", "core:2", "core:3", "core:3"]


async def test_actions_in_pages_are_all_read(stage: Stage) -> None:
    """They come in one answer today; each page has its own permit."""
    stage.zapier.answers(
        answer(page([action_row(key="a")], count=2, following=f"{BASE}/v2/actions?app={APP}&offset=1")),
        answer(page([action_row(key="b")], count=2)),
    )
    found = await stage.client.actions(await stage.sign_in(), APP)

    assert [action.key for action in found] == ["a", "b"]
    assert len(stage.budget.taken) == 2


async def test_actions_whose_list_breaks_off_are_not_used() -> None:
    """A missing action would look like one that is gone."""
    stage = Stage(limits=Limits(max_pages=1))
    stage.zapier.answers(answer(page([action_row()], count=2, following=f"{BASE}/v2/actions?app={APP}&offset=1")))
    credential = await stage.sign_in()

    with pytest.raises(UpstreamUnavailableError):
        await stage.client.actions(credential, APP)


async def test_an_unknown_app_has_no_actions_to_list(stage: Stage) -> None:
    """The step's app was known when it was chosen, so this is a refusal."""
    stage.zapier.answers(refusal(404))
    credential = await stage.sign_in()

    with pytest.raises(UpstreamRefusedError):
        await stage.client.actions(credential, APP)


async def test_what_users_search_for_is_in_no_key(stage: Stage) -> None:
    """Operators can read keys."""
    stage.zapier.answers(answer(page([])))
    await stage.client.apps(await stage.sign_in(), query="salaries", cursor=None)

    assert [key.rpartition(":")[0] for key in stage.cache.keys] == ["zapier:apps:1"]
    assert "salaries" not in stage.cache.keys[0]
