"""The project's own files, for tests that read them."""

import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]

# Where there is no git, as in an unpacked archive: what .gitignore names at the top, and everything hidden but these.
_BUILT: Final = {"__pycache__", "data", "dist", "node_modules", "types"}
_HIDDEN_SOURCES: Final = {".ci", ".dockerignore", ".editorconfig", ".gitignore", ".npmrc"}


def files(*, suffix: str = "") -> Iterator[Path]:
    """Give every file that is, or could be, committed and whose name ends in `suffix`; sorted, absolute."""
    listed = _known_to_git() if (ROOT / ".git").exists() else _below(ROOT)

    return iter(sorted(path for path in listed if path.name.endswith(suffix) and path.is_file()))


def _known_to_git() -> list[Path]:
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT).stdout

    return [ROOT / name for name in names.split("\0") if name]


def _below(folder: Path) -> Iterator[Path]:
    for path in folder.iterdir():
        if path.name in _BUILT or (path.name.startswith(".") and path.name not in _HIDDEN_SOURCES):
            continue
        if path.is_dir():
            yield from _below(path)
        else:
            yield path
