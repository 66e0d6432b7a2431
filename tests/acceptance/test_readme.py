"""The README's tour, run as it stands."""

import json
import re
import signal
import subprocess
from pathlib import Path
from typing import Any, Final

from tests.support.patience import RUNS_WITHIN_S
from tests.support.processes import ROOT, Process, eventually

README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
TOUR: Final = re.compile(r"```bash tour\n(.*?)```", re.DOTALL)


def test_the_tour_ends_with_a_step_that_is_resolved_by_difference(tmp_path: Path) -> None:
    """Whoever pastes the lines after `make up` sees a lost message found, in any shell, wherever its output goes."""
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
        said = tmp_path / "said"
        with said.open("w") as both:
            done = subprocess.run(
                ["sh", "-e", "-c", tour], stdout=both, stderr=both, timeout=RUNS_WITHIN_S, check=False, cwd=tmp_path
            )
        assert done.returncode == 0, said.read_text()
        documents = _documents(said.read_text())
        (step,) = documents[-1]["steps"]
    finally:
        up.send(signal.SIGTERM)
        assert up.wait() == 0, up.output

    assert len(documents) == 7
    assert step["state"] == "resolved"
    assert step["evidence"]["channels"] == ["difference"]


def _documents(output: str) -> list[Any]:
    decoder, at, found = json.JSONDecoder(), 0, []
    while at < len(output):
        document, at = decoder.raw_decode(output, at)
        found.append(document)
        while at < len(output) and output[at].isspace():
            at += 1
    return found
