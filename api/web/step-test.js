// @ts-check
/** Trying a step out. It is really carried out, so somebody confirms it first; what came of it is shown. */

import { h } from "./dom.js";
import { asText, hasReferences, inputsOf } from "./filling.js";

/**
 * @import { FieldFlaw, StepTestRun } from "../../clients/node/shapes.js"
 * @import { Connect } from "../../clients/browser/types.js"
 */

const LONGEST_RESULT = 4_000;
const READING = /^(READ|READ_BULK|SEARCH|FILTER)$/;

/**
 * Makes the part of a form by which its step is tried out.
 *
 * @param {object} settings
 * @param {Connect} settings.connect
 * @param {string} settings.stepId
 * @param {ReturnType<typeof import("./filling.js").createFilling>} settings.filling of the step
 * @param {(error: any) => string} settings.words
 * @param {() => void} settings.changed
 * @returns {() => import("./dom.js").Child} describes it
 */
export function createTest({ connect, stepId, filling, words, changed }) {
  const my = {
    of: "", // which action and account the rest is about
    isOpen: false,
    isBusy: false,
    values: /** @type {Map<string, string>} */ (new Map()), // in place of references, which have none yet
    run: /** @type {StepTestRun | null} */ (null),
    problem: /** @type {string | null} */ (null),
  };

  /** @param {boolean} isOpen */
  const turn = (isOpen) => {
    Object.assign(my, { isOpen, problem: null });
    changed();
    setTimeout(() => document.getElementById(`${stepId}-${isOpen ? "carry-out" : "test"}`)?.focus());
  };

  const carryOut = async () => {
    const { of } = my;
    Object.assign(my, { isBusy: true, run: null, problem: null });
    changed();
    try {
      if (!(await filling.settled())) throw new Error("not everything that was filled in could be kept");
      if (of !== filling.ofNow()) throw new Error("the step does something else now");
      const inputs = Object.fromEntries(referring().map(({ id }) => [id, my.values.get(id) ?? ""]).filter(([, value]) => value !== ""));
      const run = await connect.ask(stepId, "POST", "/test", { confirm: true, ...(Object.keys(inputs).length > 0 && { inputs }) });
      if (of === my.of) Object.assign(my, { run, isOpen: false });
    } catch (error) {
      const flaws = error.code === "inputs_flawed" ? error.facts.problems : [];
      if (of === my.of) my.problem = flaws.length > 0 ? "Something in this step is not filled in as it must be: its fields say what." : words(error);
      if (flaws.length > 0) filling.flawed(flaws.filter((/** @type {FieldFlaw} */ { field }) => field !== null));
    }
    my.isBusy = false;
    changed();
  };

  /** The fields that are filled with what earlier steps will give. */
  const referring = () => {
    const { answer } = filling.filled;
    return answer === null ? [] : inputsOf(answer.fields).filter(({ id }) => hasReferences(answer.inputs[id]));
  };

  return () => {
    const of = filling.ofNow();
    if (of !== my.of) Object.assign(my, { of, isOpen: false, run: null, problem: null });
    return h(
      "div",
      { key: "test", class: "stack test" },
      h(
        "div",
        { class: "row" },
        h(
          "button",
          { id: `${stepId}-test`, type: "button", class: "button small", "aria-expanded": String(my.isOpen), on: { click: () => turn(!my.isOpen) } },
          "Test this step",
        ),
      ),
      my.isOpen && asking(),
      my.problem && h("div", { key: "problem", class: "note", "data-tone": "bad", role: "alert" }, h("p", {}, my.problem)),
      h("div", { key: "came", role: "status" }, my.run && came(my.run)),
    );
  };

  function asking() {
    const isReading = READING.test(filling.step()?.action?.action_type ?? "");
    return h(
      "div",
      { key: "ask", class: "note stack", "data-tone": isReading ? "plain" : "wait" },
      isReading
        ? h("p", {}, "The step is carried out once. It only reads: nothing is changed.")
        : h("p", {}, h("strong", {}, "This is no rehearsal. "), "The step is really carried out, once: what it writes is written."),
      referring().map(({ id, title }, index) =>
        h(
          "label",
          { key: id, class: "field" },
          h("span", {}, `${title || id}, for this test: what the earlier step gives is known only when the Zap runs`),
          h("input", {
            type: "text",
            autocomplete: "off",
            id: `${stepId}-value-${index}`,
            value: my.values.get(id) ?? "",
            on: { input: (/** @type {{target: HTMLInputElement}} */ { target }) => void my.values.set(id, target.value) },
          }),
        ),
      ),
      h(
        "div",
        { class: "row" },
        h(
          "button",
          { id: `${stepId}-carry-out`, type: "button", class: "button primary", "aria-disabled": my.isBusy ? "true" : null, on: { click: () => my.isBusy || void carryOut() } },
          my.isBusy && h("span", { class: "spinner", "aria-hidden": "true" }),
          "Carry it out once",
        ),
        h("button", { type: "button", class: "button quiet", on: { click: () => turn(false) } }, "Not now"),
      ),
    );
  }
}

/** @param {StepTestRun} run */
function came({ results, count }) {
  const shown = asText(results[0] === undefined ? "" : JSON.stringify(results[0], null, 2));
  const cut = shown.length > LONGEST_RESULT ? `${shown.slice(0, LONGEST_RESULT)} …` : shown;
  return h(
    "div",
    { class: "note", "data-tone": "good" },
    h("strong", {}, count === 0 ? "It was carried out, and gave nothing" : count === 1 ? "It was carried out, and gave this" : `It was carried out, and gave ${count} of these`),
    cut && h("pre", { class: "mono small result", tabindex: "0", "aria-label": "What the step gave" }, cut),
  );
}
