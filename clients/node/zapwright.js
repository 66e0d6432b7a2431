import { Routes } from "./routes.js";

/** @import { Options } from "./sender.js" */
/** @import { Session } from "./shapes.js" */

export * from "./errors.js";

const LONGEST_POLL_S = 25;
const PAUSE_S = 0.2;

/** Everything that a backend says to Zapwright. */
export class Zapwright extends Routes {
  /**
   * Return the session as soon as its `seq` is greater, or as it is when the time is over. Rejects with ZapwrightError.
   *
   * @param {{ session_id: string, after_seq: number, within_s?: number }} given
   * @param {Pick<Options, "signal">} [options]
   * @returns {Promise<Session>}
   */
  async waitFor({ session_id, after_seq, within_s = 60 }, options = {}) {
    const end = performance.now() + within_s * 1000;
    for (;;) {
      const left_s = Math.round((end - performance.now()) / 1000);
      const wait_s = Math.max(0, Math.min(LONGEST_POLL_S, left_s));
      const session = await this.readSession({ session_id, after_seq, wait_s }, options);
      if (session.seq > after_seq || performance.now() >= end) return session;
      await this.rest(PAUSE_S, options.signal);
    }
  }
}
