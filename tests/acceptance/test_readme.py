"""The README's tour, run as it stands."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Final

from tests.support.processes import ROOT, Process, eventually

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR: Final = re.compile(r"```bash tour\n(.*?)```", re.DOTALL)


def test_the_tour_ends_with_a_step_that_is_resolved_by_difference(tmp_path: Path) -> None:
    """Whoever pastes the ten lines after `make up` sees a lost message found."""
    data_dir = tmp_path / "data"
    dev_env = data_dir / "dev.env"
    up = Process(
        ["cli", "up", "--data-dir", str(data_dir), "--workers", "1"],
        environment={"HOME": str(tmp_path)},
        log=tmp_path / "up.log",
    )
    try:
        eventually(lambda: "Ctrl-C" in up.output, what=f"up: {up.output}")
        tour = TOUR.findall(README)[0].replace(".zapwright/dev.env", str(dev_env))
        done = subprocess.run(
            ["bash", "-e", "-c", tour], capture_output=True, text=True, timeout=60, check=False, cwd=tmp_path
        )
        assert done.returncode == 0, done.stderr
        session = json.loads(_last_document(done.stdout))
        (step,) = session["steps"]
    finally:
        up.send(signal.SIGTERM)
        assert up.wait() == 0, up.output

    assert step["state"] == "resolved"
    assert step["evidence"]["channels"] == ["difference"]


def _last_document(output: str) -> str:
    decoder, at, last = json.JSONDecoder(), 0, ""
    while at < len(output):
        _, end = decoder.raw_decode(output, at)
        last, at = output[at:end], end
        while at < len(output) and output[at].isspace():
            at += 1
    return last
