"""What actions ask for and give: what is read anew, and what serves as it was read."""

from typing import Any

import pytest

from orchestrator.core.errors.upstream import UpstreamUnavailableError
from orchestrator.core.ports.upstream import ActionUse
from orchestrator.core.session import Action, JsonObject
from tests.support.zapier import APP, BASE, NOON, Stage, action_row, answer, page, refusal

FIELDS = f"{BASE}/v2/actions/core%3Aabc/inputs"


def field(name: str, *, invalidates: bool = False) -> dict[str, Any]:
    """Return an input field as Zapier shows it."""
    row = {"type": "input_field", "id": name, "title": name.title(), "value_type": "STRING"}
    return row | {"is_required": False, "invalidates_input_fields": invalidates}


SHEET = field("sheet", invalidates=True)


def use(authentication_id: str | None = None, **inputs: str) -> ActionUse:
    """Return the action with these inputs."""
    action = Action(key="send", action_type="WRITE")
    given: JsonObject = dict(inputs)
    return ActionUse(app_id=APP, action=action, authentication_id=authentication_id, inputs=given)


async def asked(stage: Stage, *uses: ActionUse) -> list[list[str]]:
    """Give the fields of each form, asked for one after the other."""
    credential = await stage.sign_in()
    return [list((await stage.client.fields(credential, one)).inputs) for one in uses]


def forms_read(stage: Stage) -> int:
    """Count how often Zapier was asked for fields."""
    return sum(url == FIELDS for url in stage.zapier.urls)


async def test_filling_a_field_that_no_other_hangs_on_reads_no_new_form(stage: Stage) -> None:
    """Only a field that invalidates others lets them come and go."""
    stage.zapier.answers(answer(page([action_row()])), answer(page([SHEET, field("text")])))
    found = await asked(stage, use(), use(text="a"), use(text="b"))

    assert (found, forms_read(stage)) == ([["sheet", "text"]] * 3, 1)


async def test_a_field_that_others_hang_on_reads_the_form_anew(stage: Stage) -> None:
    """What is asked for then is kept beside what was asked for before."""
    stage.zapier.answers(
        answer(page([action_row()])), answer(page([SHEET])), answer(page([SHEET, field("row", invalidates=True)]))
    )
    found = await asked(stage, use(), use(sheet="a"), use(), use(sheet="a"))

    assert (found, forms_read(stage)) == ([["sheet"], ["sheet", "row"]] * 2, 2)


async def test_a_field_that_others_hang_on_now_counts_although_it_did_not_at_first(stage: Stage) -> None:
    """A form says itself by what it would be another one."""
    stage.zapier.answers(
        answer(page([action_row()])),
        answer(page([SHEET, field("row", invalidates=True)])),
        answer(page([SHEET, field("row", invalidates=True), field("cell")])),
    )
    found = await asked(stage, use(sheet="a"), use(sheet="a", row="b"))

    assert found == [["sheet", "row"], ["sheet", "row", "cell"]]


async def test_an_input_of_a_field_that_the_form_does_not_know_reads_it_anew(stage: Stage) -> None:
    """Nothing says what hangs on it."""
    stage.zapier.answers(answer(page([action_row()])), answer(page([])), answer(page([field("odd")])))
    found = await asked(stage, use(), use(odd="a"))

    assert found == [[], ["odd"]]


async def test_another_authentication_has_forms_of_its_own(stage: Stage) -> None:
    """Dynamic fields are made with it."""
    stage.zapier.answers(answer(page([action_row()])), answer(page([])), answer(page([SHEET])))
    found = await asked(stage, use("a1"), use("a2"))

    assert found == [[], ["sheet"]]


async def test_what_a_user_fills_in_is_not_kept_with_the_form(stage: Stage) -> None:
    """Whoever is erased is not remembered by it for another minute."""
    stage.zapier.answers(answer(page([action_row()])), answer(page([SHEET, field("text")])))
    found = await asked(stage, use(sheet="of-ann", text="to-bob"), use(sheet="of-ann", text="to-eve"))
    kept = [await stage.cache.get(key, now=NOON) or b"" for key in stage.cache.keys]

    assert (found, forms_read(stage)) == ([["sheet", "text"]] * 2, 1)
    assert [text for text in (b"of-ann", b"to-bob", b"to-eve") if any(text in value for value in kept)] == []


async def test_a_form_serves_for_a_minute_however_often_it_is_asked_for(stage: Stage) -> None:
    """Being used makes it no younger."""
    stage.zapier.answers(
        answer(page([action_row()])), answer(page([SHEET])), answer(page([action_row()])), answer(page([]))
    )
    credential, found = await stage.sign_in(), []
    for at in (0, 59_999, 60_000):
        stage.clock.at = NOON + at
        found.append(list((await stage.client.fields(credential, use())).inputs))

    assert found == [["sheet"], ["sheet"], []]


async def test_a_form_that_cannot_be_read_is_not_kept(stage: Stage) -> None:
    """The next who asks gets what there is."""
    stage.zapier.answers(answer(page([action_row()])), answer({"data": 7}), answer(page([SHEET])))
    with pytest.raises(UpstreamUnavailableError):
        await asked(stage, use())

    assert await asked(stage, use()) == [["sheet"]]


async def test_an_id_that_is_refused_is_looked_up_again(stage: Stage) -> None:
    """The new one is used, and kept."""
    stage.zapier.answers(
        answer(page([action_row("core:old")])),
        refusal(404),
        answer(page([action_row()])),
        answer(page([SHEET])),
    )

    assert (await asked(stage, use()), forms_read(stage)) == ([["sheet"]], 1)


async def test_live_samples_serve_for_ten_seconds(stage: Stage) -> None:
    """A page that asks again and again costs no more than six calls a minute; samples that are not live last longer."""
    rows = [{"type": "output_field", "id": "id", "title": "Id", "sample": "7"}]
    stage.zapier.answers(answer(page([action_row()])), *(answer(page(rows)) for _ in range(3)))
    credential = await stage.sign_in()
    for at, live in ((0, True), (9_999, True), (10_000, True), (10_000, False), (59_999, False)):
        stage.clock.at = NOON + at
        await stage.client.outputs(credential, use(), live=live)

    assert len(stage.zapier.urls) == 1 + 3
