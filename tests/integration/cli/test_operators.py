"""What operators ask for from a terminal, of an API that answers as it is told to."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import unquote

import pytest
from typer.testing import CliRunner

from cli.errors import CommandError
from cli.main import app
from tests.integration.cli.conftest import Shell
from tests.support.processes import ROOT


class Api(ThreadingHTTPServer):
    """It has an answer for each request that it knows, and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Answering)
        self.answers: dict[str, tuple[int, Any]] = {}
        self.asked: list[str] = []

    def says(self, request: str, document: Any, *, status: int = 200) -> None:
        """Answer a request below /v1/operator with this."""
        self.answers[request] = (status, document)


class _Answering(BaseHTTPRequestHandler):
    server: Api

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        request = f"{self.command} {unquote(self.path.removeprefix('/v1/operator'))}"
        self.server.asked.append(request)
        status, document = self.server.answers[request]
        body = (document if isinstance(document, str) else json.dumps(document)).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    do_POST = do_GET  # noqa: N815 - as its base calls it

    def log_message(self, *_: object) -> None:
        """Nobody reads it."""


@pytest.fixture(name="api")
def _api() -> Iterator[Api]:
    with Api() as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(name="desk")
def _desk(api: Api, tmp_path: Path) -> Shell:
    """A terminal that knows the API, and no store."""
    shell = Shell("redis://127.0.0.1:9", tmp_path)
    shell.environment |= {
        "ZAPWRIGHT_API_URL": f"http://127.0.0.1:{api.server_port}",
        "ZAPWRIGHT_OPERATOR_KEY": "of-an-operator",
    }
    return shell


# --- why ------------------------------------------------------------------------------------------------------


def said(about: str, verdict: str, says: str, *, title: str | None = None) -> dict[str, Any]:
    """Return what the API says of something."""
    return {
        "about": about,
        "title": title,
        "verdict": verdict,
        "findings": [{"code": "x", "step_id": None, "says": says, "do": None, "verdict": verdict}],
    }


def test_an_app_is_asked_about_by_its_id_or_its_title(api: Api, desk: Shell) -> None:
    """In any case; what is both is an id."""
    apps = [{"app_id": "a-1", "title": "Slack"}, {"app_id": "a-2", "title": None}]
    api.says("GET /apps", {"apps": apps})
    api.says("GET /why?app=a-1", said("a-1", "fine", "Nobody waits for a popup of Slack.", title="Slack"))
    api.says("GET /why?app=slack", said("slack", "unknown", "No such app has been seen here."))

    assert desk.run("why", "--app", "a-1").startswith("Slack (a-1): all is well\n")
    assert api.asked == ["GET /why?app=a-1"]
    assert desk.run("why", "--app", "slack").startswith("Slack (a-1): all is well\n")


def test_an_app_s_title_may_be_of_several_words(api: Api, desk: Shell) -> None:
    """Which no id is; and one that nobody knows is told apart from an API that cannot be asked."""
    api.says("GET /apps", {"apps": [{"app_id": "a-1", "title": "Google Sheets"}]})
    api.says("GET /why?app=a-1", said("a-1", "fine", "Nobody waits for a popup of Google Sheets."))

    assert "Nobody waits for a popup of Google Sheets." in desk.run("why", "--app", "google sheets")
    with pytest.raises(CommandError, match="has the title 'Google Docs'") as unknown:
        desk.run("why", "--app", "Google Docs")
    assert unknown.value.status == 4


def test_an_app_that_nobody_knows_is_not_said_to_be_well(api: Api, desk: Shell) -> None:
    """Nor is one picked of several that have the title."""
    apps = [{"app_id": "a-1", "title": "Slack"}, {"app_id": "a-2", "title": "Slack"}]
    api.says("GET /apps", {"apps": apps})
    for name in ("Slack", "Salck"):
        api.says(f"GET /why?app={name}", said(name, "unknown", "No such app has been seen here."))

    unknown = CliRunner().invoke(app, ["why", "--app", "Salck"], env=desk.environment)

    assert unknown.exit_code == 4
    assert "Salck: nothing is known of it" in unknown.stdout
    assert "No such app has been seen here." in unknown.stdout
    assert "name one by its id: a-1, a-2" in desk.refused("why", "--app", "Slack")


@pytest.mark.parametrize(
    ("verdict", "status"), [("over", 0), ("fine", 0), ("user", 0), ("working", 0), ("stuck", 3), ("unknown", 4)]
)
def test_a_script_can_go_by_the_exit_status(api: Api, desk: Shell, verdict: str, status: int) -> None:
    """Whether somebody has to help is told apart from whether there is anything to help."""
    api.says("GET /why?session=zs00", said("zs00", verdict, "So it is."))

    assert CliRunner().invoke(app, ["why", "zs00"], env=desk.environment).exit_code == status


@pytest.mark.parametrize("named", [(), ("zs00", "--app", "a-1")])
def test_who_names_nothing_or_two_things_has_misspelt_it(desk: Shell, named: tuple[str, ...]) -> None:
    """A script tells that apart from an API that cannot be asked."""
    with pytest.raises(CommandError, match="name one session, or one app") as refused:
        desk.run("why", *named)

    assert refused.value.status == 2


@pytest.mark.parametrize(("code", "status"), [("session_not_found", 4), ("route_not_found", 1), ("key_invalid", 1)])
def test_a_session_that_is_not_there_is_told_apart_from_an_api_that_cannot_be_asked(
    api: Api, desk: Shell, code: str, status: int
) -> None:
    """Both say why, and neither looks as if somebody were stuck; the same for every command that names a session."""
    problem = {"code": code, "detail": "there is none"}
    api.says("GET /why?session=zs00", problem, status=404)
    api.says("GET /sessions/zs00?limit=1", problem, status=404)
    api.says("POST /sessions/zs00/cancel", problem, status=404)
    for command in ("why zs00", "sessions show zs00", "sessions cancel zs00 --reason gone"):
        with pytest.raises(CommandError, match="there is none") as refused:
            CliRunner().invoke(app, command.split(), env=desk.environment, catch_exceptions=False)

        assert refused.value.status == status


# --- help -----------------------------------------------------------------------------------------------------


def a_session(*states: str, status: str = "building") -> dict[str, Any]:
    """Return a session as operators see it, with a step in each of these states."""
    steps = [
        {"id": f"s{place}", "alias": None, "position": place, "state": state, "app": {"title": "Slack"}}
        for place, state in enumerate(states)
    ]
    return {"session": {"id": "zs00", "status": status, "state": "resolved", "steps": steps}}


@pytest.mark.parametrize(
    ("states", "meant"),
    [
        (("resolved",), "s0"),
        (("awaiting-popup",), "s0"),
        (("resolved", "awaiting-popup"), "s1"),
        (("needs-auth", "choose-app"), "s0"),
    ],
)
def test_the_step_that_can_be_meant_needs_no_name(api: Api, desk: Shell, states: tuple[str, ...], meant: str) -> None:
    """It is the only one, or the only one that is waited for; what the server makes of it is its to say."""
    session = a_session(*states)
    api.says("GET /sessions/zs00", session)
    api.says(f"POST /sessions/zs00/steps/{meant}/check-now", session | {"outcome": "applied", "says": "It is asked."})

    assert "applied: It is asked." in desk.run("sessions", "check-now", "zs00", "--reason", "she rang")


def test_what_the_server_refuses_for_an_only_step_is_said(api: Api, desk: Shell) -> None:
    """Before anything else; the reference by which the log has it comes last, and nothing of how it was asked."""
    api.says("GET /sessions/zs00", a_session("resolved"))
    refusal = {"detail": "step s0 has its account already: bind another", "code": "illegal_signal", "reference": "r0"}
    api.says("POST /sessions/zs00/steps/s0/check-now", refusal, status=409)

    assert (
        desk.refused("sessions", "check-now", "zs00", "--reason", "she rang")
        == "step s0 has its account already: bind another (reference r0)"
    )


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("unauthorized", "the API does not know the key in ZAPWRIGHT_OPERATOR_KEY, or no longer: `zapwright "),
        ("scope_missing", "this needs the scope viewer, and the one in ZAPWRIGHT_OPERATOR_KEY has not: `zapwright "),
    ],
)
def test_who_has_the_wrong_key_is_told_which_variable_holds_it(api: Api, desk: Shell, code: str, words: str) -> None:
    """And what makes another; nobody at a terminal sends headers."""
    problem = {"code": code, "detail": "this needs the scope viewer", "reference": "r0"}
    api.says("GET /audit?limit=50", problem, status=403)

    assert desk.refused("audit").startswith(words)


@pytest.mark.parametrize("key", ["zwk_a_secret\nof two lines", "zwk_a_secret of ours", "zwk_a_secret_ö"])
def test_what_can_be_no_key_is_told_without_being_shown(desk: Shell, key: str) -> None:
    """Part of it may be one."""
    desk.environment["ZAPWRIGHT_OPERATOR_KEY"] = key
    said = desk.refused("audit")

    assert said.startswith("what ZAPWRIGHT_OPERATOR_KEY holds is no key: ")
    assert "secret" not in said


@pytest.mark.parametrize(
    ("status", "document"),
    [(200, "<h1>Welcome</h1>"), (502, "<h1>Welcome</h1>"), (303, ""), (401, {"error": "who are you"}), (404, {})],
)
def test_what_is_no_api_of_ours_is_told_so(api: Api, desk: Shell, status: int, document: Any) -> None:
    """It may be a proxy that speaks for it, or another address: what was asked helps to find out."""
    api.says("GET /audit?limit=50", document, status=status)
    said = desk.refused("audit")

    assert said.startswith(f"{desk.environment['ZAPWRIGHT_API_URL']} is no API of ours, or something before it answers")
    assert said.endswith(f"{status} {HTTPStatus(status).phrase} to GET /v1/operator/audit")


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (a_session("resolved", status="created"), "session zs00 is over: its Zap was created"),
        (a_session("needs-auth", status="expired"), "session zs00 is over: it expired"),
        (a_session("needs-auth", "needs-auth"), "say which step is meant, by --step: 1 Slack, 2 Slack"),
        (a_session(), "session zs00 has no steps yet"),
    ],
)
def test_where_no_step_can_be_meant_it_is_said_why(api: Api, desk: Shell, session: dict[str, Any], words: str) -> None:
    """Rather than asked for one."""
    api.says("GET /sessions/zs00", session)

    assert words in desk.refused("sessions", "check-now", "zs00", "--reason", "she rang")


def test_no_reason_is_none(api: Api, desk: Shell) -> None:
    """Nothing is asked for without one."""
    tried = CliRunner().invoke(app, ["sessions", "cancel", "zs00", "--reason", ""], env=desk.environment)

    assert (tried.exit_code, api.asked) == (2, [])
    assert "say why, in 1 to 500 characters" in tried.output


# --- whose sessions are seen ----------------------------------------------------------------------------------


def a_found_session(**more: str) -> dict[str, Any]:
    """Return a session as lists and stories have it."""
    session: dict[str, Any] = a_session()["session"]
    return session | {
        "user_id": "ann",
        "title": None,
        "reference": None,
        "seq": 2,
        "created_at": "2026-11-25T19:57:14.250Z",
        "deadline": "2026-11-26T19:57:14.250Z",
        "credential": {"state": "active", "account": None},
        "zap": {"state": "none", "editor_url": None, "id": None, "problem": None},
        **more,
    }


def an_event(seq: int, second: int) -> dict[str, Any]:
    """Return an event of that second."""
    at = f"2026-11-25T{19 + second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.000Z"
    return {"seq": seq, "name": "session_changed", "at": at, "step_id": None, "data": {}}


def test_an_operator_s_key_is_enough_to_look_at_sessions(api: Api, desk: Shell) -> None:
    """Of every tenant; whoever is woken has no other. All events are read, page by page."""
    session = a_found_session(tenant_id="acme")
    waiting = {"since": "2026-11-25T20:00:00.000Z", "heard_at": None, "stuck": "check"}
    api.says("GET /sessions?limit=50&stuck=true", {"sessions": [session | {"waiting": waiting}], "cursor": None})
    api.says("GET /sessions/zs00?limit=1", {"session": session, "events": [], "events_truncated": False})
    for after, event in enumerate((an_event(1, 0), an_event(2, 3_725))):
        page = {"session": session, "events": [event], "events_truncated": False}
        api.says(f"GET /sessions/zs00?after={after}&limit=500", page)

    assert re.search("zs00 +ann +acme .*since 2026-11-25 20:00:00, stuck", desk.run("sessions", "list", "--stuck"))
    shown = desk.run("sessions", "show", "zs00")
    assert ["tenant", "acme"] in [line.split() for line in shown.splitlines()]
    assert [line.split()[:4] for line in shown.splitlines()[-2:]] == [
        ["1", "0.0", "s", "session_changed"],
        ["2", "1", "h", "2"],
    ]


def test_of_a_session_that_is_over_no_state_is_shown(api: Api, desk: Shell) -> None:
    """Nobody waits for the popup that was open when it was cancelled."""
    over = a_found_session(status="cancelled", state="awaiting-popup", tenant_id="default")
    api.says("GET /sessions?limit=50", {"sessions": [over], "cursor": None})
    story = {"session": over, "events": [an_event(2, 0)], "events_truncated": False}
    api.says("GET /sessions/zs00?limit=1", story)
    api.says("GET /sessions/zs00?after=0&limit=500", story)

    for shown in (desk.run("sessions", "list"), desk.run("sessions", "show", "zs00")):
        assert ("cancelled" in shown, "awaiting-popup" in shown) == (True, False)


def test_a_backend_s_key_shows_its_tenant_s_sessions(api: Api, desk: Shell) -> None:
    """Who is stuck is for operators."""
    desk.environment |= {"ZAPWRIGHT_OPERATOR_KEY": "", "ZAPWRIGHT_API_KEY": "of-a-backend"}
    api.says("GET /v1/sessions?limit=50", {"sessions": [a_found_session()], "cursor": None})

    listed = desk.run("sessions", "list")
    assert ("zs00" in listed, "tenant" in listed, "waits" in listed) == (True, False, False)
    assert desk.refused("sessions", "list", "--stuck") == "--stuck is for operators: set ZAPWRIGHT_OPERATOR_KEY"


def test_an_operator_s_key_shows_every_tenant_s_endpoints(api: Api, desk: Shell) -> None:
    """With what they have not received."""
    endpoint = {
        "id": "wh0",
        "tenant_id": "acme",
        "session_id": None,
        "url": "https://hooks.example/",
        "description": "",
        "events": ["auth_needed"],
        "paused": "gone",
        "pending": 3,
        "dead": 0,
    }
    api.says("GET /endpoints", {"webhooks": [endpoint]})

    listed = desk.run("webhooks", "list")
    assert re.search("wh0 +every session +acme +https://hooks.example/ +1 +3 pending +gone", listed)


def test_an_operator_s_key_shows_what_was_sent_to_any_endpoint(api: Api, desk: Shell) -> None:
    """What is left to the tenant's backend says that it takes another key, and which."""
    sent = {"session_id": "zs00", "event": "auth_needed", "seq": 7, "state": "dead", "next_try_at": None}
    tries = [{"status": 500, "problem": None}]
    api.says(
        "GET /endpoints/wh0/deliveries?state=dead&limit=50", {"deliveries": [sent | {"tries": tries}], "cursor": None}
    )
    missing = {"code": "endpoint_not_found", "detail": "no webhook endpoint has the id 'wh1': list them"}
    api.says("GET /endpoints/wh1/deliveries?limit=50", missing, status=404)

    assert re.search("zs00 +auth_needed +7 +dead +500 +1", desk.run("webhooks", "deliveries", "wh0", "--state", "dead"))
    assert desk.refused("webhooks", "deliveries", "wh1") == (
        "no webhook endpoint has the id 'wh1': list them with `zapwright webhooks list`; "
        "the key in ZAPWRIGHT_OPERATOR_KEY may be of another tenant"
    )
    assert desk.refused("webhooks", "resume", "wh0").startswith(
        "an operator's key does not do this, the one of the tenant's backend does: set ZAPWRIGHT_API_KEY; "
    )


def test_a_terminal_that_knows_few_letters_shows_what_it_can(api: Api, desk: Shell) -> None:
    """And a program reads the same as ever."""
    api.says("GET /why?session=zs00", said("zs00", "fine", "All is well.", title="Öps"))
    environment = os.environ | desk.environment | {"PYTHONIOENCODING": "ascii"}
    command = [sys.executable, "-m", "cli", "why", "zs00"]
    shown, read = (
        subprocess.run([*command, *more], env=environment, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        for more in ([], ["--json"])
    )

    assert shown.splitlines()[0] == "?ps (zs00): all is well"
    assert json.loads(read)["title"] == "Öps"


# --- the audit ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("columns", [80, 120, 200])
def test_ids_in_the_audit_can_be_copied(api: Api, desk: Shell, columns: int) -> None:
    """They are whole, however much else there is to say, and what became of it is told; times have their zone."""
    desk.environment["COLUMNS"] = str(columns)
    entry = {
        "at": "2026-11-25T19:57:14.250Z",
        "key_id": "ak7k2q9v0xc4m1",
        "key_name": "Grace of the night shift",
        "action": "check_now",
        "session_id": "zs0f7kq2v9x0c4m1n8b6",
        "step_id": "st7kq2v9x0c4m1n8",
        "about": "whzs0f7kq2v9x0c4m1n8b6d3f5 12",
        "reason": "she rang, and says that she is through with everything " * 3,
        "outcome": "refused",
        "detail": "zapier_sign_in_required",
    }
    api.says("GET /audit?limit=50", {"entries": [entry], "cursor": None})
    shown = desk.run("audit")
    ids = (entry["key_id"], entry["session_id"], entry["step_id"], "whzs0f7kq2v9x0c4m1n8b6d3f5")

    assert [one for one in ids if one not in shown] == []
    assert "at (UTC)" in shown
    assert "2026-11-25 19:57:14" in shown
    assert "refused: zapier" in shown
    assert "she rang" in shown


# --- where everything is --------------------------------------------------------------------------------------


@pytest.mark.parametrize("words", ["sessions list", "why zs00", "audit", "webhooks list", "api-keys list --operator"])
def test_who_looks_beside_a_demo_is_told_where_it_is(desk: Shell, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as it runs."""
    demo = desk.folder / "demo"
    for name in ("ZAPWRIGHT_API_URL", "ZAPWRIGHT_OPERATOR_KEY", "REDIS_URL"):
        desk.environment.pop(name)
        monkeypatch.delenv(name, raising=False)
    before = desk.refused(*words.split())
    demo.mkdir()
    (demo / "dev.env").write_text("", encoding="utf-8")
    (demo / "up.lock").write_text(f"{os.getpid()}\n", encoding="utf-8")
    meanwhile = desk.refused(*words.split())
    examined = desk.tried("doctor", "--json")
    (demo / "up.lock").write_text("", encoding="utf-8")
    afterwards = desk.refused(*words.split())

    assert f"--data-dir {demo}" in examined
    assert meanwhile == f"{before}; a demo runs: add `--data-dir {demo}`"
    assert afterwards == before


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        (
            "REDIS_URL",
            "redis://127.0.0.1:9",
            "the store did not answer (no connection): does it run, where ",
        ),
        ("REDIS_URL", "127.0.0.1", "settings: REDIS_URL: a store's address begins with one of redis://, "),
        ("ZAPWRIGHT_API_URL", "127.0.0.1", "settings: ZAPWRIGHT_API_URL: write it as an address: https://"),
    ],
)
def test_what_is_set_wrongly_is_named_in_words(desk: Shell, variable: str, value: str, words: str) -> None:
    """Of a terminal: nobody there repeats requests, or reads patterns."""
    desk.environment[variable] = value

    assert desk.refused("tenants", "list").startswith(words)


def test_a_port_that_is_taken_is_told_so(desk: Shell) -> None:
    """Nothing was asked of the API by then."""
    desk.environment["ZAPWRIGHT_API_KEY"] = "of-a-backend"
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        assert desk.refused("listen", "--port", str(port)) == (
            f"nothing can listen at port {port}: Address already in use; choose another --port"
        )
