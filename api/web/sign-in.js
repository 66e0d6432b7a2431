/**
 * Signs the user of a page in to Zapier: in a popup, or with the whole page. What comes of it shows in the session's
 * `credential`, whatever becomes of the popup; whoever follows the session, by connect.js or otherwise, is told.
 *
 * @import * as T from "../../clients/browser/types.js"
 */

const PATIENCE_MS = 20_000;
const BEGUN = "zapwright.sign-in";
const BROWSER = "zapwright_browser";
const OUTCOME = "zapwright_sign_in";

/**
 * Make what a page needs. Call it when the page loads: after `leave` it goes on from there.
 *
 * @param {T.SignInSettings} settings
 * @returns {T.SignIn}
 */
export function createSignIn({ getToken, newcomer, waitingText = "One moment …" }) {
  const subscribers = new Set();
  /** @type {Window | null} */
  let popup = null;
  /** @type {T.SignInSnapshot} */
  let snapshot = Object.freeze({ state: "idle", outcome: null });

  /** @param {T.SignInState} state @param {string | null} [outcome] */
  function show(state, outcome = null) {
    snapshot = Object.freeze({ state, outcome });
    for (const heard of [...subscribers]) heard();
  }

  /** @param {string} browser @param {string} [return_url] @returns {Promise<string>} where to go to sign in */
  async function begin(browser, return_url) {
    const { token, session_id, api_url } = await getToken();
    const answer = await fetch(`${base(api_url)}/v1/sessions/${encodeURIComponent(session_id)}/zapier-sign-in`, {
      method: "POST",
      headers: { Authorization: `Bearer ${token}`, "Content-Type": "application/json" },
      body: JSON.stringify({ browser, return_url, newcomer }),
      credentials: "omit",
      cache: "no-store",
      referrerPolicy: "no-referrer",
    });
    const told = await answer.json();
    if (!answer.ok) throw Object.assign(new Error(told.detail), { code: told.code });
    return told.url;
  }

  /** @param {Window} handle */
  async function lead(handle) {
    try {
      const { api_url } = await getToken();
      const named = heardFrom(handle, new URL(api_url).origin);
      handle.location.replace(`${base(api_url)}/zapier-sign-in?origin=${encodeURIComponent(location.origin)}`);
      const url = await begin(await named);
      handle.location.replace(url);
      if (popup === handle) show("waiting");
    } catch (error) {
      handle.close();
      if (popup === handle) show("failed", error.code ?? "no_answer");
    }
  }

  /** @param {Window} handle @param {string} origin @returns {Promise<string>} the browser's name, as our own page tells it */
  function heardFrom(handle, origin) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(Object.assign(new Error("no word from the popup"), { code: "popup_cut" })), PATIENCE_MS);
      addEventListener("message", function heard({ source, origin: from, data }) {
        if (source !== handle || from !== origin) return;
        if (data?.type === "zapwright.browser") {
          clearTimeout(timer);
          resolve(data.browser);
        } else if (data?.type === "zapwright.sign-in") {
          removeEventListener("message", heard);
          if (popup === handle) show(data.outcome === "signed_in" ? "signed-in" : "failed", data.outcome);
        }
      });
    });
  }

  /** Goes on where `leave` left. Only a page that left by itself does, whatever its address says. */
  async function arrive() {
    const here = new URL(location.href);
    const [browser, outcome] = [here.searchParams.get(BROWSER), here.searchParams.get(OUTCOME)];
    if (!browser && !outcome) return;
    here.searchParams.delete(BROWSER);
    here.searchParams.delete(OUTCOME);
    history.replaceState(history.state, "", here);
    const isOurs = noted(browser ? "1" : null);
    if (outcome && isOurs) show(outcome === "signed_in" ? "signed-in" : "failed", outcome);
    if (!browser || !isOurs) return;
    show("leaving");
    try {
      location.assign(await begin(browser, here.href));
    } catch (error) {
      show("failed", error.code ?? "no_answer");
    }
  }

  if (typeof window !== "undefined") void arrive();

  return {
    subscribe(heard) {
      const told = () => heard();
      subscribers.add(told);
      return () => subscribers.delete(told);
    },
    getSnapshot: () => snapshot,

    signIn() {
      popup?.close();
      popup = window.open("about:blank", "_blank", "popup,width=600,height=760");
      if (!popup) {
        show("blocked");
        return false;
      }
      popup.document.body.textContent = waitingText;
      show("opening");
      void lead(popup);
      return true;
    },

    async leave() {
      show("leaving");
      try {
        const { api_url } = await getToken();
        noted("1");
        location.assign(`${base(api_url)}/zapier-sign-in?return_url=${encodeURIComponent(location.href)}`);
      } catch (error) {
        show("failed", error.code ?? "no_answer");
      }
    },
  };
}

/** @param {string} url */
function base(url) {
  return url.replace(/\/+$/, "");
}

/**
 * Notes in this tab that it left to sign in, or that it is back.
 *
 * @param {string | null} left
 * @returns {boolean} whether that was noted before
 */
function noted(left) {
  try {
    const before = sessionStorage.getItem(BEGUN);
    if (left) sessionStorage.setItem(BEGUN, left);
    else sessionStorage.removeItem(BEGUN);
    return before !== null;
  } catch {
    return false; // Where nothing may be kept, a popup is the only way.
  }
}
