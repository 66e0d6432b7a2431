"""The container image, without a container engine: its Dockerfile, read and followed in a folder."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
import sysconfig
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

from tests.structure.tree import ROOT, files
from tests.support.patience import RUNS_WITHIN_S

HOME_OF_IMAGE: Final = "/opt/zapwright"
REQUIREMENTS: Final = "pip install --no-cache-dir --require-hashes --requirement requirements/runtime.txt"


@dataclass(frozen=True, slots=True)
class Stage:
    """What one FROM begins: instructions in order, each a word and what follows it."""

    base: str
    instructions: tuple[tuple[str, str], ...]

    def all(self, word: str) -> list[str]:
        """Give what follows each instruction of this word."""
        return [rest for found, rest in self.instructions if found == word]

    def one(self, word: str) -> str:
        """Give what follows the only instruction of this word."""
        (rest,) = self.all(word)
        return rest

    @property
    def environment(self) -> dict[str, str]:
        """Give what ENV sets, but for the path."""
        pairs = (pair.split("=", 1) for line in self.all("ENV") for pair in shlex.split(line))
        return {name: value for name, value in pairs if name != "PATH"}


def stages() -> list[Stage]:
    """Read the Dockerfile."""
    text = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = [re.sub(r"\s*\\\n\s*", " ", line).strip() for line in re.findall(r"(?:.*\\\n)*.+", text)]
    pairs = [(word, rest) for word, _, rest in (line.partition(" ") for line in lines) if word != "ARG"]
    starts = [place for place, (word, _) in enumerate(pairs) if word == "FROM"]
    ends = [*starts[1:], len(pairs)]
    return [Stage(pairs[at][1], tuple(pairs[at + 1 : end])) for at, end in zip(starts, ends, strict=True)]


def context() -> list[Path]:
    """Give the files that the engine would be sent, by .dockerignore; relative to the tree."""
    patterns = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    return [path for path in (path.relative_to(ROOT) for path in files()) if not _is_ignored(path, patterns)]


def _is_ignored(path: Path, patterns: list[str]) -> bool:
    ignored = False
    places = [path, *path.parents][:-1]  # the last is the tree itself
    for pattern in patterns:
        wanted = pattern.removeprefix("!").removeprefix("**/")
        names = [place.name if pattern.startswith("**/") else str(place) for place in places]
        if any(fnmatch(name, wanted) and "/" not in name for name in names):
            ignored = not pattern.startswith("!")
    return ignored


def build(source: Path, home: Path) -> None:
    """Follow the build stage: `source` is its working directory, `home` what it leaves to the image.

    The requirements are those of this environment, which was made from the same file by the same hashes.
    """
    for word, rest in stages()[0].instructions:
        match word:
            case "COPY":
                _copy(source, *rest.split())
            case "RUN" if rest.endswith(REQUIREMENTS):
                own = Path(_run_python(home, "import sysconfig; print(sysconfig.get_path('purelib'))"))
                (own / "tested.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
            case "RUN":
                command = shlex.split(rest.replace(HOME_OF_IMAGE, str(home)))
                command[0] = sys.executable if command[0] == "python" else command[0]
                subprocess.run(command, check=True, cwd=source, capture_output=True, timeout=RUNS_WITHIN_S)
            case _:
                assert word == "WORKDIR", f"{word} is not understood here"


def _copy(source: Path, what: str, where: str) -> None:
    for path in context():
        if what in {".", str(path)}:
            target = source / where / (path.name if what == str(path) else path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(ROOT / path, target)


def _run_python(home: Path, program: str) -> str:
    command = [str(home / "bin" / "python"), "-c", program]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=RUNS_WITHIN_S).stdout.strip()
