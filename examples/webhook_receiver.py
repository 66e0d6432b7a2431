"""A webhook receiver. It believes what is signed, and of each session keeps the newest that it has heard of."""

import os

from fastapi import FastAPI, Request, Response
from standardwebhooks import Webhook, WebhookVerificationError

app = FastAPI()
webhook = Webhook(os.environ["WEBHOOK_SECRET"])
sessions: dict[str, dict[str, object]] = {}  # stands for your own database


@app.post("/zapwright")
async def hear(request: Request) -> Response:
    """Answer at once; whatever takes long comes afterwards."""
    try:
        session = webhook.verify(await request.body(), dict(request.headers))["data"]["session"]
    except WebhookVerificationError:
        return Response(status_code=401)
    if session["seq"] > sessions.get(session["id"], {"seq": 0})["seq"]:  # else a duplicate, or an older one
        sessions[session["id"]] = session
    return Response(status_code=204)
