// @ts-check
/**
 * What a step is filled with: what the API says of its fields, what was changed here and is sent or not yet, what choices there
 * are and what earlier steps give, and what was found wrong. Nothing here is drawn.
 */

/**
 * @import { Choice, FieldFlaw, Form as Answer, FormField, FormPart, Output } from "../../clients/node/shapes.js"
 * @import { Connect, StepView } from "../../clients/browser/types.js"
 *
 * @typedef {object} Picker What is known of a field's choices.
 * @property {string | null} query as it is being typed; null while nothing is
 * @property {string | null} open which control shows the list
 * @property {number} active
 * @property {Choice[] | null} found
 * @property {string | null} cursor
 * @property {number} looked how many choices were looked through for those found
 * @property {string | null} trouble
 * @property {boolean} looking
 * @property {number} asked counts questions, so that a late answer to an earlier one is passed over
 * @property {Promise<void>} [finding] the last question, until it is answered
 * @property {ReturnType<typeof setTimeout> | undefined} timer there until what was typed is searched for
 * @property {{id: string, text: string} | null} left what was typed into a control and is none of the choices, as far as is known
 */

/**
 * Begins to fill a step. `changed` is called whenever anything of it has.
 *
 * @param {{connect: Connect, stepId: string, words: (error: any) => string, changed: () => void}} settings
 */
export function createFilling({ connect, stepId, words, changed }) {
  const my = {
    of: "", // which action and account the fields are of
    action: "",
    version: "", // what they were read for
    answer: /** @type {Answer | null} */ (null),
    drafts: /** @type {Map<string, any>} */ (new Map()),
    typing: /** @type {Map<string, FormField>} */ (new Map()), // whose drafts are not done
    unsent: /** @type {Map<string, {field: FormField, value: any, draft: any}>} */ (new Map()), // with the draft that the value is of
    sent: /** @type {Map<string, {field: FormField, value: any, draft: any}>} */ (new Map()), // and not answered
    sending: /** @type {Promise<boolean> | null} */ (null),
    told: /** @type {FieldFlaw[]} */ ([]),
    touched: /** @type {Set<string>} */ (new Set()),
    isAsked: false, // whether somebody tried to create the Zap
    pickers: /** @type {Map<string, Picker>} */ (new Map()),
    labels: /** @type {Map<string, Map<string, string>>} */ (new Map()),
    outputs: /** @type {Map<string, Output[] | null>} */ (new Map()),
    trouble: /** @type {string | null} */ (null),
    said: "",
    turn: 0,
  };

  const steps = () => connect.getSnapshot().steps;
  const step = () => steps().find(({ id }) => id === stepId);
  const earlier = () => steps().slice(0, steps().findIndex(({ id }) => id === stepId)).filter(({ action }) => action);

  /** @param {StepView} now */
  const look = (now) => {
    const of = ofNow();
    const version = versionOf(now);
    if (of !== my.of) {
      forget(JSON.stringify(now.action));
      Object.assign(my, { of, version: "", answer: null, told: [], isAsked: false, said: "", turn: my.turn + 1 });
      if (my.unsent.size > 0) void send();
    }
    if (version === my.version || my.sending || my.unsent.size > 0) return;
    my.version = version;
    void read();
  };

  /** What was typed is the action's, whichever account it has; what one account offered is not another's. @param {string} action */
  const forget = (action) => {
    const filledIn = [my.drafts, my.typing, my.unsent, my.sent];
    if (action !== my.action) for (const kept of filledIn) kept.clear();
    const offered = inputsOf(my.answer?.fields ?? []).filter(({ format, depends_on }) => format === "SELECT" || depends_on.length > 0);
    for (const { id } of offered) for (const kept of filledIn) kept.delete(id);
    for (const kept of [my.touched, my.pickers, my.labels]) kept.clear();
    my.action = action;
  };

  const ofNow = () => {
    const now = step();
    return JSON.stringify([now?.action, now?.authentication?.id]);
  };

  /** @param {StepView} now */
  const versionOf = (now) => JSON.stringify([now.action, now.authentication?.id, now.inputs, earlier().map(({ id, action }) => [id, action])]);

  const read = async () => {
    const turn = ++my.turn;
    my.trouble = null;
    try {
      const answer = await connect.ask(stepId, "GET", "/fields");
      if (turn !== my.turn) return;
      take(answer);
    } catch (error) {
      if (turn !== my.turn) return;
      my.trouble = words(error);
    }
    changed();
  };

  /** @param {string} id */
  const drop = (id) => {
    my.drafts.delete(id);
    my.typing.delete(id);
  };

  /** A draft stays until it holds nothing else than what is no longer so. @param {Answer} answer */
  const take = (answer) => {
    const before = my.answer?.inputs ?? {};
    for (const field of inputsOf(my.answer?.fields ?? [])) {
      const { id } = field;
      const isOther = my.unsent.has(id) || !isSame(valueOf(field, my.drafts.get(id)), before[id]);
      if (!isOther && !isSame(before[id], answer.inputs[id])) drop(id);
    }
    my.answer = answer;
    if (JSON.stringify(answer.inputs).includes('"$ref"')) void readOutputs();
    for (const { id, depends_on } of inputsOf(answer.fields)) {
      const known = my.pickers.get(id);
      if (!known || depends_on.every((one) => isSame(before[one], answer.inputs[one]))) continue;
      Object.assign(known, { found: null, cursor: null, trouble: null });
      if (known.open) void find(id, false);
    }
  };

  const send = () => {
    my.sending ??= sendAll().finally(() => {
      my.sending = null;
      changed();
    });
    return my.sending;
  };

  const sendAll = async () => {
    while (my.unsent.size > 0) {
      const { of } = my;
      const sent = my.unsent;
      Object.assign(my, { sent, unsent: new Map(), trouble: null });
      changed();
      try {
        const answer = await connect.ask(stepId, "PATCH", "/inputs", { inputs: Object.fromEntries([...sent].map(([id, { value }]) => [id, value])) });
        for (const [id, { field, value, draft }] of sent) if (isSame(my.drafts.get(id), draft) && isSame(draft, draftOf(field, value))) drop(id);
        if (of !== my.of) continue;
        my.turn += 1;
        const titles = inputsOf([...answer.fields, ...(my.answer?.fields ?? [])]);
        const cleared = answer.cleared.map((/** @type {string} */ id) => titles.find((one) => one.id === id)?.title ?? id);
        my.said = cleared.length > 0 ? `Emptied, because it depends on what was changed: ${cleared.join(", ")}` : "";
        take(answer);
        const now = step();
        if (now) my.version = versionOf(now);
      } catch (error) {
        my.unsent = new Map([...sent, ...my.unsent]);
        if (of !== my.of) continue;
        my.trouble = words(error);
        return false;
      } finally {
        my.sent = new Map();
      }
    }
    return true;
  };

  /** @param {FormField} field @param {any} draft @param {boolean} isDone */
  const fill = (field, draft, isDone) => {
    my.drafts.set(field.id, draft);
    if (!isDone) return void my.typing.set(field.id, field);
    my.typing.delete(field.id);
    const value = valueOf(field, draft);
    my.told = my.told.filter(({ field: id }) => id !== field.id);
    if (!isSame(value, my.answer?.inputs[field.id]) || my.sending || my.unsent.has(field.id)) {
      my.unsent.set(field.id, { field, value, draft });
      void send();
    }
    changed();
  };

  /** Whatever was typed into a field is done. @param {string} id */
  const done = (id) => {
    const field = my.typing.get(id);
    if (field) fill(field, my.drafts.get(id), true);
  };

  const readOutputs = () =>
    Promise.all(
      earlier().map(async ({ id, action }) => {
        const name = `${id} ${JSON.stringify(action)}`;
        if (my.outputs.has(name)) return;
        my.outputs.set(name, null);
        try {
          my.outputs.set(name, (await connect.ask(id, "GET", "/outputs")).outputs);
        } catch (error) {
          my.outputs.delete(name);
          my.trouble = words(error);
        }
        changed();
      }),
    );

  /** What earlier steps give. @returns {{title: string, outputs: Output[] | null}[]} */
  const given = () =>
    earlier().map(({ id, app, action, position }) => ({
      title: `${position + 1}. ${app?.title ?? ""}`,
      outputs: my.outputs.get(`${id} ${JSON.stringify(action)}`) ?? null,
    }));

  /** @param {any} reference */
  const nameOf = (reference) => {
    const wanted = reference?.$ref ?? {};
    const from = steps().find(({ id }) => id === wanted.step);
    const outputs = from && my.outputs.get(`${from.id} ${JSON.stringify(from.action)}`);
    const output = outputs?.find(({ id }) => id === wanted.field) ?? { id: wanted.field, title: "" };
    return `${from ? `${from.position + 1}. ${from.app?.title ?? ""}` : "A step that is gone"}: ${outputInWords(output)}`;
  };

  /** Whether an earlier step gives it, as far as is known. @param {any} reference */
  const isGiven = (reference) => {
    const { step: id, field } = reference?.$ref ?? {};
    const from = earlier().find((one) => one.id === id);
    if (!from) return false;
    const outputs = my.outputs.get(`${from.id} ${JSON.stringify(from.action)}`);
    return !outputs || outputs.some((output) => output.id === field);
  };

  /** @param {string} id of a field */
  const pickerOf = (id) => {
    const known = my.pickers.get(id) ?? { query: null, open: null, active: -1, found: null, cursor: null, looked: 0, trouble: null, looking: false, asked: 0, timer: undefined, left: null };
    my.pickers.set(id, known);
    return known;
  };

  /** Reads choices from the first page or the next, as they are once everything filled in is known. @param {string} id @param {boolean} isNext */
  const find = (id, isNext) => (pickerOf(id).finding = findNow(id, isNext));

  /** @param {string} id @param {boolean} isNext */
  const findNow = async (id, isNext) => {
    const found = pickerOf(id);
    const asked = ++found.asked;
    const cursor = isNext ? found.cursor : null;
    Object.assign(found, { looking: true, trouble: null });
    changed();
    await my.sending;
    if (asked !== found.asked) return;
    try {
      const query = new URLSearchParams({ field: id, ...(found.query && { query: found.query }), ...(cursor && { cursor }) });
      const page = await connect.ask(stepId, "GET", `/choices?${query}`);
      if (my.pickers.get(id) !== found) return;
      const labels = my.labels.get(id) ?? new Map();
      my.labels.set(id, labels);
      for (const choice of page.choices) labels.set(choice.id, choice.label);
      if (asked !== found.asked) return;
      const before = isNext ? (found.found ?? []) : [];
      found.found = [...before, ...page.choices];
      found.looked = (isNext ? found.looked : 0) + page.looked_through;
      found.cursor = page.cursor;
      if (!isNext) found.active = -1;
      if (found.active < 0 && found.query && page.choices.length > 0) found.active = before.length;
    } catch (error) {
      if (asked !== found.asked) return;
      found.trouble = words(error);
    }
    found.looking = false;
    changed();
  };

  /** Shows what creating the Zap, or a test, found wrong. @param {FieldFlaw[]} problems */
  const flawed = (problems) => {
    Object.assign(my, { told: problems, isAsked: true });
    changed();
  };

  /** The fields into which something was typed that was neither taken nor given up. */
  const leftAt = () => {
    const unnamed = inputsOf(my.answer?.fields ?? []).filter(isUnnamed);
    return [...[...my.pickers].filter(([, { left }]) => left !== null).map(([id]) => id), ...unnamed.map(({ id }) => id)];
  };

  /** Whether something was typed for which there is no place: a value that has no name. @param {FormField} field */
  const isUnnamed = ({ id, value_type }) => {
    const draft = my.drafts.get(id);
    return value_type === "OBJECT" && Array.isArray(draft) && draft.some(([key, value]) => key === "" && value !== "");
  };

  const lacks = () => {
    const { answer } = my;
    if (answer === null || my.of !== ofNow()) return null;
    const titles = new Map(inputsOf(answer.fields).map(({ id, title }) => [id, title || id]));
    const left = leftAt().map((field) => ({ field, code: "left" }));
    const found = new Map([...answer.problems, ...my.told, ...left].map(({ field, code }) => [field, code === "required"]));
    return [...found].map(([field, isEmpty]) => ({ field, title: titles.get(field) ?? field, isEmpty }));
  };

  const settled = async () => {
    for (const id of [...my.typing.keys()]) done(id);
    return leftAt().length === 0 && (my.unsent.size > 0 || my.sending ? send() : true);
  };

  return { filled: my, step, earlier, look, read, ofNow, send, fill, done, given, nameOf, isGiven, readOutputs, pickerOf, find, isUnnamed, flawed, settled, lacks };
}

/** @param {readonly (FormPart | FormField)[]} parts @returns {FormField[]} */
export function inputsOf(parts) {
  return parts.flatMap((one) => (one.kind === "fieldset" ? inputsOf(/** @type {FormPart} */ (one).fields) : one.kind === "input" ? [one] : []));
}

/** Whether it is the same value; none is as good as null. @param {any} one @param {any} other */
function isSame(one, other) {
  return JSON.stringify(one ?? null) === JSON.stringify(other ?? null);
}

/** What an output is called: `Parents[]Sha` and `commit__message` say where it lies. @param {{id: string, title: string}} output */
export function outputInWords({ id, title }) {
  const words = (title || id).replace(/\[\]|__/g, " ").replace(/\s+/g, " ").trim();
  return words || id;
}

/** @param {any} value */
export function isMapped(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length === 1 && (typeof value.$ref === "object" || Array.isArray(value.$text));
}

/** @param {any} value @returns {boolean} */
export function hasReferences(value) {
  return isMapped(value) || (typeof value === "object" && value !== null && Object.values(value).some(hasReferences));
}

/** @param {any} value */
export function asText(value) {
  if (value === null || value === undefined) return "";
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** What is edited for a value: lists and objects as rows. @param {FormField} field @param {any} value */
export function draftOf({ value_type }, value) {
  if (isMapped(value)) return value;
  if (value_type === "ARRAY") return Array.isArray(value) ? value : value === undefined || value === null ? [] : [value];
  if (value_type === "OBJECT") return value && typeof value === "object" && !Array.isArray(value) ? Object.entries(value) : [];
  return value ?? "";
}

/** What is sent for it; null empties the field. @param {FormField} field @param {any} draft */
export function valueOf({ value_type }, draft) {
  if (isMapped(draft)) return draft;
  if (value_type === "ARRAY" && Array.isArray(draft)) return draft.some((one) => one !== "") ? draft.filter((one) => one !== "") : null;
  if (value_type === "OBJECT" && Array.isArray(draft)) return draft.some(([key]) => key !== "") ? Object.fromEntries(draft.filter(([key]) => key !== "")) : null;
  return draft === "" ? null : draft;
}

/**
 * A text as what it consists of: text, reference, text, … with text at both ends.
 *
 * @param {any} value
 * @returns {any[]}
 */
export function piecesOf(value) {
  const inside = isMapped(value) ? (value.$text ?? [value]) : [asText(value)];
  const pieces = [""];
  for (const piece of inside) {
    if (typeof piece === "string") pieces.push(`${pieces.pop()}${piece}`);
    else pieces.push(piece, "");
  }
  return pieces;
}

/** @param {any[]} pieces @returns {any} */
export function mapped(pieces) {
  const kept = pieces.filter((piece) => piece !== "");
  if (kept.every((piece) => typeof piece === "string")) return kept.join("");
  return kept.length === 1 ? kept[0] : { $text: kept };
}

/** @param {any} value @param {any} reference @param {{piece: number, place: number} | null} caret */
export function inserted(value, reference, caret) {
  const pieces = piecesOf(Array.isArray(value) ? "" : value);
  const at = caret && typeof pieces[caret.piece] === "string" ? caret.piece : pieces.length - 1;
  const text = pieces[at];
  const place = caret?.piece === at ? caret.place : text.length;
  return { pieces: [...pieces.slice(0, at), text.slice(0, place), reference, text.slice(place), ...pieces.slice(at + 1)], index: at + 1 };
}
