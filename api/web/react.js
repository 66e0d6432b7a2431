/**
 * The hook for React. React is given, so that nothing here depends on one.
 *
 * @import { Connect, Snapshot } from "../../clients/browser/types.js"
 */

/**
 * Make the hook: `const useConnect = hookFor(React)`, then `const snapshot = useConnect(connect)` in a component.
 *
 * @param {{ useSyncExternalStore: <T>(subscribe: (heard: () => void) => () => void, read: () => T, readOnServer: () => T) => T }} React
 * @returns {(connect: Connect) => Snapshot}
 */
export function hookFor({ useSyncExternalStore }) {
  return ({ subscribe, getSnapshot, getServerSnapshot }) =>
    useSyncExternalStore(subscribe, getSnapshot, getServerSnapshot);
}
