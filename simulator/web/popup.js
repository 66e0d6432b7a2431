// What a popup's page does without being asked, as `data-steps` on its body says: walk on, post, close itself.
//
//   walk            {click, after_ms}: press this button after a while
//   spoofs          [{where, address}]: let a frame, or a window, post first
//   posts           [{to, message, padding}], after `after_ms`: to the window that opened this one, or the one around it
//   close_after_ms  close after that

const OTHER_WINDOW_MS = 3_000;
const steps = JSON.parse(document.body.dataset.steps ?? "{}");
const wait = (ms) => new Promise((resume) => setTimeout(resume, ms));
const done = document.getElementById("done");
const clicked = new Promise((resume) => done?.addEventListener("click", resume, { once: true }));
const openers = { page: () => opener, frame: () => parent.opener, window: () => opener?.opener };

function post({ to, message, padding }) {
  openers[to]()?.postMessage(padding ? { ...message, padding: "x".repeat(padding) } : message, "*");
}

const spoof = {
  frame: (address) =>
    new Promise((resume) => {
      const frame = document.createElement("iframe");
      Object.assign(frame, { src: address, hidden: true, title: "", onload: resume });
      document.body.append(frame);
    }),
  // A browser opens a window for a click only.
  window: async (address) => {
    const attempt = () => open(address, "_blank", "width=300,height=200");
    const other = attempt() ?? (await clicked.then(attempt));
    if (other === null) return;
    const spoofed = new Promise((resume) => addEventListener("message", ({ source }) => source === other && resume()));
    await Promise.race([spoofed, wait(OTHER_WINDOW_MS)]);
    other.close();
  },
};

done?.addEventListener("click", () => {
  if (!steps.spoofs?.some(({ where }) => where === "window")) close();
});

document.body.dataset.opener = opener === null ? "cut" : "reachable";
if (steps.walk) {
  wait(steps.walk.after_ms).then(() => document.getElementById(steps.walk.click).click());
}
for (const { where, address } of steps.spoofs ?? []) await spoof[where](address);
if (steps.after_ms) await wait(steps.after_ms);
steps.posts?.forEach(post);
if (steps.posts?.[0]?.to === "window") opener?.postMessage("spoofed", location.origin);
if (Number.isInteger(steps.close_after_ms)) wait(steps.close_after_ms).then(() => close());
