// Calls the Node client as it is told on its standard input, a JSON document a line, and says what became of each.
import { createInterface } from "node:readline";
import { inspect } from "node:util";

import { Zapwright } from "../../clients/node/zapwright.js";

const settings = JSON.parse(process.argv[2]);
const zapwright = new Zapwright(settings);
for await (const line of createInterface({ input: process.stdin })) {
  const { name, given, options } = JSON.parse(line);
  let said;
  try {
    said = { value: name === "inspect" ? inspect(zapwright, { depth: 9, showHidden: true }) : await zapwright[name](given, options) };
  } catch (error) {
    const shown = inspect(error, { depth: 9 });
    said = { error: { ...error, name: error.name, message: error.message, retry_after_s: error.retryAfterS, shown } };
  }
  process.stdout.write(`${JSON.stringify({ ...said, value: said.value ?? null })}\n`);
}
