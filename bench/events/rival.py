"""The rival: an RQ job for each delivery, as most would write it; a SimpleWorker that posts with httpx.

`python -m bench.events.rival` works at the queue in REDIS_URL; `enqueue` puts the jobs there, in pipelines.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final

import httpx
from redis import Redis
from rq import Queue, SimpleWorker

from orchestrator.signing import signed

QUEUE: Final = "rival"
SECRET: Final = "whsec_" + "A" * 43 + "="
AT_ONCE: Final = 100

_client: Final = httpx.Client(trust_env=False)


def deliver(url: str, message_id: str, body: str, now: int) -> int:
    """Post one message; RQ would retry what this raises."""
    headers = signed(message_id, body.encode(), secrets=[SECRET], now=now)
    return _client.post(url, content=body.encode(), headers=headers).raise_for_status().status_code


def enqueue(redis: Redis, url: str, bodies: Sequence[str], *, now: int) -> None:
    """Put a job for each body in the queue."""
    queue = Queue(QUEUE, connection=redis)
    for begin in range(0, len(bodies), AT_ONCE):
        jobs = [
            Queue.prepare_data(deliver, args=(url, f"msg_{begin + number}", body, now), result_ttl=0)
            for number, body in enumerate(bodies[begin : begin + AT_ONCE])
        ]
        queue.enqueue_many(jobs)


if __name__ == "__main__":
    connection = Redis.from_url(os.environ["REDIS_URL"])
    worker = SimpleWorker([Queue(QUEUE, connection=connection)], connection=connection)
    worker.work(logging_level="WARNING")
