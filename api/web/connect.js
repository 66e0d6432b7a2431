/**
 * Popups in which a user connects an account: the page says what it saw of them, the API says what is so.
 *
 * @import * as T from "../../clients/browser/types.js"
 */

const SETTLED = /^(resolved|no-auth-required)$/;
const USABLE_ID = /^[!-~]{1,128}$/;
const WATCHED_EVERY_MS = 250;
const CLOSED_AFTER_MS = 3_000;
const PAUSE_MS = 1_000;
const FIRST_FRAME_MS = 10_000;
const SILENCE_MS = 40_000;
const SPREAD_S = 2;
const WAITS_MS = [100, 500, 2_000, 4_000, 8_000, 15_000];
const HIDDEN_TRIES = 4;
const LONGEST_POLL_S = 10;
const MOST_EVENTS = 500;

/** @type {T.Snapshot} */
const NOTHING = frozen({ status: "starting", session: null, steps: [], events: [], problem: null, support: null });

export class ConnectError extends Error {
  status = 0;
  retryAfterS = 0;
  /** @type {string | null} */
  support = null;
  /** @type {Record<string, unknown>} */
  facts = {};

  /** @param {string} code @param {string} [message] @param {object} [more] */
  constructor(code, message = code, more) {
    super(message);
    this.code = code;
    Object.assign(this, more);
  }

  get isPassing() {
    return this.code === "no_answer" || /408|425|429|5../.test(String(this.status));
  }
}

/**
 * Make what a page needs for one session. Nothing happens before something subscribes or asks.
 *
 * @param {T.Settings} settings
 * @returns {T.Connect}
 */
export function createConnect(settings) {
  const page = pageOf(settings);
  return {
    subscribe: page.subscribe,
    getSnapshot: () => page.snapshot,
    getServerSnapshot: () => NOTHING,
    connect: page.open,
    followed: page.followed,
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
    ask: page.ask,
    createZap: (wish = {}) => page.ask("", "POST", "/zap", wish),
    refresh: page.refresh,
    close: page.close,
  };
}

/**
 * One session in one tab: its popups, what is still to be said of them, and what to show.
 *
 * @type {(settings: T.Settings) => T.Page}
 */
const pageOf = (settings) => {
  /** @type {T.PageState} */
  const my = {
    session: null,
    events: [],
    trouble: null,
    problems: new Map(),
    preparing: new Set(),
    popups: [],
    unsent: [],
    isSending: false,
    tries: 0,
    returnedAt: 0,
    subscribers: new Set(),
    life: null,
    timers: {},
  };
  const api = apiOf(settings.getToken);
  /** @type {T.Page} */
  const page = {
    snapshot: NOTHING,

    subscribe(heard) {
      const told = () => heard();
      my.subscribers.add(told);
      page.begin();
      return () => {
        my.subscribers.delete(told);
        page.later("rest", PAUSE_MS, () => {
          if (!my.subscribers.size && !my.unsent.length && !my.popups.some(isOpen)) page.close();
        });
      };
    },

    refresh() {
      page.close();
      page.begin();
    },

    begin() {
      if (my.life || typeof window === "undefined") return;
      const { signal } = (my.life = new AbortController());
      addEventListener("message", page.onMessage, { signal });
      addEventListener("focus", page.onReturn, { signal });
      addEventListener("online", page.wake, { signal });
      addEventListener("offline", follower.cut, { signal });
      addEventListener("pagehide", page.onLeaving, { signal });
      addEventListener("pageshow", ({ persisted }) => persisted && page.refresh(), { signal });
      document.addEventListener("visibilitychange", page.onVisibility, { signal });
      void follower.start(signal);
    },

    close() {
      my.life?.abort();
      my.life = null;
      api.rest();
      Object.values(my.timers).forEach(clearTimeout);
    },

    open(stepId) {
      const { link, connect } = page.snapshot.steps.find(({ id }) => id === stepId) ?? {};
      if (!connect) throw new ConnectError("illegal_signal");
      const earlier = page.popup(stepId);
      if (earlier && isOpen(earlier)) {
        earlier.handle?.focus();
        return true;
      }
      const isFresh = link && Date.parse(connect.fresh_until ?? "") > api.now();
      const handle = window.open(isFresh ? link : "about:blank", "_blank", "popup,width=1280,height=1024");
      const popup = page.opened(stepId, handle, isFresh || !handle);
      if (!handle) page.once(popup, "blocked");
      else if (isFresh) page.tell(popup);
      else void page.prepare(popup, handle);
      return handle !== null;
    },

    followed(stepId) {
      page.tell(page.opened(stepId, null, true));
    },

    say(stepId, kind) {
      const popup = page.popup(stepId, true);
      if (popup?.id) page.tell(popup, kind);
      if (kind === "cancelled") popup?.handle?.close();
    },

    opened(step, handle, isNamed) {
      const origin = page.step(step)?.connect?.message_origin ?? "";
      /** @type {T.Popup} */
      const popup = { id: isNamed ? newId() : "", step, origin, at: Date.now(), told: [], handle };
      my.popups.push(popup);
      my.problems.delete(step);
      page.watch();
      page.show();
      return popup;
    },

    async prepare(popup, handle) {
      handle.document.body.textContent = settings.waitingText ?? "One moment …";
      try {
        const { attempt_id, url } = await page.ask(popup.step, "POST", "/popup", {});
        popup.id = attempt_id;
        if (handle.closed || !isAddress(url)) page.tell(popup, "cancelled");
        else handle.location.replace(url);
      } catch {
        handle.close();
        page.forget(popup);
      }
    },

    watch() {
      const open = my.popups.filter(({ handle, told }) => handle && !told.includes("closed"));
      for (const popup of open) if (popup.id && !isOpen(popup)) page.once(popup, "closed");
      if (open.length) page.later("watch", WATCHED_EVERY_MS, page.watch);
    },

    onMessage({ origin, source, data }) {
      const ours = my.popups.filter((popup) => popup.id && popup.origin === origin);
      if (!ours.length || data?.type !== "zapier.popup.close") return;
      const own = ours.filter(({ handle }) => handle && handle === source);
      const sender = /** @type {Window} */ (source);
      const wasOpenedHere = sender?.parent === sender && sender.opener === window;
      const from = own.length || !wasOpenedHere ? own : ours.filter(({ handle }) => !handle);
      const id = from.length === 1 && data.authentication_id;
      for (const popup of from) {
        page.once(popup, "message", typeof id === "string" && USABLE_ID.test(id) ? id : "");
        popup.told.push("closed");
      }
      if (from.length) sender.close();
    },

    onVisibility() {
      follower.onVisibility();
      if (!document.hidden) page.onReturn();
    },

    onReturn() {
      if (page.snapshot.status === "token-expired") return page.refresh();
      page.wake();
      if (Date.now() - my.returnedAt < PAUSE_MS) return;
      my.returnedAt = Date.now();
      for (const { id, state } of my.session?.steps ?? []) {
        const popup = page.popup(id, true);
        if (!popup?.id || (popup.isKnown && state !== "awaiting-popup")) continue;
        popup.told.push("focus");
        page.tell(popup, "focus");
      }
    },

    onLeaving() {
      for (const signal of my.unsent) page.deliver(signal).catch(() => {});
      for (const { handle, id: attempt_id, step, at } of my.popups) {
        if (!attempt_id) handle?.close();
        else if (page.step(step)?.attempt?.id === attempt_id) {
          page.deliver({ step, attempt_id, at, kind: "closed" }, true).catch(() => {});
        }
      }
    },

    wake() {
      my.tries = 0;
      follower.wake();
      void page.send();
    },

    step(stepId) {
      return my.session?.steps.find(({ id }) => id === stepId);
    },

    popup(stepId, isOfAny = false) {
      const attempt = page.step(stepId)?.attempt;
      const own = my.popups.findLast(({ step, isKnown, id }) => step === stepId && (!isKnown || id === attempt?.id));
      if (own || !isOfAny || !attempt) return own;
      const at = Date.parse(attempt.opened_at) - api.skewMs;
      return { id: attempt.id, step: stepId, origin: "", at, told: [], isKnown: true };
    },

    forget(popup) {
      my.popups = my.popups.filter((other) => other !== popup);
      page.save();
      page.show();
    },

    once(popup, kind, id = "") {
      if (popup.told.includes(kind + id)) return;
      popup.told.push(kind + id);
      page.tell(popup, kind, id || undefined);
    },

    tell({ id: attempt_id, step, at }, kind, authentication_id) {
      my.unsent.push({ step, attempt_id, at, kind, authentication_id });
      page.save();
      page.show();
      void page.send();
    },

    async send() {
      if (my.isSending || !my.life) return;
      my.isSending = true;
      for (let signal; (signal = my.unsent[0]); my.tries = 0) {
        const { kind, attempt_id, step } = signal;
        const problem = await page.deliver(signal).then(page.learn, (error) => error);
        if (problem?.isPassing || problem?.status === 401) {
          if (page.report(problem)) page.later("send", waitMs(my.tries++, problem), page.send);
          break;
        }
        if (problem && problem.code !== "attempt_stale") my.problems.set(step, problem);
        my.unsent.shift();
        const popup = my.popups.find(({ id }) => id === attempt_id);
        if (popup && (kind === "blocked" || (problem && !kind))) page.forget(popup);
        else page.save();
      }
      my.isSending = false;
    },

    deliver({ attempt_id, step, at, kind, authentication_id }, gone) {
      const elapsed_ms = Math.max(0, Date.now() - at);
      const context = { visible: !document.hidden, focused: document.hasFocus(), elapsed_ms, gone };
      const body = kind ? { attempt_id, kind, authentication_id, context } : { attempt_id, elapsed_ms };
      return api.ask("POST", `/steps/${step}/popup${kind ? "/signals" : ""}`, { body, keepalive: true });
    },

    async ask(stepId, method, path, body) {
      my.problems.delete(stepId);
      if (/^.(app|auth)/.test(path)) my.preparing.add(stepId);
      page.show();
      try {
        const place = stepId && `/steps/${encodeURIComponent(stepId)}`;
        const answer = await api.ask(method, place + path, { body, key: newId() });
        page.learn(answer);
        return answer;
      } catch (error) {
        if (error instanceof ConnectError) my.problems.set(stepId, error);
        throw error;
      } finally {
        my.preparing.delete(stepId);
        page.show();
      }
    },

    get seen() {
      return my.events.at(-1)?.seq ?? 0;
    },

    learn(told) {
      my.trouble = null;
      /** @type {T.Told} */
      const { session, events = [] } = told.seq ? { session: told } : told;
      const news = events.filter(({ seq }) => seq > page.seen);
      if (news.length) my.events = [...my.events, ...news].slice(-MOST_EVENTS);
      if (session && session.seq >= (my.session?.seq ?? 0)) {
        my.session = session;
        my.popups.forEach(page.reconcile);
      }
      page.show();
    },

    reconcile(popup) {
      const step = page.step(popup.step);
      const isCurrent = step?.attempt?.id === popup.id;
      const isSettled = !step || SETTLED.test(step.state);
      popup.isKnown ||= isCurrent || page.heardOf("popup_opened", popup.id);
      if (!popup.isKnown || (isCurrent && !isSettled)) return;
      if (!isOpen(popup)) page.forget(popup);
      else if (isSettled) page.later(popup.id, CLOSED_AFTER_MS, () => popup.handle?.close());
    },

    heardOf(name, attempt) {
      return my.events.some((event) => event.name === name && event.data.attempt_id === attempt);
    },

    report(error) {
      if (!(error instanceof ConnectError)) throw error;
      my.trouble = error;
      page.show();
      return error.isPassing;
    },

    show() {
      const status = page.status();
      const now = api.now();
      const steps = (my.session?.steps ?? []).map((step) => page.view(step, status, now));
      const problem = my.trouble;
      const support = api.supportOf(problem);
      page.snapshot = frozen({ status, session: my.session, steps, events: my.events, problem, support });
      for (const heard of [...my.subscribers]) heard();
      const isCounting = my.subscribers.size && !document.hidden && steps.some((step) => step.next_check_in_s);
      if (isCounting) page.later("count", 1_000 - (now % 1_000), page.show);
    },

    status() {
      const session = my.session;
      const trouble = my.trouble;
      if (/created|expired|cancelled/.test(session?.status ?? "")) return "over";
      if (trouble?.isPassing) return "offline";
      if (trouble) return trouble.status === 401 ? "token-expired" : "refused";
      return session ? (session.credential.state === "active" ? "live" : "sign-in-needed") : "starting";
    },

    view(step, status, now) {
      const next = step.attempt?.next_check_at;
      const problem = my.problems.get(step.id) ?? null;
      return {
        ...step,
        show: page.shown(step, status),
        link: isAddress(step.connect?.url) ? step.connect.url : null,
        next_check_in_s: next ? Math.max(0, Math.ceil((Date.parse(next) - now) / 1_000)) : null,
        problem,
        support: api.supportOf(problem),
      };
    },

    shown(step, status) {
      const { id, state, reason, attempt } = step;
      const popup = page.popup(id);
      const isPending = popup && !popup.isKnown;
      if (!isPending && SETTLED.test(state)) return /** @type {T.Show} */ (state);
      if (status === "offline" || status === "token-expired" || status === "sign-in-needed") return status;
      if (my.preparing.has(id)) return "preparing";
      if (isPending || state === "awaiting-popup") {
        const told = String(popup?.told);
        if (/message[^,]/.test(told) || page.heardOf("message_received", attempt?.id)) return "confirming";
        if (isPending) return /^blocked/.test(told) ? "blocked" : "opening";
        return popup && isOpen(popup) && !told ? "waiting" : "checking";
      }
      if (state === "choose-app") return state;
      return reason ? /** @type {T.Show} */ (reason.replace("popup_", "").replaceAll("_", "-")) : "ready";
    },

    recall() {
      try {
        const kept = JSON.parse(sessionStorage.getItem(api.name) ?? "null");
        if (kept && !my.popups.length) {
          my.popups = kept.popups;
          my.unsent = kept.unsent;
          if (!document.hidden) page.later("return", PAUSE_MS, page.onReturn);
        }
      } catch {
        // Where nothing may be kept, a reload forgets.
      }
      void page.send();
    },

    save() {
      const popups = my.popups.filter(({ id }) => id).map((popup) => ({ ...popup, handle: null }));
      try {
        sessionStorage.setItem(api.name, JSON.stringify({ popups, unsent: my.unsent }));
      } catch {
        // The same.
      }
    },

    later(name, ms, then) {
      clearTimeout(my.timers[name]);
      my.timers[name] = setTimeout(then, ms);
    },
  };
  const follower = followerOf(api, page);
  return page;
};

/**
 * Speaks to the API for one session, with a token that is good.
 *
 * @type {(getToken: T.Settings["getToken"]) => T.Api}
 */
const apiOf = (getToken) => {
  /** @type {T.ApiState} */
  const my = { token: null, asked: null, timer: 0 };
  /** @type {T.Api} */
  const api = {
    skewMs: 0,
    sessionId: "",
    name: "",

    now() {
      return Date.now() + api.skewMs;
    },

    supportOf(problem) {
      return (problem?.status !== 401 && problem?.support) || api.sessionId || null;
    },

    rest() {
      clearTimeout(my.timer);
      my.token = null;
    },

    async token(refused) {
      if (my.token && my.token.token !== refused) return my.token;
      my.asked ??= api.demand().finally(() => (my.asked = null));
      return my.asked;
    },

    async demand() {
      const given = await Promise.resolve(getToken()).catch((error) => {
        const isOffline = error instanceof TypeError || !navigator.onLine;
        throw isOffline ? new ConnectError("no_answer", String(error)) : unusable(String(error));
      });
      const { token, session_id, api_url, expires_at, step_id } = given ?? {};
      if (typeof token !== "string" || typeof session_id !== "string" || !isAddress(api_url)) {
        throw unusable("getToken gave no client token");
      }
      if (api.sessionId && session_id !== api.sessionId) throw unusable("the token is for another session", 403);
      api.sessionId = session_id;
      api.name = `zapwright.${session_id}.${step_id}`;
      api.renewAfter((Date.parse(expires_at) - api.now()) * 0.8);
      return (my.token = given);
    },

    renewAfter(ms) {
      clearTimeout(my.timer);
      const renew = () => api.token(my.token?.token).catch(() => api.renewAfter(ms / 4));
      if (ms > PAUSE_MS) my.timer = setTimeout(renew, Math.min(ms, 2 ** 31 - 1));
    },

    async send(method, path, { body, key, keepalive, signal } = {}) {
      for (let refused; ;) {
        const { token, api_url } = await api.token(refused);
        const headers = {
          Authorization: `Bearer ${token}`,
          ...(body && { "Content-Type": "application/json" }),
          ...(key && method === "POST" && { "Idempotency-Key": key }),
        };
        const place = `${api_url.replace(/\/+$/, "")}/v1/sessions/${encodeURIComponent(api.sessionId)}${path}`;
        const answer = await fetch(place, {
          method,
          headers,
          body: body && JSON.stringify(body),
          keepalive,
          signal,
          credentials: "omit",
          cache: "no-store",
          redirect: "error",
          referrerPolicy: "no-referrer",
        }).catch((error) => {
          throw signal?.aborted ? error : new ConnectError("no_answer", error.message);
        });
        const date = Date.parse(answer.headers.get("Date") ?? "");
        if (Math.abs(date - api.now()) > 2_000) api.skewMs = date - Date.now();
        if (answer.ok) return answer;
        if (answer.status === 401 && !refused) refused = token;
        else {
          const { code = "route_not_found", detail, reference: support, facts } = await answer.json().catch(() => ({}));
          const retryAfterS = Number(answer.headers.get("Retry-After"));
          throw new ConnectError(code, detail, { status: answer.status, support, facts, retryAfterS });
        }
      }
    },

    async ask(method, path, asking) {
      const answer = await api.send(method, path, asking);
      return answer.json();
    },
  };
  return api;
};

/**
 * Follows the session: one tab by a connection of its own, the others by what that tab tells them.
 *
 * @type {(api: T.Api, page: T.Page) => T.Follower}
 */
const followerOf = (api, page) => {
  /** @type {T.FollowerState} */
  const my = {
    canStream: true,
    isLeading: false,
    isStealing: false,
    turn: null,
    connection: null,
    channel: null,
    silence: 0,
  };
  /** @type {T.Follower} */
  const follower = {
    wake: () => {},

    async start(life) {
      for (let tries = 0, isKnown = false; !isKnown; tries += 1) {
        try {
          isKnown = Boolean(await api.token());
        } catch (error) {
          if (life.aborted || !page.report(error)) return;
          await follower.pause(tries, life, error);
        }
      }
      if (life.aborted) return;
      page.recall();
      await follower.share(life).catch(() => {
        my.isLeading = true;
        return follower.follow(life);
      });
    },

    cut() {
      my.connection?.abort();
    },

    onVisibility() {
      my.isStealing = !document.hidden && !my.isLeading;
      (my.isStealing ? my.turn : my.connection)?.abort();
    },

    async share(life) {
      const channel = (my.channel = new BroadcastChannel(api.name));
      life.addEventListener("abort", () => channel.close());
      channel.onmessage = ({ data }) => follower.onWord(data);
      channel.postMessage(null);
      my.isStealing = !document.hidden;
      for (let isOver; !isOver && !life.aborted;) {
        const turn = (my.turn = new AbortController());
        const signal = AbortSignal.any([life, turn.signal]);
        const how = my.isStealing ? { steal: true } : { signal };
        my.isStealing = false;
        const led = async () => {
          my.isLeading = true;
          await follower.follow(signal);
          return !signal.aborted;
        };
        isOver = await navigator.locks.request(api.name, how, led).catch((error) => {
          if (error.name !== "AbortError") throw error;
        });
        my.isLeading = false;
        turn.abort();
      }
    },

    onWord(word) {
      clearTimeout(my.silence);
      my.silence = setTimeout(() => !document.hidden && follower.onVisibility(), SILENCE_MS);
      if (word) page.learn(word);
      else if (my.isLeading) my.channel?.postMessage({ ...page.snapshot, problem: null });
    },

    tell(told) {
      page.learn(told);
      my.channel?.postMessage(told);
    },

    async follow(signal) {
      for (let tries = 0; !signal.aborted && page.snapshot.status !== "over";) {
        const since = Date.now();
        try {
          const bye = await (my.canStream && !document.hidden ? follower.stream(signal) : follower.poll(signal));
          if (!my.canStream || Date.now() - since > PAUSE_MS) tries = 0;
          await follower.pause(document.hidden ? HIDDEN_TRIES : tries++, signal, bye);
        } catch (error) {
          if (signal.aborted || !page.report(error)) return;
          await follower.pause(tries++, signal, error);
        }
      }
    },

    pause(tries, signal, error) {
      return new Promise((done) => {
        follower.wake = () => done(null);
        signal.onabort = done;
        setTimeout(done, waitMs(tries, error));
      });
    },

    async poll(signal) {
      const after_seq = page.snapshot.session?.seq ?? 0;
      const session = await api.ask("GET", asked({ after_seq, wait_s: document.hidden ? 0 : LONGEST_POLL_S }), {
        signal,
      });
      const { events } = await api.ask("GET", `/events${asked({ after: page.seen })}`, { signal });
      follower.tell({ session, events });
    },

    async stream(turn) {
      const connection = (my.connection = new AbortController());
      const signal = AbortSignal.any([turn, connection.signal]);
      const cut = () => connection.abort();
      let isMute = false;
      let isCut = false;
      let hasSpoken = false;
      let silence = setTimeout(() => {
        isMute = true;
        cut();
      }, FIRST_FRAME_MS);
      let rest = "";
      try {
        const path = `/stream${asked({ after: page.seen, visible: !document.hidden })}`;
        const { body } = await api.send("GET", path, { signal });
        if (!body) throw new ConnectError("route_not_found");
        const reader = body.pipeThrough(new TextDecoderStream()).getReader();
        for (let read; !(read = await reader.read()).done; hasSpoken = true) {
          clearTimeout(silence);
          silence = setTimeout(cut, SILENCE_MS);
          const frames = (rest + read.value).split("\n\n");
          rest = frames.pop() ?? "";
          for (const frame of frames) {
            const { event, data, retry } = Object.fromEntries(frame.split("\n").map((line) => line.split(/: (.*)/, 2)));
            if (event === "session") follower.tell(JSON.parse(data));
            else if (event === "event") follower.tell({ events: [JSON.parse(data)] });
            else if (retry) return { retryAfterS: retry / 1_000 };
            else my.channel?.postMessage({});
          }
        }
      } catch (error) {
        if (isMute || error.code === "route_not_found") my.canStream = false;
        else if (!signal.aborted && !hasSpoken) throw error;
      } finally {
        clearTimeout(silence);
        isCut = signal.aborted;
        cut();
      }
      if (!isCut && my.canStream) return { retryAfterS: SPREAD_S * Math.random() };
    },
  };
  return follower;
};

/** @param {string} message */
function unusable(message, status = 401) {
  return new ConnectError("token_unusable", message, { status });
}

/** @param {number} tries @param {T.Waits | void} [told] */
function waitMs(tries, told) {
  return Math.max(Math.min(told?.retryAfterS || 0, 600) * 1_000, (WAITS_MS[tries] ?? 15_000) * (0.5 + Math.random()));
}

/** @param {T.Popup} popup */
function isOpen({ handle }) {
  return handle?.closed === false;
}

/** @param {unknown} text @returns {text is string} */
function isAddress(text) {
  return typeof text === "string" && /^https?:\/\//i.test(text);
}

function newId() {
  return crypto.getRandomValues(new Uint32Array(4)).join("-");
}

/** @param {object} given */
function asked(given) {
  const said = String(new URLSearchParams(JSON.parse(JSON.stringify(given))));
  return said && `?${said}`;
}

/** @template T @param {T} value @returns {T} */
function frozen(value) {
  if (typeof value !== "object" || value === null || Object.isFrozen(value)) return value;
  Object.values(value).forEach(frozen);
  return Object.freeze(value);
}
