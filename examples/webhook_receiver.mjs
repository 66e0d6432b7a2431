// A webhook receiver. It believes what is signed, and of each session keeps the newest that it has heard of.
import process from "node:process";

import express from "express";
import { Webhook } from "standardwebhooks";

const app = express();
const webhook = new Webhook(process.env.WEBHOOK_SECRET);
const sessions = new Map(); // stands for your own database

app.post("/zapwright", express.text({ type: "*/*", limit: "1mb" }), (request, response) => {
  let session;
  try {
    ({ session } = webhook.verify(request.body, request.headers).data);
  } catch {
    return response.sendStatus(401);
  }
  if (session.seq > (sessions.get(session.id)?.seq ?? 0)) sessions.set(session.id, session); // else nothing new
  return response.sendStatus(204);
});

const server = app.listen(process.env.PORT, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
