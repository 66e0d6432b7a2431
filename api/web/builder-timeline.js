// @ts-check
/** What happened so far, the newest first. */

import { eventInWords } from "./builder-words.js";
import { h } from "./dom.js";

const MOST_SHOWN = 60;

/**
 * Describes the timeline.
 *
 * @param {readonly any[]} events oldest first
 * @param {object} options
 * @param {any[]} options.steps
 * @param {Map<string, string>} options.apps titles by id, as far as they are known
 * @param {Map<string, string>} options.accounts titles by id, as far as they are known
 */
export function timeline(events, { steps, apps, accounts }) {
  const told = folded(inWords(events, steps, apps, accounts).reverse());
  return h(
    "section",
    { class: "card stack timeline", "aria-labelledby": "timeline" },
    h("h2", { id: "timeline" }, "What happened"),
    told.length === 0 && h("div", { class: "skeleton" }),
    h(
      "ol",
      { tabindex: "0", "aria-labelledby": "timeline" },
      told.slice(0, MOST_SHOWN).map(({ seq, at, where, tone, words, times }) =>
        h(
          "li",
          { key: seq, "data-tone": tone },
          h("span", { class: "dot", "aria-hidden": "true" }),
          h("time", { class: "soft small", datetime: at }, timeOfDay(at)),
          h("p", {}, where && h("b", {}, where, ": "), words, times > 1 && h("span", { class: "soft" }, ` ${times} times`)),
        ),
      ),
    ),
    told.length > MOST_SHOWN && h("p", { class: "soft small" }, `And ${told.slice(MOST_SHOWN).reduce((sum, { times }) => sum + times, 0)} before.`),
  );
}

/** @param {readonly any[]} events @param {any[]} steps @param {Map<string, string>} apps @param {Map<string, string>} accounts */
function inWords(events, steps, apps, accounts) {
  const places = new Map(steps.map((step, index) => [step.id, index + 1]));
  /** @type {Map<string, string>} */
  const chosen = new Map();
  return events.map((event) => {
    if (event.name === "app_chosen") chosen.set(event.step_id, event.data.app_id);
    const app = apps.get(chosen.get(event.step_id) ?? "") ?? "An app";
    const [tone, words] = eventInWords(event, { app, account: accounts.get(event.data.authentication_id) ?? null });
    const where = event.step_id && (places.has(event.step_id) ? `Step ${places.get(event.step_id)}` : "A step since removed");
    return { seq: event.seq, at: event.at, where, tone, words };
  });
}

/**
 * The same, several times in a row, is told once, as it was last. It keeps the key that it began with.
 *
 * @template {{seq: number, where: any, words: string}} Told
 * @param {Told[]} told the newest first
 * @returns {(Told & {times: number})[]}
 */
function folded(told) {
  /** @type {(Told & {times: number})[]} */
  const runs = [];
  for (const one of told) {
    const run = runs.at(-1);
    if (run && run.where === one.where && run.words === one.words) Object.assign(run, { seq: one.seq, times: run.times + 1 });
    else runs.push({ ...one, times: 1 });
  }
  return runs;
}

/** @param {string} at */
function timeOfDay(at) {
  return new Date(at).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
