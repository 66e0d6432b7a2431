"""`ETag`, `If-Match` and `If-None-Match`: whoever writes may say which session they know."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.support.deployment import AN_ATTEMPT, Deployment, problem_of

WRITES: Final[dict[str, tuple[str, str, dict[str, Any] | None]]] = {
    "change_session": ("PATCH", "", {"title": "New"}),
    "cancel_session": ("DELETE", "", None),
    "add_step": ("POST", "/steps", {}),
    "change_step": ("PATCH", "/steps/{step}", {"alias": "other"}),
    "remove_step": ("DELETE", "/steps/{step}", None),
    "choose_app": ("PUT", "/steps/{step}/app", {"app_id": "{Gmail}"}),
    "reset_step": ("DELETE", "/steps/{step}/app", None),
    "select_authentication": ("PUT", "/steps/{step}/authentication", {"authentication_id": "{connected}"}),
    "open_popup": ("POST", "/steps/{step}/popup", {}),
    "open_named_popup": ("POST", "/steps/{step}/popup", {"attempt_id": AN_ATTEMPT}),
    "send_popup_signal": ("POST", "/steps/{step}/popup/signals", {"attempt_id": AN_ATTEMPT, "kind": "finished"}),
    "choose_action": ("PUT", "/steps/{step}/action", {"key": "new_message", "action_type": "READ"}),
    "give_inputs": ("PUT", "/steps/{step}/inputs", {"inputs": {"text": "hi"}}),
    "create_zap": ("POST", "/zap", {}),
}


class Writer:
    """Makes one kind of write of one session."""

    def __init__(self, api: Deployment, session: dict[str, Any], write: str, connected: str) -> None:
        method, path, body = WRITES[write]
        step = session["steps"][0]["id"]
        known = {"{Gmail}": api.sim.app_id("Gmail"), "{connected}": connected}
        self._api = api
        self._method = method
        self._path = f"/v1/sessions/{session['id']}{path.replace('{step}', step)}"
        self._body = body and {key: known.get(str(value), value) for key, value in body.items()}

    async def __call__(self, if_match: str) -> Any:
        return await self._api.client.request(self._method, self._path, json=self._body, headers={"If-Match": if_match})


async def a_writer(api: Deployment, write: str) -> tuple[dict[str, Any], Writer]:
    """Have a session that the write is for."""
    await api.sign_in()
    connected = await api.sim.connect("alice", "Slack")
    session = await api.session("Schedule" if write == "create_zap" else "Slack")
    if write == "create_zap":
        address = f"/v1/sessions/{session['id']}/steps/{session['steps'][0]['id']}"
        body = {"key": "every_hour", "action_type": "READ"}
        session = (await api.ok("PUT", f"{address}/action", body)).json()
    return session, Writer(api, session, write, connected)


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_on_another_session_than_is_known_is_refused(api: Deployment, write: str) -> None:
    """412, with the tag of the session as it is, which stays so; Zapier is not asked."""
    session, writes = await a_writer(api, write)
    asked = await api.asked()

    refused = [await writes(tag) for tag in (f'"{session["seq"] - 1}"', f'W/"{session["seq"]}"', '"", "theirs"')]

    assert [problem_of(answer) for answer in refused] == [(412, "precondition_failed")] * 3
    assert {answer.headers["ETag"] for answer in refused} == {f'"{session["seq"]}"'}
    assert refused[0].json()["facts"] == {"session_id": session["id"], "seq": session["seq"]}
    assert await api.asked() == asked
    assert await api.read(session) == session


@pytest.mark.parametrize("write", WRITES)
@pytest.mark.parametrize("form", ['"{seq}"', '"999" , "{seq}"', "*"])
async def test_a_write_on_the_session_that_is_known_is_made(api: Deployment, write: str, form: str) -> None:
    """And answered with the tag of the session it made."""
    session, writes = await a_writer(api, write)

    answer = await writes(form.format(seq=session["seq"]))
    now = await api.read(session)

    assert answer.is_success, answer.text
    assert now["seq"] > session["seq"] or write == "send_popup_signal"
    assert write.startswith("open_") or answer.headers["ETag"] == f'"{now["seq"]}"'


@pytest.mark.parametrize("write", WRITES)
async def test_what_is_no_tag_is_refused(api: Deployment, write: str) -> None:
    """Whoever sends one wants to be careful, and would not be."""
    session, writes = await a_writer(api, write)

    answer = await writes("seven")

    assert problem_of(answer) == (422, "request_invalid")
    assert answer.json()["errors"][0]["parameter"] == "If-Match"
    assert await api.read(session) == session


async def test_a_session_that_is_not_there_is_not_found_whatever_is_known_of_it(api: Deployment) -> None:
    """A precondition is looked at only where there is something to look at (RFC 9110, 13.2.1)."""
    answer = await api.client.patch("/v1/sessions/zs00nothingnothing", json={}, headers={"If-Match": "*"})

    assert problem_of(answer) == (404, "session_not_found")


async def test_a_writer_that_comes_again_with_its_key_is_answered_though_it_moved_the_tag(api: Deployment) -> None:
    """It was carried out, when its condition held."""
    session = await api.session()
    headers = {"If-Match": f'"{session["seq"]}"', "Idempotency-Key": "k"}

    answers = [await api.client.post(f"/v1/sessions/{session['id']}/steps", json={}, headers=headers) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [201, 201]
    assert answers[0].json() == answers[1].json()


# --- reading --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ['"{seq}"', 'W/"{seq}"', '"999", "{seq}"', "*"])
async def test_a_reader_who_has_it_is_told_so(api: Deployment, form: str) -> None:
    """304, without a body."""
    session = await api.session()

    answer = await api.client.get(
        f"/v1/sessions/{session['id']}", headers={"If-None-Match": form.format(seq=session["seq"])}
    )

    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["ETag"] == f'"{session["seq"]}"'


async def test_a_reader_who_has_another_gets_it(api: Deployment) -> None:
    """With its tag."""
    session = await api.session()

    answer = await api.client.get(f"/v1/sessions/{session['id']}", headers={"If-None-Match": '"999"'})

    assert (answer.status_code, answer.json()) == (200, session)
    assert answer.headers["ETag"] == f'"{session["seq"]}"'


async def test_a_long_poll_that_ends_without_news_says_so(api: Deployment) -> None:
    """Whoever polls need not read the same session again and again."""
    session = await api.session()

    answer = await api.client.get(
        f"/v1/sessions/{session['id']}",
        params={"after_seq": session["seq"], "wait_s": 0},
        headers={"If-None-Match": f'"{session["seq"]}"'},
    )

    assert answer.status_code == 304
