// @ts-check
/** What our pages say: a step's state, what happened, and what went wrong, in words a user would use. */

/**
 * @typedef {"plain" | "busy" | "wait" | "good" | "bad"} Tone
 * @typedef {{tone: Tone, badge: string, title?: string, text?: string}} Words
 */

/** The five states as the story tells them; every `show` is a chapter of one of them. */
export const STATES = /** @type {const} */ ({
  "choose-app": "Choose an app",
  "needs-auth": "Needs an account",
  "awaiting-popup": "Connecting",
  resolved: "Connected",
  "no-auth-required": "No account needed",
});

/** @type {Record<string, (app: string) => Words>} */
const SHOWS = {
  "choose-app": () => ({ tone: "plain", badge: STATES["choose-app"] }),
  preparing: (app) => ({
    tone: "busy",
    badge: "Getting ready",
    text: `Asking Zapier which ${app} accounts there are already, so that a new one can be told from them.`,
  }),
  ready: () => ({ tone: "plain", badge: STATES["needs-auth"] }),
  opening: (app) => ({
    tone: "busy",
    badge: "Opening",
    title: "Opening a window for you",
    text: `Sign in to ${app} there.`,
  }),
  waiting: (app) => ({
    tone: "wait",
    badge: "Waiting for you",
    title: `Sign in to ${app} in the other window`,
    text: "This page notices by itself when you are done. You may also close it and come back: nothing gets lost.",
  }),
  confirming: () => ({
    tone: "busy",
    badge: "Confirming",
    title: "The window says it is done",
    text: "Zapier is asked whether it has the account. Only then it counts.",
  }),
  checking: (app) => ({
    tone: "busy",
    badge: "Still checking",
    title: "No word from the window",
    text: `That happens: a page on the way can cut the connection. Zapier is asked whether your ${app} account has arrived.`,
  }),
  resolved: () => ({ tone: "good", badge: STATES.resolved }),
  "no-auth-required": (app) => ({ tone: "good", badge: STATES["no-auth-required"], text: `${app} works without one.` }),
  blocked: () => ({
    tone: "bad",
    badge: "Window blocked",
    title: "Your browser kept the window shut",
    text: "Open it by the link, which no blocker minds, or allow windows for this page and try again.",
  }),
  ambiguous: (app) => ({
    tone: "wait",
    badge: "Your choice",
    title: `Which ${app} account is it?`,
    text: "More than one could be the one you just connected. We do not guess.",
  }),
  "nothing-new": (app) => ({
    tone: "wait",
    badge: "Your choice",
    title: "Zapier shows no new account",
    text: `If you signed in again to a ${app} account you had connected before, choose it here.`,
  }),
  "not-visible": (app) => ({
    tone: "bad",
    badge: "Not found",
    title: "Zapier does not show us this account",
    text: `${app} was connected, but most likely while the window was signed in to another Zapier account than this one. ` +
      "Sign in there as yourself and try again; if it appears after all, we see it.",
  }),
  "timed-out": (app) => ({
    tone: "wait",
    badge: "Not connected",
    title: "Nothing has arrived",
    text: `The window may have been closed too early, or ${app} failed. If you did finish, you may have been signed in to another ` +
      "Zapier account. When you try again, what was connected meanwhile is found first.",
  }),
  cancelled: () => ({
    tone: "plain",
    badge: "Cancelled",
    title: "You stopped here",
    text: "Should you have finished in the window after all, it still counts.",
  }),
  revoked: (app) => ({
    tone: "bad",
    badge: "Disconnected",
    title: "This account is gone from Zapier",
    text: `Connect ${app} again, or choose another account.`,
  }),
  expired: (app) => ({
    tone: "bad",
    badge: "Expired",
    title: `${app} no longer accepts this account`,
    text: "Sign in to it again, or choose another.",
  }),
  "claimed-elsewhere": (app) => ({
    tone: "wait",
    badge: "Your choice",
    title: "This account belongs to another step",
    text: `It was taken for this step’s because it was new; since then it was named for another. Connect ${app}, or choose an account.`,
  }),
  unanswered: (app) => ({
    tone: "busy",
    badge: "Still checking",
    title: "Waiting for Zapier’s answer",
    text: `What you filled in was sent, once. Should no answer come, it is not sent again: Zapier is asked whether it has the ${app} account.`,
  }),
  "not-made": (app) => ({
    tone: "bad",
    badge: "Not connected",
    title: `${app} was not connected`,
    text: `${app} did not accept what you filled in. Look for mistakes, and fill in again what is secret: it is not kept.`,
  }),
  offline: () => ({ tone: "wait", badge: "Offline" }),
  "token-expired": () => ({ tone: "wait", badge: "Paused" }),
  "sign-in-needed": () => ({ tone: "plain", badge: "After signing in" }),
};

/** Where the user has the choice between accounts, and a popup. */
export const CHOOSING = new Set([
  "ready",
  "blocked",
  "ambiguous",
  "nothing-new",
  "not-visible",
  "timed-out",
  "cancelled",
  "revoked",
  "expired",
  "claimed-elsewhere",
  "unanswered",
  "not-made",
]);
/** Where a popup is being waited for. */
export const PENDING = new Set(["opening", "waiting", "confirming", "checking"]);

/**
 * Says what a step shows.
 *
 * @param {string} show one of connect.js
 * @param {string} app its title
 * @returns {Words} its name alone when it is one that this page does not know yet
 */
export function wordsOf(show, app) {
  return SHOWS[show]?.(app) ?? { tone: "plain", badge: show };
}

/** @typedef {{tone: Tone, words: string, title?: string, about?: string}} Standing `title` is what to do about it. */

/** What there is to be said to who was never signed in. @type {Standing} */
const NEWCOMER = {
  tone: "busy",
  words: "Not signed in",
  title: "First, sign in to Zapier",
  about: "Your Zap will be built in your Zapier account. Then you choose apps and connect accounts here.",
};

/** @type {Record<string, Standing>} */
const STATUSES = {
  starting: { tone: "busy", words: "Loading" },
  live: { tone: "good", words: "Live" },
  offline: {
    tone: "wait",
    words: "Offline",
    about: "The API cannot be reached. Go on in any window that is open: Zapier keeps what you do there, and we catch up.",
  },
  "token-expired": { tone: "wait", words: "Paused", about: "This page may no longer follow the Zap. Nothing is lost: it goes on where it is." },
  "sign-in-needed": {
    tone: "wait",
    words: "Not signed in",
    title: "Sign in to Zapier again",
    about: "Until then Zapier cannot be asked about apps and accounts. What was open stays open, and goes on afterwards.",
  },
  refused: { tone: "bad", words: "Refused" },
  over: { tone: "plain", words: "Done" },
};

/**
 * Says what may be said of everything that is shown.
 *
 * @param {string} status of connect.js
 * @param {boolean} [isNew] the user was never signed in to Zapier
 */
export function statusInWords(status, isNew = false) {
  return status === "sign-in-needed" && isNew ? NEWCOMER : /** @type {Standing} */ (STATUSES[status]);
}

/** @type {Record<string, string>} */
const ZAPS = {
  building: "Something is missing again",
  ready: "Every step has its account and its action",
  creating: "Creating the Zap",
  created: "Your Zap exists",
  failed: "Zapier refused the Zap",
  create_unknown: "Zapier gave no answer: the Zap may exist",
  expired: "This Zap is over",
  cancelled: "This Zap is over",
};

/**
 * Says what became of the Zap as a whole.
 *
 * @param {string} status of the session, or `failed`
 */
export function zapInWords(status) {
  return ZAPS[status] ?? status;
}

/** @type {Record<string, string>} */
const CHANNELS = {
  message: "by the window’s word",
  difference: "by being new",
  selection: "by your choice",
  supplied: "by what you filled in",
};

/**
 * Says how it is known which account a step uses.
 *
 * @param {string[]} channels of its evidence
 */
export function evidenceInWords(channels) {
  return channels.map((channel) => CHANNELS[channel] ?? channel).join(" and ");
}

/** @type {Record<string, string>} */
const REASONS = {
  ambiguous: "several accounts could be it",
  nothing_new: "Zapier shows no new account",
  not_visible: "Zapier does not show the account",
  cancelled: "cancelled",
  popup_blocked: "the browser blocked the window",
  timed_out: "nothing arrived in time",
  expired: "the account has expired",
  revoked: "the account is gone",
  claimed_elsewhere: "the account belongs to another step",
  unanswered: "Zapier’s answer is awaited",
  not_made: "Zapier did not take what was filled in",
};

/**
 * Says what an app asks for: its fields have names, such as `user_name`, `userName` or `api_key`.
 *
 * @param {string} name
 */
export function fieldInWords(name) {
  const words = name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[_-]+/g, " ").trim().toLowerCase();
  return (words.charAt(0).toUpperCase() + words.slice(1)).replace(/\b(?:api|id|url)\b/gi, (short) => short.toUpperCase()) || name;
}

/** Whether what is typed into a field is nobody else's to read. @param {string} name */
export function isSecret(name) {
  return /secret|pass|pwd|key|token|credential|pin$/i.test(name);
}

/** Why a user has to sign in again. @type {Record<string, string>} */
const SIGN_IN_NEEDED = {
  token_refused: "Zapier wants the user to sign in again",
  refresh_refused: "Zapier renews the user’s access no more: they must sign in again",
  refresh_outcome_lost: "Zapier’s answer was lost while the user’s access was renewed: they must sign in again",
};

/**
 * @typedef {{app: string, account: string | null}} Place what an event's step has now
 * @type {Record<string, (data: any, place: Place) => [Tone, string]>}
 */
const EVENTS = {
  session_created: () => ["plain", "Zap begun"],
  session_changed: () => ["plain", "Title changed"],
  step_added: () => ["plain", "Step added"],
  step_changed: ({ position }) => ["plain", `Moved to place ${position + 1}`],
  step_removed: () => ["plain", "Step removed"],
  step_reset: () => ["plain", "Starts over"],
  app_chosen: ({ state }, { app }) => ["plain", state === "no-auth-required" ? `${app} chosen; it needs no account` : `${app} chosen`],
  fields_sent: () => ["busy", "What the app asks for is sent to Zapier, once"],
  authentications_refreshed: () => ["plain", "Asked Zapier which accounts there are"],
  popup_opened: () => ["busy", "Window opened"],
  message_received: () => ["busy", "The window says it is done"],
  attempt_deadline_moved: () => ["wait", "Waiting longer: Zapier could not be asked"],
  candidates_found: () => ["wait", "Found accounts to choose from"],
  auth_needed: ({ reason }) => ["wait", `Needs an account: ${REASONS[reason] ?? reason}`],
  auth_resolved: ({ evidence }, { account }) => ["good", `${account ? `Connected, ${account}` : "Connected"}: ${evidenceInWords(evidence)}`],
  connect_link_made: () => ["plain", "Connect link made"],
  connect_link_opened: () => ["busy", "Connect link opened"],
  connect_link_contested: () => ["wait", "Another browser would like to use the connect link"],
  connect_link_allowed: () => ["plain", "Another browser may use the connect link"],
  connect_link_revoked: () => ["plain", "Connect link withdrawn"],
  action_chosen: () => ["plain", "Action chosen"],
  inputs_given: () => ["plain", "Fields filled in"],
  inputs_cleared: () => ["wait", "Fields emptied: another account offers other choices"],
  step_tested: () => ["plain", "Tried out"],
  session_ready: () => ["good", "Every step has its account and its action"],
  session_expired: () => ["bad", "Time is up for this Zap"],
  session_deadline_moved: () => ["plain", "Given more time"],
  session_cancelled: () => ["plain", "Zap given up"],
  zap_requested: () => ["busy", "Creating the Zap"],
  zap_created: () => ["good", "Zap created"],
  zap_failed: ({ problem }) => ["bad", `Zapier refused: ${problem}`],
  zap_create_unknown: () => ["bad", "No answer: the Zap may exist"],
  zap_looked_for: () => ["wait", "Looked for it among the user’s Zaps"],
  sign_in_needed: ({ reason }) => ["bad", SIGN_IN_NEEDED[reason] ?? "Zapier wants the user to sign in again"],
  signed_in: () => ["good", "Signed in to Zapier"],
};

/**
 * Says an event.
 *
 * @param {{name: string, data: any}} event
 * @param {Place} place
 * @returns {[Tone, string]} its tone and its words; the name itself when it is one that this page does not know yet
 */
export function eventInWords(event, place) {
  return EVENTS[event.name]?.(event.data, place) ?? ["plain", event.name];
}

/**
 * Says what went wrong.
 *
 * @param {unknown} error
 * @returns {string}
 */
export function problemInWords(error) {
  const { code, message, detail } = /** @type {{code?: string, message?: string, detail?: string}} */ (error ?? {});
  return (code && PROBLEMS[code]) || sentence(message ?? detail ?? String(error));
}

/** @type {Record<string, string>} */
const PROBLEMS = {
  no_answer: "No answer came. This page shows what became of it as soon as it can; then you may try again.",
  candidates_found: "An account has appeared meanwhile. Use it, or try again for another one.",
  fields_unanswered: "Zapier’s answer to what was filled in before is still awaited.",
  authentication_not_usable: "Zapier does not show this account any more. Choose another, or connect one.",
  step_not_usable: "Something that this step had is gone. See above what it needs now.",
  upstream_busy: "Zapier cannot be asked right now. Try again in a moment.",
  upstream_unavailable: "Zapier does not answer right now. Try again in a moment.",
  session_not_found: "This Zap is no longer kept.",
  inputs_flawed: "Something is not filled in as it must be. Look at the steps above.",
  too_many_steps: "A Zap has 25 steps at most.",
  session_locked: "The Zap is being created, or was: its steps stay as they are.",
};

/** @param {string} text */
function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}
