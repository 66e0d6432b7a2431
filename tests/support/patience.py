"""What a client of a real process is made with."""

from __future__ import annotations

from typing import Any, Final

PATIENT: Final[dict[str, Any]] = {"trust_env": False, "timeout": 60}
"""No proxy, and more time than httpx's five seconds: how soon a busy machine answers is not what is tested."""
