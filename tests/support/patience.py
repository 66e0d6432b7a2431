"""What a client of a real process is made with."""

from __future__ import annotations

from typing import Any, Final

PATIENT: Final[dict[str, Any]] = {"trust_env": False, "timeout": 60}
"""No proxy, and more time than httpx's five seconds: how soon a busy machine answers is not what is tested."""

RUNS_WITHIN_S: Final = 200.0
"""For a command that is run to its end: what hangs is found, and what is slow is not."""
