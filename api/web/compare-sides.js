// @ts-check
/** The comparison's two sides as they are shown, and how the right one may be put to the test. */

import { picture } from "./app-search.js";
import { CHOOSING, eventInWords, evidenceInWords, PENDING, wordsOf } from "./builder-words.js";
import { h } from "./dom.js";

/**
 * @typedef {{at: number, tone: string, words: string}} Moment
 * @typedef {{id: string, title: string}} Account
 *
 * @typedef {object} Page
 * @property {any} app
 * @property {{tone: string, words: string} | null} problem
 * @property {"left" | "right" | null} signedIn whose popup the next one is
 * @property {string} naiveCode
 * @property {{phase: "new" | "preparing" | "ready" | "open" | "gave-up" | "blocked" | "connected" | "skipped", moments: Moment[], lost: Account | null}} left
 * @property {{step: any, events: readonly any[], moments: Moment[], awaySince: number | null}} right
 *
 * @typedef {object} Wishes
 * @property {() => void} begin
 * @property {() => void} connectLeft called inside the click
 * @property {() => void} skipLeft
 * @property {() => void} connectRight called inside the click
 * @property {() => void} followed called inside the click on the popup's real link
 * @property {() => void} finished
 * @property {() => void} cancel
 * @property {(account: string) => void} choose
 */

/** Where the left side has not been tried yet. */
export const EARLY = new Set(["new", "preparing", "ready"]);

const OUR_CODE = `const connect = createConnect({ getToken });

button.onclick = () => connect.connect(step);

connect.subscribe(() => {
  show(connect.getSnapshot().steps);
});`;

// ------------------------------------------------------------------------------------------------ the left side

const NAIVE = /** @type {const} */ ({
  new: { tone: "plain", badge: "Not connected" },
  preparing: { tone: "plain", badge: "Getting ready" },
  ready: { tone: "plain", badge: "Not connected" },
  open: { tone: "wait", badge: "Waiting" },
  "gave-up": { tone: "bad", badge: "Gave up" },
  blocked: { tone: "bad", badge: "Blocked" },
  connected: { tone: "good", badge: "Connected" },
  skipped: { tone: "plain", badge: "Not tried" },
});

/**
 * Describes the page that takes the guide for the whole story.
 *
 * @param {Page} page
 * @param {Wishes} wishes
 */
export function naiveSide(page, wishes) {
  const { left, app, naiveCode } = page;
  return side("left", {
    title: "The published snippet",
    about: "Waits for the message. Closed means given up.",
    show: left.phase,
    ...NAIVE[left.phase],
    app,
    body: naiveBody(page, wishes),
    moments: left.moments,
    code: naiveCode,
  });
}

/** @param {Page} page @param {Wishes} wishes */
function naiveBody({ left, app, signedIn }, { begin, connectLeft, skipLeft }) {
  switch (left.phase) {
    case "new":
      return [
        h("p", {}, "Each side gets a user and a Zap of its own. Then press one button after the other."),
        h("div", { class: "row" }, button("Begin", begin, { kind: "primary" })),
      ];
    case "preparing":
    case "ready":
      return [
        h("p", {}, "Press it, continue at Zapier, and take your time at the login."),
        h(
          "div",
          { class: "row" },
          button(`Connect ${app.title}`, connectLeft, { kind: "primary", isPossible: left.phase === "ready" && signedIn === "left" }),
          button("Skip this one", skipLeft, { kind: "quiet", isPossible: left.phase === "ready" }),
        ),
      ];
    case "open":
      return busy("Waiting for the popup’s message");
    case "gave-up":
      return [
        note("bad", "“You closed the window. Please try again.”", "So it speaks to a user who is still signing in."),
        left.lost
          ? note("wait", "Zapier has the account", accountLine(left.lost), "Nobody will ever ask for it.")
          : h("p", { class: "soft small" }, "Finish in the popup all the same, and see what becomes of it."),
      ];
    case "blocked":
      return note("bad", "“Please allow popups, and try again.”", "Allow them for this page, and begin again.");
    case "connected":
      return note("good", "Connected", "This browser did not keep the popup and this page apart.");
    case "skipped":
      return h("p", { class: "soft" }, "Begin again to see it.");
  }
}

// ------------------------------------------------------------------------------------------------ the right side

/**
 * Describes the page that uses connect.js.
 *
 * @param {Page} page
 * @param {Wishes} wishes
 */
export function ourSide(page, wishes) {
  const { right, app } = page;
  const show = right.step?.show ?? (page.left.phase === "new" ? "new" : "preparing");
  const { tone, badge } = show === "ready" || show === "new" ? { tone: "plain", badge: "Not connected" } : wordsOf(show, app.title);
  return side("right", {
    title: "With connect.js",
    about: "Tells Zapwright what it sees. Closed means nothing.",
    show,
    tone,
    badge,
    app,
    body: ourBody(page, show, wishes),
    moments: ourMoments(right),
    code: OUR_CODE,
  });
}

/** @param {Page} page @param {string} show @param {Wishes} wishes */
function ourBody(page, show, wishes) {
  const { right, app } = page;
  if (["new", "preparing", "choose-app", "ready"].includes(show)) return ourBeginning(page, show, wishes);
  if (show === "resolved") return connected(right);
  const { tone, title = "", text = "" } = wordsOf(show, app.title);
  const told = note(tone, title, text);
  if (PENDING.has(show)) return [told, h("div", { class: "row" }, whileOpen(right.step, wishes))];
  if (!CHOOSING.has(show)) return told;
  const candidates = right.step.candidates.map((/** @type {Account} */ one) => button(one.title, () => wishes.choose(one.id)));
  return [told, candidates, h("div", { class: "row" }, show === "blocked" && realLink(right.step, wishes), button("Connect again", wishes.connectRight))];
}

/** @param {any} step @param {Wishes} wishes */
function whileOpen(step, { finished, connectRight, cancel }) {
  const isChecking = step.show === "checking";
  return [
    step.show !== "waiting" && nextCheck(step),
    button("I’ve finished", finished),
    isChecking && button("Open the window again", connectRight, { kind: "quiet" }),
    button("Cancel", cancel, { kind: "quiet" }),
  ];
}

/** @param {Page} page @param {string} show @param {Wishes} wishes */
function ourBeginning({ left, app, signedIn }, show, { connectRight }) {
  const isNext = signedIn === "right" && show === "ready";
  const isFirst = EARLY.has(left.phase) || left.phase === "open";
  return [
    h("p", {}, isFirst ? "The same app, the same login, the same lost message. First the published snippet." : "Now the same here: continue at Zapier, and take your time at the login."),
    h("div", { class: "row" }, button(`Connect ${app.title}`, connectRight, { kind: "primary", isPossible: isNext })),
  ];
}

/** @param {Page["right"]} right */
function connected({ step, events, awaySince }) {
  const found = events.findLast(({ name }) => name === "auth_resolved");
  const wasAway = awaySince !== null && found && Date.parse(found.at) > awaySince;
  return note(
    "good",
    "Connected",
    accountLine(step.authentication),
    `Known ${evidenceInWords(found?.data.evidence ?? [])}.`,
    wasAway && "It was found while no page was open.",
  );
}

/** @param {Account} account */
function accountLine({ id, title }) {
  return h("span", {}, title, " · ", h("span", { class: "mono id" }, id));
}

/** @param {any} step */
function nextCheck({ next_check_in_s: seconds }) {
  if (seconds === null) return null;
  return h("p", { class: "next" }, h("span", { class: "spinner", "aria-hidden": "true" }), seconds > 0 ? `Next check in ${seconds} s` : "Checking now");
}

/** @param {any} step @param {Wishes} wishes */
function realLink({ link }, { followed }) {
  return link && h("a", { class: "button primary", href: link, target: "_blank", rel: "opener", on: { click: followed } }, "Open the window");
}

/** @param {Page["right"]} right */
function ourMoments({ events, moments, awaySince }) {
  const opened = events.findIndex(({ name }) => name === "popup_opened");
  const told = (opened < 0 ? [] : events.slice(opened)).map((event) => {
    const [tone, words] = eventInWords(event, { app: "", account: null });
    return { at: Date.parse(event.at), tone, words: event.name === "popup_opened" ? "Popup opened" : words };
  });
  const away = awaySince === null || opened < 0 ? [] : [{ at: awaySince, tone: "plain", words: "This page was closed" }];
  return [...told, ...moments, ...away].sort((one, other) => one.at - other.at);
}

// ------------------------------------------------------------------------------------------------ both

/**
 * @param {string} id
 * @param {object} shown
 * @param {string} shown.title
 * @param {string} shown.about
 * @param {string} shown.show
 * @param {string} shown.tone
 * @param {string} shown.badge
 * @param {any} shown.app
 * @param {any} shown.body
 * @param {Moment[]} shown.moments
 * @param {string} shown.code
 */
function side(id, { title, about, show, tone, badge, app, body, moments, code }) {
  return h(
    "section",
    { class: "side", key: id, id, "data-show": show, "aria-labelledby": `${id}-title` },
    h("h2", { id: `${id}-title`, tabindex: "-1" }, title),
    h("p", { class: "soft about" }, about),
    h(
      "div",
      { class: "card stack" },
      h(
        "header",
        {},
        h("span", { class: "app" }, picture(app), h("b", {}, app.title)),
        h("span", { class: "badge push", "data-tone": tone }, h("span", { class: "dot" }), badge),
      ),
      body,
      moments.length > 0 && story(moments),
    ),
    h("details", {}, h("summary", {}, "Its code"), h("pre", { tabindex: "0" }, h("code", {}, code))),
  );
}

/** @param {Moment[]} moments */
function story(moments) {
  const began = moments[0]?.at ?? 0;
  return h(
    "ol",
    { class: "story", "aria-label": "What happened" },
    moments.map(({ at, tone, words }, index) =>
      h(
        "li",
        { key: index, "data-tone": tone },
        h("span", { class: "dot", "aria-hidden": "true" }),
        h("span", { class: "soft small at" }, since(at - began)),
        h("span", {}, words),
      ),
    ),
  );
}

/** @param {number} ms */
function since(ms) {
  const seconds = Math.max(0, ms) / 1_000;
  return seconds < 60 ? `${seconds.toFixed(1)} s` : `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`;
}

/** @param {string} words */
function busy(words) {
  return h("p", { class: "next" }, h("span", { class: "spinner", "aria-hidden": "true" }), words);
}

/** @param {string} tone @param {string} title @param {...any} lines */
function note(tone, title, ...lines) {
  return h("div", { class: "note", "data-tone": tone }, h("strong", {}, title), lines.filter(Boolean).map((line, index) => h("p", { key: index }, line)));
}

/** @param {string} words @param {() => void} click @param {{kind?: string, isPossible?: boolean}} [options] */
function button(words, click, { kind = "", isPossible = true } = {}) {
  return h(
    "button",
    { type: "button", class: `button ${kind}`.trim(), "aria-disabled": isPossible ? null : "true", on: { click: () => isPossible && click() } },
    words,
  );
}

/**
 * Describes what else may happen to the right side.
 *
 * @param {Page} page
 */
export function waysToBreakIt({ right }) {
  const isOpen = right.step !== null && PENDING.has(right.step.show);
  const isOver = right.step?.show === "resolved";
  return h(
    "section",
    { class: "break", key: "break", "aria-labelledby": "break", "data-now": isOpen },
    h("h2", { id: "break" }, isOpen ? "Now break it" : isOver ? "Next time, break it while it is still checking" : "And while it is still checking, break it"),
    h(
      "ol",
      {},
      h("li", {}, h("b", {}, "Close this tab."), " The popup stays: finish in it whenever you like."),
      h("li", {}, h("b", {}, "Kill the worker."), " The terminal that started everything says how. Another one takes over."),
      h("li", {}, h("b", {}, "Open this page again."), " It has resolved: what is due lies in the store, not in a process."),
    ),
  );
}
