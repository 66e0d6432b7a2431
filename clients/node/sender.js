import { BY_STATUS, NoAnswerError, ProblemError, UnexpectedAnswerError } from "./errors.js";

const PROBLEM = "application/problem+json";
const POLLED_S = 20;
const SECONDS = /^\s*\d+(\.\d*)?\s*$/;
const DAY = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)/; // or `Date.parse` would read much that is no date
const NEVER_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "UND_ERR_CONNECT_TIMEOUT"]);

/**
 * @typedef {object} Route
 * @property {string} method
 * @property {string} path
 * @property {string[]} [query]
 * @property {string[]} [body]
 * @property {boolean} [keyed] It takes an idempotency key.
 */

/**
 * @typedef {object} Options
 * @property {string} [idempotencyKey] What a POST is recognised by when it comes again; by default a new one each time.
 * @property {number} [ifMatch] Write only if the session is at this sequence number.
 * @property {AbortSignal} [signal] Gives the call up.
 */

/**
 * @typedef {object} Patience How often a call is sent, and how long is waited in between.
 * @property {number} tries
 * @property {number} firstWaitS
 * @property {number} longestWaitS
 */

/**
 * @typedef {object} Settings
 * @property {string} url Where the API is.
 * @property {string} key An API key, or a client token; it never shows.
 * @property {number} [timeoutS] How long an answer may take, beside what a long poll waits on purpose.
 * @property {Partial<Patience>} [patience]
 * @property {typeof globalThis.fetch} [fetch]
 * @property {(seconds: number, signal?: AbortSignal) => Promise<void>} [sleep]
 */

/** Sends calls, and sends them again where that is safe and may help. */
export class Sender {
  #key;
  #url;
  #timeoutS;
  #patience;
  #fetch;
  #sleep;

  /**
   * Throws TypeError for what cannot be an address or a key.
   *
   * @param {Settings} settings
   */
  constructor({ url, key, timeoutS = 30, patience = {}, fetch = globalThis.fetch, sleep = slept }) {
    if (!/^https?:\/\//.test(url)) {
      throw new TypeError(`${url} is no address of an API: it begins with http:// or https://`);
    }
    if (!/^[!-~]+$/.test(key)) {
      throw new TypeError("the key is empty, or has characters that no key has, such as the end of a line");
    }
    this.#url = url.replace(/\/+$/, "");
    this.#key = key;
    this.#timeoutS = timeoutS;
    this.#patience = { tries: 4, firstWaitS: 0.2, longestWaitS: 10, ...patience };
    this.#fetch = fetch;
    this.#sleep = sleep;
  }

  /**
   * Send a call, again where that is safe, and return its answer. Rejects with ZapwrightError, and with TypeError for
   * what the route does not take.
   *
   * @protected
   * @param {Route} route
   * @param {object} given
   * @param {Options} options
   * @returns {Promise<any>}
   */
  async send(route, given, options) {
    const { url, body, waitsS } = written(route, new Map(Object.entries(given)));
    const headers = this.#headers(route, options, body !== undefined);
    for (let tried = 1; ; tried += 1) {
      try {
        return await this.#once(route, `${this.#url}${url}`, { headers, body, waitsS, signal: options.signal });
      } catch (error) {
        const waitS = this.#waitS(error, { tried, repeatable: isRepeatable(route, options) });
        if (waitS === null) throw error;
        await this.#sleep(waitS, options.signal);
      }
    }
  }

  /**
   * Wait at least so long.
   *
   * @protected
   * @param {number} seconds
   * @param {AbortSignal} [signal]
   */
  rest(seconds, signal) {
    return this.#sleep(seconds, signal);
  }

  /**
   * @param {Route} route
   * @param {Options} options
   * @param {boolean} hasBody
   */
  #headers({ keyed }, { idempotencyKey, ifMatch }, hasBody) {
    return {
      Authorization: `Bearer ${this.#key}`,
      ...(hasBody && { "Content-Type": "application/json" }),
      ...(keyed && { "Idempotency-Key": idempotencyKey ?? crypto.randomUUID() }),
      ...(ifMatch !== undefined && { "If-Match": `"${ifMatch}"` }),
    };
  }

  /**
   * @param {Route} route
   * @param {string} url
   * @param {{ headers: Record<string, string>, body?: string, waitsS: number, signal?: AbortSignal }} request
   */
  async #once({ method, path }, url, { headers, body, waitsS, signal }) {
    const limit = AbortSignal.timeout((this.#timeoutS + waitsS) * 1000);
    const either = signal ? AbortSignal.any([signal, limit]) : limit;
    let answer, text;
    try {
      answer = await this.#fetch(url, { method, headers, body, signal: either, redirect: "manual" });
      text = await answer.text();
    } catch (cause) {
      if (signal?.aborted || !isOfTheNetwork(cause)) throw cause;
      throw noAnswer(cause);
    }
    return read(answer, text, `${method} ${path}`);
  }

  /**
   * @param {unknown} error
   * @param {{ tried: number, repeatable: boolean }} what
   * @returns {number | null}
   */
  #waitS(error, { tried, repeatable }) {
    const { tries, firstWaitS, longestWaitS } = this.#patience;
    if (tried >= tries) return null;
    const backoffS = Math.min(longestWaitS, firstWaitS * 2 ** (tried - 1)) * (0.5 + Math.random() / 2);
    if (error instanceof NoAnswerError && (repeatable || !error.wasSent)) return backoffS;
    const isForNow = error instanceof ProblemError && (error.status === 503 || error.code === "idempotency_in_flight");
    if (!isForNow || !repeatable) return null;
    const waitS = error.retryAfterS ?? backoffS;
    return waitS <= longestWaitS ? waitS : null;
  }
}

/**
 * The POSTs have keys. All others mean the same twice, but for one that wants a sequence number: once carried out it
 * would be refused.
 *
 * @param {Route} route
 * @param {Options} options
 */
function isRepeatable({ method, keyed }, { ifMatch }) {
  return keyed || (method !== "POST" && ifMatch === undefined);
}

/**
 * @param {Route} route
 * @param {Map<string, unknown>} given
 */
function written({ method, path, query = [], body = [] }, given) {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => String(name));
  for (const name of given.keys()) {
    if (![...inPath, ...query, ...body].includes(name)) throw new TypeError(`${method} ${path} takes no ${name}`);
  }
  const place = path.replace(/\{(\w+)\}/g, (_, name) => part(name, given.get(name)));
  const asked = new URLSearchParams(said(query, given).map(([name, value]) => [name, String(value)]));
  return {
    url: asked.size ? `${place}?${asked}` : place,
    body: body.length ? JSON.stringify(Object.fromEntries(said(body, given))) : undefined,
    waitsS: given.get("after_seq") == null ? 0 : Number(given.get("wait_s") ?? POLLED_S),
  };
}

/**
 * @param {string[]} names
 * @param {Map<string, unknown>} given
 * @returns {Array<[string, unknown]>}
 */
function said(names, given) {
  return names.filter((name) => given.get(name) != null).map((name) => [name, given.get(name)]);
}

/**
 * @param {string} name
 * @param {unknown} value
 */
function part(name, value) {
  if (Number.isSafeInteger(value)) return String(value);
  if (typeof value !== "string" || ["", ".", ".."].includes(value)) {
    throw new TypeError(`${name} cannot be ${JSON.stringify(value)}: it stands in a path`);
  }
  return encodeURIComponent(value);
}

/**
 * @param {Response} answer
 * @param {string} text
 * @param {string} route
 */
function read(answer, text, route) {
  const mediaType = (answer.headers.get("Content-Type") ?? "").split(";")[0];
  const reference = answer.headers.get("Zapwright-Reference");
  const facts = { status: answer.status, reference };
  if (answer.ok && mediaType === "text/plain") return text;
  if (answer.ok && text === "") return undefined;
  if (!answer.ok && mediaType !== PROBLEM) {
    throw new UnexpectedAnswerError(`${route} was not answered by Zapwright`, facts);
  }
  let document;
  try {
    document = JSON.parse(text);
  } catch (cause) {
    throw new UnexpectedAnswerError(`${route} was not answered with JSON`, { ...facts, cause });
  }
  if (answer.ok) return document;
  if (typeof document?.code !== "string") throw new UnexpectedAnswerError(`${route} was answered with no problem`, facts);
  throw new (BY_STATUS.get(answer.status) ?? ProblemError)(document, waitAskedS(answer.headers));
}

/**
 * Read a `Retry-After` (RFC 9110, 10.2.3): seconds, the most of several, or a date, seen from the answer's own. Null for
 * what is neither.
 *
 * @param {Headers} headers
 */
function waitAskedS(headers) {
  const said = headers.get("Retry-After") ?? "";
  const seconds = said.split(",");
  if (seconds.every((one) => SECONDS.test(one))) return Math.max(...seconds.map(Number));
  const waitS = (dateOf(said) - dateOf(headers.get("Date") ?? "")) / 1000;
  return Number.isNaN(waitS) ? null : Math.max(0, waitS);
}

/** @param {string} value */
function dateOf(value) {
  return DAY.test(value) ? Date.parse(value.endsWith("GMT") ? value : `${value} GMT`) : NaN;
}

/**
 * Tell what the network did, and the time limit, from what was wrong about the call itself.
 *
 * @param {unknown} cause
 */
function isOfTheNetwork(cause) {
  return cause instanceof Error && (cause.cause !== undefined || cause.name === "TimeoutError");
}

/** @param {unknown} cause */
function noAnswer(cause) {
  const inner = /** @type {{ code?: string, errors?: Array<{ code?: string }> } | undefined} */ (
    cause instanceof Error ? cause.cause : undefined
  );
  const codes = inner?.errors?.map(({ code }) => code) ?? [inner?.code];
  const wasSent = !codes.every((code) => code !== undefined && NEVER_SENT.has(code));
  return new NoAnswerError(String(codes[0] ?? (cause instanceof Error ? cause.name : cause)), { wasSent, cause });
}

/**
 * @param {number} seconds
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
function slept(seconds, signal) {
  return new Promise((resolve, reject) => {
    const given_up = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", given_up);
      resolve();
    }, seconds * 1000);
    signal?.addEventListener("abort", given_up, { once: true });
  });
}
