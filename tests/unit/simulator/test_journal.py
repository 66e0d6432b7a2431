"""The file that remembers."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from simulator.journal import Journal, JournalError


def test_what_was_appended_is_there_in_order(tmp_path: Path) -> None:
    """One line for each change."""
    journal = Journal(tmp_path / "new" / "place")
    journal.append(b"one")
    journal.append(b"two")

    assert journal.lines() == [b"one", b"two"]
    assert journal.appended == 2


def test_a_torn_last_line_is_left_out(tmp_path: Path) -> None:
    """Nobody was told of the change it belongs to."""
    (tmp_path / "world.jsonl").write_bytes(b"one\ntwo\nthr")
    journal = Journal(tmp_path)

    assert journal.lines() == [b"one", b"two"]


def test_a_rewritten_journal_holds_the_new_lines_and_takes_more(tmp_path: Path) -> None:
    """The old file is replaced as a whole."""
    journal = Journal(tmp_path)
    journal.append(b"old")
    journal.rewrite([b"new"])
    journal.append(b"newer")

    assert journal.lines() == [b"new", b"newer"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["world.jsonl", "world.lock"]


def test_one_directory_has_one_simulator(tmp_path: Path) -> None:
    """Two would each forget what the other remembers; the second is told so, until the first lets go."""
    first = Journal(tmp_path)
    with pytest.raises(JournalError, match="another simulator uses"):
        Journal(tmp_path)
    first.close()

    assert Journal(tmp_path).lines() == []


def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The message says which and why."""
    (tmp_path / "file").touch()

    with pytest.raises(JournalError, match="file/below cannot be used"):
        Journal(tmp_path / "file" / "below")


@contextmanager
def no_file_beyond(size: int) -> Iterator[None]:
    """Let no file grow beyond `size` bytes, as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_a_line_that_cannot_be_written_leaves_no_trace(tmp_path: Path) -> None:
    """The next line does not continue a half one."""
    journal = Journal(tmp_path)
    journal.append(b"one")
    with no_file_beyond(6), pytest.raises(OSError, match="too large"):
        journal.append(b"never")
    journal.append(b"two")

    assert journal.lines() == [b"one", b"two"]
    assert journal.appended == 2


def test_a_rewrite_that_fails_leaves_what_was_there(tmp_path: Path) -> None:
    """And the journal goes on."""
    journal = Journal(tmp_path)
    journal.append(b"one")
    with no_file_beyond(6), pytest.raises(OSError, match="too large"):
        journal.rewrite([b"never and", b"ever"])
    journal.append(b"two")

    assert journal.lines() == [b"one", b"two"]
