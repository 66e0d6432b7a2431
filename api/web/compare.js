// @ts-check
/**
 * The comparison: one app whose login cuts the popup off, connected by a page that takes the guide for the whole story, and by
 * one that uses connect.js. Each side has a user of its own, so that what one connects never helps the other.
 *
 * The right side's session is in the address, and the last comparison is remembered: who closes the tab comes back to it.
 */

import { PENDING, problemInWords, wordsOf } from "./builder-words.js";
import { connectAccount } from "./compare-naive.js";
import { EARLY, naiveSide, ourSide, waysToBreakIt } from "./compare-sides.js";
import { createConnect } from "./connect.js";
import { ask } from "./development.js";
import { draw, h } from "./dom.js";

const APP = "Salesforce";
/** What goes wrong in the app's popups, and in nothing else. */
const FAULT = { coop: { middle: "same-origin" } };
const MEMORY = "zapwright.compare";
/** In the address of who begins again. */
const AT_ONCE = "#begin";
const RETRY_MS = 3_000;
const TRUTH_EVERY_MS = 5_000;
const TRUTH_TIMES = 24;

const place = /** @type {HTMLElement} */ (document.getElementById("sides"));
const corner = /** @type {HTMLElement} */ (document.getElementById("again"));
const announcement = /** @type {HTMLElement} */ (document.getElementById("told"));

/**
 * @typedef {import("../../clients/browser/types.js").Connect} Connect
 * @typedef {import("./compare-sides.js").Page} Page
 */

/** @type {Page} */
const page = {
  app: { title: APP, image: null },
  problem: null,
  signedIn: null,
  naiveCode: "",
  left: { phase: "new", moments: [], lost: null },
  right: { step: null, events: [], moments: [], awaySince: null },
};
const wishes = { begin, connectLeft, skipLeft, connectRight, followed, finished, cancel, choose };
let link = { url: "", origin: "" };
let session = "";
const users = { left: "", right: "" };
/** @type {Connect | null} */
let connect = null;
/** @type {(() => Promise<{id: string, title: string} | undefined>) | null} what the left side's user has at Zapier */
let truth = null;

// ------------------------------------------------------------------------------------------------ asking

/**
 * Does something until the API answers, and says meanwhile that it does not.
 *
 * @template T
 * @param {() => Promise<T>} doing
 * @returns {Promise<T>}
 */
async function patiently(doing) {
  for (;;) {
    try {
      const done = await doing();
      page.problem = null;
      return done;
    } catch (error) {
      const { code = "" } = /** @type {{code?: string}} */ (error);
      const isPassing = error instanceof TypeError || code === "no_answer" || code.startsWith("upstream_");
      page.problem = isPassing
        ? { tone: "wait", words: "No answer yet. This page goes on as soon as there is one." }
        : { tone: "bad", words: problemInWords(error) };
      redraw();
      if (!isPassing) throw error;
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS));
    }
  }
}

/**
 * @param {string} id a session's
 * @param {object | null} [given] the token that came with it
 */
function connectFor(id, given) {
  const getToken = async () => {
    const token = given ?? (await ask("POST", `/dev/session/${encodeURIComponent(id)}/client-tokens`));
    given = null;
    return token;
  };
  return createConnect({ getToken });
}

/**
 * Has a user begin a session whose one step uses the app, as any product's page would find it.
 *
 * @param {string} user
 */
async function begun(user) {
  const { id, client_token, steps } = await ask("POST", "/dev/session", { user_id: user, title: "Comparison", steps: [{}] });
  const connect = connectFor(id, client_token);
  const { apps } = await connect.searchApps(APP);
  const app = apps.find(({ title }) => title === APP);
  if (app === undefined) throw new Error(`the simulator has no app called ${APP}`);
  const [step] = (await connect.chooseApp(steps[0].id, app.id)).steps;
  return { id, connect, step: /** @type {any} */ (step) };
}

/**
 * Has the app's login cut popups off, and browsers be signed in to Zapier as the user of one side.
 *
 * @param {"left" | "right"} side
 */
async function signIn(side) {
  await patiently(async () => {
    await ask("PATCH", "/dev/faults", { apps: { [page.app.id]: { popups: { ...FAULT, account: users[side] } } } });
  });
  page.signedIn = side;
  redraw();
}

/** Another tab may have signed in somebody else meanwhile. */
function signInAgain() {
  const { signedIn, left, right } = page;
  if (signedIn !== null && (left.phase === "ready" || right.step?.show === "ready")) void signIn(signedIn);
}

// ------------------------------------------------------------------------------------------------ beginning

/** Before this nothing is asked of anybody: whoever only looks leaves nothing behind. */
async function begin() {
  page.left.phase = "preparing";
  redraw();
  const run = crypto.randomUUID().slice(0, 6);
  Object.assign(users, { left: `left-${run}`, right: `right-${run}` });
  const naive = await patiently(() => begun(users.left));
  const ours = await patiently(() => begun(users.right));
  page.app = naive.step.app;
  link = { url: naive.step.connect.url, origin: naive.step.connect.message_origin };
  truth = async () => (await naive.connect.authentications(naive.step.id, { refresh: true })).authentications[0];
  follow(ours.id, ours.connect);
  await signIn("left");
  page.left.phase = "ready";
  redraw();
}

/**
 * @param {string} id
 * @param {Connect} following
 */
function follow(id, following) {
  session = id;
  connect = following;
  connect.subscribe(onNews);
  onNews();
}

function onNews() {
  const snapshot = /** @type {Connect} */ (connect).getSnapshot();
  if (snapshot.status === "refused") page.problem = { tone: "bad", words: problemInWords(snapshot.problem) };
  const [step] = snapshot.steps;
  if (!step) return redraw();
  const before = page.right.step;
  Object.assign(page.right, { step, events: snapshot.events });
  if (PENDING.has(step.show)) history.replaceState(null, "", `#${encodeURIComponent(session)}`);
  page.app = step.app;
  if (before && before.show !== step.show) announce(step, before.show);
  if (users.right === "") {
    users.right = snapshot.session?.user_id ?? "";
    void signIn("right");
  }
  redraw();
}

/** @param {any} step @param {string} before */
function announce({ show }, before) {
  const { badge, title = "" } = wordsOf(show, APP);
  announcement.textContent = `With connect.js: ${badge}. ${title}`;
  if (show === "checking" && (before === "waiting" || before === "opening")) {
    page.right.moments.push({ at: Date.now(), tone: "wait", words: "popup.closed is true, which proves nothing" });
  }
}

// ------------------------------------------------------------------------------------------------ the left side

/** Called inside the click. */
async function connectLeft() {
  const { left } = page;
  const connecting = connectAccount(link.url, link.origin);
  Object.assign(left, { phase: "open", moments: [{ at: Date.now(), tone: "plain", words: "Popup opened" }] });
  redraw();
  try {
    const id = await connecting;
    tellLeft("connected", [{ tone: "good", words: `The message came: ${id}` }]);
  } catch (error) {
    const { message, cause } = /** @type {Error} */ (error);
    if (cause === "blocked") tellLeft("blocked", []);
    else tellLeft("gave-up", [{ tone: "wait", words: message }, { tone: "bad", words: "Gave up, and stopped listening" }]);
  }
  await signIn("right");
  await lookAfterLeft();
}

/**
 * @param {Page["left"]["phase"]} phase
 * @param {{tone: string, words: string}[]} moments
 */
function tellLeft(phase, moments) {
  page.left.phase = phase;
  const now = moments.map((moment) => ({ ...moment, at: Date.now() }));
  page.left.moments = now.length > 0 ? [...page.left.moments, ...now] : [];
  announcement.textContent = `The published snippet: ${now.at(-1)?.words ?? "The browser blocked its popup"}.`;
  remember();
  redraw();
}

async function skipLeft() {
  page.left.phase = "skipped";
  redraw();
  await signIn("right");
}

/** Finds what the left side's user has connected although nobody waits for it any more. */
async function lookAfterLeft() {
  for (let times = 0; times < TRUTH_TIMES && truth && page.left.phase === "gave-up"; times += 1) {
    const [found] = await Promise.all([truth().catch(() => undefined), new Promise((done) => setTimeout(done, TRUTH_EVERY_MS))]);
    if (!found) continue;
    page.left.lost = found;
    announcement.textContent = `Zapier has the account that the published snippet gave up: ${found.title}.`;
    remember();
    return redraw();
  }
}

// ------------------------------------------------------------------------------------------------ the right side

/** @param {(connect: Connect, step: any) => unknown} doing */
function withStep(doing) {
  if (connect && page.right.step) doing(connect, page.right.step);
}

/** Called inside the click. */
function connectRight() {
  withStep((connect, { id }) => connect.connect(id));
}

/** Called inside the click on the popup's real link. */
function followed() {
  withStep((connect, { id }) => connect.followed(id));
}

function finished() {
  withStep((connect, { id }) => connect.finished(id));
}

function cancel() {
  withStep((connect, { id }) => connect.cancel(id));
}

/** @param {string} account */
function choose(account) {
  withStep((connect, { id }) => patiently(() => connect.choose(id, account)));
}

// ------------------------------------------------------------------------------------------------ coming back

function remember() {
  const { left, right } = page;
  const isOpen = right.step !== null && PENDING.has(right.step.show);
  const { phase, moments, lost } = left;
  keep({ session, isOpen, left: { phase, moments, lost }, seen: Date.now() });
}

/** @param {object | null} what */
function keep(what) {
  try {
    if (what === null) localStorage.removeItem(MEMORY);
    else localStorage.setItem(MEMORY, JSON.stringify(what));
  } catch {
    // Where pages may keep nothing, the address alone leads back.
  }
}

function kept() {
  try {
    return JSON.parse(localStorage.getItem(MEMORY) ?? "null");
  } catch {
    return null;
  }
}

/** Shows the comparison that the address names, or the one whose tab was closed while its popup was open. */
function resume() {
  const named = decodeURIComponent(location.hash.slice(1));
  const memory = kept();
  const id = named || (memory?.isOpen ? memory.session : "");
  if (!id) return;
  const isKnown = memory?.session === id;
  page.left = isKnown ? memory.left : { phase: "skipped", moments: [], lost: null };
  if (!["gave-up", "blocked", "connected"].includes(page.left.phase)) page.left.phase = "skipped";
  page.right.awaySince = isKnown && memory.isOpen ? memory.seen : null;
  follow(id, connectFor(id));
}

function again() {
  connect?.close();
  keep(null);
  session = "";
  history.replaceState(null, "", AT_ONCE);
  location.reload();
}

// ------------------------------------------------------------------------------------------------ drawing

function redraw() {
  const focused = document.activeElement;
  const side = focused?.closest(".side")?.id;
  const isOver = !EARLY.has(page.left.phase);
  draw(corner, isOver && h("button", { type: "button", class: "button", on: { click: again } }, "Begin again"));
  draw(
    place,
    page.problem && h("p", { class: "note", "data-tone": page.problem.tone, role: "alert", key: "problem" }, page.problem.words),
    h("div", { class: "sides", key: "sides" }, naiveSide(page, wishes), ourSide(page, wishes)),
    waysToBreakIt(page),
  );
  if (side && !focused?.isConnected) document.getElementById(`${side}-title`)?.focus();
}

window.addEventListener("pagehide", () => session && remember());
window.addEventListener("focus", signInAgain);
window.addEventListener("hashchange", () => location.reload());
void fetch("/web/compare-naive.js")
  .then((answer) => answer.text())
  .then((text) => {
    page.naiveCode = text.replaceAll(/\/\*\*.*?\*\/\s*/gs, "");
    redraw();
  });
redraw();
if (location.hash === AT_ONCE) {
  history.replaceState(null, "", location.pathname);
  void begin();
} else resume();
