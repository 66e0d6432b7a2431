"""The clock of a machine that is wrong, by `CLOCK_AHEAD_MS`: Python reads this before anything else."""

import os
import time
from datetime import timedelta

import rq.utils

_AHEAD_MS = int(os.environ["CLOCK_AHEAD_MS"])
_right, _right_ns, _rqs = time.time, time.time_ns, rq.utils.now

time.time = lambda: _right() + _AHEAD_MS / 1_000
time.time_ns = lambda: _right_ns() + _AHEAD_MS * 1_000_000
rq.utils.now = lambda: _rqs() + timedelta(milliseconds=_AHEAD_MS)
