// @ts-check
/** One step of the Zap as a card: its app, its account with everything that can become of a popup, and its action. */

import { appSearch, newSearch, picture } from "./app-search.js";
import { CHOOSING, evidenceInWords, PENDING, wordsOf } from "./builder-words.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { newOwnForm, ownForm } from "./own-form.js";

/**
 * @typedef {{id: string, title: string, is_expired: boolean}} Account
 * @typedef {{key: string, action_type: string, title: string, description: string}} Action
 *
 * @typedef {object} Desk What the page itself knows of a step, beside what everybody is told.
 * @property {import("./app-search.js").Search} search
 * @property {boolean} changing the app is being looked for although there is one
 * @property {"remove" | import("./app-search.js").App | null} asked what the user is asked about first: removing the step, or that app
 * @property {string} wanted by which words accounts are looked for
 * @property {boolean} picking another account is being looked for although there is one
 * @property {Account[] | null} accounts
 * @property {import("./own-form.js").OwnForm} own by which an app of one's own can be connected without a popup
 * @property {Action[] | null} actions
 * @property {{key: string, action_type: string} | null} wished the action that was chosen last, until it is the step's
 * @property {string | null} of the app whose accounts and actions these are
 * @property {boolean} isStale Zapier may list other accounts by now
 * @property {Set<string>} loading what is being loaded, or could not be
 * @property {string | null} busy what is being done
 * @property {string | null} problem why the last thing was not done
 * @property {import("./form.js").Form | null} form of its action's fields
 *
 * @typedef {object} Wishes What a card can ask for.
 * @property {() => void} redraw
 * @property {(query: string) => Promise<import("./app-search.js").App[]>} findApps
 * @property {(app: import("./app-search.js").App) => void} chooseApp
 * @property {() => void} connect called inside the click
 * @property {() => void} followed called inside the click on the popup's real link
 * @property {() => void} finished
 * @property {() => void} cancel
 * @property {(account: Account) => void} choose
 * @property {(given: import("./own-form.js").Given) => Promise<boolean>} supply connects an app of one's own by its fields
 * @property {() => void} insert puts a step in before this one
 * @property {(action: {key: string, action_type: string}) => void} chooseAction
 * @property {(by: number) => void} move
 * @property {() => void} remove
 * @property {() => void} again loads what could not be loaded
 */

/** @returns {Desk} */
export function newDesk() {
  return {
    search: newSearch(),
    changing: false,
    asked: null,
    wanted: "",
    picking: false,
    accounts: null,
    own: newOwnForm(),
    actions: null,
    wished: null,
    of: null,
    isStale: false,
    loading: new Set(),
    busy: null,
    problem: null,
    form: null,
  };
}

/** How many accounts are seen at a glance; where there are more they are looked for. */
const AT_A_GLANCE = 8;

/** Where nothing of the step's own can be shown until something else has passed. */
const HALTED = new Set(["offline", "token-expired", "sign-in-needed"]);
export const SETTLED = new Set(["resolved", "no-auth-required"]);

/**
 * Describes a step.
 *
 * @param {any} step of connect.js's snapshot
 * @param {object} options
 * @param {number} options.index
 * @param {number} options.count of all steps
 * @param {boolean} options.locked nothing can be changed any more
 * @param {Desk} options.desk
 * @param {Wishes} options.wishes
 */
export function stepCard(step, { index, count, locked, desk, wishes }) {
  const app = step.app?.title ?? "";
  const words = wordsOf(step.show, app);
  const name = `Step ${index + 1}`;
  return h(
    "li",
    { key: step.id, class: "step card", "data-step": step.id, "data-show": step.show, "aria-labelledby": `${step.id}-name` },
    index > 0 &&
      !locked &&
      h(
        "button",
        { key: "insert", type: "button", class: "button icon insert", "aria-label": `Insert a step before step ${index + 1}`, title: `Insert a step before step ${index + 1}`, on: { click: wishes.insert } },
        icon("add"),
      ),
    h(
      "header",
      {},
      step.app ? picture(step.app) : h("span", { class: "picture number", "aria-hidden": "true" }, index + 1),
      h(
        "div",
        { class: "name" },
        h("p", { class: "soft small" }, `${name} · ${index === 0 ? "When this happens" : "Then do this"}`),
        h(
          "div",
          { class: "row" },
          h("h2", { id: `${step.id}-name`, tabindex: "-1" }, h("span", { class: "unseen" }, `${name}: `), step.app ? app : "Choose an app"),
          step.app &&
            !locked &&
            !PENDING.has(step.show) &&
            !desk.changing &&
            button("Change app", () => turn(desk, "changing", true, wishes, `${step.id}-app`), {
              kind: "quiet small",
              label: `Change the app of ${name.toLowerCase()}`,
            }),
        ),
      ),
      h("span", { class: "badge", "data-tone": words.tone }, h("span", { class: "dot" }), words.badge),
      !locked && tools(name, index, count, desk, wishes, step),
    ),
    desk.problem &&
      !HALTED.has(step.show) &&
      h(
        "div",
        { key: "problem", class: "note", "data-tone": "bad", role: "alert" },
        h("p", {}, desk.problem),
        desk.loading.size > 0 && h("div", { class: "row" }, button("Try again", wishes.again)),
      ),
    desk.asked && !locked && step.action && question(step, name, desk, wishes),
    h("div", { key: "body", class: "body stack" }, body(step, { words, index, locked, desk, wishes })),
  );
}

/** Asks first, where something would be lost. @param {any} step @param {string} name @param {Desk} desk @param {Wishes} wishes */
function question(step, name, desk, wishes) {
  const { asked } = desk;
  if (asked === null) return null;
  const isRemoval = asked === "remove";
  const answer = (/** @type {boolean} */ isYes) => {
    desk.asked = null;
    if (!isYes) return turn(desk, "changing", false, wishes, `${step.id}-${isRemoval ? "remove" : "name"}`);
    return isRemoval ? wishes.remove() : wishes.chooseApp(asked);
  };
  return h(
    "div",
    {
      key: "question",
      class: "note",
      "data-tone": "wait",
      role: "group",
      "aria-labelledby": `${step.id}-asked`,
      on: { keydown: (/** @type {KeyboardEvent} */ { key }) => key === "Escape" && answer(false) },
    },
    h("p", { id: `${step.id}-asked` }, h("strong", {}, isRemoval ? `Remove ${name.toLowerCase()}? ` : `${asked.title} instead of ${step.app.title}? `), "Its action and what its fields hold are lost."),
    h(
      "div",
      { class: "row" },
      button(isRemoval ? "Remove it" : `Change to ${asked.title}`, () => answer(true), { kind: "danger", id: `${step.id}-yes`, key: "yes" }),
      button(`Keep ${step.app.title}`, () => answer(false), { kind: "quiet", key: "no" }),
    ),
  );
}

/** Asks about a finished step; of any other nothing is lost. @param {any} step @param {"remove" | import("./app-search.js").App} what @param {Desk} desk @param {Wishes} wishes */
function askAbout(step, what, desk, wishes) {
  if (step.action === null || (what !== "remove" && what.id === step.app.id)) return what === "remove" ? wishes.remove() : wishes.chooseApp(what);
  desk.asked = what;
  turn(desk, "changing", desk.changing, wishes, `${step.id}-yes`);
}

/** @param {string} name @param {number} index @param {number} count @param {Desk} desk @param {Wishes} wishes @param {any} step */
function tools(name, index, count, desk, wishes, step) {
  return h(
    "div",
    { class: "tools", role: "group", "aria-label": `${name}: order` },
    tool("up", `Move ${name.toLowerCase()} up`, () => wishes.move(-1), index > 0),
    tool("down", `Move ${name.toLowerCase()} down`, () => wishes.move(1), index < count - 1),
    tool("remove", `Remove ${name.toLowerCase()}${step.app ? `, ${step.app.title}` : ""}`, () => askAbout(step, "remove", desk, wishes), true, `${step.id}-remove`),
  );
}

/** @param {string} kind @param {string} label @param {() => void} click @param {boolean} possible @param {string} [id] */
function tool(kind, label, click, possible, id) {
  return h(
    "button",
    {
      key: kind,
      id,
      type: "button",
      class: "button icon",
      "aria-label": label,
      title: label,
      "aria-disabled": possible ? null : "true",
      on: { click: () => possible && click() },
    },
    icon(kind),
  );
}

/** @param {any} step @param {{words: import("./builder-words.js").Words, index: number, locked: boolean, desk: Desk, wishes: Wishes}} view */
function body(step, view) {
  return [content(step, view), step.app && !SETTLED.has(step.show) && view.desk.own.asks.length > 0 && fields(step, view)];
}

/** @param {any} step @param {{desk: Desk, wishes: Wishes}} view */
function fields(step, { desk, wishes }) {
  const isHidden = desk.changing || !(CHOOSING.has(step.show) || step.show === "preparing");
  return [
    ownForm(desk.own, { id: step.id, app: step.app.title, heading: "h3", show: step.show, isHidden, send: wishes.supply, redraw: wishes.redraw }),
    !isHidden && desk.own.support && quote(desk.own.support),
  ];
}

/** @param {any} step @param {{words: import("./builder-words.js").Words, index: number, locked: boolean, desk: Desk, wishes: Wishes}} view */
function content(step, { words, index, locked, desk, wishes }) {
  if (step.show === "sign-in-needed") return h("p", { class: "soft", key: "later" }, "You go on here after signing in.");
  if (step.app === null || desk.changing) return !locked && appChoice(step, desk, wishes);
  const settled = SETTLED.has(step.show);
  return [
    settled ? account(step, words, locked, desk, wishes) : telling(step, words, desk, wishes),
    (CHOOSING.has(step.show) || (settled && desk.picking) || (step.show === "preparing" && desk.own.asks.length > 0)) && accounts(step, desk, wishes),
    settled && action(step, index === 0, locked, desk, wishes),
    settled && desk.form?.describe({ locked }),
  ];
}

/** @param {any} step @param {Desk} desk @param {Wishes} wishes */
function appChoice(step, desk, wishes) {
  const { search } = desk;
  return [
    appSearch(search, {
      id: `${step.id}-app`,
      label: step.app ? `Instead of ${step.app.title}` : "App",
      find: wishes.findApps,
      choose: (app) => askAbout(step, app, desk, wishes),
      redraw: wishes.redraw,
    }),
    desk.busy === "app" && h("p", { class: "row soft" }, h("span", { class: "spinner", "aria-hidden": "true" }), "Asking Zapier about this app"),
    step.app && h("div", { class: "row" }, button("Keep it", () => ((desk.asked = null), turn(desk, "changing", false, wishes)), { kind: "quiet" })),
  ];
}

/** What is going on, and what can be done about it. @param {any} step @param {import("./builder-words.js").Words} words @param {Desk} desk @param {Wishes} wishes */
function telling(step, words, desk, wishes) {
  if (!words.title && !words.text) return null;
  const pending = PENDING.has(step.show);
  return h(
    "div",
    { class: "note", "data-tone": words.tone, key: "telling" },
    words.title && h("strong", {}, words.title),
    words.text && h("p", { class: step.show === "preparing" ? "row" : "" }, step.show === "preparing" && h("span", { class: "spinner", "aria-hidden": "true" }), words.text),
    (pending || step.show === "unanswered") && countdown(step),
    step.show === "blocked" && h("div", { class: "row" }, realLink(step, wishes), button("Try again", wishes.connect)),
    pending &&
      h(
        "div",
        { class: "row" },
        button("I’ve finished", wishes.finished, { kind: "primary", key: "finished" }),
        button("Open the window again", wishes.connect, { key: "reopen" }),
        button("Cancel", wishes.cancel, { kind: "quiet", key: "cancel" }),
      ),
    QUOTED.has(step.show) && step.support && quote(step.support),
  );
}

const QUOTED = new Set(["checking", "blocked", "not-visible", "timed-out", "nothing-new", "ambiguous", "revoked", "expired", "claimed-elsewhere", "unanswered"]);

/** @param {any} step */
function countdown({ next_check_in_s: seconds }) {
  if (seconds === null || seconds === undefined) return null;
  return h(
    "p",
    { class: "countdown small", "aria-live": "off" },
    h("span", { class: "spinner", "aria-hidden": "true" }),
    seconds > 0 ? `Next check in ${inTime(seconds)}` : "Checking now",
  );
}

/** @param {number} seconds */
function inTime(seconds) {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

/** A link of the browser's own, which no blocker minds; it goes where the popup would have. @param {any} step @param {Wishes} wishes */
function realLink(step, wishes) {
  return h(
    "a",
    { class: "button primary", href: step.link, target: "_blank", rel: "opener", on: { click: wishes.followed } },
    "Open it by this link",
  );
}

/**
 * Describes what to say to whoever helps.
 *
 * @param {string} reference
 */
export function quote(reference) {
  return h("p", { class: "small quote" }, "If you ask for help, quote ", h("span", { class: "mono" }, reference));
}

/** Which account a settled step has, and why. @param {any} step @param {import("./builder-words.js").Words} words @param {boolean} locked @param {Desk} desk @param {Wishes} wishes */
function account(step, words, locked, desk, wishes) {
  if (step.show === "no-auth-required") return h("p", { class: "soft" }, words.text);
  return h(
    "div",
    { class: "row account", key: "account" },
    h("span", { class: "tick", "aria-hidden": "true" }, icon("tick")),
    h(
      "div",
      { class: "grow" },
      h("p", {}, h("b", {}, step.authentication?.title ?? "Connected")),
      step.evidence && h("p", { class: "soft small" }, `Known ${evidenceInWords(step.evidence.channels)}`),
    ),
    !locked &&
      button("Use another account", () => turn(desk, "picking", !desk.picking, wishes), {
        kind: "quiet",
        expanded: desk.picking,
      }),
  );
}

/** @param {any} step @param {Desk} desk @param {Wishes} wishes */
function accounts(step, desk, wishes) {
  const candidates = new Set(step.candidates.map((/** @type {Account} */ found) => found.id));
  const others = (desk.accounts ?? []).filter(({ id }) => !candidates.has(id) && id !== step.authentication?.id);
  const app = step.app.title;
  const another = h(
    "div",
    { class: "row", key: "connect" },
    step.show !== "blocked" &&
      button(others.length + candidates.size > 0 ? `Connect another ${app} account` : `Connect ${app}`, wishes.connect, {
        kind: candidates.size > 0 || desk.own.isRefused ? "" : "primary",
        key: "connect",
      }),
  );
  const isMany = others.length > AT_A_GLANCE;
  const wanted = desk.wanted.trim().toLowerCase();
  const fitting = isMany ? others.filter(({ title }) => title.toLowerCase().includes(wanted)) : others;
  const label = candidates.size > 0 ? `Your other ${app} accounts` : `Your ${app} accounts`;
  return h(
    "div",
    { class: "stack", key: "accounts" },
    step.candidates.length > 0 && choices(`${step.id}-candidates`, step.candidates.length > 1 ? "One of these may be it" : "This may be it", step.candidates, "This one", desk, wishes),
    desk.accounts === null && !desk.problem && h("div", { class: "skeleton", key: "loading" }),
    desk.accounts?.length === 0 && step.show === "ready" && h("p", { class: "soft", key: "none" }, `You have no ${app} account at Zapier yet.`),
    isMany && [another, finder(`${step.id}-wanted`, `Find one of ${others.length}`, fitting.length, desk, wishes)],
    others.length > 0 && choices(`${step.id}-accounts`, label, fitting, "Use", desk, wishes),
    !isMany && another,
  );
}

/** @param {string} id @param {string} label @param {number} count of those that fit @param {Desk} desk @param {Wishes} wishes */
function finder(id, label, count, desk, wishes) {
  return h(
    "div",
    { key: "finder", class: "field" },
    h("label", { for: id }, label),
    h("input", {
      id,
      type: "search",
      autocomplete: "off",
      spellcheck: "false",
      value: desk.wanted,
      on: { input: (/** @type {{target: HTMLInputElement}} */ { target }) => ((desk.wanted = target.value), wishes.redraw()) },
    }),
    h("p", { class: "soft small", role: "status" }, desk.wanted.trim() && (count === 0 ? "None is called so." : count === 1 ? "1 account" : `${count} accounts`)),
  );
}

/** @param {string} id @param {string} label @param {Account[]} found @param {string} verb @param {Desk} desk @param {Wishes} wishes */
function choices(id, label, found, verb, desk, wishes) {
  return h(
    "div",
    { class: "stack choices", key: id },
    h("h3", { id, class: "soft small" }, label),
    h(
      "ul",
      { "aria-labelledby": id },
      found.map((one) =>
        h(
          "li",
          { key: one.id, class: "row" },
          h("span", { class: "grow" }, one.title),
          one.is_expired
            ? h("span", { class: "badge", "data-tone": "bad" }, "Expired")
            : button(verb, () => wishes.choose(one), { busy: desk.busy === `choose ${one.id}`, label: `${verb}: ${one.title}` }),
        ),
      ),
    ),
  );
}

/** What starts the Zap, in its first step, and what it does then, in the others. @param {any} step @param {boolean} isFirst @param {boolean} locked @param {Desk} desk @param {Wishes} wishes */
function action(step, isFirst, locked, desk, wishes) {
  const known = desk.actions ?? (step.action ? [{ ...step.action, title: step.action.key, description: "" }] : []);
  const chosen = step.action ? nameOf(step.action) : "";
  const shown = desk.wished ? nameOf(desk.wished) : chosen;
  const fitting = known.filter((one) => isTrigger(one) === isFirst);
  const isMisplaced = step.action !== null && isTrigger(step.action) !== isFirst;
  const offered = known.filter((one) => fitting.includes(one) || nameOf(one) === chosen);
  const description = known.find((one) => nameOf(one) === chosen)?.description;
  const wanted = isFirst ? "Choose what starts it" : "Choose what it should do";
  const isEmpty = desk.actions !== null && fitting.length === 0;
  return h(
    "label",
    { class: "field", key: "action" },
    h("span", {}, isFirst ? "Trigger" : "Action"),
    h(
      "select",
      {
        value: shown,
        disabled: locked,
        "aria-describedby": description ? `${step.id}-about` : null,
        on: {
          change: (/** @type {{target: HTMLSelectElement}} */ { target }) => {
            const [action_type = "", ...key] = target.value.split(" ");
            if (target.value) wishes.chooseAction({ key: key.join(" "), action_type });
          },
        },
      },
      h("option", { value: "", disabled: chosen !== "" }, desk.actions === null ? "Loading what it can do …" : wanted),
      grouped(offered).map(([kind, actions]) =>
        h(
          "optgroup",
          { key: kind, label: kind },
          actions.map((one) => h("option", { key: one.key, value: nameOf(one) }, one.title)),
        ),
      ),
    ),
    description && h("span", { class: "soft small", id: `${step.id}-about` }, description),
    isMisplaced && !locked && h("span", { class: "flaw small" }, isFirst ? "This starts no Zap. Choose a trigger here, or move the step down." : "Only a Zap’s first step can be a trigger. Choose an action here, or move the step up."),
    isEmpty && !locked && h("span", { class: "flaw small" }, isFirst ? `${step.app.title} starts no Zap. Choose another app for this step.` : `${step.app.title} can only start a Zap. Choose another app for this step.`),
  );
}

/** @param {{key: string, action_type: string}} action */
function nameOf({ key, action_type }) {
  return `${action_type} ${key}`;
}

/** Whether it starts a Zap. @param {{action_type: string}} action */
function isTrigger({ action_type }) {
  return action_type === "READ";
}

/** @type {Record<string, string>} */
const KINDS = { READ: "When this happens", READ_BULK: "Read all of this", WRITE: "Do this", SEARCH: "Find this", SEARCH_OR_WRITE: "Find this, or make it", FILTER: "Go on only if" };

/** @param {Action[]} actions @returns {[string, Action[]][]} */
function grouped(actions) {
  /** @type {Map<string, Action[]>} */
  const groups = new Map();
  for (const one of actions) {
    const kind = KINDS[one.action_type] ?? one.action_type;
    groups.set(kind, [...(groups.get(kind) ?? []), one]);
  }
  return [...groups];
}

/** @param {Desk} desk @param {"changing" | "picking"} what @param {boolean} to @param {Wishes} wishes @param {string} [focus] */
function turn(desk, what, to, wishes, focus) {
  desk[what] = to;
  wishes.redraw();
  if (focus) queueMicrotask(() => document.getElementById(focus)?.focus());
}

/**
 * Describes a button.
 *
 * @param {string} text
 * @param {() => void} click not called while busy
 * @param {{kind?: string, busy?: boolean, label?: string, key?: string, id?: string, expanded?: boolean}} [options]
 */
export function button(text, click, { kind = "", busy = false, label, key = text, id, expanded } = {}) {
  return h(
    "button",
    {
      key,
      id,
      type: "button",
      class: `button ${kind}`,
      "aria-label": label,
      "aria-expanded": expanded === undefined ? null : String(expanded),
      "aria-disabled": busy ? "true" : null,
      on: { click: () => !busy && click() },
    },
    busy && h("span", { class: "spinner", "aria-hidden": "true" }),
    text,
  );
}
