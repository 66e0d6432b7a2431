const query = new URLSearchParams(location.search);
const { createConnect } = await import(`${query.get("api")}/web/connect.js`);

const connect = createConnect({
  getToken: async () => {
    const answer = await fetch(`/token?${query}`, { method: "POST" });
    if (!answer.ok) throw new Error(`the product answered ${answer.status}`);
    return answer.json();
  },
});

/** Every distinct thing that was shown for each step, and when. */
const seen = {};

/** A step's row; its buttons stay where they are whatever is drawn, or who presses one meanwhile has clicked nothing. */
function row({ id, show, app, link, authentication, next_check_in_s }) {
  const item = document.getElementById(id) ?? newRow(id);
  item.dataset.show = show;
  item.dataset.authentication = authentication?.id ?? "";
  Object.assign(item.querySelector("a"), { href: link ?? "", hidden: show !== "blocked" });
  item.lastChild.textContent = ` ${app?.title}: ${show} ${next_check_in_s ?? ""} ${authentication?.title ?? ""}`;
  return item;
}

function newRow(id) {
  const item = Object.assign(document.createElement("li"), { id });
  const anchor = Object.assign(document.createElement("a"), { target: "_blank", rel: "opener", textContent: "open it here" });
  anchor.onclick = () => connect.followed(id);
  item.append(
    button("connect", () => connect.connect(id)),
    button("finished", () => connect.finished(id)),
    button("cancel", () => connect.cancel(id)),
    anchor,
    "",
  );
  return item;
}

function button(name, onclick) {
  return Object.assign(document.createElement("button"), { className: name, textContent: name, onclick });
}

function draw() {
  const { status, steps } = connect.getSnapshot();
  document.querySelector("#status").textContent = status;
  for (const { id, show, authentication } of steps) {
    const all = (seen[id] ??= []);
    if (all.at(-1)?.show !== show) all.push({ show, at: performance.timeOrigin + performance.now(), authentication });
  }
  const list = document.querySelector("#steps");
  const rows = steps.map(row);
  if (rows.map(({ id }) => id).join() !== [...list.children].map(({ id }) => id).join()) list.replaceChildren(...rows);
}

/** When this page heard what may have ended a popup. */
const heard = {};
for (const name of ["message", "focus"]) {
  addEventListener(name, () => (heard[name] = performance.timeOrigin + performance.now()));
}

connect.subscribe(draw);
Object.assign(window, { connect, seen, heard });
