/**
 * What a page needs to have its user connect an account: popups, what is heard of them, and what to show.
 *
 * Nothing here decides whether something was connected: the page says what it saw, the API says what is so.
 *
 * @import { Asking, Connect, Popup, Settings, Show, Signal, Snapshot, Status, StepView } from "../../clients/browser/types.js"
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
const WAITS_MS = [300, 1_000, 2_000, 4_000, 8_000, 15_000];
const LONGEST_POLL_S = 20;
const LONGEST_TIMER_MS = 2 ** 31 - 1;
const YEAR_MS = 31_536_000_000;
const MOST_EVENTS = 500;

/** @type {Snapshot} */
const NOTHING = frozen({ status: "starting", session: null, steps: [], events: [], problem: null, support: null });

/** A request was refused, or had no answer. */
export class ConnectError extends Error {
  name = "ConnectError";

  /**
   * @param {string} code
   * @param {string} [message]
   * @param {{ status?: number, support?: string | null, facts?: Record<string, unknown>, retryAfterS?: number }} [more]
   */
  constructor(code, message = code, { status = 0, support = null, facts = {}, retryAfterS = 0 } = {}) {
    super(message);
    this.code = code;
    this.status = status;
    this.support = support;
    this.facts = facts;
    this.retryAfterS = retryAfterS;
  }

  get isPassing() {
    return this.code === "no_answer" || this.status >= 500 || [408, 425, 429].includes(this.status);
  }
}

/**
 * Make the one object that a page needs for one session. Nothing happens before something subscribes or asks.
 *
 * @param {Settings} settings
 * @returns {Connect}
 */
export function createConnect(settings) {
  const page = new Page(settings);
  return {
    subscribe: (heard) => page.subscribe(heard),
    getSnapshot: () => page.snapshot,
    getServerSnapshot: () => NOTHING,
    connect: (stepId) => page.open(stepId),
    followed: (stepId) => page.followed(stepId),
    finished: (stepId) => page.say(stepId, "finished"),
    cancel: (stepId) => page.say(stepId, "cancelled"),
    choose: (stepId, id) => page.ask(stepId, "PUT", "/authentication", { authentication_id: id }),
    chooseApp: (stepId, id) => page.ask(stepId, "PUT", "/app", { app_id: id }),
    resetApp: (stepId) => page.ask(stepId, "DELETE", "/app"),
    searchApps: (query, cursor) => page.ask("", "GET", `/apps${asked({ query, cursor })}`),
    authentications: (stepId, { refresh } = {}) => page.ask(stepId, "GET", `/authentications${asked({ refresh })}`),
    addStep: async (step = {}) => (await page.ask("", "POST", "/steps", step)).step_id,
    removeStep: (stepId) => page.ask(stepId, "DELETE", ""),
    moveStep: (stepId, position) => page.ask(stepId, "PATCH", "", { position }),
    actions: async (stepId) => (await page.ask(stepId, "GET", "/actions")).actions,
    chooseAction: (stepId, { key, action_type }) => page.ask(stepId, "PUT", "/action", { key, action_type }),
    setInputs: (stepId, inputs) => page.ask(stepId, "PUT", "/inputs", { inputs }),
    createZap: (wish = {}) => page.ask("", "POST", "/zap", wish),
    refresh: () => page.refresh(),
    close: () => page.close(),
  };
}

/** One session in one tab: its popups, what is still to be said of them, and what to show. */
class Page {
  snapshot = NOTHING;
  /** @type {Session | null} */
  #session = null;
  /** @type {readonly Event[]} */
  #events = NOTHING.events;
  /** @type {ConnectError | null} */
  #trouble = null;
  /** @type {Map<string, ConnectError>} */
  #problems = new Map();
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

  /** @param {Settings} settings */
  constructor(settings) {
    this.settings = settings;
    this.api = new Api(settings.getToken);
    this.follower = new Follower(this.api, this);
  }

  /** @param {() => void} heard */
  subscribe(heard) {
    const told = () => heard();
    this.#subscribers.add(told);
    this.#begin();
    return () => {
      this.#subscribers.delete(told);
      this.#later("idle", IDLE_AFTER_MS, () => {
        const isWanted = this.#subscribers.size || this.#unsent.length || this.#popups.some(isOpen);
        if (!isWanted) this.#end();
      });
    };
  }

  refresh() {
    this.#end();
    this.#begin();
  }

  close() {
    this.#isClosed = true;
    this.#end();
  }

  #begin() {
    if (this.#life || this.#isClosed || typeof window === "undefined") return;
    const { signal } = (this.#life = new AbortController());
    addEventListener("message", (event) => this.#onMessage(event), { signal });
    addEventListener("focus", () => this.#onReturn(), { signal });
    addEventListener("online", () => this.#wake(), { signal });
    addEventListener("pagehide", () => this.#onLeaving(), { signal });
    addEventListener("pageshow", ({ persisted }) => persisted && this.refresh(), { signal });
    document.addEventListener("visibilitychange", () => this.#onVisibility(), { signal });
    void this.follower.start(signal, () => this.#restore());
  }

  #end() {
    this.#life?.abort();
    this.#life = null;
    this.api.rest();
    Object.values(this.#timers).forEach(clearTimeout);
  }

  /** @param {string} stepId */
  open(stepId) {
    const { connect } = this.#step(stepId) ?? {};
    if (!connect) throw new ConnectError("illegal_signal", "the step has nothing to connect");
    const earlier = this.#popup(stepId);
    if (earlier && isOpen(earlier)) {
      earlier.handle?.focus();
      return true;
    }
    const isFresh = Date.parse(connect.fresh_until ?? "") > this.api.now() && isAddress(connect.url);
    const handle = window.open(isFresh ? connect.url : "about:blank", "_blank", this.settings.popupFeatures ?? FEATURES);
    const popup = this.#opened(stepId, handle, isFresh || !handle);
    if (!handle) this.#tell(popup, "blocked");
    else if (isFresh) this.#tell(popup);
    else void this.#prepare(popup, handle);
    return handle !== null;
  }

  /** @param {string} stepId */
  followed(stepId) {
    if (this.#step(stepId)?.connect) this.#tell(this.#opened(stepId, null, true));
  }

  /**
   * @param {string} stepId
   * @param {string} kind
   */
  say(stepId, kind) {
    const popup = this.#popup(stepId, true);
    if (popup?.id) this.#tell(popup, kind);
    if (kind === "cancelled") popup?.handle?.close();
  }

  /**
   * @param {string} step
   * @param {Window | null} handle
   * @param {boolean} isNamed
   */
  #opened(step, handle, isNamed) {
    const origin = this.#step(step)?.connect?.message_origin ?? "";
    /** @type {Popup} */
    const popup = { id: isNamed ? newId() : "", step, origin, at: Date.now(), told: [], handle };
    this.#popups.push(popup);
    this.#problems.delete(step);
    this.#watch();
    this.#show();
    return popup;
  }

  /**
   * Have the address made ready while the popup shows a page of ours; what was connected meanwhile is offered instead.
   *
   * @param {Popup} popup
   * @param {Window} handle
   */
  async #prepare(popup, handle) {
    handle.document.title = handle.document.body.textContent = this.settings.waitingText ?? "One moment …";
    try {
      const { attempt_id, url } = await this.ask(popup.step, "POST", "/popup", {});
      popup.id = attempt_id;
      if (handle.closed || !isAddress(url)) this.#tell(popup, "cancelled");
      else handle.location.replace(url);
    } catch {
      handle.close();
      this.#forget(popup);
    }
  }

  #watch() {
    const open = this.#popups.filter(({ handle, told }) => handle && !told.includes("closed"));
    for (const popup of open) if (popup.id && !isOpen(popup)) this.#once(popup, "closed");
    if (open.length) this.#later("watch", WATCHED_EVERY_MS, () => this.#watch());
  }

  /**
   * @param {Popup} popup
   * @param {string} kind
   * @param {string} [id]
   */
  #once(popup, kind, id = "") {
    if (popup.told.includes(kind + id)) return;
    popup.told.push(kind + id);
    this.#tell(popup, kind, id || undefined);
  }

  /** @param {MessageEvent} event */
  #onMessage({ origin, source, data }) {
    const ours = this.#popups.filter((popup) => popup.id && popup.origin === origin);
    if (!ours.length || data?.type !== MESSAGE) return;
    const own = ours.filter(({ handle }) => handle && handle === source);
    const from = own.length || !wasOpenedHere(source) ? own : ours.filter(({ handle }) => !handle);
    const named = data.authentication_id;
    const id = from.length === 1 && typeof named === "string" && USABLE_ID.test(named) ? named : undefined;
    for (const popup of from) this.#once(popup, "message", id);
    if (from.length) /** @type {Window} */ (source).close();
  }

  #onVisibility() {
    this.follower.onVisibility();
    if (isVisible()) this.#onReturn();
  }

  #onReturn() {
    if (this.snapshot.status === "token-expired") return this.refresh();
    this.#wake();
    if (Date.now() - this.#focusedAt < FOCUS_PAUSE_MS) return;
    this.#focusedAt = Date.now();
    for (const { id, state } of this.#session?.steps ?? []) {
      const popup = this.#popup(id, true);
      if (!popup?.id || (popup.isKnown && state !== "awaiting-popup")) continue;
      popup.told.push("focus");
      this.#tell(popup, "focus");
    }
  }

  #onLeaving() {
    for (const signal of this.#unsent) this.#deliver(signal).catch(() => {});
    for (const popup of this.#popups) {
      if (!popup.id) popup.handle?.close();
      else if (this.#step(popup.step)?.attempt?.id === popup.id) {
        this.#deliver({ popup, kind: "closed" }, { gone: true }).catch(() => {});
      }
    }
  }

  #wake() {
    this.#tries = 0;
    this.follower.wake();
    void this.#send();
  }

  /** @param {string} stepId */
  #step(stepId) {
    return this.#session?.steps.find(({ id }) => id === stepId);
  }

  /**
   * The popup that counts for a step: of this tab, or of any.
   *
   * @param {string} stepId
   * @returns {Popup | undefined}
   */
  #popup(stepId, isOfAny = false) {
    const attempt = this.#step(stepId)?.attempt;
    const own = this.#popups.findLast(({ step, isKnown, id }) => step === stepId && (!isKnown || id === attempt?.id));
    if (own || !isOfAny || !attempt) return own;
    const at = Date.parse(attempt.opened_at) - this.api.skewMs;
    return { id: attempt.id, step: stepId, origin: "", at, told: [], isKnown: true };
  }

  /** @param {Popup} popup */
  #forget(popup) {
    this.#popups = this.#popups.filter((other) => other !== popup);
    this.#save();
    this.#show();
  }

  /**
   * @param {Popup} popup
   * @param {string} [kind]
   * @param {string} [authentication_id]
   */
  #tell(popup, kind, authentication_id) {
    this.#unsent.push({ popup, kind, authentication_id });
    this.#save();
    this.#show();
    void this.#send();
  }

  /** Send what is unsent, in order; what may be heard another time is kept. */
  async #send() {
    if (this.#isSending || !this.#life) return;
    this.#isSending = true;
    for (let signal; (signal = this.#unsent[0]); this.#tries = 0) {
      const { popup, kind } = signal;
      try {
        this.learn(await this.#deliver(signal));
      } catch (error) {
        if (!(error instanceof ConnectError)) throw error;
        if (error.isPassing || error.status === 401) {
          if (this.report(error)) this.#later("send", waitMs(this.#tries++, error), () => this.#send());
          break;
        }
        if (error.code !== "attempt_stale") this.#problems.set(popup.step, error);
        if (!kind) this.#forget(popup);
      }
      this.#unsent.shift();
      if (kind === "blocked") this.#forget(popup);
      this.#save();
    }
    this.#isSending = false;
  }

  /**
   * @param {Signal} signal
   * @param {{ gone?: boolean }} [more]
   */
  #deliver({ popup: { id: attempt_id, step, at }, kind, authentication_id }, more) {
    const elapsed_ms = Math.min(YEAR_MS, Math.max(0, Date.now() - at));
    const context = { visible: isVisible(), focused: document.hasFocus(), elapsed_ms, ...more };
    const body = kind ? { attempt_id, kind, authentication_id, context } : { attempt_id, elapsed_ms };
    return this.api.ask("POST", `${stepPath(step)}/popup${kind ? "/signals" : ""}`, { body, keepalive: true });
  }

  /**
   * @param {string} stepId Empty: it is about the session.
   * @param {string} method
   * @param {string} path
   * @param {object} [body]
   */
  async ask(stepId, method, path, body) {
    this.#problems.delete(stepId);
    if (/^.(app|auth)/.test(path)) this.#preparing.add(stepId);
    this.#show();
    try {
      const answer = await this.api.ask(method, stepPath(stepId) + path, { body, key: newId() });
      this.learn(answer);
      return answer;
    } catch (error) {
      if (error instanceof ConnectError) this.#problems.set(stepId, error);
      throw error;
    } finally {
      this.#preparing.delete(stepId);
      this.#show();
    }
  }

  /**
   * Take what the API says, whoever asked; what is older than what is known changes nothing.
   *
   * @param {any} told
   */
  learn(told) {
    this.#trouble = null;
    /** @type {{ session?: Session, events?: Event[] }} */
    const { session, events = [] } = told.seq ? { session: told } : told;
    const news = events.filter(({ seq }) => seq > this.seen);
    if (news.length) this.#events = frozen([...this.#events, ...news].slice(-MOST_EVENTS));
    if (session && session.seq >= (this.#session?.seq ?? 0)) this.#session = frozen(session);
    for (const popup of [...this.#popups]) this.#reconcile(popup);
    this.#show();
  }

  get seen() {
    return this.#events.at(-1)?.seq ?? 0;
  }

  /** @param {Popup} popup */
  #reconcile(popup) {
    const step = this.#step(popup.step);
    popup.isKnown ||= step?.attempt?.id === popup.id || this.#heardOf("popup_opened", popup.id);
    const isSettled = !step || isSettledIn(step);
    if (!popup.isKnown || (!isSettled && step.attempt?.id === popup.id)) return;
    if (!isOpen(popup)) this.#forget(popup);
    else if (isSettled) this.#later(popup.id, CLOSED_AFTER_MS, () => popup.handle?.close());
  }

  /**
   * @param {string} name
   * @param {string | undefined} attempt
   */
  #heardOf(name, attempt) {
    return this.#events.some((event) => event.name === name && event.data.attempt_id === attempt);
  }

  /**
   * Say what is wrong, and return whether trying again may help.
   *
   * @param {unknown} error
   */
  report(error) {
    if (!(error instanceof ConnectError)) throw error;
    this.#trouble = error;
    this.#show();
    return error.isPassing;
  }

  #show() {
    const status = this.#status();
    const now = this.api.now();
    const steps = (this.#session?.steps ?? []).map((step) => this.#view(step, status, now));
    const problem = this.#trouble;
    const support = problem?.support ?? this.api.support;
    this.snapshot = frozen({ status, session: this.#session, steps, events: this.#events, problem, support });
    for (const heard of [...this.#subscribers]) heard();
    const isCounting = this.#subscribers.size && isVisible() && steps.some((step) => step.next_check_in_s);
    if (isCounting) this.#later("count", 1_000 - (now % 1_000), () => this.#show());
  }

  /** @returns {Status} */
  #status() {
    if (["created", "expired", "cancelled"].includes(this.#session?.status ?? "")) return "over";
    const trouble = this.#trouble;
    if (trouble?.isPassing) return "offline";
    if (trouble) return trouble.status === 401 ? "token-expired" : "refused";
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
    const link = isAddress(step.connect?.url) ? step.connect.url : null;
    const next_check_in_s = next ? Math.max(0, Math.ceil((Date.parse(next) - now) / 1_000)) : null;
    return { ...step, show: this.#shown(step, status), link, next_check_in_s, problem, support: problem?.support ?? this.api.support };
  }

  /**
   * @param {Step} step
   * @param {Status} status
   * @returns {Show}
   */
  #shown(step, status) {
    const { id, state, reason, attempt } = step;
    const popup = this.#popup(id);
    const isPending = popup && !popup.isKnown;
    if (!isPending && isSettledIn(step)) return /** @type {Show} */ (state);
    if (status === "offline" || status === "token-expired" || status === "sign-in-needed") return status;
    if (this.#preparing.has(id)) return "preparing";
    const isWaitedFor = isPending || state === "awaiting-popup";
    const hasMessage = popup?.told.some((what) => /^message./.test(what)) || this.#heardOf("message_received", attempt?.id);
    if (isWaitedFor && hasMessage) return "confirming";
    if (isPending) return this.#unsent.some((signal) => signal.popup === popup && signal.kind === "blocked") ? "blocked" : "opening";
    if (state === "choose-app") return state;
    if (!isWaitedFor) return reason ? /** @type {Show} */ (reason.replace("popup_", "").replaceAll("_", "-")) : "ready";
    return popup && isOpen(popup) && !popup.told.length ? "waiting" : "checking";
  }

  /** Take up what this tab did before a reload; tokens are kept nowhere. */
  #restore() {
    if (!this.#popups.length) this.#recall();
    void this.#send();
  }

  #recall() {
    try {
      const { popups = [], unsent = [] } = JSON.parse(sessionStorage.getItem(this.#key) ?? "{}");
      this.#popups = popups;
      const popupOf = (/** @type {Signal} */ { popup }) => popups.find((/** @type {Popup} */ { id }) => id === popup.id) ?? popup;
      this.#unsent = unsent.map((/** @type {Signal} */ signal) => ({ ...signal, popup: popupOf(signal) }));
      if (popups.length && isVisible()) this.#later("return", FOCUS_PAUSE_MS, () => this.#onReturn());
    } catch {
      // Where nothing may be kept a reload forgets; the API finds what was connected all the same.
    }
  }

  #save() {
    const kept = (/** @type {string} */ name, /** @type {unknown} */ value) => (name === "handle" ? undefined : value);
    const popups = this.#popups.filter(({ id }) => id);
    try {
      sessionStorage.setItem(this.#key, JSON.stringify({ popups, unsent: this.#unsent }, kept));
    } catch {
      // The same.
    }
  }

  get #key() {
    return `zapwright.${this.api.sessionId}`;
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
  /** Of the session, this step alone is shown to us; tabs that are shown other things have nothing to share. */
  stepId = "";
  /** @type {string | null} */
  support = null;
  /** @type {ClientToken | null} */
  #token = null;
  /** @type {Promise<ClientToken> | null} */
  #asked = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;

  /** @param {Settings["getToken"]} getToken */
  constructor(getToken) {
    this.getToken = getToken;
  }

  now() {
    return Date.now() + this.skewMs;
  }

  rest() {
    clearTimeout(this.#timer);
    this.#token = null;
  }

  /**
   * Return a token, asking for one where there is none, or none but one that was refused.
   *
   * @param {string} [refused]
   */
  async token(refused) {
    if (this.#token && this.#token.token !== refused) return this.#token;
    this.#asked ??= this.#ask().finally(() => (this.#asked = null));
    return this.#asked;
  }

  async #ask() {
    /** @type {ClientToken} */
    let given;
    try {
      given = await this.getToken();
    } catch (error) {
      const isOfTheNetwork = error instanceof TypeError || !navigator.onLine;
      throw new ConnectError(isOfTheNetwork ? "no_answer" : "token_unavailable", String(error), { status: isOfTheNetwork ? 0 : 401 });
    }
    if (typeof given?.token !== "string" || typeof given.session_id !== "string" || !isAddress(given.api_url)) {
      throw new ConnectError("token_unusable", "getToken resolved to something else than a client token", { status: 401 });
    }
    if (this.sessionId && given.session_id !== this.sessionId) {
      throw new ConnectError("token_unusable", "getToken resolved to a token of another session", { status: 403 });
    }
    this.sessionId = given.session_id;
    this.stepId = /** @type {{ step_id?: string }} */ (given).step_id ?? "";
    this.#renewAfter((Date.parse(given.expires_at) - this.now()) * 0.8);
    return (this.#token = given);
  }

  /** @param {number} ms */
  #renewAfter(ms) {
    clearTimeout(this.#timer);
    const renew = () => this.token(this.#token?.token).catch(() => this.#renewAfter(ms / 4));
    if (ms > 0) this.#timer = setTimeout(renew, Math.min(ms, LONGEST_TIMER_MS));
  }

  /**
   * Send a request and return its answer; a token that is refused is replaced, once.
   *
   * @param {string} method
   * @param {string} path Within the session.
   * @param {Asking} [asking]
   */
  async send(method, path, { body, key, keepalive, signal } = {}) {
    for (let refused; ; ) {
      const { token, api_url, session_id } = await this.token(refused);
      const headers = new Headers({ Authorization: `Bearer ${token}` });
      if (body) headers.set("Content-Type", "application/json");
      if (key && method === "POST") headers.set("Idempotency-Key", key);
      const place = `${api_url.replace(/\/+$/, "")}/v1/sessions/${encodeURIComponent(session_id)}${path}`;
      const request = { method, headers, body: body && JSON.stringify(body), keepalive, signal, ...ALONE };
      const answer = await fetch(place, request).catch((error) => {
        throw signal?.aborted ? error : new ConnectError("no_answer", "the API gave no answer");
      });
      this.support = answer.headers.get("Zapwright-Reference") ?? this.support;
      const date = Date.parse(answer.headers.get("Date") ?? "");
      if (Math.abs(date - this.now()) > 2_000) this.skewMs = date - Date.now();
      if (answer.ok) return answer;
      if (answer.status !== 401 || refused) throw await problemIn(answer);
      refused = token;
    }
  }

  /**
   * Send a request and return what its answer says.
   *
   * @param {string} method
   * @param {string} path
   * @param {Asking} [asking]
   */
  async ask(method, path, asking) {
    const answer = await this.send(method, path, asking);
    return answer.json();
  }
}

/** @type {RequestInit} */
const ALONE = { credentials: "omit", cache: "no-store", redirect: "error", referrerPolicy: "no-referrer" };

/** Follows the session: one tab by a connection of its own, the others by what that tab tells them. */
class Follower {
  #canStream = true;
  #isLeading = false;
  #isStealing = false;
  #turn = new AbortController();
  #connection = new AbortController();
  /** @type {BroadcastChannel | null} */
  #channel = null;
  #woken = () => {};
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #silence;

  /**
   * @param {Api} api
   * @param {Page} page
   */
  constructor(api, page) {
    this.api = api;
    this.page = page;
  }

  /**
   * Follow until the end of `life`.
   *
   * @param {AbortSignal} life
   * @param {() => void} onSession Called when it is known which session it is.
   */
  async start(life, onSession) {
    for (let tries = 0; !this.api.sessionId; tries += 1) {
      try {
        await this.api.token();
      } catch (error) {
        if (life.aborted || !this.page.report(error)) return;
        await this.#pause(tries, life, error);
      }
    }
    onSession();
    await this.#share(life).catch(() => {
      this.#isLeading = true;
      return this.#follow(life);
    });
  }

  wake() {
    this.#woken();
  }

  onVisibility() {
    this.#isStealing = isVisible() && !this.#isLeading;
    if (this.#isStealing) this.#turn.abort();
    else this.#connection.abort();
  }

  /**
   * Take turns with the session's other tabs: the one that was looked at last follows. Throws where tabs cannot share.
   *
   * @param {AbortSignal} life
   */
  async #share(life) {
    const name = ["zapwright", this.api.sessionId, this.api.stepId].join(".");
    const { locks } = navigator;
    const channel = (this.#channel = new BroadcastChannel(name));
    life.addEventListener("abort", () => channel.close());
    channel.onmessage = ({ data }) => this.#onWord(data);
    channel.postMessage(null);
    this.#isStealing = isVisible();
    while (!life.aborted) {
      const turn = (this.#turn = new AbortController());
      const signal = AbortSignal.any([life, turn.signal]);
      const how = this.#isStealing ? { steal: true } : { signal };
      this.#isStealing = false;
      const led = async () => {
        this.#isLeading = true;
        await this.#follow(signal);
        return !signal.aborted;
      };
      const isOver = await locks.request(name, how, led).catch((error) => {
        if (error.name !== "AbortError") throw error;
      });
      this.#isLeading = false;
      turn.abort();
      if (isOver) return;
    }
  }

  /** @param {object | null} word Null: another tab asks what is known. */
  #onWord(word) {
    clearTimeout(this.#silence);
    this.#silence = setTimeout(() => isVisible() && this.onVisibility(), SILENCE_MS);
    if (word) this.page.learn(word);
    else if (this.#isLeading) this.#channel?.postMessage({ session: this.page.snapshot.session ?? undefined, events: this.page.snapshot.events });
  }

  /** @param {object} told */
  #tell(told) {
    this.page.learn(told);
    this.#channel?.postMessage(told);
  }

  /**
   * Follow until `signal`, the session's end, or what trying again cannot mend.
   *
   * @param {AbortSignal} signal
   */
  async #follow(signal) {
    for (let tries = 0; !signal.aborted && this.page.snapshot.status !== "over"; ) {
      const since = Date.now();
      try {
        if (!this.#canStream) await this.#poll(signal);
        else await this.#stream(signal);
        if (!this.#canStream || Date.now() - since > 1_000) tries = 0;
        else await this.#pause(tries++, signal);
      } catch (error) {
        if (signal.aborted || !this.page.report(error)) return;
        await this.#pause(tries++, signal, error);
      }
    }
  }

  /**
   * @param {number} tries
   * @param {AbortSignal} signal
   * @param {unknown} [error]
   */
  async #pause(tries, signal, error) {
    await new Promise((done) => {
      this.#woken = () => done(setTimeout(done, waitMs(tries, error)));
      signal.addEventListener("abort", done);
    });
  }

  /** @param {AbortSignal} signal */
  async #poll(signal) {
    const { session, steps } = this.page.snapshot;
    const wait_s = Math.min(LONGEST_POLL_S, ...steps.map(({ next_check_in_s }) => 1 + (next_check_in_s ?? LONGEST_POLL_S)));
    const found = await this.api.ask("GET", asked({ after_seq: session?.seq, wait_s: session && wait_s }), { signal });
    const isNews = found.seq > this.page.seen;
    const { events } = isNews ? await this.api.ask("GET", `/events${asked({ after: this.page.seen })}`, { signal }) : {};
    this.#tell({ session: found, events });
  }

  /** @param {AbortSignal} turn */
  async #stream(turn) {
    const connection = (this.#connection = new AbortController());
    const signal = AbortSignal.any([turn, connection.signal]);
    const cut = () => connection.abort();
    let hasSpoken = false;
    let silence = setTimeout(cut, FIRST_FRAME_MS);
    try {
      const path = `/stream${asked({ after: this.page.seen, visible: isVisible() })}`;
      const { headers, body } = await this.api.send("GET", path, { signal });
      if (!body || !headers.get("Content-Type")?.startsWith("text/event-stream")) throw new ConnectError("route_not_found");
      for await (const { event, data } of frames(body)) {
        hasSpoken = true;
        clearTimeout(silence);
        silence = setTimeout(cut, SILENCE_MS);
        this.#tell(event === "session" ? { session: data } : event === "event" ? { events: [data] } : {});
      }
    } catch (error) {
      if (turn.aborted || hasSpoken) return;
      const isMissing = error instanceof ConnectError ? error.code === "route_not_found" : signal.aborted;
      if (!isMissing) throw error;
      this.#canStream = false;
    } finally {
      clearTimeout(silence);
      cut();
    }
  }
}

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
    const parts = (rest + decoder.decode(chunk.value, { stream: true })).split("\n\n");
    rest = parts.pop() ?? "";
    for (const part of parts) {
      const data = /^data: (.*)$/m.exec(part)?.[1];
      yield { event: /^event: (.*)$/m.exec(part)?.[1], data: data && JSON.parse(data) };
    }
  }
}

/** @param {Response} answer */
async function problemIn(answer) {
  const said = await answer.json().catch(() => ({}));
  return new ConnectError(said.code ?? "route_not_found", said.detail, {
    status: answer.status,
    support: said.reference,
    facts: said.facts,
    retryAfterS: Number(answer.headers.get("Retry-After")) || 0,
  });
}

/**
 * @param {number} tries
 * @param {unknown} [error]
 */
function waitMs(tries, error) {
  const told = error instanceof ConnectError ? error.retryAfterS * 1_000 : 0;
  return Math.max(told, (WAITS_MS[tries] ?? 15_000) * (0.75 + Math.random() / 2));
}

/** @param {Popup} popup */
function isOpen({ handle }) {
  return handle ? !handle.closed : false;
}

function isVisible() {
  return document.visibilityState === "visible";
}

/**
 * Tell whether a message came from a window, not a frame, that this page opened, or the one it was reloaded from.
 *
 * @param {MessageEventSource | null} source
 */
function wasOpenedHere(source) {
  const from = /** @type {Window} */ (source);
  return from?.parent === from && from.opener === window;
}

/**
 * @param {unknown} text
 * @returns {text is string}
 */
function isAddress(text) {
  return typeof text === "string" && /^https?:\/\//i.test(text);
}

/** @param {Step} step */
function isSettledIn({ state }) {
  return state === "resolved" || state === "no-auth-required";
}

function newId() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** @param {string} stepId */
function stepPath(stepId) {
  return stepId && `/steps/${encodeURIComponent(stepId)}`;
}

/** @param {Record<string, unknown>} given */
function asked(given) {
  const said = Object.entries(given).flatMap(([name, value]) => (value == null ? [] : [[name, String(value)]]));
  return said.length ? `?${new URLSearchParams(said)}` : "";
}

/**
 * @template T
 * @param {T} value
 * @returns {T}
 */
function frozen(value) {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(frozen);
  return Object.freeze(value);
}
