// @ts-check
/** What an app of one's own asks for, as a form by which it is connected without a popup. */

import { fieldInWords, isSecret, problemInWords } from "./builder-words.js";
import { h } from "./dom.js";

/**
 * @typedef {object} OwnForm What a page knows of such a form. What is typed is in the form's fields alone.
 * @property {string[]} asks the names of the app's fields; none where the app is not the tenant's own
 * @property {boolean} isTyped what is typed into secret fields is shown
 * @property {boolean} isSending
 * @property {boolean} isRefused what was sent last was not taken
 * @property {string | null} support by what that refusal is found in the log
 * @property {Map<string, string>} flaws what is wrong, by field
 *
 * @typedef {{title: string, fields: Record<string, string>}} Given
 */

/** @returns {OwnForm} */
export function newOwnForm() {
  return { asks: [], isTyped: false, isSending: false, isRefused: false, support: null, flaws: new Map() };
}

/**
 * Sends what was filled in, once. False: it was refused, which the step itself shows, as `not-made`; what is wrong stands at
 * the fields. Rejects with whatever else went wrong.
 *
 * @param {OwnForm} own
 * @param {import("../../clients/browser/types.js").Connect} connect
 * @param {string} stepId
 * @param {Given} given
 */
export async function supply(own, connect, stepId, given) {
  own.flaws.clear();
  Object.assign(own, { isRefused: false, support: null });
  try {
    await connect.ask(stepId, "POST", "/authentications", given);
  } catch (error) {
    if (error.code !== "fields_refused") throw error;
    Object.assign(own, { isRefused: true, support: error.support });
    for (const { field, detail } of error.facts.flaws ?? []) own.flaws.set(field, detail);
    return false;
  }
  return true;
}

/**
 * Describes the form, which is hidden while an answer is looked for. What is secret leaves it when it is sent, everything
 * else when there is nothing to correct.
 *
 * @param {OwnForm} own
 * @param {object} page
 * @param {string} page.id begins the ids of its elements
 * @param {string} page.app
 * @param {"h2" | "h3"} page.heading
 * @param {string} page.show what the step shows
 * @param {boolean} page.isHidden what is typed stays meanwhile
 * @param {(given: Given) => Promise<boolean>} page.send as `supply` does it
 * @param {() => void} page.redraw
 */
export function ownForm(own, { id, app, heading, show, isHidden, send, redraw }) {
  const submit = async (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    if (own.isSending) return;
    const form = /** @type {HTMLFormElement} */ (event.target);
    const given = taken(form, own.asks);
    empty(form, own.asks.filter(isSecret));
    own.isSending = true;
    redraw();
    const isSent = await send(given);
    own.isSending = false;
    redraw();
    if (isSent) empty(form, own.asks);
    else setTimeout(() => form.contains(document.activeElement) && toCorrect(form)?.focus());
  };
  const hidden = isHidden || (show === "unanswered" && !own.isSending && !own.isRefused);
  const others = [...own.flaws].filter(([name]) => !own.asks.includes(name));
  return h(
    "form",
    { key: "own", class: "stack own", hidden, "aria-label": `Connect ${app} by its fields`, autocomplete: "off", on: { submit } },
    h(heading, { class: "soft small" }, "Or fill in what it asks for"),
    h("div", { class: "field" }, h("label", { for: `${id}-title` }, "What to call this account"), h("input", { id: `${id}-title`, type: "text", name: "title", required: true, maxlength: "255", autocomplete: "off", value: `${app} of mine` })),
    own.asks.map((name, index) => field(name, own, `${id}-field-${index}`, redraw)),
    own.asks.some(isSecret) && h(
      "label",
      { class: "check" },
      h("input", { type: "checkbox", checked: own.isTyped, on: { change: () => ((own.isTyped = !own.isTyped), redraw()) } }),
      h("span", {}, "Show what I type"),
    ),
    others.map(([name, detail]) => h("p", { key: `flaw ${name}`, class: "flaw small" }, `${fieldInWords(name)}: ${problemInWords({ detail })}`)),
    h(
      "div",
      { class: "row" },
      h("button", { type: "submit", class: own.isRefused ? "button primary" : "button", "aria-disabled": own.isSending ? "true" : null }, own.isSending && h("span", { class: "spinner", "aria-hidden": "true" }), "Connect with these"),
    ),
  );
}

/** @param {string} name @param {OwnForm} own @param {string} id @param {() => void} redraw */
function field(name, { flaws, isTyped }, id, redraw) {
  const flaw = flaws.get(name);
  return h(
    "div",
    { key: name, class: "field" },
    h("label", { for: id }, fieldInWords(name)),
    h("input", {
      id,
      type: isTyped || !isSecret(name) ? "text" : "password",
      name: `field ${name}`,
      required: true,
      maxlength: "8192",
      autocomplete: "off",
      autocapitalize: "off",
      spellcheck: "false",
      "aria-invalid": flaw ? "true" : null,
      "aria-describedby": flaw ? `${id}-flaw` : null,
      on: { input: () => flaws.delete(name) && redraw() },
    }),
    flaw && h("span", { id: `${id}-flaw`, class: "flaw small" }, problemInWords({ detail: flaw })),
  );
}

/** @param {HTMLFormElement} form @param {string[]} asks @returns {Given} */
function taken(form, asks) {
  const given = new FormData(form);
  return { title: String(given.get("title")), fields: Object.fromEntries(asks.map((name) => [name, String(given.get(`field ${name}`))])) };
}

/** @param {HTMLFormElement} form @param {string[]} names */
function empty(form, names) {
  for (const name of names) inputs(form).filter((one) => one.name === `field ${name}`).forEach((one) => (one.value = ""));
}

/** What is wrong, otherwise what is to be filled in again. @param {HTMLFormElement} form */
function toCorrect(form) {
  return inputs(form).find((one) => one.ariaInvalid === "true") ?? inputs(form).find((one) => !one.validity.valid);
}

/** @param {HTMLFormElement} form */
function inputs(form) {
  return [...form.querySelectorAll("input")];
}
