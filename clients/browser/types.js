/**
 * What connect.js is given and what it shows. Only types: nothing here runs.
 *
 * @import { Action, ActionList, AppPage, Event, Picker, Session, Step, ClientToken } from "../node/shapes.js"
 * @import { ConnectError } from "../../api/web/connect.js"
 */

/** @typedef {ClientToken & { step_id?: string }} Token With a step, it is good for this one alone. */

/**
 * @typedef {object} Settings
 * @property {() => Token | Promise<Token>} getToken Asks your backend for a client token, and resolves to the
 *   object that Zapwright answered it with. It is called before anything else, when 80 % of a token's life are over, and
 *   once when a token is refused (401).
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
 *   | "expired" | "revoked" | "claimed-elsewhere" | "unanswered" | "not-made" | "offline" | "token-expired" | "sign-in-needed"} Show
 *   What to show for a step. The last three hide what an unsettled step would show otherwise, until they have passed.
 */

/**
 * @typedef {object} Shown
 * @property {Show} show
 * @property {string | null} link The popup's address, for a real link where popups are blocked.
 * @property {number | null} next_check_in_s Seconds until Zapier is asked next; counted down while the page is visible.
 * @property {ConnectError | null} problem What last went wrong with a request about this step.
 * @property {string | null} support What to quote to your support: the reference of `problem`, or the session's id.
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
 * @property {string | null} support What to quote to your support: the reference of `problem`, or the session's id.
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
 * @property {(stepId: string, method: string, path: string, body?: object) => Promise<any>} ask Anything else that the API has
 *   for pages: `path` begins where the step's address ends, or the session's for an empty `stepId`.
 * @property {(options?: { again?: boolean, zap_id?: string }) => Promise<Session>} createZap
 * @property {() => void} refresh Tries again now, with a new token where the last one was refused.
 * @property {() => void} close Ends everything, until something subscribes again; popups that are open stay open.
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
 * @property {string} step
 * @property {string} attempt_id
 * @property {number} at When the popup was opened.
 * @property {string} [kind]
 * @property {string} [authentication_id]
 *
 * @typedef {object} Asking
 * @property {object} [body]
 * @property {string} [key] What a POST is recognised by when it comes again.
 * @property {boolean} [keepalive] It outlives the page.
 * @property {AbortSignal} [signal]
 */

/**
 * @typedef {object} PageState
 * @property {Session | null} session
 * @property {readonly Event[]} events
 * @property {ConnectError | null} trouble
 * @property {Map<string, ConnectError>} problems By step.
 * @property {Set<string>} preparing Steps.
 * @property {Popup[]} popups
 * @property {Signal[]} unsent
 * @property {boolean} isSending
 * @property {number} tries
 * @property {number} returnedAt
 * @property {Set<() => void>} subscribers
 * @property {AbortController | null} life
 * @property {Record<string, ReturnType<typeof setTimeout>>} timers
 *
 * @typedef {object} Page
 * @property {Snapshot} snapshot
 * @property {number} seen The last event's sequence number.
 * @property {Connect["subscribe"]} subscribe
 * @property {() => void} refresh
 * @property {() => void} close
 * @property {() => void} begin
 * @property {(stepId: string) => boolean} open
 * @property {(stepId: string) => void} followed
 * @property {(stepId: string, kind: string) => void} say
 * @property {(step: string, handle: Window | null, isNamed: unknown) => Popup} opened
 * @property {(popup: Popup, handle: Window) => Promise<void>} prepare
 * @property {() => void} watch
 * @property {(event: MessageEvent) => void} onMessage A popup lost in a reload is known by
 *   who opened it; of several, none can say which it is.
 * @property {() => void} onVisibility
 * @property {() => void} onReturn
 * @property {() => void} onLeaving
 * @property {() => void} wake
 * @property {(stepId: string) => Step | undefined} step
 * @property {(stepId: string, isOfAny?: boolean) => Popup | undefined} popup
 * @property {(popup: Popup) => void} forget
 * @property {(popup: Popup, kind: string, id?: string) => void} once
 * @property {(popup: Popup, kind?: string, authentication_id?: string) => void} tell
 * @property {() => Promise<void>} send Sends what is unsent, in order; keeps what may be heard later.
 * @property {(signal: Signal, gone?: true) => Promise<any>} deliver
 * @property {(stepId: string, method: string, path: string, body?: object) => Promise<any>} ask
 * @property {(told: any) => void} learn Takes what the API says, whoever asked; what is older than what is known
 *   changes nothing.
 * @property {(popup: Popup) => void} reconcile
 * @property {(name: string, attempt: string | undefined) => boolean} heardOf
 * @property {(error: unknown) => boolean} report Says what is wrong; tells whether trying again may help.
 * @property {() => void} show
 * @property {() => Status} status
 * @property {(step: Step, status: Status, now: number) => StepView} view
 * @property {(step: Step, status: Status) => Show} shown
 * @property {() => void} recall Takes up what this tab did before a reload.
 * @property {() => void} save
 * @property {(name: string, ms: number, then: () => unknown) => void} later
 */

/**
 * @typedef {"idle" | "opening" | "waiting" | "blocked" | "leaving" | "signed-in" | "failed"} SignInState `waiting`: the
 *   user is at Zapier. The popup may be cut off there, so this may be the last that is heard of it.
 *
 * @typedef {object} SignInSnapshot
 * @property {SignInState} state
 * @property {string | null} outcome Of what ended: `signed_in`, or why not.
 *
 * @typedef {object} SignInSettings
 * @property {() => Promise<Token> | Token} getToken Resolves to a client token, as for connect.js.
 * @property {{ email: string, first_name: string, last_name: string }} [newcomer] Makes it quick to get an account.
 * @property {string} [waitingText]
 *
 * @typedef {object} SignIn
 * @property {(heard: () => void) => () => void} subscribe Calls `heard` after every change; returns how to end that.
 * @property {() => SignInSnapshot} getSnapshot The same object until something changes.
 * @property {() => boolean} signIn Opens the popup. Call it in the click, before any `await`. False: it was blocked.
 * @property {() => Promise<void>} leave Goes to Zapier with the whole page, which is loaded again afterwards.
 */

/** @typedef {{ retryAfterS: number }} Waits */

/** @typedef {{ session?: Session | null, events?: readonly Event[] }} Told What is known, or some of it. */

/**
 * @typedef {object} ApiState
 * @property {Token | null} token
 * @property {Promise<Token> | null} asked
 * @property {ReturnType<typeof setTimeout> | 0} timer
 *
 * @typedef {object} Api
 * @property {number} skewMs How far its clock is ahead.
 * @property {string} sessionId
 * @property {string} name Of what the session's tabs share, and of what this one keeps.
 * @property {() => number} now
 * @property {(problem: ConnectError | null) => string | null} supportOf What operators find the session by.
 * @property {() => void} rest
 * @property {(refused?: string) => Promise<Token>} token
 * @property {() => Promise<Token>} demand
 * @property {(ms: number) => void} renewAfter
 * @property {(method: string, path: string, asking?: Asking) => Promise<Response>} send Sends a
 *   request within the session; a refused token is replaced, once.
 * @property {(method: string, path: string, asking?: Asking) => Promise<any>} ask
 */

/**
 * @typedef {object} FollowerState
 * @property {boolean} canStream
 * @property {boolean} isLeading
 * @property {boolean} isStealing
 * @property {AbortController | null} turn
 * @property {AbortController | null} connection
 * @property {BroadcastChannel | null} channel
 * @property {ReturnType<typeof setTimeout> | 0} silence
 *
 * @typedef {object} Follower
 * @property {() => void} wake
 * @property {(life: AbortSignal) => Promise<void>} start
 * @property {() => void} cut Ends the connection at once: nothing can come by it any more.
 * @property {() => void} onVisibility
 * @property {(life: AbortSignal) => Promise<void>} share Takes turns with other tabs: the one looked at last
 *   follows. Throws where tabs cannot share.
 * @property {(word: object | null) => void} onWord
 * @property {(told: object) => void} tell
 * @property {(signal: AbortSignal) => Promise<void>} follow Follows until the session is over, or what trying
 *   again cannot mend. Hidden pages keep no connection.
 * @property {(tries: number, signal: AbortSignal, told?: Waits | void) => Promise<unknown>} pause
 * @property {(signal: AbortSignal) => Promise<void>} poll
 * @property {(turn: AbortSignal) => Promise<Waits | void>} stream Rejects where nothing was heard.
 */

export {};
