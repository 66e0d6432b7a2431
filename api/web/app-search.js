// @ts-check
/**
 * A field that finds an app: a combobox with a list, as the ARIA practices have it. It holds nothing: what is typed and found
 * is in the `Search` its caller keeps, so that it is drawn again with everything else.
 */

import { h } from "./dom.js";
import { problemInWords } from "./builder-words.js";

const PATIENCE_MS = 180;

/**
 * @typedef {{id: string, title: string, image: string | null, hex_color: string | null, description: string, needs_authentication: boolean}} App
 * @typedef {object} Search
 * @property {string} query
 * @property {boolean} open
 * @property {number} active index of the option that Enter takes, -1 for none
 * @property {App[] | null} found null before the first answer
 * @property {string | null} problem
 * @property {boolean} looking
 * @property {number} asked counts what was asked, so that a late answer to an earlier question is passed over
 * @property {ReturnType<typeof setTimeout> | undefined} timer
 */

/** @returns {Search} */
export function newSearch() {
  return { query: "", open: false, active: -1, found: null, problem: null, looking: false, asked: 0, timer: undefined };
}

/**
 * Describes the field and, while it is open, its list.
 *
 * @param {Search} search
 * @param {object} options
 * @param {string} options.id of the field; its parts' ids begin with it
 * @param {string} options.label
 * @param {(query: string) => Promise<App[]>} options.find
 * @param {(app: App) => void} options.choose
 * @param {() => void} options.redraw called whenever `search` has changed
 */
export function appSearch(search, { id, label, find, choose, redraw }) {
  const look = async () => {
    const asked = ++search.asked;
    const { query } = search;
    search.looking = true;
    redraw();
    try {
      const found = await find(query);
      if (asked !== search.asked) return;
      Object.assign(search, { found, problem: null, active: found.length > 0 && query !== "" ? 0 : -1 });
    } catch (error) {
      if (asked !== search.asked) return;
      Object.assign(search, { problem: problemInWords(error), active: -1 });
    }
    search.looking = false;
    redraw();
  };
  const open = () => {
    if (search.open) return;
    search.open = true;
    if (search.found === null && !search.looking) void look();
    else redraw();
  };
  const close = () => {
    Object.assign(search, { open: false, active: -1 });
    redraw();
  };
  /** @param {App} app */
  const take = (app) => {
    clearTimeout(search.timer);
    Object.assign(search, newSearch(), { asked: search.asked + 1 });
    choose(app);
  };
  /** @param {number} to */
  const go = (to) => {
    const count = search.found?.length ?? 0;
    if (count === 0) return;
    search.active = (to + count) % count;
    redraw();
    document.getElementById(`${id}-${search.active}`)?.scrollIntoView({ block: "nearest" });
  };
  /** @type {Record<string, () => void>} */
  const keys = {
    ArrowDown: () => (search.open ? go(search.active + 1) : open()),
    ArrowUp: () => (search.open ? go(search.active < 0 ? -1 : search.active - 1) : open()),
    Escape: () => (search.open ? close() : undefined),
    Enter: () => {
      const app = search.open ? search.found?.[search.active] : undefined;
      if (app) take(app);
      else open();
    },
  };
  return h(
    "div",
    { class: "search" },
    h(
      "label",
      { class: "field" },
      h("span", {}, label),
      h("input", {
        id,
        type: "text",
        role: "combobox",
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
        placeholder: "Search apps",
        "aria-autocomplete": "list",
        "aria-expanded": String(search.open),
        "aria-controls": `${id}-list`,
        "aria-activedescendant": search.open && search.active >= 0 ? `${id}-${search.active}` : null,
        value: search.query,
        on: {
          focus: open,
          click: open,
          blur: () => search.open && close(),
          input: (/** @type {{target: HTMLInputElement}} */ { target }) => {
            // Until the answer to this is there, Enter takes nothing: what is shown answers something else.
            Object.assign(search, { query: target.value, open: true, active: -1, looking: true, asked: search.asked + 1 });
            clearTimeout(search.timer);
            search.timer = setTimeout(() => void look(), PATIENCE_MS);
            redraw();
          },
          keydown: (/** @type {KeyboardEvent} */ event) => {
            if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey || !(event.key in keys)) return;
            event.preventDefault();
            keys[event.key]?.();
          },
        },
      }),
    ),
    search.looking && h("span", { class: "spinner", "aria-hidden": "true" }),
    list(search, id, label, take),
    h("p", { class: "unseen", role: "status" }, search.open ? told(search) : ""),
  );
}

/** @param {Search} search @param {string} id @param {string} label @param {(app: App) => void} take */
function list(search, id, label, take) {
  const found = search.found ?? [];
  return h(
    "div",
    { class: "found", hidden: !search.open },
    search.problem && h("p", { class: "note", "data-tone": "bad" }, search.problem),
    search.found === null && !search.problem && h("div", { class: "skeleton" }),
    search.found?.length === 0 && !search.problem && h("p", { class: "soft nothing" }, `No app is called “${search.query}”.`),
    h(
      "ul",
      { id: `${id}-list`, role: "listbox", "aria-label": label, "aria-busy": search.looking ? "true" : null, on: { mousedown: (/** @type {Event} */ event) => event.preventDefault() } },
      found.map((app, index) =>
        h(
          "li",
          {
            key: app.id,
            id: `${id}-${index}`,
            role: "option",
            "aria-selected": String(index === search.active),
            on: { click: () => take(app) },
          },
          h("span", { class: "app" }, picture(app), h("b", {}, app.title)),
          h("span", { class: "soft small about" }, app.needs_authentication ? app.description : `${app.description} · no account needed`),
        ),
      ),
    ),
  );
}

/** @param {Search} search */
function told({ problem, looking, found }) {
  if (problem) return problem;
  if (looking || found === null) return "Searching";
  return found.length === 1 ? "1 app" : `${found.length} apps`;
}

/**
 * Describes an app's picture; its initial stands where there is none, or it does not come.
 *
 * @param {{title: string, image: string | null, hex_color: string | null}} app
 */
export function picture({ title, image }) {
  return h(
    "span",
    { class: "picture", "aria-hidden": "true" },
    [...title][0]?.toUpperCase() ?? "?",
    image &&
      h("img", {
        key: image,
        src: image,
        alt: "",
        decoding: "async",
        referrerpolicy: "no-referrer",
        on: { error: (/** @type {{target: HTMLElement}} */ { target }) => (target.hidden = true) },
      }),
  );
}
