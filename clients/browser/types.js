/**
 * What connect.js is given and what it shows. Only types: nothing here runs.
 *
 * @import { Action, ActionList, AppPage, Event, Picker, Session, Step, ClientToken } from "../node/shapes.js"
 * @import { ConnectError } from "../../api/web/connect.js"
 */

/**
 * @typedef {object} Settings
 * @property {() => ClientToken | Promise<ClientToken>} getToken Asks your backend for a client token, and resolves to the
 *   object that Zapwright answered it with. It is called before anything else, when 80 % of a token's life are over, and
 *   once when a token is refused (401).
 * @property {string} [popupFeatures] Of `window.open`; by default a window of 1280 × 1024.
 * @property {string} [waitingText] What a popup says while its address is still being prepared.
 */

/**
 * @typedef {"starting" | "live" | "offline" | "token-expired" | "sign-in-needed" | "refused" | "over"} Status
 *   What may be said of everything that is shown:
 *   - `starting`: nothing is known yet
 *   - `live`: this is how it is
 *   - `offline`: the API cannot be reached; it is tried again by itself
 *   - `token-expired`: `getToken` gave no token that is good; have the user sign in to your product, then `refresh()`
 *   - `sign-in-needed`: the user must sign in to Zapier, and your backend put the new credential
 *   - `refused`: the API does not serve this page; `problem` says why
 *   - `over`: the session was made into a Zap, cancelled, or has expired; nothing changes any more
 */

/**
 * @typedef {"choose-app" | "preparing" | "ready" | "opening" | "waiting" | "confirming" | "checking" | "resolved"
 *   | "no-auth-required" | "blocked" | "ambiguous" | "nothing-new" | "not-visible" | "timed-out" | "cancelled"
 *   | "expired" | "revoked" | "claimed-elsewhere" | "offline" | "token-expired" | "sign-in-needed"} Show
 *   What to show for a step. The last three hide what an unsettled step would show otherwise, until they have passed.
 */

/**
 * @typedef {object} Shown
 * @property {Show} show
 * @property {string | null} link The popup's address, for a real link where popups are blocked.
 * @property {number | null} next_check_in_s Seconds until Zapier is asked next; counted down while the page is visible.
 * @property {ConnectError | null} problem What last went wrong with a request about this step.
 * @property {string | null} support A reference for your support: our logs know it.
 *
 * @typedef {Step & Shown} StepView A step as the API has it, and what to show for it.
 */

/**
 * @typedef {object} Snapshot Never changed; a new one comes when there is something new to show.
 * @property {Status} status
 * @property {Session | null} session As the API shows it; null until it is known.
 * @property {readonly StepView[]} steps
 * @property {readonly Event[]} events What happened, in order, as far as this page knows.
 * @property {ConnectError | null} problem Why the status is not `live`.
 * @property {string | null} support A reference for your support.
 */

/**
 * @typedef {object} Connect
 * @property {(heard: () => void) => () => void} subscribe Tells of every new snapshot. The first subscriber begins the
 *   following, and it ends with the last one when no popup is open. Returns how to unsubscribe.
 * @property {() => Snapshot} getSnapshot The same object until something changes.
 * @property {() => Snapshot} getServerSnapshot For rendering on a server: `starting`.
 * @property {(stepId: string) => boolean} connect Opens the step's popup, or brings an open one to the front. Call it
 *   inside the click, before any `await`. False: the browser opened none.
 * @property {(stepId: string) => void} followed The user follows the step's `link`: call it in the link's click.
 * @property {(stepId: string) => void} finished The user says that the popup is done.
 * @property {(stepId: string) => void} cancel The user gives the popup up.
 * @property {(stepId: string, authenticationId: string) => Promise<Session>} choose
 * @property {(stepId: string, appId: string) => Promise<Session>} chooseApp
 * @property {(stepId: string) => Promise<Session>} resetApp
 * @property {(query?: string, cursor?: string) => Promise<AppPage>} searchApps
 * @property {(stepId: string, options?: { refresh?: boolean }) => Promise<Picker>} authentications
 * @property {(step?: { alias?: string, position?: number }) => Promise<string>} addStep Resolves to the step's id.
 * @property {(stepId: string) => Promise<Session>} removeStep
 * @property {(stepId: string, position: number) => Promise<Session>} moveStep
 * @property {(stepId: string) => Promise<ActionList["actions"]>} actions
 * @property {(stepId: string, action: Action) => Promise<Session>} chooseAction
 * @property {(stepId: string, inputs: Record<string, unknown>) => Promise<Session>} setInputs
 * @property {(options?: { again?: boolean }) => Promise<Session>} createZap
 * @property {() => void} refresh Tries again now, with a new token where the last one was refused.
 * @property {() => void} close Ends everything; popups that are open stay open.
 */

// What follows is connect.js's own.

/**
 * @typedef {object} Popup One popup, as this tab knows it. After a reload it has no handle, though it may be open.
 * @property {string} id Of the attempt; empty while its address is being prepared.
 * @property {string} step
 * @property {string} origin Of the messages to believe.
 * @property {number} at When it was opened.
 * @property {string[]} told What was told of it already.
 * @property {boolean} [isKnown] By the API.
 * @property {Window | null} [handle]
 *
 * @typedef {object} Signal What is still to be said of a popup; without a kind, that it was opened.
 * @property {Popup} popup
 * @property {string} [kind]
 * @property {string} [authentication_id]
 *
 * @typedef {object} Asking
 * @property {object} [body]
 * @property {string} [key] What a POST is recognised by when it comes again.
 * @property {boolean} [keepalive] It outlives the page.
 * @property {AbortSignal} [signal]
 */

export {};
