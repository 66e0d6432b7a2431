"""The naive design, what most would write: WATCH and MULTI, a `Machine` for each request, a job for each popup.

FastAPI runs its plain functions on threads, as RQ and redis-py's ordinary client want it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, HTTPException
from pydantic import BaseModel
from redis import Redis
from redis.exceptions import WatchError
from rq import Queue
from transitions import Machine, MachineError

from bench.lifecycle.load import Client

STATES = ["choose-app", "needs-auth", "awaiting-popup", "resolved", "no-auth-required"]
TRANSITIONS: list[Any] = [
    {"trigger": "choose_app", "source": "*", "dest": "needs-auth"},
    {"trigger": "open_popup", "source": ["needs-auth", "resolved", "awaiting-popup"], "dest": "awaiting-popup"},
    {"trigger": "hear", "source": "awaiting-popup", "dest": "awaiting-popup"},
    {"trigger": "resolve", "source": ["awaiting-popup", "needs-auth"], "dest": "resolved"},
]


class NewSession(BaseModel):
    """A session to begin."""

    user_id: str


class AppChoice(BaseModel):
    """The app it uses."""

    app_id: str


class Message(BaseModel):
    """What the popup said."""

    authentication_id: str


class Session(BaseModel):
    """A session."""

    id: str
    user_id: str
    state: str
    app_id: str | None = None
    authentication_id: str | None = None


class Model:
    """What a machine moves."""

    state: str


Alter = Callable[[dict[str, str | None]], None]


class Sessions:
    """Sessions in Redis, each a JSON text that is watched while it is changed."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def create(self, session: Session) -> Session:
        """Write a new one."""
        self._redis.set(f"session:{session.id}", session.model_dump_json())
        return session

    def change(self, session_id: str, trigger: str, alter: Alter = lambda _: None) -> Session:
        """Fire a trigger; begin again as long as somebody else writes in between."""
        while True:
            try:
                return self._changed(f"session:{session_id}", trigger, alter)
            except WatchError:
                continue

    def _changed(self, key: str, trigger: str, alter: Alter) -> Session:
        with self._redis.pipeline() as pipeline:
            pipeline.watch(key)  # type: ignore[no-untyped-call]
            found = pipeline.get(key)
            if found is None:
                raise HTTPException(404, "no such session")
            document = json.loads(found)
            document["state"] = _moved(document["state"], trigger)
            alter(document)
            pipeline.multi()
            pipeline.set(key, json.dumps(document))
            pipeline.execute()
        return Session(**document)


def _moved(state: str, trigger: str) -> str:
    model = Model()
    machine = Machine(model, states=STATES, transitions=TRANSITIONS, initial=state)
    try:
        machine.events[trigger].trigger(model)
    except MachineError as error:
        raise HTTPException(409, str(error)) from error
    return model.state


def check_popup(session_id: str) -> None:
    """Look whether the popup has yielded something: the job of a worker, which this benchmark does not run."""


def create_app(redis_url: str) -> FastAPI:
    """Build the application on a store."""
    redis = Redis.from_url(redis_url)
    queue = Queue(connection=redis)
    sessions = Sessions(redis)
    app = FastAPI()

    @app.post("/sessions/{session_id}", status_code=201)
    def create(session_id: str, new: NewSession) -> Session:
        return sessions.create(Session(id=session_id, user_id=new.user_id, state="choose-app"))

    @app.put("/sessions/{session_id}/app")
    def choose_app(session_id: str, choice: AppChoice) -> Session:
        return sessions.change(session_id, "choose_app", lambda document: document.update(app_id=choice.app_id))

    @app.post("/sessions/{session_id}/popup")
    def open_popup(session_id: str) -> Session:
        session = sessions.change(session_id, "open_popup")
        queue.enqueue(check_popup, session_id)
        return session

    @app.post("/sessions/{session_id}/message")
    def hear(session_id: str, message: Message) -> Session:
        said = {"authentication_id": message.authentication_id}
        return sessions.change(session_id, "hear", lambda document: document.update(said))

    return app


async def life(client: Client, number: int) -> None:
    """Walk a session through its life."""
    path = f"/sessions/{number}"
    await client.transition("POST", path, b'{"user_id": "ada"}')
    await client.transition("PUT", f"{path}/app", b'{"app_id": "hubspot"}')
    await client.transition("POST", f"{path}/popup")
    await client.transition("POST", f"{path}/message", b'{"authentication_id": "1"}')
