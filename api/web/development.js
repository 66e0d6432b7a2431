// @ts-check
/** What there is in development alone: routes that play the backend of our demo pages. */

/**
 * Asks the API. Throws TypeError when it does not answer, otherwise an error with a `code` and words.
 *
 * @param {string} method
 * @param {string} path
 * @param {object} [body]
 */
export async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    ...(body && { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) }),
  });
  const document = await answer.json();
  if (answer.ok) return document;
  throw Object.assign(new Error(document.detail ?? document.title), { code: document.code });
}
