import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { NoAnswerError, Zapwright } from "./zapwright.js";

/** @type {import("node:http").Server} */
let server;
let asked = 0;
/** @type {Zapwright} */
let zapwright;

before(async () => {
  server = createServer(() => (asked += 1)).listen(0, "127.0.0.1");
  await new Promise((resolve) => server.once("listening", resolve));
  zapwright = new Zapwright({ url: `http://127.0.0.1:${server.address().port}`, key: "a-key", timeoutS: 0.05 });
});

after(() => server.closeAllConnections() ?? server.close());

test("an argument that the route does not take is refused before anything is sent", async () => {
  await assert.rejects(zapwright.listSessions({ userid: "ada" }), new TypeError("GET /v1/sessions takes no userid"));
  assert.equal(asked, 0);
});

test("a missing part of the path is refused before anything is sent", async () => {
  await assert.rejects(zapwright.readSession({}), TypeError);
  assert.equal(asked, 0);
});

test("what cannot be an address or a key is refused, and the key is not shown", () => {
  for (const wrong of [{ url: "zapwright:8700", key: "a-key" }, { url: "http://zapwright", key: "a-key\n" }]) {
    assert.throws(() => new Zapwright(wrong), (error) => error instanceof TypeError && !error.message.includes("a-key"));
  }
});

test("an idempotency key that no header can carry is the caller's error, not the network's", async () => {
  const keyed = zapwright.createSession({ user_id: "ada" }, { idempotencyKey: "sömething, 键" });
  await assert.rejects(keyed, TypeError);
  assert.equal(asked, 0);
});

test("a call that its caller gives up ends with the caller's own reason, and is not repeated", async () => {
  const reason = new Error("the user left");
  const signal = AbortSignal.abort(reason);
  await assert.rejects(zapwright.readHealth({}, { signal }), reason);
  assert.equal(asked, 0);
});

test("a caller may give up while the client waits to try again", async () => {
  const controller = new AbortController();
  const patient = new Zapwright({
    url: "http://127.0.0.1:1",
    key: "a-key",
    fetch: () => {
      setImmediate(() => controller.abort());
      return Promise.reject(new TypeError("fetch failed", { cause: { code: "ECONNREFUSED" } }));
    },
    patience: { firstWaitS: 60, longestWaitS: 60 },
  });
  await assert.rejects(patient.readHealth({}, { signal: controller.signal }), { name: "AbortError" });
});

test("silence ends with the time limit, as many times as there are tries", async () => {
  let tries = 0;
  const quick = new Zapwright({
    url: `http://127.0.0.1:${server.address().port}`,
    key: "a-key",
    timeoutS: 0.05,
    sleep: async () => {},
    fetch: (...request) => {
      tries += 1; // by whom it is heard within the time depends on the machine
      return fetch(...request);
    },
  });
  await assert.rejects(quick.readHealth(), NoAnswerError);
  assert.equal(tries, 4);
});
