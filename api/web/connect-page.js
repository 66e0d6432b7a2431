// @ts-check
/** The connect page once a link is this browser's: one step, from here to its account; or waiting to be let in. */

import { picture } from "./app-search.js";
import { button } from "./builder-step.js";
import { CHOOSING, PENDING, problemInWords, wordsOf } from "./builder-words.js";
import { createConnect } from "./connect.js";
import { draw, h } from "./dom.js";
import { newOwnForm, ownForm, supply } from "./own-form.js";
import { createSignIn } from "./sign-in.js";
import { signInPanel } from "./sign-in-panel.js";

const WAITS_MS = 3_000;
const YOUNG_MS = 5_000;

/** What this page says otherwise than the builder, to somebody who knows of neither. @type {Record<string, import("./builder-words.js").Words>} */
const HERE = {
  sending: { tone: "busy", badge: "", title: "Sending what you filled in", text: "It is sent once, and kept nowhere." },
  offline: { tone: "wait", badge: "", title: "This does not work right now", text: "Nothing is lost: the page goes on as soon as there is an answer." },
  "token-expired": { tone: "wait", badge: "", title: "This page has stopped", text: "Nothing is lost: reload it to go on." },
};

const main = /** @type {HTMLElement} */ (document.querySelector("#connect"));
const told = /** @type {HTMLElement} */ (document.querySelector("#told"));
const { kind, step: stepId = "", back, asker, reference } = main.dataset;

if (kind === "waiting") waitToBeLetIn();
else if (kind === "follow") follow();

/** Looks whether the page is another one by now. */
function waitToBeLetIn() {
  setTimeout(async () => {
    if (document.visibilityState === "visible" && (await kindNow()) !== kind) location.reload();
    else waitToBeLetIn();
  }, WAITS_MS);
}

/** @returns {Promise<string | undefined>} what kind of page this is now; the same while nobody answers */
async function kindNow() {
  try {
    const answer = await fetch(location.href, { cache: "no-store" });
    const now = new DOMParser().parseFromString(await answer.text(), "text/html");
    return answer.status < 500 ? /** @type {HTMLElement | null} */ (now.querySelector("#connect"))?.dataset.kind : kind;
  } catch {
    return kind;
  }
}

function follow() {
  /** @type {{id: string, title: string, is_expired: boolean}[]} */
  let accounts = [];
  let shown = "";
  let chosenFrom = "";
  let busy = "";
  let problem = "";
  /** @type {string | null} by what the problem is found in the log */
  let support = null;
  let isListed = true;
  const own = newOwnForm();
  const connect = createConnect({ getToken });
  const signIn = createSignIn({ getToken });
  connect.subscribe(redraw);
  signIn.subscribe(redraw);
  redraw();

  function redraw() {
    const { status, steps, session } = connect.getSnapshot();
    const [now] = steps;
    if (status === "refused" || (status === "over" && now?.show !== "resolved")) return again();
    if (!now) return status === "offline" && draw(main, unreachable());
    if (!now.app) return again();
    if (now.show !== "preparing") chosenFrom = CHOOSING.has(now.show) ? now.show : "";
    // While the accounts to choose from are being read, everything else stays as it is.
    const step = now.show === "preparing" && chosenFrom ? { ...now, show: own.isSending ? "sending" : chosenFrom } : now;
    const isNew = step.show !== shown;
    if (isNew) problem = "";
    shown = step.show;
    const words = headed(step);
    document.title = words;
    const hadFocus = main.contains(document.activeElement);
    draw(main, card(step, words, session?.credential.account ?? null));
    if (hadFocus && !main.contains(document.activeElement)) main.querySelector("h1")?.focus();
    if (!isNew) return;
    told.textContent = [words, inWords(step.show, now.app.title).title].filter(Boolean).join(". ");
    if (CHOOSING.has(step.show) && !own.isSending) void load();
  }

  /** @param {any} error */
  function fail(error) {
    problem = problemInWords(error);
    support = error.support ?? null;
  }

  async function load() {
    try {
      const { authentications, own_app } = await connect.authentications(stepId);
      accounts = authentications;
      own.asks = own_app?.fields ?? [];
      isListed = true;
    } catch (error) {
      accounts = [];
      isListed = false;
      fail(error);
    }
    redraw();
  }

  function loadAgain() {
    isListed = true;
    problem = "";
    void load();
  }

  /** @param {import("./own-form.js").Given} given */
  async function send(given) {
    problem = "";
    try {
      return await supply(own, connect, stepId, given);
    } catch (error) {
      fail(error);
      return false;
    }
  }

  /** @param {{id: string}} account */
  async function choose({ id }) {
    busy = id;
    redraw();
    try {
      await connect.choose(stepId, id);
    } catch (error) {
      fail(error);
    }
    busy = "";
    redraw();
  }

  /** @param {any} step @param {string} heading @param {string | null} zapier */
  function card(step, heading, zapier) {
    const app = step.app.title;
    const choosing = CHOOSING.has(step.show) || step.show === "sending";
    return h(
      "section",
      { class: "card stack", "data-show": step.show },
      h("p", { class: "app" }, picture(step.app), h("b", {}, h("bdi", {}, app))),
      h("h1", { tabindex: "-1" }, heading),
      step.show === "resolved" ? done(step) : step.show === "sign-in-needed" ? signingIn() : telling(step),
      problem && h(
        "div",
        { class: "note", "data-tone": "bad", role: "alert", key: "problem" },
        h("p", {}, problem),
        !isListed && h("div", { class: "row" }, button("Look again", loadAgain)),
      ),
      step.show === "ready" && zapier && h("p", {}, "It will be kept in the Zapier account ", h("b", {}, zapier), "."),
      step.candidates.length > 0 && choices(step.candidates.length > 1 ? "One of these may be it" : "This may be it", step.candidates, "This one"),
      choosing && step.show !== "blocked" && button(wish(step, app), () => connect.connect(stepId), {
        kind: step.candidates.length > 0 || BY_FIELDS.has(step.show) ? "wide" : "primary wide",
        key: "connect",
      }),
      choosing && choices("Or use one that is there already", others(step), "Use"),
      own.asks.length > 0 && step.show !== "resolved" && ownForm(own, { id: stepId, app, heading: "h2", show: step.show, isHidden: !choosing, send, redraw }),
      (problem || !UNTROUBLED.has(step.show)) && quote((problem ? support : own.support) ?? step.support),
    );
  }

  /** Where nothing is known of the step yet, nor can be just now. */
  function unreachable() {
    return h("section", { class: "card stack", "data-show": "offline" }, h("h1", { tabindex: "-1" }, document.title), note(inWords("offline", "")), quote(reference));
  }

  /** @param {any} step */
  function others({ candidates, authentication }) {
    const known = new Set([authentication?.id, ...candidates.map((/** @type {any} */ { id }) => id)]);
    return accounts.filter(({ id, is_expired }) => !is_expired && !known.has(id));
  }

  /** @param {any} step */
  function done(step) {
    return [
      h("div", { class: "note", "data-tone": "good" }, h("p", {}, "Connected: ", h("b", {}, h("bdi", {}, step.authentication?.title ?? "")))),
      back
        ? h("a", { class: "button primary wide", href: back, id: "back" }, `Back to ${asker ?? new URL(back).hostname}`)
        : h("p", { class: "soft" }, "You can close this page."),
    ];
  }

  /** Whoever has the link may be somebody else than its maker thinks: what signing in gives away is said first. */
  function signingIn() {
    return h(
      "div",
      { class: "note", "data-tone": "wait" },
      h("strong", {}, "Sign in to Zapier first"),
      h("p", {}, "Do so only if you know who gave you this link: they will be able to build Zaps in the Zapier account that you sign in to."),
      signInPanel(signIn),
    );
  }

  /** @param {any} step */
  function telling(step) {
    const words = inWords(step.show, step.app.title);
    const pending = PENDING.has(step.show);
    if (!words.title && !words.text) return null;
    return note(
      words,
      (pending || step.show === "unanswered") && next(step),
      step.show === "blocked" && h(
        "div",
        { class: "row" },
        h(
          "a",
          { class: "button primary", href: step.link, target: "_blank", rel: "opener", on: { click: () => connect.followed(stepId) } },
          "Open it in a new tab",
        ),
        button("Try again", () => connect.connect(stepId)),
      ),
      pending && h(
        "div",
        { class: "row" },
        button("I’ve finished", () => connect.finished(stepId), { kind: "primary", key: "finished" }),
        button("Open the window again", () => connect.connect(stepId), { key: "reopen" }),
        button("Cancel", () => connect.cancel(stepId), { kind: "quiet", key: "cancel" }),
      ),
      step.show === "token-expired" && h("div", { class: "row" }, button("Reload", () => location.reload(), { kind: "primary" })),
    );
  }

  /** @param {string} label @param {{id: string, title: string, is_expired: boolean}[]} found @param {string} verb */
  function choices(label, found, verb) {
    if (found.length === 0) return null;
    return h(
      "div",
      { class: "stack", key: verb },
      h("h2", { class: "soft small", id: `choices-${verb}` }, label),
      h(
        "ul",
        { class: "stack", "aria-labelledby": `choices-${verb}` },
        found.map((one) =>
          h(
            "li",
            { key: one.id, class: "row" },
            h("bdi", { class: "grow" }, one.title),
            button(verb, () => choose(one), { busy: busy === one.id, label: `${verb}: ${one.title}` }),
          ),
        ),
      ),
    );
  }
}

/** Where the popup is not what the user is after. */
const BY_FIELDS = new Set(["sending", "unanswered", "not-made"]);
/** Where nobody needs help. */
const UNTROUBLED = new Set(["ready", "sending", "resolved"]);

/** @param {string} show @param {string} app */
function inWords(show, app) {
  return HERE[show] ?? wordsOf(show, app);
}

/** @param {import("./builder-words.js").Words} words @param {...import("./dom.js").Child} more */
function note({ tone, title, text }, ...more) {
  return h("div", { class: "note", "data-tone": tone, key: "telling" }, title && h("strong", {}, title), text && h("p", {}, text), more);
}

/** @param {string | null | undefined} reference */
function quote(reference) {
  return reference && h("p", { class: "soft small" }, "If you ask for help, quote ", h("span", { class: "mono" }, reference));
}

/** @param {any} step */
function headed(step) {
  return step.show === "resolved" ? `${step.app.title} is connected` : `Connect ${step.app.title}`;
}

/** @param {any} step @param {string} app */
function wish({ show, candidates }, app) {
  if (candidates.length > 0) return "Connect another account";
  return show === "ready" || BY_FIELDS.has(show) ? `Connect ${app}` : "Try again";
}

/** @param {{next_check_in_s: number | null}} step */
function next({ next_check_in_s: seconds }) {
  if (seconds === null || seconds === undefined) return null;
  return h(
    "p",
    { class: "row small", "aria-live": "off" },
    h("span", { class: "spinner", "aria-hidden": "true" }),
    seconds > 0 ? `Next check in ${seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`}` : "Checking now",
  );
}

/** Asks for a token that is good for this step. Where there is none any more, the page itself says why. */
async function getToken() {
  const answer = await fetch(`${location.pathname}/client-token`, { method: "POST" });
  if (answer.ok) return answer.json();
  if (answer.status >= 500) throw new TypeError(`no answer: ${answer.status}`);
  again();
  throw new Error(`no token: ${answer.status}`);
}

/** Shows what the page is now, but not over and over. */
function again() {
  if (performance.now() > YOUNG_MS) location.reload();
}
