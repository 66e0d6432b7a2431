// @ts-check
/** The fault menu: what the simulator's popups, and its Zapier, do wrong from now on. */

import { button } from "./builder-step.js";
import { problemInWords } from "./builder-words.js";
import { h } from "./dom.js";

/** @typedef {{name: string, title: string, about: string, popups?: object, listed_after_ms?: number}} Fault */

/** @type {Fault[]} What can become of a popup; `docs/simulator.md` has the switches. */
const POPUP_FAULTS = [
  { name: "none", title: "Nothing", about: "The window says that it is done, at once." },
  {
    name: "cut",
    title: "A page on the way cuts it off",
    about: "The app’s login sends a Cross-Origin-Opener-Policy: no word comes, and the window reads as closed while it is open.",
    popups: { coop: { middle: "same-origin" } },
  },
  {
    name: "cut-first",
    title: "Zapier’s first page cuts it off",
    about: "The same, from the first page on.",
    popups: { coop: { first: "same-origin" } },
  },
  {
    name: "cut-last",
    title: "Zapier’s last page cuts it off",
    about: "The same, at the very end.",
    popups: { coop: { last: "same-origin" } },
  },
  { name: "silent", title: "The window says nothing", about: "It ends without a word.", popups: { message: "none" } },
  { name: "late", title: "The word comes late", about: "15 seconds after the user has finished.", popups: { message_after_ms: 15_000 } },
  { name: "doubled", title: "The word comes three times", about: "Only the first one counts.", popups: { message_times: 3 } },
  {
    name: "spoofed",
    title: "Others pretend to be the window",
    about: "A frame, another window and another origin send words of their own first. None of them is believed.",
    popups: { spoofs: ["frame", "window", "origin"] },
  },
  { name: "wrong", title: "It names an account nobody has", about: "Zapier is asked, and does not know it.", popups: { message_id: "unknown" } },
  { name: "listed-late", title: "Zapier shows the account late", about: "8 seconds after it was connected.", listed_after_ms: 8_000 },
  { name: "slow", title: "The way back is slow", about: "Five more pages, two seconds each.", popups: { redirects: 5, redirect_ms: 2_000 } },
  { name: "closes", title: "The window closes itself", about: "Right after its word.", popups: { closes_after_ms: 0 } },
  { name: "given-up", title: "The user closes the window", about: "Without signing in.", popups: { visitor: "closes" } },
  { name: "denied", title: "The user says no", about: "They refuse at the app’s login.", popups: { visitor: "denies" } },
  {
    name: "stranger",
    title: "Somebody else’s Zapier account",
    about: "The window is signed in to Zapier as another user, whoever signed in before: what is connected is theirs.",
    popups: { account: "somebody-else", account_wins: true },
  },
];

/** What Zapier itself may do. @type {{name: string, title: string, document: object}[]} */
const GENERAL_FAULTS = [
  { name: "busy", title: "Zapier allows 5 questions a minute", document: { limits: { ip: 5 } } },
  { name: "down", title: "Zapier answers with errors", document: { rules: { down: { fault: "status", status: 503 } } } },
  {
    name: "signed-out",
    title: "Zapier wants the user to sign in again",
    document: { rules: { "signed-out": { fault: "status", status: 401, times: 1, endpoint: "GET /v2/authentications" } } },
  },
];

const EVERY_APP = "*";

/**
 * @typedef {object} Faults What is set, as far as this page knows.
 * @property {Map<string, string>} popups the fault's name by the app's id
 * @property {Set<string>} general
 * @property {string} app whose popups are being looked at
 * @property {string | null} problem
 */

/** @returns {Faults} */
export function newFaults() {
  return { popups: new Map(), general: new Set(), app: EVERY_APP, problem: null };
}

/** Every switch that a fault of popups sets, at its default. */
const NO_POPUP_FAULT = Object.fromEntries(POPUP_FAULTS.flatMap(({ popups = {} }) => Object.keys(popups).map((name) => [name, null])));

/** The merge patch after which this goes wrong in an app's popups, and nothing else. @param {string} app @param {string} name */
function popupPatch(app, name) {
  const { popups, listed_after_ms = null } = named(name);
  const own = { ...NO_POPUP_FAULT, ...popups };
  return app === EVERY_APP ? { popups: own, authentications: { listed_after_ms } } : { apps: { [app]: { popups: own, listed_after_ms } } };
}

/** The merge patch that begins or ends a fault at Zapier. @param {object} document @param {boolean} isWanted */
function generalPatch(document, isWanted) {
  const sections = Object.entries(document).map(([section, switches]) => [
    section,
    Object.fromEntries(Object.entries(switches).map(([name, value]) => [name, isWanted ? value : null])),
  ]);
  return Object.fromEntries(sections);
}

/**
 * Recognises what is set in the simulator, whoever set it.
 *
 * @param {Faults} faults
 * @param {any} document
 */
export function recognise(faults, document) {
  const everywhere = { popups: document.popups, listed_after_ms: document.authentications?.listed_after_ms };
  const places = Object.entries({ [EVERY_APP]: everywhere, ...document.apps });
  faults.popups = new Map(places.map(([app, switches]) => [app, likest(switches)]));
  faults.general = new Set(GENERAL_FAULTS.filter((fault) => isPart(fault.document, document)).map(({ name }) => name));
}

/** @param {any} switches */
function likest(switches) {
  const fitting = POPUP_FAULTS.filter(({ popups = {}, listed_after_ms }) => isPart(popups, switches.popups ?? {}) &&
    (listed_after_ms === undefined || listed_after_ms === switches.listed_after_ms));
  return fitting.at(-1)?.name ?? "none";
}

/** @param {any} part @param {any} whole @returns {boolean} */
function isPart(part, whole) {
  if (part === null || typeof part !== "object" || Array.isArray(part)) return JSON.stringify(part) === JSON.stringify(whole);
  return whole !== null && typeof whole === "object" && Object.entries(part).every(([name, value]) => isPart(value, whole[name]));
}

/** @param {string} name */
function named(name) {
  return /** @type {Fault} */ (POPUP_FAULTS.find((fault) => fault.name === name) ?? POPUP_FAULTS[0]);
}

/**
 * Describes the menu.
 *
 * @param {Faults} faults
 * @param {object} options
 * @param {{id: string, title: string}[]} options.apps of the Zap's steps
 * @param {(app: string) => void} options.look whose popups are looked at from now on
 * @param {(patch: object) => void} options.set changes the simulator's switches
 * @param {() => void} options.clear sets them all as they were when it started
 */
export function faultMenu(faults, { apps, look, set, clear }) {
  const app = apps.some(({ id }) => id === faults.app) ? faults.app : EVERY_APP;
  const chosen = named(faults.popups.get(app) ?? faults.popups.get(EVERY_APP) ?? "none");
  const isAnything = faults.general.size > 0 || [...faults.popups.values()].some((name) => name !== "none");
  return h(
    "section",
    { class: "card stack faults", "aria-labelledby": "faults" },
    h("h2", { id: "faults" }, "What should go wrong?"),
    h("p", { class: "soft small" }, "Everything here is a simulator. Break it as you like: no account gets lost."),
    h(
      "label",
      { class: "field", key: "app" },
      h("span", {}, "In the windows of"),
      h(
        "select",
        {
          value: app,
          on: { change: (/** @type {{target: HTMLSelectElement}} */ { target }) => look(target.value) },
        },
        h("option", { value: EVERY_APP }, "every app"),
        apps.map(({ id, title }) => h("option", { key: id, value: id }, title)),
      ),
    ),
    h(
      "label",
      { class: "field", key: "fault" },
      h("span", {}, "This goes wrong"),
      h(
        "select",
        {
          value: chosen.name,
          "aria-describedby": "fault-about",
          on: { change: (/** @type {{target: HTMLSelectElement}} */ { target }) => set(popupPatch(app, target.value)) },
        },
        POPUP_FAULTS.map(({ name, title }) => h("option", { key: name, value: name }, title)),
      ),
      h("span", { id: "fault-about", class: "soft small" }, chosen.about),
    ),
    h(
      "fieldset",
      { key: "general" },
      h("legend", { class: "soft small" }, "And at Zapier"),
      GENERAL_FAULTS.map(({ name, title, document }) =>
        h(
          "label",
          { class: "check", key: name },
          h("input", {
            type: "checkbox",
            checked: faults.general.has(name),
            on: {
              change: (/** @type {{target: HTMLInputElement}} */ { target }) =>
                set(generalPatch(document, target.checked)),
            },
          }),
          title,
        ),
      ),
    ),
    faults.problem && h("p", { class: "note", "data-tone": "bad", role: "alert" }, faults.problem),
    isAnything && button("Nothing should go wrong", clear, { kind: "quiet" }),
  );
}

/**
 * Describes, for who did not set it, what is set to go wrong here; nothing where nothing is.
 *
 * @param {Faults} faults
 * @param {{id: string, title: string}[]} apps of the Zap's steps
 * @param {() => void} clear sets all switches as they were when the simulator started
 */
export function faultNote(faults, apps, clear) {
  const windows = [{ id: EVERY_APP, title: "every app" }, ...apps].flatMap(({ id, title }) => {
    const name = faults.popups.get(id) ?? "none";
    return name === "none" ? [] : [`In the windows of ${title}: ${named(name).title}.`];
  });
  const told = [...windows, ...GENERAL_FAULTS.filter(({ name }) => faults.general.has(name)).map(({ title }) => `${title}.`)];
  return (
    told.length > 0 &&
    h(
      "div",
      { key: "fault", class: "note faulty", "data-tone": "wait" },
      h("strong", {}, "Something is set to go wrong"),
      told.map((words) => h("p", { key: words }, words)),
      h("p", { class: "small" }, "It holds for every user and every Zap here, until it is ended."),
      h("div", { class: "row" }, button("Put it right", clear)),
    )
  );
}

/** @param {unknown} error */
export function faultsProblem(error) {
  return `The simulator does not do that: ${problemInWords(error)}`;
}
