/**
 * What a page needs to have its user connect an account: popups, what is heard of them, and what to show.
 *
 * Nothing here decides whether something was connected: the page says what it saw, the API says what is so.
 *
 * @import { Connect, Problem, Settings, Show, Snapshot, Status, StepView } from "../../clients/browser/types.js"
 * @import { ClientToken, Event, Session, Step } from "../../clients/node/shapes.js"
 */

const MESSAGE = "zapier.popup.close";
const FEATURES = "popup,width=1280,height=1024";
const USABLE_ID = /^[!-~]{1,128}$/;
const WATCHED_EVERY_MS = 250;
const CLOSED_AFTER_MS = 3_000;
const FOCUS_PAUSE_MS = 1_000;
const IDLE_AFTER_MS = 1_000;
const FIRST_FRAME_MS = 10_000;
const SILENCE_MS = 40_000;
const POLLED_S = 20;
const WAITS_MS = [300, 1_000, 2_000, 4_000, 8_000, 15_000];
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const YEAR_MS = 365 * 86_400_000;
const MOST_EVENTS = 500;

const SETTLED = new Set(["resolved", "no-auth-required"]);
const OVER = new Set(["created", "expired", "cancelled"]);
/** @type {Record<string, Show>} */
const SHOWN_FOR = {
  ambiguous: "ambiguous",
  nothing_new: "nothing-new",
  not_visible: "not-visible",
  cancelled: "cancelled",
  popup_blocked: "blocked",
  timed_out: "timed-out",
  expired: "expired",
  revoked: "revoked",
  claimed_elsewhere: "claimed-elsewhere",
};
/** @type {Snapshot} */
const NOTHING = frozen({ status: "starting", session: null, steps: [], events: [], problem: null, support: null });

/** A request was refused, or had no answer; `code` says which. */
export class ConnectError extends Error {
  /** @param {Partial<Problem> & { code: string, message: string }} problem */
  constructor({ code, message, status = 0, reference = null, facts = {}, retryAfterS = null }) {
    super(message);
    this.name = "ConnectError";
    this.code = code;
    this.status = status;
    this.reference = reference;
    this.facts = facts;
    this.retryAfterS = retryAfterS;
  }
}

/**
 * Make the one object that a page needs for one session. Nothing happens before something subscribes or asks.
 *
 * @param {Settings} settings
 * @returns {Connect}
 */
export function createConnect(settings) {
  if (typeof settings?.getToken !== "function") throw new TypeError("createConnect needs getToken");
  const page = new Page(settings);
  return {
    subscribe: (heard) => page.subscribe(heard),
    getSnapshot: () => page.snapshot,
    getServerSnapshot: () => NOTHING,
    connect: (stepId) => page.open(stepId),
    followed: (stepId) => page.followed(stepId),
    finished: (stepId) => page.say(stepId, "finished"),
    cancel: (stepId) => page.say(stepId, "cancelled"),
    choose: (stepId, id) => page.change(stepId, "PUT", "/authentication", { authentication_id: id }),
    chooseApp: (stepId, id) => page.change(stepId, "PUT", "/app", { app_id: id }),
    resetApp: (stepId) => page.change(stepId, "DELETE", "/app"),
    searchApps: (query, cursor) => page.ask(null, "GET", `/apps${asked({ query, cursor })}`),
    authentications: async (stepId, { refresh } = {}) => {
      const picker = await page.ask(stepId, "GET", `/authentications${asked({ refresh })}`);
      page.learn({ session: picker.session });
      return picker;
    },
    addStep: async (step = {}) => {
      const added = await page.ask(null, "POST", "/steps", step);
      page.learn({ session: added.session });
      return added.step_id;
    },
    removeStep: (stepId) => page.change(stepId, "DELETE", ""),
    moveStep: (stepId, position) => page.change(stepId, "PATCH", "", { position }),
    actions: async (stepId) => (await page.ask(stepId, "GET", "/actions")).actions,
    chooseAction: (stepId, { key, action_type }) => page.change(stepId, "PUT", "/action", { key, action_type }),
    setInputs: (stepId, inputs) => page.change(stepId, "PUT", "/inputs", { inputs }),
    createZap: ({ again } = {}) => page.change(null, "POST", "/zap", again ? { again } : {}),
    refresh: () => page.refresh(),
    close: () => page.close(),
  };
}

/**
 * @typedef {object} Popup One popup, as this tab knows it. After a reload it has no handle, though it may be open.
 * @property {string} id Of the attempt; empty while its address is being prepared.
 * @property {string} step
 * @property {string} origin Of the messages to believe.
 * @property {number} at When it was opened.
 * @property {"asked" | "blocked" | "known"} state Whether the API knows.
 * @property {string[]} told
 * @property {Window | null} [handle]
 */

/**
 * @typedef {object} Signal What is still to be said of a popup; without a kind, that it was opened.
 * @property {string} step
 * @property {string} attempt
 * @property {number} at When its popup was opened.
 * @property {string} [kind]
 * @property {string} [authentication]
 */

/** One session in one tab: its popups, what is still to be said of them, and what to show. */
class Page {
  snapshot = NOTHING;
  /** @type {Session | null} */
  #session = null;
  /** @type {readonly Event[]} */
  #events = [];
  /** @type {{ status: Status, problem: Problem } | null} */
  #trouble = null;
  /** @type {Map<string, Problem>} */
  #problems = new Map();
  /** @type {Map<string, string | null>} */
  #support = new Map();
  /** @type {Set<string>} */
  #preparing = new Set();
  /** @type {Popup[]} */
  #popups = [];
  /** @type {Signal[]} */
  #unsent = [];
  #isSending = false;
  #tries = 0;
  #focusedAt = 0;
  /** @type {Set<() => void>} */
  #subscribers = new Set();
  /** @type {AbortController | null} */
  #life = null;
  #isClosed = false;
  /** @type {Record<string, ReturnType<typeof setTimeout>>} */
  #timers = {};
  #settings;
  #api;
  #follower;

  /** @param {Settings} settings */
  constructor(settings) {
    this.#settings = settings;
    this.#api = new Api(settings.getToken);
    this.#follower = new Follower(this.#api, this);
  }

  get session() {
    return this.#session;
  }

  get seen() {
    return this.#events.at(-1)?.seq ?? 0;
  }

  /** @param {() => void} heard */
  subscribe(heard) {
    const told = () => heard();
    this.#subscribers.add(told);
    this.#begin();
    return () => {
      this.#subscribers.delete(told);
      this.#later("idle", IDLE_AFTER_MS, () => this.#rest());
    };
  }

  refresh() {
    this.#api.forget();
    this.#follower.stop();
    this.#life?.abort();
    this.#life = null;
    this.#begin();
  }

  close() {
    this.#isClosed = true;
    this.#end();
  }

  #begin() {
    if (this.#life || this.#isClosed || typeof window === "undefined") return;
    this.#life = new AbortController();
    const { signal } = this.#life;
    addEventListener("message", (event) => this.#onMessage(event), { signal });
    addEventListener("focus", () => this.#onReturn(), { signal });
    addEventListener("online", () => this.#wake(), { signal });
    addEventListener("pagehide", () => this.#onLeaving(), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.refresh(), { signal });
    document.addEventListener("visibilitychange", () => this.#onVisibility(), { signal });
    void this.#resume(signal);
  }

  /** @param {AbortSignal} signal */
  async #resume(signal) {
    for (let tries = 0; !signal.aborted; tries += 1) {
      try {
        await this.#api.token();
        if (signal.aborted) return;
        this.#restore();
        return await this.#follower.start();
      } catch (error) {
        if (!this.report(error)) return;
        await this.#follower.pause(tries, signal);
      }
    }
  }

  #rest() {
    const isNeeded = this.#unsent.length || this.#popups.some(({ state, handle }) => state === "asked" || isOpen(handle));
    if (!this.#subscribers.size && !isNeeded) this.#end();
  }

  #end() {
    this.#life?.abort();
    this.#life = null;
    this.#follower.stop();
    this.#api.rest();
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
  }

  #wake() {
    this.#tries = 0;
    this.#follower.wake();
    void this.#send();
  }

  // ------------------------------------------------------------------------------------------------ popups

  /** @param {string} stepId */
  open(stepId) {
    const step = this.#step(stepId);
    if (!step?.connect) throw new ConnectError({ code: "illegal_signal", message: "the step has nothing to connect" });
    const earlier = this.#popup(stepId);
    if (earlier && isOpen(earlier.handle)) {
      earlier.handle?.focus();
      return true;
    }
    const { url, fresh_until: fresh, message_origin: origin } = step.connect;
    const isPrepared = fresh !== null && Date.parse(fresh) > this.#api.now() && isAddress(url);
    const handle = window.open(isPrepared ? url : "about:blank", "_blank", this.#settings.popupFeatures ?? FEATURES);
    const popup = this.#opened(stepId, { origin, handle, id: isPrepared || !handle ? newId() : "" });
    if (!handle) this.#block(popup);
    else if (isPrepared) this.#tell(popup);
    else void this.#prepare(popup, handle);
    return handle !== null;
  }

  /** @param {string} stepId */
  followed(stepId) {
    const step = this.#step(stepId);
    if (step?.connect) this.#tell(this.#opened(stepId, { origin: step.connect.message_origin, handle: null, id: newId() }));
  }

  /**
   * @param {string} stepId
   * @param {"finished" | "cancelled"} kind
   */
  say(stepId, kind) {
    const popup = this.#popup(stepId) ?? this.#elsewhere(stepId);
    if (!popup) return;
    this.#tell(popup, kind);
    if (kind === "cancelled") popup.handle?.close();
  }

  /**
   * @param {string} step
   * @param {Pick<Popup, "origin" | "handle" | "id">} given
   */
  #opened(step, given) {
    /** @type {Popup} */
    const popup = { ...given, step, at: Date.now(), state: "asked", told: [] };
    this.#popups.push(popup);
    this.#problems.delete(step);
    this.#watch();
    this.#show();
    return popup;
  }

  /** @param {Popup} popup */
  #block(popup) {
    popup.state = "blocked";
    this.#tell(popup, "blocked");
  }

  /**
   * Have the step's address made ready while the popup shows our own page; what was connected meanwhile is offered.
   *
   * @param {Popup} popup
   * @param {Window} handle
   */
  async #prepare(popup, handle) {
    handle.document.title = handle.document.body.textContent = this.#settings.waitingText ?? "One moment …";
    try {
      const { attempt_id, url } = await this.ask(popup.step, "POST", "/popup", {});
      if (!isAddress(url)) throw new ConnectError({ code: "upstream_unavailable", message: "the popup has no address" });
      popup.id = attempt_id;
      popup.state = "known";
      if (handle.closed) this.#tell(popup, "cancelled");
      else handle.location.replace(url);
      this.#save();
    } catch (error) {
      handle.close();
      this.#forget(popup);
    }
    await this.#reread();
  }

  #watch() {
    clearInterval(this.#timers.watch);
    this.#timers.watch = setInterval(() => {
      const open = this.#popups.filter(({ handle, told }) => handle && !told.includes("closed"));
      if (!open.length) clearInterval(this.#timers.watch);
      for (const popup of open) {
        if (popup.handle?.closed && popup.id) this.#once(popup, "closed", { isSaid: !popup.told.includes("message") });
      }
    }, WATCHED_EVERY_MS);
  }

  /**
   * @param {Popup} popup
   * @param {string} what
   * @param {{ isSaid?: boolean }} [options]
   */
  #once(popup, what, { isSaid = true } = {}) {
    if (popup.told.includes(what)) return;
    popup.told.push(what);
    if (isSaid) this.#tell(popup, what);
    else this.#save();
  }

  /** @param {MessageEvent} event */
  #onMessage(event) {
    const ours = this.#popups.filter(({ origin, id }) => id && origin === event.origin);
    if (!ours.length || event.data?.type !== MESSAGE) return;
    const popup = ours.find(({ handle }) => handle && handle === event.source);
    const lost = popup || !wasOpenedHere(event.source) ? [] : ours.filter(({ handle }) => !handle);
    const id = event.data.authentication_id;
    const named = typeof id === "string" && USABLE_ID.test(id) && lost.length < 2 ? id : undefined;
    for (const one of popup ? [popup] : lost) {
      const what = named ? `message ${named}` : "message";
      if (one.told.includes(what)) continue;
      one.told.push("message", what);
      this.#tell(one, "message", named);
    }
    if (popup || lost.length) /** @type {Window} */ (event.source).close();
  }

  #onVisibility() {
    this.#follower.onVisibility();
    if (isVisible()) this.#onReturn();
    this.#show();
  }

  #onReturn() {
    if (this.#trouble?.status === "token-expired") return this.refresh();
    this.#wake();
    const now = Date.now();
    if (now - this.#focusedAt < FOCUS_PAUSE_MS) return;
    this.#focusedAt = now;
    for (const { id, state } of this.#session?.steps ?? []) {
      const popup = this.#popup(id) ?? this.#elsewhere(id);
      if (popup?.id && (state === "awaiting-popup" || popup.state === "asked")) {
        if (!popup.told.includes("focus")) popup.told.push("focus");
        this.#tell(popup, "focus");
      }
    }
  }

  #onLeaving() {
    for (const signal of this.#unsent) void this.#deliver(signal).catch(() => {});
    for (const popup of this.#popups) {
      if (!popup.id) popup.handle?.close();
      else if (popup.state === "known" && this.#step(popup.step)?.state === "awaiting-popup") {
        const { id: attempt, step, at } = popup;
        void this.#deliver({ attempt, step, at, kind: "closed" }, { gone: true }).catch(() => {});
      }
    }
  }

  /** @param {string} stepId */
  #step(stepId) {
    return this.#session?.steps.find(({ id }) => id === stepId);
  }

  /**
   * The popup that counts for a step, if this tab opened it.
   *
   * @param {string} stepId
   */
  #popup(stepId) {
    const attempt = this.#step(stepId)?.attempt?.id;
    return this.#popups.findLast(({ step, state, id }) => step === stepId && (state !== "known" || id === attempt));
  }

  /**
   * The popup that counts for a step, opened by another tab or device.
   *
   * @param {string} stepId
   * @returns {Popup | undefined}
   */
  #elsewhere(stepId) {
    const attempt = this.#step(stepId)?.attempt;
    const at = attempt ? Date.parse(attempt.opened_at) - this.#api.skewMs : 0;
    return attempt ? { id: attempt.id, step: stepId, origin: "", at, state: "known", told: [] } : undefined;
  }

  /** @param {Popup} popup */
  #forget(popup) {
    this.#popups = this.#popups.filter((other) => other !== popup);
    this.#save();
    this.#show();
  }

  // ------------------------------------------------------------------------------------------------ signals

  /**
   * @param {Popup} popup
   * @param {string} [kind]
   * @param {string} [authentication]
   */
  #tell({ id: attempt, step, at }, kind, authentication) {
    this.#unsent.push({ step, attempt, at, kind, authentication });
    this.#save();
    this.#show();
    void this.#send();
  }

  /** Send what is unsent, in order; what has no answer is kept and sent again. */
  async #send() {
    if (this.#isSending || !this.#life) return;
    this.#isSending = true;
    clearTimeout(this.#timers.send);
    for (let signal; (signal = this.#unsent[0]); ) {
      try {
        const heard = await this.#deliver(signal);
        this.#settleSignal(signal);
        if (heard.session) this.learn({ session: heard.session });
        else await this.#reread();
      } catch (error) {
        if (isPassing(error)) {
          this.report(error);
          this.#later("send", waitMs(this.#tries++, error), () => this.#send());
          break;
        }
        this.#settleSignal(signal, error);
      }
      this.#tries = 0;
    }
    this.#isSending = false;
  }

  /**
   * @param {Signal} signal
   * @param {{ gone?: boolean }} [options]
   */
  #deliver({ step, attempt, at, kind, authentication }, { gone } = {}) {
    const elapsed_ms = Math.min(YEAR_MS, Math.max(0, Date.now() - at));
    const context = { visible: isVisible(), focused: document.hasFocus(), elapsed_ms, gone };
    const opening = { attempt_id: attempt, elapsed_ms };
    const said = { attempt_id: attempt, kind, authentication_id: authentication, context };
    return this.#api.ask("POST", `${stepPath(step)}/popup${kind ? "/signals" : ""}`, {
      body: kind ? said : opening,
      keepalive: true,
    });
  }

  /**
   * @param {Signal} signal
   * @param {unknown} [error]
   */
  #settleSignal(signal, error) {
    this.#unsent = this.#unsent.filter((other) => other !== signal);
    const popup = this.#popups.find(({ id }) => id === signal.attempt);
    if (popup && (popup.state === "blocked" || (error && !signal.kind))) this.#forget(popup);
    else if (popup) popup.state = "known";
    if (error instanceof ConnectError && error.code !== "attempt_stale") this.#problems.set(signal.step, plain(error));
    this.#save();
  }

  async #reread() {
    await this.#api.ask("GET", "").then((session) => this.learn({ session }), (error) => this.report(error));
  }

  // ------------------------------------------------------------------------------------------------ asking

  /**
   * @param {string | null} stepId
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async ask(stepId, method, path, body) {
    const isPreparing = stepId !== null && /^\/(app|authentications)\b/.test(path);
    if (isPreparing) this.#prepared(stepId, true);
    try {
      const place = (stepId === null ? "" : stepPath(stepId)) + path;
      const answer = await this.#api.ask(method, place, { body, key: newId(), isPatient: true });
      if (stepId !== null) this.#problems.delete(stepId);
      return answer;
    } catch (error) {
      if (stepId !== null && error instanceof ConnectError) this.#problems.set(stepId, plain(error));
      throw error;
    } finally {
      if (stepId !== null) this.#support.set(stepId, this.#api.support);
      if (isPreparing) this.#prepared(stepId, false);
      this.#show();
    }
  }

  /**
   * @param {string | null} stepId
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async change(stepId, method, path, body) {
    const session = await this.ask(stepId, method, path, body);
    this.learn({ session });
    return session;
  }

  /**
   * @param {string} stepId
   * @param {boolean} isPreparing
   */
  #prepared(stepId, isPreparing) {
    this.#preparing[isPreparing ? "add" : "delete"](stepId);
    this.#show();
  }

  // ------------------------------------------------------------------------------------------------ what is so

  /**
   * Take what the API says, whoever asked for it. What is older than what is known changes nothing.
   *
   * @param {{ session?: Session, events?: Event[] }} told
   */
  learn({ session, events = [] }) {
    this.#trouble = null;
    const news = events.filter(({ seq }) => seq > this.seen);
    if (news.length) this.#events = frozen([...this.#events, ...news].slice(-MOST_EVENTS));
    if (session && session.seq >= (this.#session?.seq ?? 0)) {
      this.#session = frozen(session);
      this.#reconcile();
    }
    this.#show();
  }

  /**
   * Say what is wrong, and return whether trying again by itself may help.
   *
   * @param {unknown} error
   */
  report(error) {
    if (!(error instanceof ConnectError)) throw error;
    const { status, code } = error;
    const isUnknown = status === 401 || code === "token_unavailable" || code === "token_unusable";
    const isRefused = !isUnknown && !isPassing(error);
    this.#trouble = {
      status: isUnknown ? "token-expired" : isRefused ? "refused" : "offline",
      problem: plain(error),
    };
    this.#show();
    return !isUnknown && !isRefused;
  }

  #reconcile() {
    for (const popup of [...this.#popups]) {
      const step = this.#step(popup.step);
      const isSettled = !step || SETTLED.has(step.state);
      if (popup.state !== "known" || (step?.attempt?.id === popup.id && !isSettled)) continue;
      if (!isOpen(popup.handle)) this.#forget(popup);
      else if (isSettled) this.#later(popup.id, CLOSED_AFTER_MS, () => popup.handle?.close());
    }
  }

  #show() {
    const status = this.#status();
    const now = this.#api.now();
    const steps = (this.#session?.steps ?? []).map((step) => this.#view(step, status, now));
    const problem = this.#trouble?.problem ?? null;
    const support = problem?.reference ?? this.#api.support;
    this.snapshot = frozen({ status, session: this.#session, steps, events: this.#events, problem, support });
    for (const heard of [...this.#subscribers]) heard();
    const isCounting = isVisible() && this.#subscribers.size && steps.some((step) => step.next_check_in_s);
    if (isCounting) this.#later("count", 1_000 - (now % 1_000), () => this.#show());
  }

  /** @returns {Status} */
  #status() {
    if (this.#session && OVER.has(this.#session.status)) return "over";
    if (this.#trouble) return this.#trouble.status;
    if (!this.#session) return "starting";
    return this.#session.credential.state === "active" ? "live" : "sign-in-needed";
  }

  /**
   * @param {Step} step
   * @param {Status} status
   * @param {number} now
   * @returns {StepView}
   */
  #view(step, status, now) {
    const next = step.attempt?.next_check_at;
    const problem = this.#problems.get(step.id) ?? null;
    return {
      ...step,
      show: this.#shown(step, status),
      link: step.connect && isAddress(step.connect.url) ? step.connect.url : null,
      next_check_in_s: next ? Math.max(0, Math.ceil((Date.parse(next) - now) / 1_000)) : null,
      problem,
      support: problem?.reference ?? this.#support.get(step.id) ?? this.#api.support,
    };
  }

  /**
   * @param {Step} step
   * @param {Status} status
   * @returns {Show}
   */
  #shown({ id, state, reason, attempt }, status) {
    const popup = this.#popup(id);
    const isPending = popup !== undefined && popup.state !== "known";
    if (!isPending && (state === "resolved" || state === "no-auth-required")) return state;
    if (status === "offline" || status === "token-expired" || status === "sign-in-needed") return status;
    if (this.#preparing.has(id)) return "preparing";
    if (popup?.told.some((what) => what.startsWith("message ")) && state !== "needs-auth") return "confirming";
    if (isPending) return popup.state === "blocked" ? "blocked" : "opening";
    if (state === "choose-app") return state;
    if (state === "needs-auth") return (reason && SHOWN_FOR[reason]) ?? "ready";
    if (this.#events.some(({ name, data }) => name === "message_received" && data.attempt_id === attempt?.id)) {
      return "confirming";
    }
    return popup && isOpen(popup.handle) && !popup.told.length ? "waiting" : "checking";
  }

  // ------------------------------------------------------------------------------------------------ memory

  #restore() {
    const kept = remembered(this.#key);
    this.#popups = [...kept.popups.filter(({ id }) => !this.#popups.some((one) => one.id === id)), ...this.#popups];
    if (!this.#unsent.length) this.#unsent = kept.unsent;
    const wasWaiting = kept.popups.length > 0;
    if (wasWaiting && isVisible()) this.#later("return", FOCUS_PAUSE_MS, () => this.#onReturn());
    void this.#send();
  }

  #save() {
    const popups = this.#popups.filter(({ id }) => id).map(({ handle, ...popup }) => popup);
    remember(this.#key, { popups, unsent: this.#unsent });
  }

  get #key() {
    return `zapwright.${this.#api.sessionId}`;
  }

  /**
   * @param {string} name
   * @param {number} ms
   * @param {() => unknown} then
   */
  #later(name, ms, then) {
    clearTimeout(this.#timers[name]);
    this.#timers[name] = setTimeout(then, ms);
  }
}

/** Speaks to the API for one session, with a token that is good. */
class Api {
  skewMs = 0;
  sessionId = "";
  /** @type {string | null} */
  support = null;
  #getToken;
  /** @type {ClientToken | null} */
  #token = null;
  /** @type {Promise<ClientToken> | null} */
  #asked = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Settings["getToken"]} getToken */
  constructor(getToken) {
    this.#getToken = getToken;
  }

  /** What time it is for the API. */
  now() {
    return Date.now() + this.skewMs;
  }

  rest() {
    clearTimeout(this.#timer);
  }

  forget() {
    this.#token = null;
  }

  /**
   * Return a token, asking for one where there is none, or only one that was refused.
   *
   * @param {string} [refused]
   * @returns {Promise<ClientToken>}
   */
  async token(refused) {
    if (this.#token && this.#token.token !== refused) return this.#token;
    this.#asked ??= this.#ask().finally(() => (this.#asked = null));
    return this.#asked;
  }

  async #ask() {
    let given;
    try {
      given = await this.#getToken();
    } catch (error) {
      const code = isOfTheNetwork(error) ? "no_answer" : "token_unavailable";
      throw new ConnectError({ code, message: `getToken failed: ${error instanceof Error ? error.message : error}` });
    }
    const isUsable = typeof given?.token === "string" && typeof given.session_id === "string" && isAddress(given.api_url);
    if (!isUsable || (this.sessionId && given.session_id !== this.sessionId)) {
      const message = isUsable ? "the token is for another session" : "getToken did not resolve to a client token";
      throw new ConnectError({ code: "token_unusable", message });
    }
    this.sessionId = given.session_id;
    this.#token = given;
    this.#renewAfter((Date.parse(given.expires_at) - this.now()) * 0.8);
    return given;
  }

  /** @param {number} ms */
  #renewAfter(ms) {
    clearTimeout(this.#timer);
    if (!(ms > 0)) return;
    const renew = () => this.token(this.#token?.token).catch(() => this.#renewAfter(ms / 4));
    this.#timer = setTimeout(renew, Math.min(ms, LONGEST_TIMER_MS));
  }

  /**
   * Send a request and return its answer; a token that is refused is replaced, once.
   *
   * @param {string} method
   * @param {string} path Within the session.
   * @param {Asking} [asking]
   */
  async send(method, path, { body, key, keepalive = false, signal, accept = "application/json" } = {}) {
    for (let refused; ; ) {
      const { token, api_url: url, session_id: session } = await this.token(refused);
      const headers = new Headers({ Authorization: `Bearer ${token}`, Accept: accept });
      if (body) headers.set("Content-Type", "application/json");
      if (key && method === "POST") headers.set("Idempotency-Key", key);
      const request = { method, headers, body: body && JSON.stringify(body), keepalive, signal, ...ALONE };
      const place = `${url.replace(/\/+$/, "")}/v1/sessions/${encodeURIComponent(session)}${path}`;
      const answer = await fetch(place, request).catch((error) => {
        if (signal?.aborted) throw error;
        throw new ConnectError({ code: "no_answer", message: "the API gave no answer" });
      });
      this.support = answer.headers.get("Zapwright-Reference") ?? this.support;
      const date = Date.parse(answer.headers.get("Date") ?? "");
      if (date && Math.abs(date - this.now()) > 2_000) this.skewMs = date - Date.now();
      if (answer.ok) return answer;
      if (answer.status !== 401 || refused === token || refused !== undefined) throw await problemIn(answer);
      refused = token;
    }
  }

  /**
   * Send a request and return what its answer says; a patient one is sent again where that may help.
   *
   * @param {string} method
   * @param {string} path
   * @param {Asking & { isPatient?: boolean }} [asking]
   */
  async ask(method, path, { isPatient = false, ...asking } = {}) {
    for (let tries = 0; ; tries += 1) {
      try {
        const answer = await this.send(method, path, asking);
        return await answer.json();
      } catch (error) {
        const ms = waitMs(tries, error);
        if (!isPatient || tries >= 3 || !isPassing(error) || ms > 5_000) throw error;
        await new Promise((done) => setTimeout(done, ms));
      }
    }
  }
}

/**
 * @typedef {object} Asking
 * @property {object} [body]
 * @property {string} [key] What a POST is recognised by when it comes again.
 * @property {boolean} [keepalive]
 * @property {AbortSignal} [signal]
 * @property {string} [accept]
 */

/** @type {RequestInit} */
const ALONE = { credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer" };

/** Follows the session: one tab by a connection of its own, the others by what that tab tells them. */
class Follower {
  #api;
  #page;
  #canStream = true;
  #isLeading = false;
  /** @type {AbortController | null} */
  #life = null;
  /** @type {AbortController | null} */
  #connection = null;
  /** @type {BroadcastChannel | null} */
  #channel = null;
  /** @type {() => void} */
  #woken = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;

  /**
   * @param {Api} api
   * @param {Page} page
   */
  constructor(api, page) {
    this.#api = api;
    this.#page = page;
  }

  /** Read everything once, then follow until stopped. Throws what the reading met with. */
  async start() {
    const life = (this.#life = new AbortController());
    await this.#read(life.signal);
    if (life.signal.aborted) return;
    const { locks } = navigator;
    if (!locks || typeof BroadcastChannel === "undefined") return this.#follow(life.signal);
    try {
      this.#channel = new BroadcastChannel(this.#name);
      this.#channel.onmessage = ({ data }) => this.#onWord(data);
    } catch {
      return this.#follow(life.signal);
    }
    if (isVisible()) void this.#lead(life.signal, { steal: true });
    void this.#queue(life.signal);
  }

  stop() {
    this.#life?.abort();
    this.#life = null;
    this.#channel?.close();
    this.#channel = null;
    clearTimeout(this.#silence);
    this.wake();
  }

  wake() {
    this.#woken();
  }

  onVisibility() {
    if (!this.#life) return;
    if (isVisible() && this.#channel && !this.#isLeading) void this.#lead(this.#life.signal, { steal: true });
    else if (this.#canStream) this.#connection?.abort();
  }

  /**
   * Wait longer and longer, or until something wakes.
   *
   * @param {number} tries
   * @param {AbortSignal} signal
   * @param {unknown} [error]
   */
  async pause(tries, signal, error) {
    await new Promise((done) => {
      const timer = setTimeout(done, waitMs(tries, error));
      this.#woken = () => (clearTimeout(timer), done(undefined));
      signal.addEventListener("abort", this.#woken, { once: true });
    });
  }

  get #name() {
    return `zapwright.${this.#api.sessionId}`;
  }

  /** @param {AbortSignal} life */
  async #queue(life) {
    while (!life.aborted) await this.#lead(life, { signal: life });
  }

  /**
   * Follow while this tab has the lock.
   *
   * @param {AbortSignal} life
   * @param {LockOptions} how
   */
  async #lead(life, how) {
    const turn = new AbortController();
    const end = () => turn.abort();
    life.addEventListener("abort", end);
    const led = async () => {
      this.#isLeading = true;
      await this.#follow(turn.signal);
    };
    try {
      await navigator.locks.request(this.#name, how, led);
    } catch (error) {
      const isOver = error instanceof DOMException && error.name === "AbortError";
      if (!isOver && !life.aborted) await this.#follow(life);
    }
    end();
    this.#isLeading = false;
    life.removeEventListener("abort", end);
  }

  /** @param {any} word */
  #onWord({ problem, ...told }) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => isVisible() && this.onVisibility(), SILENCE_MS);
    if (problem) this.#page.report(new ConnectError(problem));
    else this.#page.learn(told);
  }

  /** @param {{ session?: Session, events?: Event[] }} told */
  #tell(told) {
    this.#page.learn(told);
    this.#channel?.postMessage(told);
  }

  /** @param {AbortSignal} signal */
  async #follow(signal) {
    for (let tries = 0; !signal.aborted && this.#page.snapshot.status !== "over"; ) {
      const since = Date.now();
      try {
        await (this.#canStream ? this.#stream(signal) : this.#poll(signal));
        tries = Date.now() - since > 1_000 ? 0 : tries + 1;
        if (tries > 1) await this.pause(tries - 2, signal);
      } catch (error) {
        if (signal.aborted) return;
        if (!this.#page.report(error)) return await aborted(signal);
        this.#channel?.postMessage({ problem: plain(/** @type {ConnectError} */ (error)) });
        await this.pause(tries++, signal, error);
      }
    }
    if (!signal.aborted) await aborted(signal);
  }

  /** @param {AbortSignal} signal */
  async #read(signal) {
    const session = await this.#api.ask("GET", "", { signal });
    const { events } = await this.#api.ask("GET", `/events${asked({ after: this.#page.seen, limit: MOST_EVENTS })}`, { signal });
    this.#tell({ session, events });
  }

  /** @param {AbortSignal} signal */
  async #poll(signal) {
    const { session, steps } = this.#page.snapshot;
    const soonest = Math.min(POLLED_S, ...steps.map((step) => (step.next_check_in_s ?? POLLED_S) + 1));
    const path = asked({ after_seq: session?.seq, wait_s: soonest });
    const now = await this.#api.ask("GET", path, { signal });
    const isNews = now.seq > this.#page.seen;
    const { events } = isNews ? await this.#api.ask("GET", `/events${asked({ after: this.#page.seen })}`, { signal }) : {};
    this.#tell({ session: now, events });
  }

  /** @param {AbortSignal} turn */
  async #stream(turn) {
    const connection = (this.#connection = new AbortController());
    const end = () => connection.abort();
    turn.addEventListener("abort", end);
    let hasSpoken = false;
    let timer = setTimeout(end, FIRST_FRAME_MS);
    try {
      const path = `/stream${asked({ after: this.#page.seen, visible: isVisible() })}`;
      const answer = await this.#api.send("GET", path, { signal: connection.signal, accept: "text/event-stream" });
      if (!answer.body || !answer.headers.get("Content-Type")?.startsWith("text/event-stream")) throw NO_STREAM;
      for await (const frame of frames(answer.body)) {
        clearTimeout(timer);
        timer = setTimeout(end, SILENCE_MS);
        hasSpoken = true;
        if (frame.event === "session") this.#tell({ session: frame.data });
        else if (frame.event === "event") this.#tell({ events: [frame.data] });
        else this.#channel?.postMessage({});
      }
    } catch (error) {
      if (turn.aborted || hasSpoken) return;
      const isMissing = error === NO_STREAM || (error instanceof ConnectError && error.code === "route_not_found");
      if (!isMissing && !connection.signal.aborted) throw error;
      this.#canStream = false;
    } finally {
      clearTimeout(timer);
      turn.removeEventListener("abort", end);
      end();
    }
  }
}

const NO_STREAM = new ConnectError({ code: "route_not_found", message: "the API has no stream" });

/**
 * Yield the events of a stream as they come; comments come as events without a name.
 *
 * @param {ReadableStream<Uint8Array>} body
 */
async function* frames(body) {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = "";
  for (let chunk; !(chunk = await reader.read()).done; ) {
    const parts = (rest + decoder.decode(chunk.value, { stream: true })).split(/\r?\n\r?\n/);
    rest = parts.pop() ?? "";
    for (const part of parts) {
      /** @type {Record<string, string>} */
      const fields = {};
      for (const line of part.split(/\r?\n/)) {
        const [, name = "", value = ""] = /^(\w*): ?(.*)$/.exec(line) ?? [];
        fields[name] = name === "data" && fields.data !== undefined ? `${fields.data}\n${value}` : value;
      }
      yield { event: fields.event ?? "", data: fields.data === undefined ? null : JSON.parse(fields.data) };
    }
  }
}

/** @param {Response} answer */
async function problemIn(answer) {
  const wait = Number(answer.headers.get("Retry-After") ?? NaN);
  const said = await answer.json().catch(() => ({}));
  return new ConnectError({
    code: typeof said.code === "string" ? said.code : "route_not_found",
    message: String(said.detail ?? said.title ?? `status ${answer.status}`),
    status: answer.status,
    reference: said.reference ?? answer.headers.get("Zapwright-Reference"),
    facts: said.facts,
    retryAfterS: Number.isNaN(wait) ? null : wait,
  });
}

/**
 * @param {ConnectError} error
 * @returns {Problem}
 */
function plain({ code, message, status, reference, facts, retryAfterS }) {
  return { code, message, status, reference, facts, retryAfterS };
}

/**
 * Tell what may pass by itself from what will be so again.
 *
 * @param {unknown} error
 */
function isPassing(error) {
  if (!(error instanceof ConnectError)) return false;
  const { status, code } = error;
  return code === "no_answer" || code === "idempotency_in_flight" || status >= 500 || [408, 425, 429].includes(status);
}

/**
 * @param {number} tries
 * @param {unknown} [error]
 */
function waitMs(tries, error) {
  const told = error instanceof ConnectError ? (error.retryAfterS ?? 0) * 1_000 : 0;
  return Math.max(told, (WAITS_MS[tries] ?? 15_000) * (0.75 + Math.random() / 2));
}

/** @param {unknown} error */
function isOfTheNetwork(error) {
  return error instanceof TypeError || !navigator.onLine;
}

/** @param {AbortSignal} signal */
function aborted(signal) {
  return new Promise((done) => signal.addEventListener("abort", done, { once: true }));
}

/** @param {Window | null | undefined} handle */
function isOpen(handle) {
  return handle ? !handle.closed : false;
}

function isVisible() {
  return document.visibilityState === "visible";
}

/**
 * Tell whether a message came from a window, not a frame, that this page or the one it was reloaded from has opened.
 *
 * @param {MessageEventSource | null} source
 */
function wasOpenedHere(source) {
  const from = /** @type {Window | null} */ (source);
  try {
    return from !== null && from !== window && from.parent === from && from.opener === window;
  } catch {
    return false;
  }
}

/** @param {unknown} text */
function isAddress(text) {
  return typeof text === "string" && /^https?:\/\//i.test(text);
}

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} stepId */
function stepPath(stepId) {
  return `/steps/${encodeURIComponent(stepId)}`;
}

/** @param {Record<string, unknown>} given */
function asked(given) {
  const said = Object.entries(given).filter(([, value]) => value !== undefined);
  return said.length ? `?${new URLSearchParams(said.map(([name, value]) => [name, String(value)]))}` : "";
}

/**
 * @param {string} key
 * @returns {{ popups: Popup[], unsent: Signal[] }}
 */
function remembered(key) {
  try {
    const { popups = [], unsent = [] } = JSON.parse(sessionStorage.getItem(key) ?? "{}");
    return { popups, unsent };
  } catch {
    return { popups: [], unsent: [] };
  }
}

/**
 * @param {string} key
 * @param {{ popups: object[], unsent: Signal[] }} what
 */
function remember(key, what) {
  try {
    if (what.popups.length || what.unsent.length) sessionStorage.setItem(key, JSON.stringify(what));
    else sessionStorage.removeItem(key);
  } catch {
    // Where pages may keep nothing, a reload forgets: the API finds what was connected all the same.
  }
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
function frozen(value) {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(frozen);
  }
  return value;
}
