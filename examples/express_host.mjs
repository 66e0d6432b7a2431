// An Express host. Its one route checks your user, and gives their page a token for their session and nothing else.
import process from "node:process";

import express from "express";
import { Zapwright } from "zapwright-client";

const LOGINS = new Map([["login-of-ada", "ada"], ["login-of-bob", "bob"]]); // stands for your own sign-in

const app = express();
app.use("/page", express.static("page"));
const zapwright = new Zapwright({ url: process.env.ZAPWRIGHT_API_URL, key: process.env.ZAPWRIGHT_API_KEY });

app.post("/integrations/:name/zapwright", async (request, response) => {
  const user = LOGINS.get(request.get("login"));
  if (!user) return response.status(401).json({ detail: "sign in first" });
  // A new session, or the one that this user is building for this integration.
  const session = await zapwright.createSession({ user_id: user, reference: request.params.name, steps: [{}] });
  return response.json(session.client_token);
});

const server = app.listen(process.env.PORT, "127.0.0.1", () => console.log(`listening on ${server.address().port}`));
