"""The command line, as far as it goes without serving."""

import socket
from pathlib import Path

import pytest

from simulator.main import address_of, listen, main


def test_a_free_port_is_taken_and_told() -> None:
    """Port 0 means any."""
    with listen("127.0.0.1", 0) as listening:
        port = listening.getsockname()[1]

        assert address_of(listening) == f"http://127.0.0.1:{port}"
        with socket.create_connection(("127.0.0.1", port)):
            pass


def test_answers_are_not_held_back() -> None:
    """asyncio turns Nagle's algorithm off only where the socket says that it is TCP."""
    with listen("127.0.0.1", 0) as listening:
        assert listening.proto == socket.IPPROTO_TCP


@pytest.mark.parametrize(
    ("switches", "message"),
    [("{", "simulator: "), ('{"limits": {"ip": "5"}}', "simulator: Expected `int`, got `str` - at `$.limits.ip`")],
)
def test_bad_switches_end_the_command_with_a_reason(
    capsys: pytest.CaptureFixture[str], switches: str, message: str
) -> None:
    """Before anything is served."""
    status = main(["--port", "0", "--switches", switches])

    assert status == 1
    assert message in capsys.readouterr().err


def test_a_data_directory_that_is_taken_ends_the_command_with_a_reason(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Two simulators cannot share one."""
    (tmp_path / "world.jsonl").write_bytes(b"nonsense\n")
    status = main(["--port", "0", "--data-dir", str(tmp_path)])

    assert status == 1
    assert "simulator: the simulator's world cannot be read" in capsys.readouterr().err


def test_a_port_that_is_taken_ends_the_command_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """And leaves the other's service alone."""
    with listen("127.0.0.1", 0) as listening:
        status = main(["--port", str(listening.getsockname()[1])])

    assert status == 1
    assert "simulator: " in capsys.readouterr().err
