"""The Python client as pip and a type checker see it."""

from __future__ import annotations

import subprocess
import sys
from email import message_from_string
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest
from zapwright_client import AsyncClient, Client

from tests.support.clients import ROOT
from tests.support.patience import RUNS_WITHIN_S

CLIENT: Final = ROOT / "clients" / "python"
CALLER: Final = """
from zapwright_client import AsyncClient, Client
from zapwright_client.shapes import Session, StepState

async def both(client: Client, other: AsyncClient) -> StepState:
    session: Session = client.create_session(user_id="ada", steps=[{"alias": "a"}])
    newer: Session = await other.wait_for(session.id, after_seq=session.seq)
    client.create_session(title="Leads")  # type: ignore[call-arg]
    client.create_session(user_id="ada", tilte="Leads")  # type: ignore[call-arg]
    client.list_sessions(state="resolvde")  # type: ignore[arg-type]
    client.read_delivery("wh1", session.id, session.seq)
    client.read_delivery("wh1", session.id, "1")  # type: ignore[arg-type]
    return newer.state
"""


def built(folder: Path) -> Path:
    """Build the wheel."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)]
    subprocess.run(command, cwd=CLIENT, check=True, capture_output=True, timeout=RUNS_WITHIN_S)
    (wheel,) = folder.glob("*.whl")
    return wheel


def test_the_wheel_holds_the_package_and_needs_httpx(tmp_path: Path) -> None:
    """Every module, the mark that says it is typed, and nothing else; it can be used as it is."""
    wheel = built(tmp_path)
    with ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.startswith("zapwright_client-")}
        (about,) = (name for name in archive.namelist() if name.endswith("METADATA"))
        metadata = message_from_string(archive.read(about).decode())
    program = (
        f"import sys; sys.path.insert(0, {str(wheel)!r}); import zapwright_client; print(zapwright_client.__file__)"
    )
    used = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        timeout=RUNS_WITHIN_S,
    )

    package = CLIENT / "zapwright_client"
    assert names == {f"zapwright_client/{path.name}" for path in package.iterdir() if path.is_file()}
    assert metadata.get_all("Requires-Dist") == ["httpx>=0.28"]
    assert used.stdout.startswith(str(wheel)), used.stderr


@pytest.mark.parametrize("kind", [Client, AsyncClient])
@pytest.mark.parametrize(
    ("url", "key"), [("zapwright:8700", "a-key"), ("http://zapwright", "a-key\n"), ("http://z", "")]
)
def test_what_cannot_be_an_address_or_a_key_is_refused(kind: type[Client | AsyncClient], url: str, key: str) -> None:
    """With a message that does not show the key."""
    with pytest.raises(ValueError, match=r"key|address") as caught:
        kind(url, key)

    assert "a-key" not in str(caught.value)


def test_mypy_holds_callers_to_the_types(tmp_path: Path) -> None:
    """A misspelt argument is found before it runs; an ignore that is not needed is an error."""
    (tmp_path / "caller.py").write_text(CALLER, encoding="utf-8")
    (tmp_path / "mypy.ini").write_text("[mypy]\nstrict = True\n", encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "caller.py"],
        check=False,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"MYPYPATH": str(CLIENT), "PATH": ""},
        timeout=RUNS_WITHIN_S,
    )

    assert checked.returncode == 0, checked.stdout
