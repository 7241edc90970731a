// The pages of runs: all of them, and one with its numbers and episodes.
import {el, own, none, time, number, money, share, day, attempt, renew, plural} from "./dom.js";
import {source, rowsOf} from "./source.js";
import {interval, range, split, splitBar, SPLIT, curve, domains, protocol, sums} from "./parts.js";
import {makeList} from "./list.js";

const missing = summary => Math.max(0, summary.planned - summary.scored - summary.unscored);
const CURVES = [["step_count", {name: "steps", show: number}], ["wall_ms", {name: "time", show: time}], ["cost_usd", {name: "cost", show: money}]];

const badge = head => head.state === "running" ? el("span", {class: "chip going"}, "running") : head.state && head.state !== "complete" ? el("span", {class: "chip part"}, own(head.state)) : null;

export function line(head, several) {
  const name = el("a", {href: `#/run/${head.id}`, "data-key": `run ${head.id}`}, own(head.agent || head.name));
  if (head.broken) return el("li", {class: "run"}, el("div", {class: "names"}, el("span", {}, own(head.name)), el("span", {class: "bad"}, own(head.broken))));
  if (head.pending || !head.summary) return el("li", {class: "run"}, el("div", {class: "names"}, el("span", {}, name), el("span", {class: "soft"}, "reading …")));
  const all = head.summary.all;
  return el("li", {class: "run"}, several, el("div", {class: "names"}, el("span", {}, name, " ", badge(head)), el("span", {class: "soft"}, own(head.name))), el("b", {class: "num big"}, share(all.mean)),
    el("div", {class: "means"}, interval(all), el("span", {class: "soft"}, range(all), ` · ${plural(all.tasks, "task")}, ${all.episodes} of ${plural(head.summary.planned, "episode")}`)), el("span", {class: "soft num"}, time(head.summary.model_ms + head.summary.act_ms + head.summary.settle_ms + head.summary.other_ms)),
    el("span", {class: "soft num"}, money(head.summary.cost_usd)), el("span", {class: "soft num"}, day(head.created)));
}

export function indexPage({app, heads, pending, again}) {
  const chosen = new Set(), list = el("ul", {class: "runs"}), note = el("p", {class: "soft", role: "status"}), beside = el("a", {class: "button", "data-key": "beside"}, "Compare");
  const search = el("input", {type: "search", placeholder: "Search runs", "aria-label": "Search runs", oninput: () => draw()});
  let ended = false, timer = 0;
  renew(app, el("h1", {}, "Runs"), el("div", {class: "tools"}, search, beside, note), list);
  function draw() {
    const words = search.value.toLowerCase();
    const shown = heads.filter(head => `${head.name} ${head.agent || ""} ${head.provider || ""}`.toLowerCase().includes(words));
    renew(list, shown.slice(0, 1000).map(head => attempt(() => line(head, el("input", {type: "checkbox", "data-key": `choose ${head.id}`, "aria-label": `Compare ${head.name}`, checked: chosen.has(head.id),
      onchange: event => { if (event.target.checked) chosen.add(head.id); else chosen.delete(head.id); offer(); }})), "the run")));
    note.textContent = (shown.length > 1000 ? `the first 1,000 of ${plural(shown.length, "run")}` : plural(shown.length, "run")) + (pending ? `, ${number(pending)} still to be read` : "");
    offer();
  }
  function offer() {
    const known = new Set(heads.map(head => head.id)), ids = [...chosen].filter(id => known.has(id));
    beside.hidden = heads.length < 2;
    const few = heads.length <= 8 && ids.length < 2 ? heads.map(head => head.id) : ids;
    beside.setAttribute("href", few.length > 1 ? `#/runs/${few.join("+")}` : "#/");
    beside.setAttribute("aria-disabled", String(few.length < 2));
  }
  async function look() {
    try { ({runs: heads, pending} = await again()); } catch { pending = pending || 1; }
    if (ended) return;
    draw();
    timer = setTimeout(look, pending ? 300 : 5000);
  }
  draw();
  if (source.live) timer = setTimeout(look, pending ? 100 : 5000);
  return {title: "Runs", crumbs: [], keys: {}, end() { ended = true; clearTimeout(timer); }};
}

function hero(head) {
  if (!head.summary) return el("section", {class: "card soft", role: "status"}, "computing the numbers …");
  const summary = head.summary, all = summary.all, unscored0 = summary.all_planned;
  const counts = [["passed", summary.passed, "good"], ["not passed", summary.scored - summary.passed, "bad"], ["not scored", summary.unscored, "none"], ["not run", missing(summary), "none"]];
  const small = (name, mean) => mean.tasks ? el("div", {class: "domain"}, el("span", {}, name), interval(mean), el("b", {class: "num"}, share(mean.mean)), el("span", {class: "soft num"}, plural(mean.tasks, "task"))) : null;
  return el("section", {class: "card hero", "aria-label": "Score"},
    el("div", {class: "score"}, el("p", {class: "soft"}, "Mean score"), el("p", {class: "huge"}, share(all.mean)), el("p", {}, none(all.low) ? range(all) : `95 % interval ${range(all)}`), all.note && !none(all.low) ? el("p", {class: "warn"}, all.note) : null, el("p", {class: "soft"}, `${plural(all.tasks, "task")}, ${plural(all.episodes, "scored episode")} of ${summary.planned} planned · interval by ${all.method}`)),
    el("div", {class: "wide"}, interval(all, {axis: true}), el("div", {class: "domains"}, summary.infeasible.tasks ? [small("feasible", summary.feasible), small("infeasible", summary.infeasible)] : null,
      !none(unscored0.mean) && unscored0.mean !== all.mean ? small("unscored as 0", unscored0) : null),
      el("p", {class: "counts"}, counts.filter(([, count]) => count > 0).map(([name, count, kind]) => el("span", {class: kind}, el("b", {}, number(count)), " ", name)))),
    el("dl", {class: "sums"}, sums(summary).map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value)))));
}

function notes(head) {
  const summary = head.summary || {deaths: 0, tampered: []}, skipped = head.skipped || [];
  return el("section", {class: "card notes", "aria-label": "How it was measured"}, el("h2", {}, "Measured with"), (head.lines || []).map(text => el("p", {}, own(text))), protocol(head),
    head.foreign ? el("p", {class: "warn"}, "This run was written by another version of deskbench: ", own(head.foreign)) : null, head.error ? el("p", {class: "bad"}, own(head.error)) : null,
    head.validated ? el("p", {class: "soft"}, `Verified on this provider: ${head.validated.n} of ${head.validated.of} tasks.`) : null,
    summary.deaths ? el("p", {class: "warn"}, `Desktops that died while the agent acted: ${summary.deaths}. Twice in one episode: ${summary.tampered.length} `, own(summary.tampered.join(", "))) : null,
    skipped.length ? el("details", {}, el("summary", {}, plural(skipped.length, "skipped task")), el("ul", {}, skipped.map(one => el("li", {}, own(one.task), ": ", own(one.reason))))) : null);
}

function curves(rows) {
  const shown = CURVES.filter(([what]) => what !== "cost_usd" || rows.some(row => row.cost_usd));
  return shown.map(([what, words]) => attempt(() => curve(rows, what, words, shown.length < 3 ? 520 : 320), "the curve"));
}

function charts(head, rows, choose) {
  if (!head.summary) return el("section", {class: "card curves", "aria-label": "Curves"}, curves(rows));
  const summary = head.summary, parts = split({...summary, wall_ms: 0});
  const endings = Object.entries(summary.endings);
  return [el("section", {class: "card curves", "aria-label": "Curves"}, curves(rows)),
    el("div", {class: "pair"}, el("section", {class: "card"}, el("h2", {}, "Domains"), attempt(() => domains(head.domains, name => choose("domain", name)), "the domains")),
      el("section", {class: "card"}, el("h2", {}, "Where the time went"), splitBar(parts), el("ul", {class: "legend"}, SPLIT.map(([key, name]) => el("li", {}, el("i", {class: key}), name, " ", el("b", {}, time(parts[key]))))),
        el("h2", {}, "Endings"), el("p", {class: "endings"}, endings.map(([name, count]) => el("button", {type: "button", class: "plain", "data-key": `ending ${name}`, title: "Show these episodes", onclick: () => choose("ending", name)}, own(name.replace("_", " ")), " ", el("b", {}, number(count)))))))];
}

export function runPage({app, head, filter, keep, connection}) {
  const top = el("div"), middle = el("div"), warn = el("p", {class: "soft", role: "status"}), read = rowsOf(head.id);
  const list = makeList({several: false, filter, changed: keep});
  renew(app, top, middle, warn, list.node);
  let ended = false, busy = false, again = false, rows = [], timer = 0;
  function draw() {
    renew(top, el("div", {class: "title"}, el("h1", {}, own(head.agent || head.name), " ", badge(head)), el("p", {class: "soft"}, own(head.name), head.created ? ` · ${day(head.created)}` : ""), source.live && head.state === "running" ? el("p", {}, el("a", {href: `#/run/${head.id}/live`, class: "button", "data-key": "live"}, "Live desktops")) : null), attempt(() => hero(head), "the score"));
    renew(middle, attempt(() => el("div", {}, charts(head, rows, list.filter)), "the charts"), attempt(() => notes(head), "the protocol"));
  }
  async function update() {
    if (busy) { again = true; return; }
    busy = true;
    try {
      const found = await read(), fresh = found && await source.head(head.id);
      if (ended || !found || !fresh) return;
      rows = found.rows.map(row => row.run === head.id ? row : Object.assign(row, {run: head.id}));
      if (!fresh.broken) head = fresh;
      warn.textContent = found.pending ? `reading: ${number(found.pending)} episodes to go` : "";
      draw();
      list.update(rows);
      clearTimeout(timer);
      if (found.pending || head.stale) timer = setTimeout(update, found.pending ? 50 : head.summary ? 3000 : 500);
    } finally {
      busy = false;
      if (again && !ended) { again = false; update(); }
    }
  }
  draw();
  const ready = update();
  const stop = source.watch(head.id, update, connection);
  return {title: head.agent || head.name, crumbs: [[null, head.name]], ready, keys: {"/": () => list.node.querySelector("input").focus()}, end() { ended = true; clearTimeout(timer); stop(); list.end(); }};
}
