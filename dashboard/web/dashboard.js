// What a page does by itself: dialogs, short cuts, forms without empty fields, and word that somebody is there.
// @ts-check

const AWAKE_MS = 60_000;
const LOST_MS = 2_000;
const PLACES = { o: "/", s: "/sessions", a: "/apps", d: "/deliveries", w: "/workers", u: "/audit" };

let toldAt = Date.now();
let isGoing = false;
let isPointing = false;
let wasLost = false;

/** @param {Event} event */
function isWriting(event) {
  return event.target instanceof Element && event.target.closest("input, select, textarea, dialog") !== null;
}

/** Leads whoever is not signed in any more to where they can be. Posted, it says that somebody is there. @param {string} method */
function ask(method) {
  fetch("/awake", { method }).then((answer) => {
    if (answer.status === 401 || answer.redirected) location.reload();
  }, () => undefined);
}

function tellSometimes() {
  if (Date.now() - toldAt < AWAKE_MS) return;
  toldAt = Date.now();
  ask("POST");
}

// A dashboard that was started anew knows nobody, and takes no connection of theirs: the page would wait for one for ever. And
// where there never was a connection, nobody else says that there is none.
setInterval(() => {
  const isLost = /** @type {any} */ (globalThis).socket?.connected === false;
  if (isLost && wasLost) {
    document.getElementById("popup")?.setAttribute("aria-hidden", "false");
    ask("GET");
  }
  wasLost = isLost;
}, LOST_MS);

addEventListener("pointermove", tellSometimes, { passive: true });
addEventListener("keydown", (event) => {
  tellSometimes();
  if (event.ctrlKey || event.metaKey || event.altKey || isWriting(event)) return;
  if (event.key === "/") {
    const search = document.querySelector("input[type=search]");
    if (search instanceof HTMLElement) {
      event.preventDefault();
      search.focus();
    }
  } else if (isGoing && event.key in PLACES) {
    location.assign(PLACES[/** @type {keyof typeof PLACES} */ (event.key)]);
  }
  isGoing = event.key === "g";
});

addEventListener("click", (event) => {
  if (!(event.target instanceof Element)) return;
  const opener = event.target.closest("[data-opens]");
  if (opener instanceof HTMLElement) {
    const dialog = document.getElementById(opener.dataset.opens ?? "");
    if (dialog instanceof HTMLDialogElement) dialog.showModal();
  }
  event.target.closest("[data-closes]")?.closest("dialog")?.close();
});

addEventListener("submit", (event) => {
  if (!(event.target instanceof HTMLFormElement) || event.target.method !== "get") return;
  for (const field of event.target.elements) {
    if ((field instanceof HTMLInputElement || field instanceof HTMLSelectElement) && field.value === "") field.disabled = true;
  }
});

// Who writes into the free field of a choice means that, and none of those offered above it.
addEventListener("input", (event) => {
  if (!(event.target instanceof HTMLInputElement) || event.target.type !== "text") return;
  const another = event.target.form?.querySelector(`input[type=radio][name="${event.target.name}"][value=""]`);
  if (another instanceof HTMLInputElement) another.checked = true;
});

// What is picked by pointer is looked for at once. By keyboard each arrow changes the value on the way to the one that is meant.
addEventListener("pointerdown", () => (isPointing = true), true);
addEventListener("keydown", () => (isPointing = false), true);
addEventListener("change", (event) => {
  if (isPointing && event.target instanceof HTMLSelectElement && event.target.form?.method === "get") event.target.form.requestSubmit();
});

/** To which state, and how wide, each drawing was scrolled: whoever scrolls on is left alone. @type {WeakMap<Element, string>} */
const scrolledTo = new WeakMap();

/** Where the machine is wider than the screen, bring the state that is lit into view. */
function showLit() {
  for (const drawing of document.querySelectorAll(".drawing")) {
    const lit = drawing.querySelector(".state.lit");
    const place = `${lit?.textContent} ${drawing.clientWidth}`;
    if (lit === null || drawing.clientWidth === 0 || scrolledTo.get(drawing) === place) continue;
    scrolledTo.set(drawing, place);
    const [box, frame] = [lit.getBoundingClientRect(), drawing.getBoundingClientRect()];
    drawing.scrollLeft += box.left + box.width / 2 - (frame.left + frame.width / 2);
  }
}

new MutationObserver(showLit).observe(document, { subtree: true, childList: true, attributeFilter: ["class"] });
addEventListener("toggle", showLit, true);
addEventListener("load", showLit);
addEventListener("resize", showLit);

addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
