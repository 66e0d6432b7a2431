/** @import { Code } from "./shapes.js" */

/**
 * @typedef {object} Problem A problem document (RFC 9457).
 * @property {number} status
 * @property {Code} code
 * @property {string} title
 * @property {string} detail
 * @property {string} reference
 * @property {Record<string, unknown>} [facts]
 * @property {Array<Record<string, unknown>> | null} [errors]
 */

/** Base of everything a call may reject with. */
export class ZapwrightError extends Error {
  /**
   * @param {string} message
   * @param {ErrorOptions} [options]
   */
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** Nothing came back. With `wasSent` what was asked may have happened. */
export class NoAnswerError extends ZapwrightError {
  /**
   * @param {string} problem
   * @param {{ wasSent: boolean, cause: unknown }} facts
   */
  constructor(problem, { wasSent, cause }) {
    super(`Zapwright did not answer: ${problem}`, { cause });
    this.wasSent = wasSent;
  }
}

/** What came back is not Zapwright's, or of another version. `reference` finds the request in Zapwright's log. */
export class UnexpectedAnswerError extends ZapwrightError {
  /**
   * @param {string} problem
   * @param {{ status: number, reference: string | null, cause?: unknown }} facts
   */
  constructor(problem, { status, reference, cause }) {
    super(`${problem} (status ${status}, reference ${reference})`, { cause });
    this.status = status;
    this.reference = reference;
  }
}

/**
 * Zapwright says no. Go by `code`; `facts` has what `detail` speaks of, `errors` where a request is wrong. `reference`
 * finds the request in Zapwright's log; `retryAfterS` is set where it is said when asking again helps.
 */
export class ProblemError extends ZapwrightError {
  /**
   * @param {Problem} document
   * @param {number | null} retryAfterS
   */
  constructor(document, retryAfterS) {
    super(`${document.code}: ${document.detail} (reference ${document.reference})`);
    this.status = document.status;
    this.code = document.code;
    this.title = document.title;
    this.detail = document.detail;
    this.reference = document.reference;
    this.facts = document.facts ?? {};
    this.errors = document.errors ?? [];
    this.retryAfterS = retryAfterS;
  }
}

/** The key or token is missing, unknown or expired. */
export class UnauthorizedError extends ProblemError {}

/** The key or token does not allow this. */
export class ForbiddenError extends ProblemError {}

/** There is no such thing, or it is somebody else's. */
export class NotFoundError extends ProblemError {}

/** Not in the state that things are in. */
export class ConflictError extends ProblemError {}

/** The session is not at the sequence number that `ifMatch` wanted. */
export class PreconditionFailedError extends ProblemError {}

/** The request itself is wrong; `errors` says where. */
export class RequestRefusedError extends ProblemError {}

/** Not now. */
export class UnavailableError extends ProblemError {}

/** @type {ReadonlyMap<number, typeof ProblemError>} */
export const BY_STATUS = new Map([
  [401, UnauthorizedError],
  [403, ForbiddenError],
  [404, NotFoundError],
  [409, ConflictError],
  [412, PreconditionFailedError],
  [422, RequestRefusedError],
  [503, UnavailableError],
]);
