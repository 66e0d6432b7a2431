/**
 * What a page does that takes what the guide says for the whole story: it believes the message from Zapier, and takes a
 * window that reads as closed for a user who has given up. Nothing of Zapwright is in here.
 *
 * @param {string} link where an account is connected
 * @param {string} zapier the origin of Zapier's messages
 * @returns {Promise<string>} the authentication's id; rejected when the user is thought to have given up
 */
export function connectAccount(link, zapier) {
  return new Promise((connected, gaveUp) => {
    const popup = window.open(link, "_blank", "popup,width=1280,height=1024");
    if (popup === null) return gaveUp(new Error("The browser blocked the popup", { cause: "blocked" }));
    const listening = new AbortController();
    const end = () => {
      listening.abort();
      clearInterval(watching);
    };
    const onMessage = (/** @type {MessageEvent} */ { origin, data }) => {
      if (origin !== zapier || data?.type !== "zapier.popup.close") return;
      end();
      popup.close();
      connected(data.authentication_id);
    };
    window.addEventListener("message", onMessage, { signal: listening.signal });
    const watching = setInterval(() => {
      if (!popup.closed) return;
      end();
      gaveUp(new Error("popup.closed is true: the user must have given up"));
    }, 500);
  });
}
