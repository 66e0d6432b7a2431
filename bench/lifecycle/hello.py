"""FastAPI hello: the floor's route without its store, so that the two differ by what that costs alone."""

from __future__ import annotations

from fastapi import FastAPI

from bench.lifecycle import floor
from bench.lifecycle.load import Client


def create_app() -> FastAPI:
    """Build the application."""
    app = FastAPI()

    @app.post("/sessions/{session_id}/transitions")
    async def hello(session_id: str, transition: floor.Transition) -> floor.Committed:
        return floor.Committed(id=session_id, version=len(transition.signal))

    return app


async def life(client: Client, number: int) -> None:
    """Ask what the floor is asked."""
    await floor.life(client, number)
