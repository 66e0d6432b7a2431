"""What a client of a real process is made with."""

from __future__ import annotations

from typing import Any, Final

import httpx

PATIENT: Final[dict[str, Any]] = {"trust_env": False, "timeout": 60, "verify": httpx.create_ssl_context()}
"""No proxy, and more time than httpx's five seconds: how soon a busy machine answers is not what is tested.

What certificates are checked by is made once: for each client it would cost 30 ms anew.
"""

RUNS_WITHIN_S: Final = 200.0
"""For a command that is run to its end: what hangs is found, and what is slow is not."""
