// @ts-check
/**
 * A step's inputs as a form: it draws whatever the action asks for, and shows what is wrong where it is wrong. Descriptions come
 * from the app's developer, so here they are text and nothing else.
 */

import { draw, h } from "./dom.js";
import { asText, createFilling, draftOf, inputsOf, inserted, isMapped, mapped, outputInWords, piecesOf, valueOf } from "./filling.js";
import { createTest } from "./step-test.js";

/**
 * @import { Choice, FieldFlaw, FormField, FormPart, Output } from "../../clients/node/shapes.js"
 * @import { Connect } from "../../clients/browser/types.js"
 *
 * @typedef {object} Settings
 * @property {Connect} connect of the session
 * @property {string} stepId of a step that has its account and its action
 * @property {boolean} [tests] whether the step can be tried out, which really carries it out
 * @property {() => void} [changed] called whenever `describe` would give something else
 * @property {(error: any) => string} [words] what to say of an error
 *
 * @typedef {object} Form
 * @property {(place: Element) => () => void} mount Draws the form there, now and whenever it changes; returns how to end that.
 * @property {(options?: {locked?: boolean}) => import("./dom.js").Described | null} describe The form for pages that draw by
 *   dom.js. Reads the fields when it is first asked, and again when the step's action, account or inputs were changed elsewhere.
 * @property {(problems: FieldFlaw[]) => void} flawed Shows what creating the Zap found wrong with this step's fields, each until
 *   its field is changed; from then on empty required fields are told of, too.
 * @property {() => Lack[] | null} lacks What of what was sent is not yet as it must be; null while the fields are not known.
 * @property {() => Promise<boolean>} settled Resolves when everything filled in was sent; false: it could not be.
 *
 * @typedef {{field: string, title: string, isEmpty: boolean}} Lack A field that is empty and must not be, or holds what it may not.
 *
 * @typedef {object} Control One thing to fill: a field, or an item of one.
 * @property {string} id
 * @property {string} name
 * @property {FormField} field
 * @property {string | null} type
 * @property {any} value
 * @property {(value: any, isDone: boolean) => void} set
 * @property {Record<string, any>} aria
 * @property {boolean} labelled a label of the page names it already
 */

const PATIENCE_MS = 180;
const KEPT_ENTITIES = /** @type {Record<string, string>} */ ({ amp: "&", lt: "<", gt: ">", quot: '"', apos: "'", nbsp: " " });

/**
 * Makes the form of a step.
 *
 * @param {Settings} settings
 * @returns {Form}
 */
export function createForm({ connect, stepId, tests = false, changed = () => {}, words = (error) => error.message }) {
  const my = {
    caret: { id: "", piece: 0, place: 0 },
    taking: { id: "", choice: "" }, // the control that is being given an output
    numbers: /** @type {Map<string, number>} */ (new Map()),
    places: /** @type {Set<() => void>} */ (new Set()),
  };

  const show = () => {
    for (const again of my.places) again();
    changed();
  };
  const filling = createFilling({ connect, stepId, words, changed: show });
  const { filled, step, earlier, look, read, send, fill, done, given, nameOf, isGiven, readOutputs, pickerOf, find, isUnnamed } = filling;

  const test = tests ? createTest({ connect, stepId, filling, words, changed: show }) : null;

  // ---------------------------------------------------------------------------------------------- the form

  /** @type {Form["describe"]} */
  const describe = ({ locked = false } = {}) => {
    const now = step();
    if (!now?.action || !/^(resolved|no-auth-required)$/.test(now.state)) return null;
    look(now);
    const { answer } = filled;
    const known = new Set(answer ? inputsOf(answer.fields).map(({ id }) => id) : []);
    const isComing = answer === null && !filled.trouble;
    const others = isComing ? [] : [...(answer?.problems ?? []), ...filled.told].filter(({ field }) => !known.has(field));
    return h(
      "fieldset",
      { key: `form-${stepId}`, class: "form", disabled: locked, "aria-label": `Fields of step ${now.position + 1}`, "aria-busy": filled.sending ? "true" : null },
      filled.trouble &&
        h(
          "div",
          { key: "trouble", class: "note", "data-tone": "bad", role: "alert" },
          h("p", {}, sentence(filled.trouble)),
          h("div", { class: "row" }, plain("Try again", () => (filled.unsent.size > 0 ? void send() : void read()))),
        ),
      others.map(({ field, detail }) => h("p", { key: `other ${field} ${detail}`, class: "flaw", role: "alert" }, `${field}: ${sentence(detail)}`)),
      isComing && h("div", { key: "loading", class: "skeleton" }),
      answer && answer.fields.some(isAnyRequired) && h("p", { key: "legend", class: "soft small" }, "Fields with ", h("span", { class: "flaw" }, "*"), " must be filled."),
      answer?.fields.map(part),
      h("p", { key: "said", class: "soft small", role: "status" }, filled.said),
      answer && !locked && test?.(),
    );
  };

  /** @param {FormPart | FormField} one @returns {import("./dom.js").Child} */
  const part = (one) => {
    if (one.kind === "input") return field(/** @type {FormField} */ (one));
    if (one.kind === "info") return h("p", { key: `info ${one.id}`, class: "soft small info" }, inText(one.description));
    return h(
      "fieldset",
      { key: `set ${one.id}`, class: "set" },
      h("legend", {}, one.title),
      one.description && h("p", { class: "soft small info" }, inText(one.description)),
      /** @type {FormPart} */ (one).fields.map(part),
    );
  };

  /** @param {string} id of a field, which may be anything */
  const place = (id) => {
    if (!my.numbers.has(id)) my.numbers.set(id, my.numbers.size);
    return `${stepId}-field-${my.numbers.get(id)}`;
  };

  /** What is said of a field is said of a value: of one that was not judged yet, nothing is. @param {FormField} one */
  const flawsOf = (one) => {
    const { answer, drafts, pickers } = filled;
    if (pickers.get(one.id)?.left) return []; // the control says so itself
    if (isUnnamed(one)) return ["A value that has no name is not kept. Name it, or remove it."];
    if (drafts.has(one.id) && JSON.stringify(valueOf(one, drafts.get(one.id))) !== JSON.stringify(answer?.inputs[one.id] ?? null)) return [];
    const said = [...(answer?.problems ?? []), ...filled.told].filter(({ field: id, code }) => id === one.id && (code !== "required" || filled.isAsked || filled.touched.has(id)));
    return [...new Set(said.map(({ detail }) => sentence(detail)))];
  };

  /** @param {FormField} one */
  const hintsOf = (one) => {
    const { inputs = {}, fields = [] } = filled.answer ?? {};
    const wanted = inputsOf(fields).filter(({ id }) => one.depends_on.includes(id) && inputs[id] === undefined);
    return [
      one.description && inText(one.description),
      one.format === "DATETIME" && "A date or a moment, such as 2026-11-25T14:00:00Z",
      one.format === "READONLY" && "Only shown: nothing can be filled in here",
      one.format === "FILE" && "The http or https address of a file",
      one.default && `Zapier suggests: ${one.default}`,
      wanted.length > 0 && `First fill: ${wanted.map(({ title }) => title).join(", ")}`,
    ].filter(Boolean);
  };

  /** @param {FormField} one */
  const field = (one) => {
    const id = place(one.id);
    const flaws = flawsOf(one);
    const hints = hintsOf(one);
    const described = [hints.length > 0 && `${id}-hint`, flaws.length > 0 && `${id}-flaw`].filter(Boolean).join(" ");
    const aria = { "aria-describedby": described || null };
    const state = { "aria-invalid": flaws.length > 0 ? "true" : null, "aria-required": one.is_required ? "true" : null };
    const draft = filled.drafts.has(one.id) ? filled.drafts.get(one.id) : draftOf(one, filled.answer?.inputs[one.id]);
    const set = (/** @type {any} */ value, /** @type {boolean} */ isDone) => fill(one, value, isDone);
    const isList = (one.value_type === "ARRAY" || one.value_type === "OBJECT") && one.format !== "READONLY" && !isMapped(draft);
    const title = [one.title || one.id, one.is_required && h("span", { class: "flaw", "aria-hidden": "true" }, " *")];
    const more = [
      hints.length > 0 && h("div", { key: "hint", id: `${id}-hint`, class: "soft small" }, hints.map((hint, index) => h("p", { key: String(index) }, hint))),
      flaws.length > 0 && h("div", { key: "flaw", id: `${id}-flaw`, class: "flaw small" }, flaws.map((flaw) => h("p", { key: flaw }, flaw))),
    ];
    const on = {
      focusout: (/** @type {{currentTarget: Element, relatedTarget: Node | null}} */ { currentTarget, relatedTarget }) => {
        if (!currentTarget.contains(relatedTarget)) done(one.id);
        if (!filled.touched.has(one.id)) {
          filled.touched.add(one.id);
          show();
        }
      },
    };
    if (isList) {
      const list = one.value_type === "ARRAY" ? items : pairs;
      return h("fieldset", { key: `list ${one.id}`, class: "list", "data-field": one.id, on, ...aria }, h("legend", {}, title), list(one, id, draft, set, state), more);
    }
    const control = { id, name: one.title || one.id, field: one, type: one.value_type, value: draft, set, aria: { ...aria, ...state }, labelled: true };
    return h(
      "div",
      { key: `field ${one.id}`, class: "field", "data-field": one.id, on },
      isMapped(draft) && !isText(one.value_type, one) ? h("span", { id: `${id}-label` }, title) : h("label", { for: id, id: `${id}-label` }, title),
      one.format === "READONLY" ? h("output", { id, ...aria }, asText(draft) || "–") : single(control),
      more,
    );
  };

  /** @param {FormField} one @param {string} id @param {any[]} draft @param {(value: any, isDone: boolean) => void} set @param {Record<string, any>} state */
  const items = (one, id, draft, set, state) => [
    draft.map((value, index) => {
      const name = `${one.title || one.id}, ${index + 1}`;
      const put = (/** @type {any} */ now, /** @type {boolean} */ isDone) => set(draft.with(index, now), isDone);
      return h(
        "div",
        { key: String(index), class: "item" },
        single({ id: `${id}-${index}`, name, field: one, type: one.items, value, set: put, aria: state, labelled: false }),
        plain("×", () => set(draft.toSpliced(index, 1), true), `Remove ${name}`),
      );
    }),
    h(
      "div",
      { key: "add", class: "row" },
      plain("Add", () => (set([...draft, ""], false), show(), focus(`${id}-${draft.length}`)), `Add to ${one.title || one.id}`),
      taking({ id, name: one.title || one.id, value: draft, set }),
    ),
  ];

  /** @param {FormField} one @param {string} id @param {[string, any][]} draft @param {(value: any, isDone: boolean) => void} set @param {Record<string, any>} state */
  const pairs = (one, id, draft, set, state) => [
    draft.map(([key, value], index) => {
      const name = `${one.title || one.id}, ${index + 1}`;
      const rename = (/** @type {boolean} */ isDone) => (/** @type {{target: HTMLInputElement}} */ { target }) => set(draft.with(index, [target.value, value]), isDone);
      const put = (/** @type {any} */ now, /** @type {boolean} */ isDone) => set(draft.with(index, [key, now]), isDone);
      return h(
        "div",
        { key: String(index), class: "item" },
        h("input", { id: `${id}-${index}-key`, type: "text", value: key, placeholder: "Name", "aria-label": `${name}, name`, autocomplete: "off", ...state, on: { input: rename(false), change: rename(true) } }),
        single({ id: `${id}-${index}`, name: `${name}, value`, field: one, type: "STRING", value, set: put, aria: state, labelled: false }),
        plain("×", () => set(draft.toSpliced(index, 1), true), `Remove ${name}`),
      );
    }),
    h(
      "div",
      { key: "add", class: "row" },
      plain("Add", () => (set([...draft, ["", ""]], false), show(), focus(`${id}-${draft.length}-key`)), `Add to ${one.title || one.id}`),
      taking({ id, name: one.title || one.id, value: draft, set }),
    ),
  ];

  // ---------------------------------------------------------------------------------------------- controls

  /** @param {Control} control */
  const single = (control) => {
    const { field: one, type, value, id, set, aria, name, labelled } = control;
    if (isText(type, one)) return [texts(control), one.format === "DATETIME" && moment(control), taking(control)];
    if (isMapped(value)) return h("div", { key: "mapped", class: "pieces" }, referred(value, () => (set("", true), focus(id))));
    if (one.format === "SELECT") return [picker(control), taking(control)];
    if (type !== "BOOLEAN") return [texts({ ...control, value: asText(value) }), taking(control)];
    const choose = (/** @type {{target: HTMLSelectElement}} */ { target }) => set(target.value === "" ? "" : target.value === "true", true);
    return [
      h(
        "select",
        { key: "select", id, value: asText(value), ...aria, "aria-label": labelled ? null : name, on: { change: choose } },
        h("option", { value: "" }, "–"),
        h("option", { value: "true" }, "Yes"),
        h("option", { value: "false" }, "No"),
      ),
      taking(control),
    ];
  };

  /** Picks a moment by the browser's own calendar, beside the text, which takes dates without a time and references. @param {Control} control */
  const moment = ({ id, name, value, set }) =>
    !isMapped(value) &&
    h(
      "div",
      { key: "moment", class: "moment" },
      h("label", { class: "soft small", for: `${id}-moment` }, "Or pick date and time", h("span", { class: "unseen" }, ` for ${name}`)),
      h("input", {
        id: `${id}-moment`,
        type: "datetime-local",
        value: localOf(asText(value)),
        on: { change: (/** @type {{target: HTMLInputElement}} */ { target }) => set(momentOf(target.value), true) },
      }),
    );

  /** Text, with references within it. @param {Control} control */
  const texts = ({ id, name, field: one, type, value, set, aria, labelled }) => {
    const pieces = piecesOf(value);
    const put = (/** @type {any[]} */ now, /** @type {boolean} */ isDone) => set(mapped(now), isDone);
    const isLong = one.format === "MULTILINE" || one.format === "CODE";
    const mode = one.format === "FILE" ? "url" : type === "INTEGER" ? "numeric" : type === "NUMBER" ? "decimal" : null;
    return h(
      "div",
      { key: "texts", class: "pieces", role: pieces.length > 1 ? "group" : null, "aria-label": pieces.length > 1 ? name : null },
      pieces.map((piece, index) => {
        if (typeof piece !== "string") {
          const without = [...pieces.slice(0, index - 1), pieces[index - 1] + pieces[index + 1], ...pieces.slice(index + 2)];
          return referred(piece, () => (put(without, true), focus(partOf(id, index - 1))), `reference ${index}`);
        }
        const typed = (/** @type {boolean} */ isDone) => (/** @type {{target: HTMLInputElement}} */ { target }) => put(pieces.with(index, target.value), isDone);
        const leave = (/** @type {{target: HTMLInputElement}} */ { target }) => (my.caret = { id, piece: index, place: target.selectionStart ?? target.value.length });
        return h(isLong ? "textarea" : "input", {
          key: `text ${index}`,
          id: partOf(id, index),
          type: isLong ? null : one.format === "PASSWORD" ? "password" : "text",
          rows: isLong ? "3" : null,
          class: one.format === "CODE" ? "mono" : null,
          inputmode: mode,
          value: piece,
          placeholder: pieces.length > 1 ? null : one.placeholder || null,
          autocomplete: one.format === "PASSWORD" ? "new-password" : "off",
          spellcheck: isLong && one.format !== "CODE" ? null : "false",
          ...aria,
          "aria-label": index > 0 ? `${name}, text after ${nameOf(pieces[index - 1])}` : labelled ? null : name,
          on: { input: typed(false), change: typed(true), blur: leave },
        });
      }),
    );
  };

  /** @param {any} reference @param {() => void} remove @param {string} [key] */
  const referred = (reference, remove, key = "reference") => {
    const pieces = piecesOf(reference);
    const name = pieces.map((piece) => (typeof piece === "string" ? piece : nameOf(piece))).join("");
    const isLost = pieces.some((piece) => typeof piece !== "string" && !isGiven(piece));
    return h("span", { key, class: "chip", "data-tone": isLost ? "bad" : null }, name, isLost && h("em", {}, "not given any more"), plain("×", remove, `Remove ${name}`));
  };

  /** How a control is given what an earlier step gives. @param {Pick<Control, "id" | "name" | "value" | "set">} control */
  const taking = ({ id, name, value, set }) => {
    if (earlier().length === 0) return null;
    const isOpen = my.taking.id === id;
    const turn = () => {
      my.taking = { id: isOpen ? "" : id, choice: "" };
      void readOutputs();
      show();
      if (!isOpen) focus(`${id}-output`);
    };
    const sources = given();
    const all = sources.flatMap(({ outputs }) => outputs ?? []);
    const keyOf = (/** @type {Output} */ { reference }) => JSON.stringify(reference);
    const chosen = all.find((output) => keyOf(output) === my.taking.choice) ?? (my.taking.choice ? undefined : all[0]);
    const insert = () => {
      if (!chosen) return;
      my.taking.id = "";
      const { pieces, index } = inserted(value, chosen.reference, my.caret.id === id ? my.caret : null);
      set(mapped(pieces), true);
      show();
      focus(partOf(id, index + 1));
    };
    return h(
      "div",
      { key: `taking ${id}`, class: "taking" },
      h("button", { key: "turn", type: "button", class: "button quiet small", "aria-expanded": String(isOpen), "aria-label": `Use an earlier step for ${name}`, on: { click: turn } }, "Use an earlier step"),
      isOpen &&
        h(
          "div",
          { key: "panel", class: "row panel" },
          h(
            "select",
            {
              id: `${id}-output`,
              "aria-label": `What ${name} takes from an earlier step`,
              value: chosen ? keyOf(chosen) : "",
              on: { change: (/** @type {{target: HTMLSelectElement}} */ { target }) => ((my.taking.choice = target.value), show()) },
            },
            sources.map(({ title, outputs }) =>
              h(
                "optgroup",
                { key: title, label: title },
                outputs === null && h("option", { key: "wait", value: "", disabled: true }, "One moment …"),
                outputs?.map((output) => h("option", { key: output.id, value: keyOf(output) }, output.sample ? `${outputInWords(output)} (${output.sample.slice(0, 40)})` : outputInWords(output))),
              ),
            ),
          ),
          plain("Insert", insert, `Insert into ${name}`),
        ),
    );
  };

  /** A combobox with a list, as the ARIA practices have it. @param {Control} control */
  const picker = ({ id, name, field: one, value, set, aria, labelled }) => {
    const known = pickerOf(one.id);
    const isOpen = known.open === id;
    const labels = filled.labels.get(one.id);
    const text = asText(value);
    if (text !== "" && !labels?.has(text) && known.found === null && !known.looking && !known.trouble) queueMicrotask(() => known.looking || void find(one.id, false));
    const typed = known.query?.trim() ?? "";
    const left = known.left?.id === id ? known.left.text : null;
    const open = () => {
      if (isOpen) return;
      Object.assign(known, { open: id, left: null, query: left }, left !== null && { found: null });
      if (known.found === null && !known.looking) void find(one.id, false);
      else show();
    };
    const close = () => {
      if (known.open !== id) return;
      clearTimeout(known.timer);
      const wasSearched = known.query !== null;
      Object.assign(known, { open: null, query: null, active: -1, asked: known.asked + 1, looking: false, left: null }, wasSearched && { found: null, cursor: null });
      show();
    };
    /** What was typed and left is taken where it is the name of one choice alone; otherwise it stays, to be decided on. */
    const leave = async () => {
      if (known.open !== id || typed === "") return close();
      const isUnasked = known.looking && known.timer !== undefined;
      clearTimeout(known.timer);
      Object.assign(known, { open: null, active: -1, left: { id, text: typed }, timer: undefined });
      show();
      if (known.looking) await (isUnasked ? find(one.id, false) : known.finding);
      if (known.left?.text !== typed || pickerOf(one.id) !== known) return;
      const found = (known.found ?? []).filter(isMeant);
      Object.assign(known, { query: null, found: null, cursor: null, trouble: null });
      if (found[0] && found.length === 1) choose(found[0]);
      else show();
    };
    const isMeant = (/** @type {Choice} */ choice) => choice.id === typed || choice.label.trim().toLowerCase() === typed.toLowerCase();
    const asIs = typed && !known.looking && !known.found?.some(isMeant) ? [{ id: typed, label: `Use “${typed}” as it is` }] : [];
    const options = [...(known.found ?? []), ...asIs];
    const isPart = typed !== "" && known.cursor !== null; // of what is searched, only a part was looked at
    const choose = (/** @type {Pick<Choice, "id">} */ choice) => {
      close();
      known.left = null;
      set(choice.id, true);
    };
    const go = (/** @type {number} */ to) => {
      if (options.length === 0) return;
      known.active = (to + options.length) % options.length;
      if (to === options.length && known.cursor && !known.looking) {
        known.active = options.length - 1;
        void find(one.id, true);
      }
      show();
      document.getElementById(`${id}-option-${known.active}`)?.scrollIntoView({ block: "nearest" });
    };
    /** @type {Record<string, () => void>} */
    const keys = {
      ArrowDown: () => (isOpen ? go(known.active + 1) : open()),
      ArrowUp: () => (isOpen ? go(known.active < 0 ? -1 : known.active - 1) : open()),
      Escape: () => (left === null ? close() : ((known.left = null), show())),
      Enter: () => {
        const choice = options[known.active] ?? (options.length === 1 && !isPart ? asIs[0] : undefined);
        if (isOpen && choice && !known.looking) choose(choice);
        else if (isOpen && isPart && !known.looking) void find(one.id, true);
        else open();
      },
    };
    const count = known.found?.length ?? 0;
    const counted = `${count}${known.cursor && !isPart ? " and more" : ""} ${count === 1 ? "choice" : "choices"}${isPart ? `, out of the first ${known.looked}` : ""}`;
    const status = known.trouble ?? (known.looking ? "Searching" : [counted, asIs[0]?.label].filter(Boolean).join(". "));
    return h(
      "div",
      { key: "picker", class: "picker", on: { focusout: (/** @type {FocusEvent} */ { relatedTarget, currentTarget }) => !(relatedTarget instanceof Node && document.getElementById(`${id}-found`)?.contains(relatedTarget)) && currentTarget && void leave() } },
      h("input", {
        key: "input",
        id,
        type: "text",
        role: "combobox",
        autocomplete: "off",
        autocapitalize: "off",
        spellcheck: "false",
        placeholder: one.placeholder || "Choose",
        "aria-autocomplete": "list",
        "aria-expanded": String(isOpen),
        "aria-controls": `${id}-list`,
        "aria-activedescendant": isOpen && known.active >= 0 ? `${id}-option-${known.active}` : null,
        ...aria,
        ...(left !== null && { "aria-invalid": "true", "aria-describedby": [`${id}-left`, aria["aria-describedby"]].filter(Boolean).join(" ") }),
        "aria-label": labelled ? null : name,
        value: left ?? (isOpen && known.query !== null ? known.query : (labels?.get(text) ?? text)),
        on: {
          focus: (/** @type {{target: HTMLInputElement}} */ { target }) => target.select(),
          click: open,
          input: (/** @type {{target: HTMLInputElement}} */ { target }) => {
            // Until the answer to this is there, Enter takes nothing: what is shown answers something else.
            Object.assign(known, { query: target.value, open: id, active: -1, looking: true, asked: known.asked + 1, left: null });
            clearTimeout(known.timer);
            known.timer = setTimeout(() => ((known.timer = undefined), void find(one.id, false)), PATIENCE_MS);
            show();
          },
          keydown: (/** @type {KeyboardEvent} */ event) => {
            if (event.isComposing || event.altKey || event.ctrlKey || event.metaKey || !(event.key in keys)) return;
            event.preventDefault();
            keys[event.key]?.();
          },
        },
      }),
      (text !== "" || left !== null) && !isOpen && plain("×", () => ((known.left = null), set("", true), focus(id)), `Empty ${name}`),
      left !== null &&
        !known.looking &&
        h(
          "div",
          { key: "left", class: "row left" },
          h("p", { id: `${id}-left`, class: "flaw small", role: "alert" }, `“${left}” was not taken: it is none of the choices that were looked at.`),
          plain("Use it as it is", () => choose({ id: left }), `Use “${left}” as it is for ${name}`),
        ),
      h(
        "div",
        { key: "found", id: `${id}-found`, class: "found", hidden: !isOpen, on: { mousedown: (/** @type {Event} */ event) => event.preventDefault() } },
        known.trouble && h("p", { class: "note", "data-tone": "bad" }, sentence(known.trouble)),
        h(
          "ul",
          { id: `${id}-list`, role: "listbox", "aria-label": name, "aria-busy": known.looking ? "true" : null },
          isOpen &&
            options.map((choice, index) =>
              h("li", { key: choice.id, id: `${id}-option-${index}`, role: "option", "aria-selected": String(index === known.active), on: { click: () => choose(choice) } }, choice.label || choice.id),
            ),
        ),
        known.looking ? h("p", { key: "looking", class: "soft small nothing" }, "One moment …") : known.found?.length === 0 && !known.cursor && h("p", { key: "none", class: "soft small nothing" }, "There is no such choice."),
        isPart && !known.looking && !known.trouble && h("p", { key: "part", class: "soft small nothing" }, `${count === 0 ? "Not among" : "Out of"} the first ${known.looked} choices.`),
        known.cursor && !known.looking && (known.query ? plain("Look further", () => void find(one.id, true), `Look further for ${name}`) : plain("Show more", () => void find(one.id, true), `Show more choices of ${name}`)),
      ),
      h("p", { key: "told", class: "unseen", role: "status" }, isOpen ? status : ""),
    );
  };

  return {
    describe,
    mount(place_) {
      let isDue = false;
      const again = () => {
        if (isDue) return;
        isDue = true;
        queueMicrotask(() => {
          isDue = false;
          if (my.places.has(again)) draw(place_, describe());
        });
      };
      my.places.add(again);
      const end = connect.subscribe(again);
      again();
      return () => {
        my.places.delete(again);
        end();
      };
    },
    flawed: filling.flawed,
    settled: filling.settled,
    lacks: filling.lacks,
  };
}

// ------------------------------------------------------------------------------------------------ pure parts

/** @param {FormPart} one @returns {boolean} */
function isAnyRequired(one) {
  return inputsOf([one]).some(({ is_required }) => is_required);
}

/** Whether it is filled by typing, so that references can stand within. @param {string | null} type @param {FormField} field */
function isText(type, { format }) {
  return format !== "SELECT" && (type === "STRING" || type === "NUMBER" || type === "INTEGER" || type === null);
}

/** @param {string} id @param {number} index */
function partOf(id, index) {
  return index > 0 ? `${id}-piece-${index}` : id;
}

/** What Markdown or HTML says, without its marks. What comes out is text, whatever goes in. @param {string} markup */
function inText(markup) {
  return markup
    .replace(/<(script|style)\b[^]*?(<\/\1\s*>|$)/gi, "")
    .replace(/<br\s*\/?>|<\/(p|div|li)>/gi, "\n")
    .replace(/<\/?[a-z][^<>]*>/gi, "")
    .replace(/!?\[([^\]\n]*)\]\(([^()\s]*)\)/g, "$1 ($2)")
    .replace(/(\*\*|__|`)(?=\S)([^\n]*?\S)\1/g, "$2")
    .replace(/&(amp|lt|gt|quot|apos|nbsp);/g, (_, name) => KEPT_ENTITIES[name] ?? "")
    .trim();
}

/** @param {string} text */
function sentence(text) {
  const begun = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(begun) ? begun : `${begun}.`;
}

/** @param {string} id */
function focus(id) {
  setTimeout(() => document.getElementById(id)?.focus());
}

/** @param {string} text @param {() => void} click @param {string} [label] */
function plain(text, click, label) {
  return h("button", { key: `do ${label ?? text}`, type: "button", class: "button quiet small", "aria-label": label, on: { click } }, text);
}

/** A moment as the browser's calendar wants it, in the user's time; empty for what is none. @param {string} text */
function localOf(text) {
  const at = new Date(/^\d{4}-\d\d-\d\d$/.test(text) ? `${text}T00:00` : text);
  if (!/^\d{4}-\d\d/.test(text) || Number.isNaN(at.getTime())) return "";
  return new Date(at.getTime() - at.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** What was picked, with how far the user's time is from UTC then. @param {string} local */
function momentOf(local) {
  if (local === "") return "";
  const ahead = -new Date(local).getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(ahead) / 60), Math.abs(ahead) % 60].map((part) => String(part).padStart(2, "0"));
  return `${local.slice(0, 16)}:00${ahead === 0 ? "Z" : `${ahead > 0 ? "+" : "-"}${hours}:${minutes}`}`;
}
