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

function row({ id, show, app, link, authentication, next_check_in_s }) {
  const item = document.createElement("li");
  item.id = id;
  item.dataset.show = show;
  item.dataset.authentication = authentication?.id ?? "";
  item.append(`${app?.title}: ${show} ${next_check_in_s ?? ""} ${authentication?.title ?? ""} `);
  item.append(button("connect", () => connect.connect(id)));
  item.append(button("finished", () => connect.finished(id)));
  item.append(button("cancel", () => connect.cancel(id)));
  if (show === "blocked") {
    const anchor = document.createElement("a");
    Object.assign(anchor, { href: link, target: "_blank", rel: "opener", textContent: "open it here" });
    anchor.onclick = () => connect.followed(id);
    item.append(anchor);
  }
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
  const ids = steps.map(({ id, show, link, authentication }) => [id, show, link, authentication?.id].join());
  const list = document.querySelector("#steps");
  if (list.dataset.drawn !== ids.join()) {
    list.dataset.drawn = ids.join();
    list.replaceChildren(...steps.map(row));
  }
}

/** When this page heard what may have ended a popup. */
const heard = {};
for (const name of ["message", "focus"]) {
  addEventListener(name, () => (heard[name] = performance.timeOrigin + performance.now()));
}

connect.subscribe(draw);
Object.assign(window, { connect, seen, heard });
