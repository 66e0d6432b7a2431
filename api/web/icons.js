// @ts-check
/** Small drawings, in the colour of the text around them. */

import { h } from "./dom.js";

/** @type {Record<string, string>} */
const PATHS = {
  up: "M12 19V5M6 11l6-6 6 6",
  down: "M12 5v14M6 13l6 6 6-6",
  remove: "M5 7h14M10 7V4h4v3M7 7l1 13h8l1-13M10 11v5M14 11v5",
  add: "M12 5v14M5 12h14",
  tick: "M5 13l4.5 4.5L19 7",
  away: "M14 4h6v6M20 4l-9 9M18 14v6H4V6h6",
};

/**
 * Describes a drawing.
 *
 * @param {string} name
 */
export function icon(name) {
  return h("svg", { viewBox: "0 0 24 24", width: "1em", height: "1em", "aria-hidden": "true", class: "drawing" }, h("path", { d: PATHS[name] }));
}
