// The desktops of a run that goes on, as a grid: what each agent looks at, what it did last, and a way to take over.
import {el, own, time, renew, plural} from "./dom.js";
import {source, rowsOf} from "./source.js";
import {chip} from "./parts.js";

function card(run) {
  const picture = el("span", {class: "desk-screen"}), task = el("b"), state = el("span"), did = el("span", {class: "desk-did", dir: "auto"}), since = el("span", {class: "soft num"});
  const link = el("a", {class: "desk-link"}, picture, el("span", {class: "first"}, task, " ", state), did);
  const watch = el("a", {target: "_blank", rel: "noopener noreferrer"}, "Watch"), take = el("a", {target: "_blank", rel: "noopener noreferrer"}, "Take over");
  const ways = el("span", {class: "desk-ways"}, watch, " ", take), node = el("li", {class: "card desk"}, link, el("span", {class: "desk-foot"}, since, ways));
  let image = null, shown = null;
  return {node, get held() { return node.contains(document.activeElement); },
    put(row, address) {
      shown = row;
      link.setAttribute("href", `#/run/${run}/episode/${row.id}/step/${Math.max(1, row.step_count)}`);
      task.replaceChildren(own(row.task));
      state.replaceChildren(row.state === "running" ? "" : chip(row));
      did.replaceChildren(own(row.reason));
      const url = row.frame ? source.screen(run, row.id, row.frame) : null;
      if (url !== image) picture.replaceChildren(url ? el("img", {src: url, alt: `the screen of ${row.task}`, decoding: "async"}) : el("span", {class: "nothing"}, "no screen yet"));
      image = url;
      ways.hidden = !address || row.state !== "running";
      if (address) { watch.setAttribute("href", `${address},view`); take.setAttribute("href", address); }
      this.tick();
    },
    tick() { since.textContent = shown.state === "running" && shown.started ? `for ${time(Math.max(0, Date.now() - 1000 * shown.started))}` : ""; },
  };
}

export function desktopsPage({app, head, connection}) {
  const cards = new Map(), grid = el("ul", {class: "desks"}), note = el("p", {class: "soft", role: "status"}), read = rowsOf(head.id);
  let ended = false, busy = false, again = false;
  renew(app, el("div", {class: "title"}, el("h1", {}, "Live desktops"), note), grid);
  function draw(rows, addresses) {
    const running = rows.filter(row => row.state === "running"), now = new Set(running.map(row => row.id)), known = new Map(rows.map(row => [row.id, row]));
    for (const row of running.sort((a, b) => a.started - b.started || (a.task < b.task ? -1 : 1))) {
      if (!cards.has(row.id)) { cards.set(row.id, card(head.id)); grid.append(cards.get(row.id).node); }
      cards.get(row.id).put(row, addresses[row.id]);
    }
    for (const [id, one] of cards) if (!now.has(id)) {
      if (one.held && known.has(id)) one.put(known.get(id), null);  // it stays until the focus has left it
      else { one.node.remove(); cards.delete(id); }
    }
    note.textContent = running.length ? `${plural(running.length, "desktop")} · ${head.agent}` : head.state === "running" ? "No episode is running at the moment." : `The run is not going on: ${head.state}.`;
  }
  async function update() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const found = await read(), fresh = found && await source.head(head.id), addresses = found && await source.desktops(head.id);
      if (ended || !found || !fresh) return;
      if (!fresh.broken) head = fresh;
      draw(found.rows, addresses || {});
      again = again || found.pending > 0;
    } finally {
      busy = false;
      if (again && !ended) { again = false; update(); }
    }
  }
  const ready = update(), stop = source.watch(head.id, update, connection), clock = setInterval(() => cards.forEach(one => one.tick()), 1000);
  return {title: "Live desktops", crumbs: [[`#/run/${head.id}`, head.name], [null, "live"]], ready, keys: {Escape: () => { location.hash = `#/run/${head.id}`; }},
    end() { ended = true; stop(); clearInterval(clock); }};
}
