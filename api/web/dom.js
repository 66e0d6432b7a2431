// @ts-check
/**
 * Draws what a page describes: elements are described whole each time, and only what differs is changed, so that focus,
 * selection and what a user is typing stay. Text is always text: nothing here, or in what uses it, parses HTML.
 */

const SVG = "http://www.w3.org/2000/svg";
const PROPERTIES = new Set(["value", "checked", "selected", "disabled", "hidden", "open"]);
const LONGEST_PRESS_MS = 3_000;

/**
 * @typedef {{tag: string, attributes: Record<string, any>, children: Described[]}} Element_
 * @typedef {Element_ | string} Described
 * @typedef {Described | number | null | undefined | false | Child[]} Child
 */

/** @type {WeakMap<Node, Described>} */
const drawn = new WeakMap();
/** @type {WeakMap<Node, Record<string, (event: any) => void>>} */
const listeners = new WeakMap();
/** @type {Map<Element, Described[]>} what is drawn as soon as nothing is pressed */
const held = new Map();
/** @type {ReturnType<typeof setTimeout> | undefined} there while a pointer is pressed, and we know of it */
let press;

globalThis.addEventListener?.("pointerdown", hold, true);
for (const end of ["pointerup", "pointercancel"]) globalThis.addEventListener?.(end, () => press && setTimeout(letGo), true);
globalThis.addEventListener?.("click", letGo, true);

/**
 * Describes an element. Among its attributes: `key` tells it from its siblings when these change places, `on` has a listener
 * by the name of its event, `vars` CSS variables. An attribute that is null, undefined or false is not there; true is there, empty.
 *
 * @param {string} tag
 * @param {Record<string, any>} [attributes]
 * @param {...Child} children
 * @returns {Element_}
 */
export function h(tag, attributes = {}, ...children) {
  return { tag, attributes, children: flat(children) };
}

/**
 * Makes a place hold exactly what is described. The element that had the focus keeps it while it is there.
 *
 * While a pointer is pressed (for three seconds at most: not every hand is quick) it waits, so that what was pressed is still
 * under it when it is released: a button that moved away because its press left a field, which then says what is wrong with it,
 * would not be clicked. Before anything hears of the click, what waited is drawn.
 *
 * @param {Element} place
 * @param {...Child} children
 */
export function draw(place, ...children) {
  if (press === undefined) put(place, flat(children));
  else held.set(place, flat(children));
}

function hold() {
  clearTimeout(press);
  press = setTimeout(letGo, LONGEST_PRESS_MS);
}

function letGo() {
  clearTimeout(press);
  press = undefined;
  for (const [place, wanted] of held) {
    held.delete(place);
    put(place, wanted);
  }
}

/** @param {Element} place @param {Described[]} wanted */
function put(place, wanted) {
  const focused = document.activeElement;
  reconcile(place, wanted);
  if (focused instanceof HTMLElement && focused.isConnected && document.activeElement !== focused) {
    focused.focus({ preventScroll: true });
  }
}

/** @param {Child[]} children @returns {Described[]} */
function flat(children) {
  return /** @type {any[]} */ (children)
    .flat(Infinity)
    .filter((child) => child !== null && child !== undefined && child !== false && child !== "")
    .map((child) => (typeof child === "number" ? String(child) : child));
}

/** @param {Element} place @param {Described[]} wanted */
function reconcile(place, wanted) {
  /** @type {Map<string, ChildNode[]>} */
  const kept = new Map();
  for (const node of [...place.childNodes]) {
    const name = nameOf(drawn.get(node));
    kept.set(name, [...(kept.get(name) ?? []), node]);
  }
  /** @type {ChildNode | null} */
  let next = place.firstChild;
  for (const child of wanted) {
    const node = kept.get(nameOf(child))?.shift() ?? made(child, place);
    update(node, child);
    if (node === next) next = node.nextSibling;
    else place.insertBefore(node, next);
  }
  for (const nodes of kept.values()) for (const node of nodes) node.remove();
}

/** @param {Described | undefined} child */
function nameOf(child) {
  if (child === undefined) return "foreign";
  return typeof child === "string" ? "text" : `${child.tag} ${child.attributes.key ?? ""}`;
}

/** @param {Described} child @param {Element} place @returns {ChildNode} */
function made(child, place) {
  if (typeof child === "string") return document.createTextNode("");
  const drawing = child.tag === "svg" || (place.namespaceURI === SVG && place.tagName !== "foreignObject");
  return drawing ? document.createElementNS(SVG, child.tag) : document.createElement(child.tag);
}

/** @param {ChildNode} node @param {Described} child */
function update(node, child) {
  const before = drawn.get(node);
  drawn.set(node, child);
  if (typeof child === "string") {
    if (before !== child) node.textContent = child;
    return;
  }
  const element = /** @type {HTMLElement} */ (node);
  reconcile(element, child.children);
  const had = before === undefined || typeof before === "string" ? {} : before.attributes;
  for (const name of new Set([...Object.keys(had), ...Object.keys(child.attributes)])) {
    change(element, name, had[name], child.attributes[name]);
  }
}

/** @param {HTMLElement} element @param {string} name @param {any} before @param {any} now */
function change(element, name, before, now) {
  if (name === "key") return;
  if (name === "on") listen(element, now ?? {});
  else if (name === "vars") for (const [variable, value] of Object.entries(now ?? {})) element.style.setProperty(variable, value);
  else if (PROPERTIES.has(name)) set(element, name, before, now ?? (name === "value" ? "" : false));
  else if (before === now) return;
  else if (now === null || now === undefined || now === false) element.removeAttribute(name);
  else element.setAttribute(name, now === true ? "" : String(now));
}

/** What is typed stays until something else is described; what is chosen is always what is described.
 * @param {any} element @param {string} name @param {any} before @param {any} now */
function set(element, name, before, now) {
  const typed = name === "value" && element.tagName !== "SELECT";
  if (typed ? before !== now : element[name] !== now) element[name] = now;
}

/** @param {HTMLElement} element @param {Record<string, (event: any) => void>} now */
function listen(element, now) {
  const before = listeners.get(element);
  listeners.set(element, now);
  for (const name of Object.keys(now)) {
    if (before === undefined || !(name in before)) element.addEventListener(name, heard);
  }
}

/** @this {EventTarget} @param {Event} event */
function heard(event) {
  listeners.get(/** @type {Node} */ (this))?.[event.type]?.(event);
}
