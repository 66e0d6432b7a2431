// @ts-check
/**
 * The demo builder: a Zap of several steps, built with connect.js alone. A page of your own needs `createConnect`, a `getToken`
 * that asks your backend, and whatever draws your interface; here the simulator's development routes stand for the backend.
 *
 * The session's id is in the address, so that a reload and a second tab show the same.
 */

import { faultMenu, faultNote, faultsProblem, newFaults, recognise } from "./builder-faults.js";
import { button, newDesk, quote, SETTLED, stepCard } from "./builder-step.js";
import { timeline } from "./builder-timeline.js";
import { CHOOSING, problemInWords, statusInWords, wordsOf, zapInWords } from "./builder-words.js";
import { createConnect } from "./connect.js";
import { ask } from "./development.js";
import { draw, h } from "./dom.js";
import { createForm } from "./form.js";
import { icon } from "./icons.js";
import { newOwnForm, supply } from "./own-form.js";
import { createSignIn } from "./sign-in.js";
import { signInPanel } from "./sign-in-panel.js";

const RETRY_MS = 3_000;
const UNREACHABLE = "The API does not answer.";

const main = /** @type {HTMLElement} */ (document.getElementById("builder"));
const announcement = /** @type {HTMLElement} */ (document.getElementById("told"));
const corner = /** @type {HTMLElement} */ (document.getElementById("link"));

/**
 * @typedef {object} Page
 * @property {"welcome" | "opening" | "gone" | "open"} phase
 * @property {import("../../clients/browser/types.js").Connect | null} connect
 * @property {import("../../clients/browser/types.js").SignIn | null} signIn
 * @property {any} token given with the session, and not used yet
 * @property {string} user
 * @property {boolean} isSignedIn at Zapier, as far as who begins says
 * @property {string | null} busy
 * @property {string | null} problem
 * @property {string | null} flawed what the steps were filled with when `problem` was found with it
 * @property {{stepId: string, from: Element | null} | null} sought the step whose first flaw is to have the focus, which was elsewhere
 * @property {string | null} title as it is being typed, and until it is kept
 * @property {{title: string, over: string | null} | null} kept the title that was kept last, and what was shown of it then
 * @property {Promise<void> | null} renaming
 * @property {string | null} untitled why the title is not kept
 */

/** @type {Page} */
const page = {
  phase: "welcome",
  connect: null,
  signIn: null,
  token: null,
  user: "ada",
  isSignedIn: true,
  busy: null,
  problem: null,
  flawed: null,
  sought: null,
  title: null,
  kept: null,
  renaming: null,
  untitled: null,
};
/** @type {Map<string, import("./builder-step.js").Desk>} */
const desks = new Map();
/** @type {Map<string, string>} what was said of a step last */
const said = new Map();
const known = { apps: /** @type {Map<string, string>} */ (new Map()), accounts: /** @type {Map<string, string>} */ (new Map()) };
const faults = newFaults();

// ------------------------------------------------------------------------------------------------ the session

const sessionInAddress = () => decodeURIComponent(location.hash.slice(1));

/** Where your page asks its backend. */
async function getToken() {
  const given = page.token ?? (await patiently(() => ask("POST", `/dev/session/${encodeURIComponent(sessionInAddress())}/client-tokens`)));
  page.token = null;
  return given;
}

/**
 * Asks until the API answers.
 *
 * @template T
 * @param {() => Promise<T>} question
 * @returns {Promise<T>}
 */
async function patiently(question) {
  for (;;) {
    try {
      return await question();
    } catch (error) {
      if (!(error instanceof TypeError)) throw error;
      if (page.phase === "opening") page.problem = `${UNREACHABLE} Once it is running again, this page goes on.`;
      redraw();
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

async function begin() {
  Object.assign(page, { busy: "begin", problem: null });
  redraw();
  try {
    const wish = { user_id: page.user, signed_in: page.isSignedIn, title: "New Zap", reference: crypto.randomUUID(), steps: [{}, {}] };
    const { id, client_token } = await ask("POST", "/dev/session", wish);
    history.pushState(null, "", `#${encodeURIComponent(id)}`);
    page.token = client_token;
    await open();
  } catch (error) {
    page.problem = error instanceof TypeError ? `${UNREACHABLE} Is it running?` : problemInWords(error);
  }
  page.busy = null;
  redraw();
}

let openings = 0;

/** Shows the session that the address names, or the welcome without one. */
async function open() {
  const opening = ++openings;
  page.connect?.close();
  desks.clear();
  said.clear();
  Object.assign(page, { phase: sessionInAddress() ? "opening" : "welcome", connect: null, problem: null, sought: null, title: null, kept: null, renaming: null, untitled: null });
  redraw();
  void readFaults();
  if (page.phase === "welcome") return;
  try {
    page.token = await getToken();
    if (opening !== openings) return;
  } catch (error) {
    Object.assign(page, { phase: "gone", problem: problemInWords(error) });
    redraw();
    return;
  }
  page.connect = createConnect({ getToken });
  page.signIn = createSignIn({ getToken });
  Object.assign(page, { phase: "open", problem: null });
  page.connect.subscribe(redraw);
  page.signIn.subscribe(redraw);
  redraw();
}

function leave() {
  history.pushState(null, "", location.pathname);
  void open();
}

async function readFaults() {
  try {
    recognise(faults, await ask("GET", "/dev/faults"));
    faults.problem = null;
  } catch (error) {
    faults.problem = faultsProblem(error);
  }
  redraw();
}

/** @param {"PATCH" | "PUT"} method @param {object} document */
async function setFaults(method, document) {
  try {
    recognise(faults, await ask(method, "/dev/faults", document));
    faults.problem = null;
  } catch (error) {
    faults.problem = faultsProblem(error);
  }
  redraw();
}

const endFaults = () => void setFaults("PUT", {});

/** @param {string} app */
function lookAtFaultsOf(app) {
  faults.app = app;
  redraw();
}

// ------------------------------------------------------------------------------------------------ what cards wish for

/** @param {string} id */
function deskOf(id) {
  const desk = desks.get(id) ?? newDesk();
  desks.set(id, desk);
  return desk;
}

/**
 * Does something for a step, and shows meanwhile what, afterwards what went wrong.
 *
 * @param {import("./builder-step.js").Desk} desk
 * @param {string} what
 * @param {() => Promise<unknown>} doing
 */
async function act(desk, what, doing) {
  Object.assign(desk, { busy: what, problem: null });
  redraw();
  try {
    await doing();
  } catch (error) {
    desk.problem = problemInWords(error);
  }
  desk.busy = null;
  redraw();
}

/** @param {any} step @param {number} index @param {import("../../clients/browser/types.js").Connect} connect @returns {import("./builder-step.js").Wishes} */
function wishesOf(step, index, connect) {
  const desk = deskOf(step.id);
  return {
    redraw,
    findApps: async (query) => {
      const { apps } = await connect.searchApps(query);
      for (const { id, title } of apps) known.apps.set(id, title);
      return apps;
    },
    chooseApp: (app) =>
      act(desk, "app", async () => {
        await connect.chooseApp(step.id, app.id);
        Object.assign(desk, { changing: false, picking: false });
      }),
    connect: () => {
      Object.assign(desk, { picking: false, problem: null });
      connect.connect(step.id);
    },
    followed: () => connect.followed(step.id),
    finished: () => connect.finished(step.id),
    cancel: () => connect.cancel(step.id),
    choose: (account) =>
      act(desk, `choose ${account.id}`, async () => {
        await connect.choose(step.id, account.id);
        desk.picking = false;
      }),
    supply: async (given) => {
      let isSent = false;
      await act(desk, "supply", async () => {
        isSent = await supply(desk.own, connect, step.id, given);
        if (isSent) desk.picking = false;
      });
      return isSent;
    },
    insert: () =>
      act(desk, "insert", async () => {
        focusOn(`${await connect.addStep({ position: index })}-name`);
      }),
    chooseAction: (action) => {
      const isChoosing = desk.wished !== null;
      desk.wished = action;
      if (!isChoosing) void act(desk, "action", () => chooseAction(desk, step.id, connect));
    },
    move: (by) => act(desk, "move", () => connect.moveStep(step.id, index + by)),
    remove: () =>
      act(desk, "remove", async () => {
        await connect.removeStep(step.id);
        focusOn(`${connect.getSnapshot().steps[Math.max(0, index - 1)]?.id}-name`);
      }),
    again: () => {
      desk.problem = null;
      desk.loading.clear();
      redraw();
    },
  };
}

/** Chooses one action after the other, up to the last. @param {import("./builder-step.js").Desk} desk @param {string} stepId @param {import("../../clients/browser/types.js").Connect} connect */
async function chooseAction(desk, stepId, connect) {
  try {
    for (let chosen = null; desk.wished && chosen !== desk.wished; ) {
      chosen = desk.wished;
      await connect.chooseAction(stepId, chosen);
    }
  } finally {
    desk.wished = null;
  }
}

/**
 * Loads what a card offers, once for each app, and the accounts anew whenever they may have changed.
 *
 * @param {any} step
 * @param {import("../../clients/browser/types.js").Connect} connect
 */
function provide(step, connect) {
  const desk = deskOf(step.id);
  if (step.app === null) return;
  known.apps.set(step.app.id, step.app.title);
  if (step.authentication) known.accounts.set(step.authentication.id, step.authentication.title);
  if (desk.of !== step.app.id) Object.assign(desk, { of: step.app.id, asked: null, wanted: "", accounts: null, actions: null, problem: null, own: newOwnForm() });
  desk.form ??= createForm({ connect, stepId: step.id, tests: true, changed: redraw, words: problemInWords });
  const isSettled = SETTLED.has(step.show);
  if (isSettled && desk.actions === null) load(desk, "actions", async () => (desk.actions = await connect.actions(step.id)));
  const isAsked = isSettled ? desk.picking : CHOOSING.has(step.show);
  if (isAsked && desk.accounts === null) {
    load(desk, "accounts", async () => {
      const { authentications, own_app } = await connect.authentications(step.id, { refresh: desk.isStale });
      Object.assign(desk, { accounts: authentications, isStale: false });
      desk.own.asks = own_app?.fields ?? [];
      for (const { id, title } of authentications) known.accounts.set(id, title);
    });
  }
}

/**
 * @param {import("./builder-step.js").Desk} desk
 * @param {string} what
 * @param {() => Promise<unknown>} loading
 */
function load(desk, what, loading) {
  if (desk.loading.has(what)) return;
  desk.loading.add(what);
  loading()
    .then(() => desk.loading.delete(what)) // what failed stays, and is not asked again by itself
    .catch((error) => (desk.problem = problemInWords(error)))
    .finally(redraw);
}

// ------------------------------------------------------------------------------------------------ drawing

let isDue = false;

/** Draws everything, once for all that changed in this turn. */
function redraw() {
  if (isDue) return;
  isDue = true;
  queueMicrotask(() => {
    isDue = false;
    drawAll();
  });
}

function drawAll() {
  const focused = document.activeElement;
  const around = focused?.closest(".step, section")?.getAttribute("aria-labelledby");
  const { connect } = page;
  const snapshot = connect?.getSnapshot();
  if (connect && snapshot) {
    for (const step of snapshot.steps) listenTo(step, connect);
    if (page.flawed !== null && page.flawed !== filledWith(snapshot.steps)) Object.assign(page, { problem: null, flawed: null });
    listenToZap(snapshot.session);
  }
  draw(corner, page.phase === "open" && snapshot && standing(snapshot));
  draw(main, contents(connect, snapshot));
  if (focused !== document.body && focused?.isConnected === false) focusOn(around);
  if (page.sought !== null) seek(page.sought);
}

/**
 * Puts the focus on a step's first flaw; on its heading where none can have it, and until its fields are there. Whoever went
 * elsewhere meanwhile is left there.
 *
 * @param {{stepId: string, from: Element | null}} sought
 */
function seek({ stepId, from }) {
  const card = main.querySelector(`.step[data-step="${CSS.escape(stepId)}"]`);
  const heading = document.getElementById(`${stepId}-name`);
  const flaw = /** @type {HTMLElement | null | undefined} */ (card?.querySelector("[aria-invalid=true], .list:has(> .flaw) .button"));
  const isComing = !flaw && card?.querySelector(".form > .skeleton");
  const isHere = [from, heading, document.body].includes(document.activeElement);
  if (!isComing || !isHere) page.sought = null;
  if (isHere) (flaw ?? heading)?.focus();
}

/** @param {any} session */
function listenToZap(session) {
  const now = session?.zap.state === "failed" ? "failed" : session?.status;
  const before = said.get("zap");
  said.set("zap", now);
  if (before !== undefined && before !== now) announcement.textContent = zapInWords(now);
}

/** @param {any} step @param {import("../../clients/browser/types.js").Connect} connect */
function listenTo(step, connect) {
  const before = said.get(step.id);
  // Asking for a step's accounts shows it as preparing: no reason to ask again.
  if (before !== step.show && step.show !== "preparing") {
    said.set(step.id, step.show);
    const desk = deskOf(step.id);
    // Why nothing was made of fields is told to whoever sent them, perhaps before everybody hears that nothing was.
    Object.assign(desk, { accounts: null, ...(step.show !== "not-made" && { problem: null }) });
    desk.loading.clear();
    if (before !== undefined) {
      announce(step);
      if (step.show === "resolved") outdate(step, connect);
    }
  }
  provide(step, connect);
}

/**
 * What was connected in one step can be used in others: their lists are too old now.
 *
 * @param {any} step
 * @param {import("../../clients/browser/types.js").Connect} connect
 */
function outdate(step, connect) {
  for (const { id, app } of connect.getSnapshot().steps) {
    if (id !== step.id && app?.id === step.app.id) Object.assign(deskOf(id), { accounts: null, isStale: true });
  }
}

/** @param {any} step */
function announce(step) {
  const { badge, title = "" } = wordsOf(step.show, step.app?.title ?? "");
  announcement.textContent = `Step ${step.position + 1}${step.app ? `, ${step.app.title}` : ""}: ${badge}. ${title}`;
}

/** Puts the focus on a heading, or where the page begins. @param {string | null | undefined} heading */
function focusOn(heading) {
  (document.getElementById(heading ?? "") ?? main).focus();
}

/** @param {any} snapshot */
function standing({ status, session }) {
  const { tone, words } = statusInWords(status, isNewcomer(session));
  return h("span", { class: "badge", "data-tone": tone, id: "status" }, h("span", { class: "dot" }), words);
}

/** @param {import("../../clients/browser/types.js").Connect | null} connect @param {any} snapshot */
function contents(connect, snapshot) {
  if (page.phase === "welcome") return welcome();
  if (page.phase === "gone" || snapshot?.status === "refused") return gone(snapshot?.problem?.message ?? page.problem);
  if (connect === null || !snapshot?.session) return opening();
  return [
    h(
      "div",
      { class: "heading", key: "heading" },
      h("h1", {}, "Build a Zap"),
      h("p", { class: "soft" }, "For ", h("b", {}, snapshot.session.user_id), snapshot.session.credential.account && `, at Zapier as ${snapshot.session.credential.account}`),
    ),
    banner(snapshot, connect),
    faultNote(faults, appsOf(snapshot.steps), endFaults),
    h(
      "div",
      { class: "workbench", key: "workbench" },
      h("div", { class: "stack editor" }, titleField(snapshot.session), stepList(snapshot, connect), finish(snapshot, connect)),
      h(
        "aside",
        { class: "stack side", "aria-label": "Behind the scenes" },
        faultMenu(faults, {
          apps: appsOf(snapshot.steps),
          look: lookAtFaultsOf,
          set: (patch) => void setFaults("PATCH", patch),
          clear: endFaults,
        }),
        timeline(snapshot.events, { steps: snapshot.steps, ...known }),
      ),
    ),
  ];
}

/** @param {any[]} steps */
function appsOf(steps) {
  return [...new Map(steps.filter(({ app }) => app).map(({ app }) => [app.id, app])).values()];
}

function welcome() {
  return [
    h(
      "section",
      { class: "card welcome stack", key: "welcome", "aria-labelledby": "welcome" },
      h("h1", { id: "welcome" }, "Build a Zap, lose nothing"),
      h(
        "p",
        { class: "lead soft" },
        "A Zap of your own, as your users would build it inside your product. Connect an account, close the window too early, ",
        "unplug the network, break Zapier: it finds what you connected, and never takes a wrong one.",
      ),
      faultNote(faults, [], endFaults),
      page.problem && h("p", { class: "note", "data-tone": "bad", role: "alert" }, page.problem),
      h(
        "form",
        {
          class: "row",
          on: {
            submit: (/** @type {Event} */ event) => {
              event.preventDefault();
              if (page.busy === null) void begin();
            },
          },
        },
        h(
          "label",
          { class: "field grow" },
          h("span", {}, "Who is building?"),
          h("input", {
            type: "text",
            name: "user",
            required: true,
            maxlength: "64",
            pattern: "[A-Za-z0-9]([A-Za-z0-9._\\-]*[A-Za-z0-9])?",
            title: "Letters and digits, with . _ - between them",
            autocomplete: "off",
            spellcheck: "false",
            value: page.user,
            on: { input: (/** @type {{target: HTMLInputElement}} */ { target }) => (page.user = target.value) },
          }),
        ),
        h(
          "button",
          { type: "submit", class: "button primary", "aria-disabled": page.busy ? "true" : null },
          page.busy && h("span", { class: "spinner", "aria-hidden": "true" }),
          "Start a Zap",
        ),
        h(
          "label",
          { class: "check" },
          h("input", {
            type: "checkbox",
            name: "signed-in",
            checked: page.isSignedIn,
            on: { change: (/** @type {{target: HTMLInputElement}} */ { target }) => (page.isSignedIn = target.checked) },
          }),
          h("span", {}, "Signed in to Zapier already"),
        ),
      ),
    ),
    h(
      "p",
      { class: "soft small", key: "more" },
      "Or see ",
      h("a", { href: "/demo/compare" }, "both ways side by side"),
      ": the published snippet, which gives up, and this one.",
    ),
  ];
}

function opening() {
  return [
    h("div", { class: "heading", key: "heading" }, h("h1", {}, "Build a Zap"), !page.problem && h("p", { class: "soft" }, "Loading …")),
    page.problem && h("p", { class: "note", "data-tone": "wait", role: "alert", key: "problem" }, page.problem),
    h("div", { class: "workbench", key: "skeletons", "aria-hidden": "true" }, h("div", { class: "stack" }, h("div", { class: "skeleton tall" }), h("div", { class: "skeleton tall" })), h("div", { class: "skeleton tall" })),
  ];
}

/** @param {string | null} why */
function gone(why) {
  return h(
    "section",
    { class: "card welcome stack", key: "gone", "aria-labelledby": "gone" },
    h("h1", { id: "gone" }, "This Zap cannot be shown"),
    h("p", { class: "note", "data-tone": "bad", role: "alert" }, why),
    h("div", { class: "row" }, button("Start another", leave, { kind: "primary" })),
  );
}

/** What holds for the whole page. @param {any} snapshot @param {import("../../clients/browser/types.js").Connect} connect */
function banner({ status, session, support }, connect) {
  const { tone, words, title = words, about } = statusInWords(status, isNewcomer(session));
  if (!about) return null;
  return h(
    "div",
    { class: "note banner", "data-tone": tone, role: "status", key: "banner" },
    h("strong", {}, title),
    h("p", {}, about),
    status === "sign-in-needed" && page.signIn ? signInPanel(page.signIn) : h("div", { class: "row" }, button("Try now", connect.refresh)),
    support && !isNewcomer(session) && quote(support),
  );
}

/** @param {any} session */
function isNewcomer(session) {
  return session?.credential.state === "missing";
}

/** @param {any} session */
function titleField(session) {
  const isShown = page.title === session.title || (page.title === page.kept?.title && session.title !== page.kept?.over);
  if (isShown && page.renaming === null) Object.assign(page, { title: null, kept: null });
  return h(
    "div",
    { class: "field title", key: "title" },
    h("label", { for: "title" }, "Title"),
    h("input", {
      id: "title",
      type: "text",
      maxlength: "255",
      autocomplete: "off",
      placeholder: "What is this Zap for?",
      disabled: isLocked(session),
      value: page.title ?? session.title ?? "",
      "aria-invalid": page.untitled ? "true" : null,
      "aria-describedby": page.untitled ? "title-flaw" : null,
      on: {
        input: (/** @type {{target: HTMLInputElement}} */ { target }) => (page.title = target.value),
        change: () => void rename(session.id),
      },
    }),
    page.untitled && h("p", { id: "title-flaw", class: "flaw small", role: "alert" }, page.untitled),
  );
}

/** Keeps the title as it was typed last, as soon as the API answers. @param {string} sessionId */
function rename(sessionId) {
  page.renaming ??= keepTitle(sessionId).finally(() => {
    if (sessionInAddress() !== sessionId) return;
    page.renaming = null;
    if (page.title === null) page.untitled = null;
    redraw();
  });
  return page.renaming;
}

/** @param {string} sessionId */
async function keepTitle(sessionId) {
  while (page.title !== null && page.title !== page.kept?.title && sessionInAddress() === sessionId) {
    const { title } = page;
    const over = page.connect?.getSnapshot().session?.title ?? null;
    try {
      await ask("PATCH", `/dev/session/${encodeURIComponent(sessionId)}`, { title });
      if (sessionInAddress() === sessionId) Object.assign(page, { kept: { title, over }, untitled: null });
    } catch (error) {
      if (sessionInAddress() !== sessionId) return;
      const isAway = error instanceof TypeError;
      page.untitled = isAway ? `Not kept yet. ${UNREACHABLE} Once it does, the title is kept.` : `Not kept: ${problemInWords(error)}`;
      redraw();
      if (!isAway) return;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/** @param {any} session */
function isLocked({ status }) {
  return status !== "building" && status !== "ready";
}

/** @param {any} snapshot @param {import("../../clients/browser/types.js").Connect} connect */
function stepList({ session, steps }, connect) {
  const locked = isLocked(session);
  const add = (/** @type {number} */ position) => async () => {
    page.problem = null;
    try {
      focusOn(`${await connect.addStep({ position })}-name`);
    } catch (error) {
      page.problem = problemInWords(error);
    }
    redraw();
  };
  return h(
    "div",
    { key: "steps" },
    h(
      "ol",
      { class: "steps", "aria-label": "Steps" },
      steps.map((/** @type {any} */ step, /** @type {number} */ index) =>
        stepCard(step, { index, count: steps.length, locked, desk: deskOf(step.id), wishes: wishesOf(step, index, connect) }),
      ),
    ),
    steps.length === 0 && h("p", { class: "soft nothing" }, "No step yet. A Zap begins with what should set it off."),
    !locked &&
      h(
        "button",
        { type: "button", class: "button add", on: { click: add(steps.length) } },
        icon("add"),
        steps.length === 0 ? "Add the first step" : "Add a step",
      ),
    page.problem && h("p", { class: "note", "data-tone": "bad", role: "alert" }, page.problem),
  );
}

/** Creating the Zap, and what became of that. @param {any} snapshot @param {import("../../clients/browser/types.js").Connect} connect */
function finish({ session, steps }, connect) {
  const create = async (/** @type {{again?: boolean, zap_id?: string}} */ wish) => {
    Object.assign(page, { busy: "create", problem: null, flawed: null });
    redraw();
    try {
      if (!isLocked(session)) await settled(session, steps);
      await connect.createZap(wish);
    } catch (error) {
      if (error.code === "inputs_flawed") {
        tellFlaws(error.facts.problems, steps);
        page.flawed = filledWith(connect.getSnapshot().steps);
      }
      page.problem = problemInWords(error);
    }
    page.busy = null;
    redraw();
  };
  return h("section", { class: "card finish stack", key: "finish", "aria-labelledby": "finish" }, h("h2", { id: "finish", tabindex: "-1" }, "Create the Zap"), outcome(session, steps, create));
}

/** Resolves when all that was typed is kept; throws an error where it cannot be. @param {any} session @param {any[]} steps */
async function settled(session, steps) {
  const [, ...sent] = await Promise.all([rename(session.id), ...steps.map(({ id }) => deskOf(id).form?.settled())]);
  if (page.untitled) throw new Error("The title could not be kept. Look at it above.");
  if (sent.includes(false)) throw new Error("Not everything that was filled in could be kept. Look at the steps above.");
}

/** What creating the Zap found wrong is no longer true of anything else. @param {readonly any[]} steps */
function filledWith(steps) {
  return JSON.stringify(steps.map(({ id, action, authentication, inputs }) => [id, action, authentication?.id, inputs]));
}

/**
 * Shows what is wrong where it is wrong: at fields, or at their step.
 *
 * @param {{step_id: string, field: string | null, code: string, detail: string}[]} problems
 * @param {any[]} steps
 */
function tellFlaws(problems, steps) {
  for (const { id } of steps) {
    const own = problems.filter(({ step_id }) => step_id === id);
    const desk = deskOf(id);
    desk.problem = own.filter(({ field }) => field === null).map((problem) => problemInWords(problem)).join(" ") || null;
    desk.form?.flawed(own.flatMap(({ field, code, detail }) => (field === null ? [] : [{ field, code, detail }])));
  }
  const first = steps.find(({ id }) => problems.some(({ step_id }) => step_id === id));
  page.sought = first ? { stepId: first.id, from: document.activeElement } : null;
}

/** @param {any} session @param {any[]} steps @param {(wish: {again?: boolean, zap_id?: string}) => void} create */
function outcome({ status, zap }, steps, create) {
  if (status === "created") return created(zap);
  if (status === "create_unknown") {
    return h(
      "div",
      { class: "note", "data-tone": "bad" },
      h("strong", {}, "Zapier gave no answer: the Zap may exist"),
      zap.matches.length > 0 &&
        h(
          "ul",
          { "aria-label": "Zaps that may be it" },
          zap.matches.map((/** @type {any} */ { id, title, editor_url }) =>
            h(
              "li",
              { key: id, class: "row" },
              h("span", { class: "grow" }, editor_url ? h("a", { href: editor_url, target: "_blank", rel: "noopener noreferrer" }, title) : title),
              button("It is this one", () => create({ zap_id: id }), { busy: page.busy === "create", label: `It is this one: ${title}` }),
            ),
          ),
        ),
      h("p", {}, "Look at your Zaps first. Only if it is not there, create it again; otherwise there would be two."),
      h("div", { class: "row" }, button("I looked, it is not there: create it", () => create({ again: true }), { busy: page.busy === "create" })),
    );
  }
  if (status === "expired" || status === "cancelled") {
    return [h("p", { class: "soft" }, "This Zap is over."), h("div", { class: "row" }, button("Start another", leave, { kind: "primary" }))];
  }
  const isReady = status === "ready";
  const { isKnown, missing } = lacking(steps);
  return [
    zap.state === "failed" && h("div", { class: "note", "data-tone": "bad" }, h("strong", {}, "Zapier refused"), h("p", {}, zap.problem)),
    isReady && h("p", { key: "said", class: "soft" }, saidOf(isKnown, missing.length > 0)),
    (missing.length > 0 || !isReady) &&
      h("ul", { key: "missing", class: "missing soft", id: "missing" }, steps.length === 0 ? h("li", {}, "A first step") : missing),
    h(
      "div",
      { class: "row" },
      h(
        "button",
        {
          type: "button",
          class: missing.length > 0 ? "button" : "button primary",
          "aria-disabled": isReady && page.busy === null ? null : "true",
          "aria-describedby": isReady && missing.length === 0 ? null : "missing",
          on: { click: () => isReady && page.busy === null && create({}) },
        },
        (page.busy === "create" || status === "creating") && h("span", { class: "spinner", "aria-hidden": "true" }),
        zap.state === "failed" ? "Try again" : "Create the Zap",
      ),
    ),
  ];
}

/** @param {any} zap */
function created(zap) {
  return h(
    "div",
    { class: "note", "data-tone": "good" },
    h("strong", {}, "Your Zap exists"),
    h("p", { class: "small" }, "Zapier calls it ", h("span", { class: "mono" }, zap.id)),
    h(
      "div",
      { class: "row" },
      zap.editor_url && h("a", { class: "button primary", href: zap.editor_url, target: "_blank", rel: "noopener noreferrer" }, "Open it at Zapier", icon("away")),
      button("Build another", leave),
    ),
  );
}

/** @param {boolean} isKnown what fields there are @param {boolean} isMissing */
function saidOf(isKnown, isMissing) {
  if (isMissing) return "Every step has its account and its action. Still to do:";
  return isKnown ? "Every step has its account and its action, and what it must be filled with." : "Every step has its account and its action. Their fields are being looked at.";
}

/** What keeps the Zap from being created, as far as this page knows, by step; each leads to where it is done. @param {any[]} steps */
function lacking(steps) {
  let isKnown = true;
  const missing = steps.map((step, index) => {
    const name = `Step ${index + 1}`;
    const wanted = wantedOf(step, index);
    if (wanted) return h("li", { key: step.id }, `${name}: `, leading(wanted, `${name}: ${wanted}`, step.id));
    const lacks = deskOf(step.id).form?.lacks() ?? null;
    isKnown &&= lacks !== null;
    const empty = (lacks ?? []).filter(({ isEmpty }) => isEmpty);
    const wrong = (lacks ?? []).filter(({ isEmpty }) => !isEmpty);
    return (
      (empty.length > 0 || wrong.length > 0) &&
      h("li", { key: step.id }, `${name}: `, fieldsTo("fill in", empty, name, step.id), empty.length > 0 && wrong.length > 0 && "; ", fieldsTo("correct", wrong, name, step.id))
    );
  });
  return { isKnown, missing: missing.filter((one) => one !== false) };
}

/** @param {string} what @param {import("./form.js").Lack[]} lacks @param {string} name @param {string} stepId */
function fieldsTo(what, lacks, name, stepId) {
  return lacks.map(({ field, title }, index) => [index === 0 ? `${what} ` : ", ", leading(title, `${name}: ${what} ${title}`, stepId, field)]);
}

/** @param {string} text @param {string} label @param {string} stepId @param {string} [field] */
function leading(text, label, stepId, field) {
  return h("button", { key: `lead ${field ?? ""}`, type: "button", "aria-label": label, on: { click: () => lead(stepId, field) } }, text);
}

/** Puts the focus on a step's field, or on its heading. @param {string} stepId @param {string} [field] */
function lead(stepId, field) {
  const place = field === undefined ? null : main.querySelector(`.step[data-step="${CSS.escape(stepId)}"] [data-field="${CSS.escape(field)}"]`);
  const control = /** @type {HTMLElement | null | undefined} */ (place?.querySelector("input, textarea, select, button"));
  (control ?? document.getElementById(`${stepId}-name`))?.focus();
}

/** @param {any} step @param {number} index @returns {string | null} */
function wantedOf(step, index) {
  if (step.app === null) return "choose an app";
  if (!SETTLED.has(step.state)) return `connect ${step.app.title}`;
  if (step.action !== null) return null;
  return index === 0 ? "choose what starts the Zap" : `choose what ${step.app.title} should do`;
}

window.addEventListener("popstate", () => void open());
void open();
