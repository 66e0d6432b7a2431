// @ts-check
/** Signing in to Zapier as our own pages show it: one button, and what becomes of it. */

import { button } from "./builder-step.js";
import { h } from "./dom.js";

/** @type {Record<string, string>} */
const ENDINGS = {
  denied: "You did not allow it at Zapier. Nothing has changed.",
  code_refused: "That took too long at Zapier. Nothing has changed.",
  not_reached: "Zapier could not be asked. Nothing has changed.",
  answer_lost: "Zapier’s answer was lost.",
  token_refused: "What Zapier gave us, it does not accept.",
  client_refused: "Zapier does not accept how we ask. Only who runs this can change that.",
  client_missing: "Nobody has told this deployment how to sign in to Zapier.",
  popup_cut: "This page was cut off from the window.",
  no_answer: "There was no answer.",
};

/**
 * Describes what a user who must sign in to Zapier can do, and how far they are.
 *
 * @param {import("../../clients/browser/types.js").SignIn} signIn
 * @returns {import("./dom.js").Child}
 */
export function signInPanel(signIn) {
  const { state, outcome } = signIn.getSnapshot();
  const open = (/** @type {string} */ words, kind = "primary") => button(words, () => void signIn.signIn(), { kind, key: "sign-in" });
  switch (state) {
    case "blocked":
      return [
        h("p", {}, "Your browser blocked the window. This tab can go to Zapier instead, and comes back."),
        h("div", { class: "row" }, button("Go there in this tab", () => void signIn.leave(), { kind: "primary", key: "leave" }), open("Try the window again", "")),
      ];
    case "opening":
    case "leaving":
    case "signed-in":
      return h("p", { class: "row" }, h("span", { class: "spinner", "aria-hidden": "true" }), state === "signed-in" ? "Signed in. Going on …" : "One moment …");
    case "waiting":
      return [h("p", {}, "Sign in in the window that opened. This page notices by itself."), h("div", { class: "row" }, open("Open the window again", ""))];
    default:
      return [
        outcome && h("p", { role: "alert" }, ENDINGS[outcome] ?? outcome),
        h("div", { class: "row" }, open(outcome ? "Try again" : "Sign in to Zapier")),
      ];
  }
}
