"""Logs are lines of named facts, and no secret is among them."""

from __future__ import annotations

import asyncio
import json
import logging
import re
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from errno import ENOSPC
from importlib.metadata import version
from io import StringIO
from itertools import repeat
from textwrap import dedent
from typing import Any, Final

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.contextvars import bound_contextvars, merge_contextvars, unbind_contextvars
from structlog.processors import TimeStamper

from api.links import LinkTokens
from orchestrator.logs import REDACTED, SHAPES, configure, without_secrets
from orchestrator.settings import Settings


@dataclass
class Hiding:
    """A value with a part that is not to be shown."""

    body: str = field(repr=False)


def log_to(stream: StringIO, **settings: Any) -> Any:
    """Log to this stream; return a logger of ours."""
    configure(Settings(**{"log_format": "json", **settings}), stream=stream)
    return structlog.get_logger("orchestrator.test")


def lines(stream: StringIO) -> list[dict[str, Any]]:
    """Read what was logged."""
    return [json.loads(line) for line in stream.getvalue().splitlines() if line]


def test_a_line_names_its_facts() -> None:
    """An event's name, fields, and what is bound."""
    log = log_to(stream := StringIO())
    with bound_contextvars(reference="r1"):
        log.info("listing_read", pages=3)
    (line,) = lines(stream)

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "listing_read",
        "pages": 3,
        "reference": "r1",
        "level": "info",
        "logger": "orchestrator.test",
    }


def test_a_line_has_what_structlogs_own_processors_would_write() -> None:
    """Ours redo two of them in less time, and must follow when they change."""
    log = log_to(stream := StringIO())
    with bound_contextvars(reference="r1", pages=1, gone=True):
        unbind_contextvars("gone")
        log.info("listing_read", pages=3)
        theirs = merge_contextvars(None, "info", {"event": "listing_read", "pages": 3})
        theirs = TimeStamper(fmt="iso", utc=True)(None, "info", theirs)
    (line,) = lines(stream)
    ours = {name: line[name] for name in theirs}
    said_at, them_at = (datetime.fromisoformat(one.pop("timestamp")) for one in (ours, theirs))

    assert ours == theirs, f"structlog {version('structlog')} binds otherwise than `_bound` of orchestrator/logs.py"
    assert timedelta() <= them_at - said_at < timedelta(minutes=1), "see `_stamped` of orchestrator/logs.py"


def test_loggers_stay_as_they_are_after_the_last_configuration() -> None:
    """A process that serves configures once, and does not look up how to log for each line."""
    configure(Settings(log_format="json"), stream=(first := StringIO()), is_final=True)
    log = structlog.get_logger("orchestrator.test")
    log.info("before")
    log_to(second := StringIO())
    log.info("after")

    assert ([line["event"] for line in lines(first)], lines(second)) == (["before", "after"], [])


class Pieces(StringIO):
    """A stream that remembers what was written to it at a time."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[str] = []

    def write(self, text: str, /) -> int:
        self.written.append(text)
        return super().write(text)

    @property
    def events(self) -> list[list[str]]:
        """The events in each piece."""
        return [[json.loads(line)["event"] for line in piece.splitlines()] for piece in self.written]


def serving_log(stream: StringIO) -> Any:
    """Log as a process that serves does."""
    configure(Settings(log_format="json"), stream=stream, is_final=True)
    return structlog.get_logger("orchestrator.test")


async def test_lines_of_one_tick_are_written_in_one_piece() -> None:
    """Requests that are answered together cost one write, and it comes before the loop waits again."""
    log = serving_log(stream := Pieces())
    log.info("one")
    log.info("two")
    await asyncio.sleep(0)
    log.info("three")
    await asyncio.sleep(0)

    assert stream.events == [["one", "two"], ["three"]]


async def test_what_is_worse_than_news_is_written_at_once() -> None:
    """With what was said before it, in that order: the process may be about to die of it."""
    log = serving_log(stream := Pieces())
    log.info("one")
    log.warning("two")
    log.info("three")
    log.error("four")

    assert stream.events == [["one", "two"], ["three", "four"]]


async def test_what_libraries_say_stands_where_it_was_said() -> None:
    """Their lines come through `logging`, and do not overtake ours."""
    log = serving_log(stream := Pieces())
    log.info("ours")
    logging.getLogger("library").info("theirs\n")

    assert [event for piece in stream.events for event in piece] == ["ours", "theirs\n"]


def test_a_line_is_written_at_once_where_no_loop_runs() -> None:
    """A process that starts or ends, a thread."""
    serving_log(stream := Pieces()).info("alone")

    assert stream.events == [["alone"]]


async def test_another_thread_writes_at_once_and_loses_nobodys_lines() -> None:
    """What the loop's thread gathered goes before it."""
    log = serving_log(stream := Pieces())
    log.info("gathered")
    thread = threading.Thread(target=log.info, args=("at once",))
    thread.start()
    thread.join()

    assert stream.events == [["gathered", "at once"]]


async def test_a_piece_is_no_longer_than_a_pipe_takes_whole() -> None:
    """Several processes may share one: their lines must not mix."""
    log = serving_log(stream := Pieces())
    for _ in range(40):
        log.info("event", said="ü" * 100)
    await asyncio.sleep(0)

    assert sum(len(events) for events in stream.events) == 40
    assert 2 < len(stream.written) < 20
    assert max(len(piece.encode()) for piece in stream.written) <= select.PIPE_BUF


@pytest.mark.parametrize("form", ["json", "console"])
async def test_half_a_character_takes_no_line_with_it(form: str, capfd: pytest.CaptureFixture[str]) -> None:
    """It comes out of names of files and of other people's JSON; nobody fails because of it, and no line is lost."""
    configure(Settings(log_format=form), stream=sys.__stderr__, is_final=True)
    log = structlog.get_logger("orchestrator.test")
    log.info("before")
    log.info("amid", said="\udc80")
    log.warning("after", said="\udc80")
    written = capfd.readouterr().err

    assert [event for event in ("before", "amid", "after") if event in written] == ["before", "amid", "after"]


def test_a_loop_that_ends_amid_a_tick_leaves_the_next_its_lines() -> None:
    """A process may have one after the other."""
    log = serving_log(stream := Pieces())
    ended = asyncio.new_event_loop()
    ended.call_soon(log.info, "one")
    ended.call_soon(ended.stop)
    ended.run_forever()
    ended.close()

    async def say() -> list[list[str]]:
        log.info("two")
        await asyncio.sleep(0)
        return stream.events

    assert asyncio.run(say()) == [["one", "two"]]


class Stuck(Pieces):
    """A stream that takes nothing while there are faults left."""

    faults: Iterator[Exception] = iter(())

    def write(self, text: str, /) -> int:
        for fault in self.faults:
            raise fault
        return super().write(text)


@pytest.mark.parametrize("fault", [BrokenPipeError(), OSError(ENOSPC, "disk full"), ValueError("closed")], ids=repr)
async def test_a_log_that_cannot_be_written_fails_nobody_and_says_later_what_is_missing(fault: Exception) -> None:
    """Neither who says something, nor the loop, nor what libraries say; and what can be written again is."""
    log = serving_log(stream := Stuck())
    log.info("before")
    await asyncio.sleep(0)
    stream.faults = repeat(fault)
    log.warning("lost at once")
    log.info("lost in the tick")
    await asyncio.sleep(0)
    logging.getLogger("library").info("lost too")
    stream.faults = iter(())
    log.info("after")
    log.info("and on")
    await asyncio.sleep(0)

    (gap,) = [line for line in lines(stream) if line["event"] == "log_lines_missing"]
    assert [line["event"] for line in lines(stream)] == ["before", "log_lines_missing", "after", "and on"]
    assert (gap["about"], gap["level"], gap["logger"]) == (3, "warning", "orchestrator.logs")


async def test_what_fails_to_be_written_takes_no_other_piece_with_it() -> None:
    """Of a tick that has several."""
    log = serving_log(stream := Stuck())
    stream.faults = iter([OSError()])
    for number in range(3):
        log.info("long", number=number, said="x" * select.PIPE_BUF)
    await asyncio.sleep(0)

    assert [(line.get("about"), line.get("number")) for line in lines(stream)] == [(1, None), (None, 1), (None, 2)]


def test_a_process_that_ends_in_the_middle_of_a_tick_has_written_its_lines() -> None:
    """Whatever ends it, but for who kills it."""
    text = """
        import asyncio, structlog
        from orchestrator.logs import configure
        from orchestrator.settings import Settings

        async def main():
            structlog.get_logger().info("last words")
            loop.stop()

        configure(Settings(log_format="json"), is_final=True)
        loop = asyncio.new_event_loop()
        loop.create_task(main())
        loop.run_forever()
        raise RuntimeError
    """
    ended = subprocess.run([sys.executable, "-c", dedent(text)], capture_output=True, text=True, check=False)

    assert '"event":"last words"' in ended.stderr


@pytest.mark.parametrize(
    "fact",
    [
        {"access_token": "hunter2"},
        {"api_key": "hunter2"},
        {"Authorization": "hunter2"},
        {"db_password": "hunter2"},
        {"client_secret": "hunter2"},
        {"headers": {"cookie": "hunter2"}},
        {"tried": [{"credential_keys": ["hunter2"]}]},
        {"said": "sent Authorization: Bearer hunter2"},
        {"address": "redis://user:hunter2@db.example:6379/0"},
    ],
    ids=lambda fact: next(iter(fact)),
)
def test_secrets_are_left_out_however_they_come(fact: dict[str, Any]) -> None:
    """By name, in nested values, after `Bearer`, in an address."""
    log_to(stream := StringIO()).info("event", **fact)

    assert "hunter2" not in stream.getvalue()
    assert "…" in stream.getvalue()


@pytest.mark.parametrize("form", ["json", "console"])
@pytest.mark.parametrize(
    "secret",
    ["zwk_5f3a9c-AbCdEf0123456789", "whsec_" + "A" * 43 + "=", "eyJhbGciOiJIUzI1NiJ9.eyJ0aWQiOiJ4In0.c2lnbmF0dXJl"],
    ids=["API key", "webhook secret", "client token"],
)
def test_a_secret_of_ours_is_known_by_its_shape(secret: str, form: str) -> None:
    """Under whatever name, and in the middle of whatever was said."""
    log = log_to(stream := StringIO(), log_format=form)
    log.info("event", said=f"I was given {secret}, and nothing else", nested=[{"a": (secret,)}])
    logging.getLogger("library").warning("refused %s", secret)

    assert secret not in stream.getvalue()
    assert "and nothing else" in stream.getvalue()


SECRETS: Final = re.compile(r"(?:zwk_|whsec_)[\w+/=-]+|eyJ[\w-]+\.[\w-]+\.[\w-]+")
"""What they look like, said so simply that on some texts it takes for ever."""

LIKE_SECRETS: Final = st.lists(st.sampled_from(["eyJ", "zwk_", "whsec_", ".", "-", "=", "a", " ", "ß"])).map("".join)


@given(LIKE_SECRETS)
def test_nothing_is_taken_for_a_secret_of_ours_but_what_is_one(said: str) -> None:
    """And of what is one nothing stays."""
    assert without_secrets(said) == SECRETS.sub(REDACTED, said)


@given(LIKE_SECRETS)
def test_no_place_of_a_line_is_looked_through_for_a_token_twice(said: str) -> None:
    """What only begins like one is passed over whole: 60 kB of such beginnings held a process up for seconds."""
    assert "eyJ" not in SHAPES.sub("", said)


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_a_process_was_given_it_does_not_print(form: str) -> None:
    """Its own keys have no shape; they are known."""
    keys = {
        "api_key": "correct horse battery",
        "zapier_client_secret": "client-hunter2",
        "credential_keys": "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=",
        "token_keys": "a-signing-key-of-more-than-32-bytes",
        "redis_url": "redis://:store-hunter2@db.example:6379/0",
    }
    log = log_to(stream := StringIO(), log_format=form, **keys)
    log.info("event", said=[*keys.values(), "store-hunter2"])

    printed = [secret for secret in (*keys.values(), "store-hunter2") if secret in stream.getvalue()]
    assert printed == []


@pytest.mark.parametrize("form", ["json", "console"])
def test_what_hides_something_hides_it_from_the_log(form: str) -> None:
    """Values know which of their parts are not to be shown, and bytes are no way around it."""
    log = log_to(stream := StringIO(), log_format=form)
    log.info("exchanged", asked=Hiding("s3cret-of-somebody"), among=[Hiding("s3cret-of-somebody")])
    log.info("failed", error=ValueError("sent Bearer s3cret-of-somebody"), wrote=b"Bearer s3cret-of-somebody")

    assert "s3cret" not in stream.getvalue()
    assert "QmVhcmVy" not in stream.getvalue()


def test_what_is_too_short_to_be_a_secret_garbles_no_line() -> None:
    """A key of a first try is often a word."""
    log = log_to(stream := StringIO(), api_key="event")
    log.info("event_happened")

    assert lines(stream)[0]["event"] == "event_happened"


@pytest.mark.parametrize("form", [str, str.upper])
def test_a_connect_link_that_led_astray_is_not_told(form: Callable[[str], str]) -> None:
    """A proxy left a prefix in place, a mail program changed letters: the link itself is good still."""
    token = LinkTokens(["key"]).make("zs0bv7a1c8ug3m058cud2ts2", "cl1")
    log_to(stream := StringIO()).info("problem", detail=f"no route has the path '/zaps/connect/{form(token)}'")

    assert form(token.partition("-")[2]) not in stream.getvalue()
    assert lines(stream)[0]["detail"].startswith("no route has the path '/zaps/connect/")


def test_what_only_sounds_like_a_secret_stays() -> None:
    """An action's key is no key, a UUID no link."""
    facts = {"key": "new_row", "monkey": "ape", "zap": "00000000-0000-c000-8000-000000019263"}
    log_to(stream := StringIO()).info("event", **facts)

    assert lines(stream)[0].items() >= facts.items()


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_traceback_shows_no_secret_and_no_variables(form: str) -> None:
    """Exceptions carry addresses; frames hold tokens."""
    log = log_to(stream := StringIO(), log_format=form)

    def fails(access_token: str) -> None:
        raise ConnectionError(f"cannot reach redis://:{access_token}@db/0")

    try:
        fails("hunter2")
    except ConnectionError:
        log.exception("failed")

    assert "ConnectionError" in stream.getvalue()
    assert "hunter2@" not in stream.getvalue()
    assert "access_token = " not in stream.getvalue()
    assert "'hunter2'" not in stream.getvalue()


def test_libraries_speak_in_the_same_form() -> None:
    """With what is bound, and without secrets."""
    log_to(stream := StringIO())
    with bound_contextvars(reference="r1"):
        logging.getLogger("library.part").info("Started with %s", "redis://:hunter2@db/0")
    (line,) = lines(stream)

    assert (line["event"], line["reference"], line["logger"]) == (
        "Started with redis://…@db/0",
        "r1",
        "library.part",
    )


def test_debug_is_ours_alone() -> None:
    """What libraries say at `debug` may hold anything."""
    log = log_to(stream := StringIO(), log_level="debug")
    log.debug("ours")
    logging.getLogger("httpcore").debug("theirs")

    assert [line["event"] for line in lines(stream)] == ["ours"]


def test_less_important_lines_are_left_out() -> None:
    """The setting is a floor."""
    log = log_to(stream := StringIO(), log_level="warning")
    log.info("quiet")
    log.warning("loud")

    assert [line["event"] for line in lines(stream)] == ["loud"]


def test_the_console_is_for_people() -> None:
    """One line, no colours where nobody sees them."""
    log_to(stream := StringIO(), log_format="console").info("listing_read", pages=3)

    assert "listing_read" in stream.getvalue()
    assert "pages=3" in stream.getvalue()
    assert "\x1b" not in stream.getvalue()


def test_what_would_command_a_terminal_is_only_shown() -> None:
    """A title, an address or an error may come from anybody, and a log is read in a terminal."""
    log = log_to(stream := StringIO(), log_format="console")
    log.info("acted", path="\x1b]0;owned\x07", title="abc\u202ecba", more="\x9b31m")
    logging.getLogger("library").warning("said %s", "\x1b[2J")
    try:
        int("\x1b[2Jgone")
    except ValueError as error:
        log.exception("request_failed", problem=str(error), exc_info=ValueError("\x1b[2Jgone"))

    text = stream.getvalue()
    assert [char for char in text if not char.isprintable() and char != "\n"] == []
    assert r"path=\x1b]0;owned\x07" in text


def test_the_last_call_counts() -> None:
    """A command may configure again, and nothing is said twice."""
    log_to(before := StringIO())
    log_to(stream := StringIO()).info("once")

    assert (before.getvalue(), len(lines(stream))) == ("", 1)


@pytest.mark.parametrize("fact", [2**64, -(2**70), set, "\ud800"], ids=["big", "small", "class", "half"])
def test_a_line_is_written_whatever_its_facts_are(fact: Any) -> None:
    """What JSON has nothing for is shown as Python would; the line is JSON nevertheless."""
    log_to(stream := StringIO()).info("odd", fact=fact)
    (line,) = lines(stream)

    assert line["event"] == "odd"
    assert line["fact"]
