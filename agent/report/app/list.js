// The list of episodes: sorted and filtered here, and only the rows in the window are in the document.
import {el, own, none, time, money, number, plural} from "./dom.js";
import {source} from "./source.js";
import {chip} from "./parts.js";

const COLUMNS = [
  {key: "task", name: "Episode", value: row => `${row.task}\0${String(row.repeat).padStart(6, "0")}`},
  {key: "agent", name: "Agent", value: row => row.agent},
  {key: "domain", name: "Domain", value: row => row.domain},
  {key: "score", name: "Score", value: row => none(row.score) ? -1 : row.score},
  {key: "ending", name: "Ending", value: row => row.ending},
  {key: "step_count", name: "Steps", value: row => row.step_count},
  {key: "wall_ms", name: "Time", value: row => row.wall_ms},
  {key: "cost_usd", name: "Cost", value: row => none(row.cost_usd) ? -1 : row.cost_usd},
];
const RESULTS = [["", "every result"], ["passed", "passed"], ["partial", "partial"], ["failed", "failed"], ["unscored", "not scored"], ["running", "running"], ["cut off", "cut off"]];
const MANY = 12;  // rows beyond the window
const PRINTED = 2000;
export const lastOrder = new Map();  // of each run: the ids as they were last listed

const result = row => row.state === "running" || row.state === "cut off" ? row.state : none(row.score) ? "unscored" : row.score >= 1 ? "passed" : row.score > 0 ? "partial" : "failed";

function passes(row, filter, words) {
  return (!filter.result || result(row) === filter.result) && (!filter.ending || row.ending === filter.ending) &&
    (!filter.domain || row.domain === filter.domain) && (!filter.agent || row.agent === filter.agent) &&
    (!filter.tag || row.tags.includes(filter.tag)) && words.every(word => row.words.includes(word));
}

function order(rows, sort) {
  const back = sort.startsWith("-"), column = COLUMNS.find(one => one.key === sort.replace("-", "")) || COLUMNS[0];
  const compare = (a, b) => { const x = column.value(a), y = column.value(b); return x < y ? -1 : x > y ? 1 : a.task < b.task ? -1 : a.task > b.task ? 1 : a.attempt - b.attempt; };
  return [...rows].sort(back ? (a, b) => compare(b, a) : compare);
}

function rowNode(several) {
  const picture = el("span", {class: "thumb"}), task = el("b", {class: "task"}), repeat = el("span", {class: "soft"}), said = el("span", {class: "said"});
  const cells = {agent: el("span", {class: "agent soft"}), domain: el("span", {class: "domain soft"}), score: el("span", {class: "score"}),
    ending: el("span", {class: "ending"}), steps: el("span", {class: "steps num"}), time: el("span", {class: "time num"}), cost: el("span", {class: "cost num"})};
  const node = el("a", {class: "row"}, picture, el("span", {class: "what"}, el("span", {class: "first"}, task, repeat), said),
    several ? cells.agent : null, cells.domain, cells.score, cells.ending, cells.steps, cells.time, cells.cost);
  let shown = null, image = "";
  return {node, put(row) {
    if (row === shown) return;
    shown = row;
    node.setAttribute("href", `#/run/${row.run}/episode/${row.id}`);
    task.replaceChildren(own(row.task));
    repeat.textContent = (row.repeat ? ` repeat ${row.repeat + 1}` : "") + (row.attempt > 1 ? ` attempt ${row.attempt}` : "");
    const passed = row.score >= 1 && row.state === "finished";
    said.replaceChildren(own(passed ? row.instruction : row.reason || row.instruction));
    said.className = "said " + (passed ? "" : none(row.score) ? "none" : "why");
    for (const [name, text] of [["agent", row.agent], ["domain", row.domain], ["ending", row.ending.replace("_", " ")]]) cells[name].replaceChildren(own(text));
    cells.score.replaceChildren(chip(row));
    cells.steps.replaceChildren(el("i", {}, "steps "), number(row.step_count));
    cells.time.textContent = time(row.wall_ms);
    cells.cost.textContent = none(row.cost_usd) ? "" : money(row.cost_usd);
    const url = row.frame ? source.thumbnail(row.run, row.id, row.frame) : null;
    if (url !== image) picture.replaceChildren(...(url ? [el("img", {src: url, alt: "", loading: "lazy", decoding: "async"})] : []));
    image = url;
  }};
}

export function makeList({several, filter, changed}) {
  let all = [], shown = [], height = 60, nodes = new Map();
  const body = el("div", {class: "rows"});
  const count = el("span", {class: "soft", role: "status"});
  const choose = (name, label) => el("select", {"aria-label": label, onchange: event => set(name, event.target.value)});
  const picks = {result: choose("result", "Result"), ending: choose("ending", "Ending"), domain: choose("domain", "Domain"), agent: choose("agent", "Agent"), tag: choose("tag", "Tag")};
  const search = el("input", {type: "search", placeholder: "Search tasks, reasons, tags", "aria-label": "Search", value: filter.text || "", oninput: event => set("text", event.target.value)});
  const clear = el("button", {type: "button", class: "plain", onclick: () => { for (const name of ["text", "result", "ending", "domain", "agent", "tag"]) delete filter[name]; search.value = ""; set("text", ""); }}, "clear filters");
  const heads = COLUMNS.filter(column => several || column.key !== "agent").map(column => el("button", {type: "button", class: `plain head ${column.key}`,
    onclick: () => set("sort", filter.sort === column.key ? `-${column.key}` : filter.sort === `-${column.key}` ? "" : column.key)}, column.name));
  const node = el("section", {class: several ? "list several" : "list", "aria-label": "Episodes"}, el("h2", {}, "Episodes"),
    el("div", {class: "tools"}, search, Object.values(picks), clear, count), el("div", {class: "heads", role: "group", "aria-label": "Sort by"}, el("span"), heads), body);

  function set(name, value) {
    if (value) filter[name] = value; else delete filter[name];
    changed();
    choosing();
  }
  function options(name, pairs) {
    const wanted = pairs.map(([value]) => value).join("\0");
    const pick = picks[name];
    pick.hidden = pairs.length < 3 && name !== "result";
    if (pick.dataset.has !== wanted) {
      pick.replaceChildren(...pairs.map(([value, text]) => el("option", {value}, text)));
      pick.dataset.has = wanted;
    }
    pick.value = filter[name] || "";
  }
  function choosing() {
    const distinct = read => [...new Set(all.flatMap(read))].filter(Boolean).sort().map(text => [text, text]);
    options("result", RESULTS);
    options("ending", [["", "every ending"], ...distinct(row => [row.ending])]);
    options("domain", [["", "every domain"], ...distinct(row => [row.domain])]);
    options("agent", [["", "every agent"], ...distinct(row => [row.agent])]);
    options("tag", [["", "every tag"], ...distinct(row => row.tags)]);
    const words = (filter.text || "").toLowerCase().split(/\s+/).filter(Boolean);
    shown = order(all.filter(row => passes(row, filter, words)), filter.sort || "");
    for (const run of new Set(all.map(row => row.run))) lastOrder.set(run, shown.filter(row => row.run === run).map(row => row.id));
    count.textContent = shown.length === all.length ? plural(all.length, "episode") : `${number(shown.length)} of ${plural(all.length, "episode")}`;
    clear.hidden = shown.length === all.length;
    for (const head of heads) {
      const key = COLUMNS.find(column => column.name === head.textContent).key;
      head.dataset.sort = filter.sort === key ? "up" : filter.sort === `-${key}` ? "down" : "";
      head.setAttribute("aria-pressed", head.dataset.sort ? "true" : "false");
    }
    draw(true);
  }
  function draw(moved = false, everything = false) {
    height = parseFloat(getComputedStyle(body).getPropertyValue("--row")) || 60;
    body.style.height = `${shown.length * height}px`;
    const top = -body.getBoundingClientRect().top;
    const first = everything ? 0 : Math.max(0, Math.floor(top / height) - MANY);
    const last = everything ? Math.min(shown.length, PRINTED) : Math.min(shown.length, Math.max(2 * MANY, Math.ceil((top + innerHeight) / height) + MANY));
    const wanted = new Map(shown.slice(first, last).map((row, index) => [row.run + row.id, [row, first + index]]));
    for (const [key, item] of nodes) if (!wanted.has(key) && (moved || item.node !== document.activeElement)) { item.node.remove(); nodes.delete(key); }
    let before = null;
    for (const [key, [row, index]] of wanted) {
      let item = nodes.get(key);
      if (!item) nodes.set(key, item = rowNode(several));
      item.put(row);
      item.node.style.top = `${index * height}px`;
      item.node.dataset.index = index;
      place(item.node, before);
      before = item.node;
    }
  }
  function place(item, before) {
    const next = before ? before.nextElementSibling : body.firstElementChild;
    if (next === item) return;
    const held = document.activeElement === item;
    body.insertBefore(item, next);
    if (held) item.focus({preventScroll: true});
  }
  const seen = () => { if (node.isConnected) draw(); };
  addEventListener("scroll", seen, {passive: true});
  addEventListener("resize", seen);
  const printing = () => { if (node.isConnected) draw(true, true); };
  addEventListener("beforeprint", printing);
  return {node, filter: (name, value) => { set(name, value); node.scrollIntoView({block: "start"}); },
    update(rows) {
      for (const row of rows) if (row.words === undefined)
        row.words = [row.task, row.instruction, row.reason, row.ending, row.domain, row.agent, ...row.tags].join(" ").toLowerCase();
      all = rows;
      choosing();
    },
    redraw: () => draw(),
    end() { removeEventListener("scroll", seen); removeEventListener("resize", seen); removeEventListener("beforeprint", printing); },
  };
}
