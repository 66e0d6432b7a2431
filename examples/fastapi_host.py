"""A FastAPI host. Its one route checks your user, and gives their page a token for their session and nothing else."""

import os
from typing import Annotated

from fastapi import Depends, FastAPI, Header, HTTPException
from fastapi.staticfiles import StaticFiles
from zapwright_client import AsyncClient
from zapwright_client.shapes import ClientToken

LOGINS = {"login-of-ada": "ada", "login-of-bob": "bob"}  # stands for your own sign-in

app = FastAPI()
app.mount("/page", StaticFiles(directory="page", html=True))
zapwright = AsyncClient(os.environ["ZAPWRIGHT_API_URL"], os.environ["ZAPWRIGHT_API_KEY"])


def signed_in(login: Annotated[str, Header()] = "") -> str:
    """Return the id of the user who asks."""
    if login not in LOGINS:
        raise HTTPException(401, "sign in first")
    return LOGINS[login]


@app.post("/integrations/{name}/zapwright")
async def give_token(name: str, user: Annotated[str, Depends(signed_in)]) -> ClientToken:
    """Give the token: of a new session, or of the one this user is building for this integration."""
    session = await zapwright.create_session(user_id=user, reference=name, steps=[{}])
    return session.client_token
