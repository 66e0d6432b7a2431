// @ts-check
/** The window in which a user signs in to Zapier: tells the page that opened it what it may know, and closes; or leads back. */

const CLOSES_AFTER_MS = 1_500;

const main = /** @type {HTMLElement} */ (document.querySelector("#sign-in"));
const { kind, tells = "", browser, back } = main.dataset;
const closer = /** @type {HTMLButtonElement | null} */ (document.querySelector("#close"));

// A message reaches a page of the named origin or nobody, whoever opened this window.
for (const origin of tells.split(" ").filter(Boolean)) {
  window.opener?.postMessage(browser ? { type: "zapwright.browser", browser } : { type: "zapwright.sign-in", outcome: kind }, origin);
}
if (closer) {
  closer.hidden = false;
  closer.addEventListener("click", () => window.close());
  if (kind === "signed_in") setTimeout(() => window.close(), CLOSES_AFTER_MS);
}
if (back) location.replace(back);
document.querySelector("h1")?.focus();

export {};
