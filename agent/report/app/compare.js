// Several runs: each later one against the first, with the tasks that flipped, and all their episodes.
import {el, svg, own, none, score, tone, attempt, renew, plural} from "./dom.js";
import {source, rowsOf} from "./source.js";
import {line} from "./run.js";
import {makeList} from "./list.js";

const percent = (value, reach) => `${(50 + 50 * Math.max(-1, Math.min(1, value / reach))).toFixed(2)}%`;
const signed = value => `${value > 0 ? "+" : ""}${Number(value.toFixed(3))}`;

// A difference with its interval on an axis from -reach to reach.
function offset(found, reach, {axis = false} = {}) {
  const middle = 9, x = value => percent(value, reach);
  const ends = none(found.low) ? "" : `, interval ${signed(found.low)} to ${signed(found.high)}`;
  const node = svg("svg", {class: "interval", height: axis ? 40 : 18, role: "img", "aria-label": none(found.mean) ? "no difference is known" : `difference ${signed(found.mean)}${ends}`},
    svg("line", {x1: "0", x2: "100%", y1: middle, y2: middle, class: "axis"}), svg("line", {x1: "50%", x2: "50%", y1: 0, y2: 18, class: "zero"}));
  if (axis) for (const [at, anchor] of [[-reach, "start"], [0, "middle"], [reach, "end"]]) node.append(svg("text", {x: x(at), y: 34, class: "tick", "text-anchor": anchor}, signed(at)));
  if (none(found.mean)) return node;
  if (!none(found.low)) node.append(svg("rect", {x: x(found.low), y: middle - 4, height: 8, rx: 4, class: "band", width: `${(50 * (Math.min(reach, found.high) - Math.max(-reach, found.low)) / reach).toFixed(2)}%`}));
  node.append(svg("circle", {cx: x(found.mean), cy: middle, r: axis ? 7 : 5, class: "dot"}));
  return node;
}

const table = (heads, rows, kind = "") => el("div", {class: "scroll"}, el("table", {class: kind}, el("thead", {}, el("tr", {}, heads.map(([name, number]) => el("th", {scope: "col", class: number ? "num" : null}, own(name))))), el("tbody", {}, rows)));
const num = text => el("td", {class: "num"}, text);

function groups(versus) {
  if (!versus.groups.length) return null;
  const heads = [["Kind"], ["Name"], ["Tasks", 1], [versus.first, 1], [versus.second, 1], ["Difference", 1], ["95 % interval", 1], ["p (Holm)", 1], [`${signed(-versus.reach)} to ${signed(versus.reach)}`]];
  return [el("h3", {}, "By suite, domain and tag"), table(heads, versus.groups.map(group => el("tr", {}, el("td", {class: "soft"}, own(group.cells[0])), el("th", {scope: "row"}, own(group.cells[1])),
    group.cells.slice(2).map(num), el("td", {class: "drawn"}, offset(group, versus.reach)))), "groups")];
}

function efforts(versus) {
  const places = what => what === "US dollars" ? 4 : 1;
  return versus.efforts.length ? [el("h3", {}, "What an episode takes"), table([["Mean of"], ["Over"], ["Pairs", 1], [versus.first, 1], [versus.second, 1]], versus.efforts.map(one =>
    el("tr", {}, el("th", {scope: "row"}, one.what), el("td", {}, one.over), num(String(one.pairs)), num(one.first.toFixed(places(one.what))), num(one.second.toFixed(places(one.what))))))] : null;
}

function flips(versus) {
  if (!versus.flips.length) return el("p", {class: "soft"}, "No task has another score.");
  const side = (played, which, task) => el("td", {}, el("span", {class: `chip ${tone(played.score)}`}, score(played.score)), " ",
    el("a", {href: `#${played.address}`, "data-key": `${versus.second} ${which} ${played.address}`, "aria-label": `${which}: ${task}`}, own(played.ending.replace("_", " ")), `, ${plural(played.steps, "step")}`),
    el("span", {class: "reason soft", dir: "auto"}, played.reason));
  return [el("h3", {}, `Tasks with another score in ${versus.second}: ${versus.flips.length}`), table([["Task"], ["Repeat", 1], [versus.first], [versus.second]], versus.flips.flatMap(flip => flip.pairs.map(([repeat, one, other]) =>
    el("tr", {}, el("th", {scope: "row"}, own(flip.task)), num(String(repeat + 1)), side(one, versus.first, flip.task), side(other, versus.second, flip.task)))), "flips")];
}

function against(versus) {
  return el("section", {class: "card versus", "aria-label": `${versus.second} against ${versus.first}`}, versus.conflicts.map(text => el("p", {class: "bad"}, el("b", {}, "Scores are not comparable: "), own(text))),
    el("p", {class: "verdict-line"}, versus.verdict), el("p", {class: "num"}, el("b", {}, `${versus.second} − ${versus.first} = ${versus.all.difference}`), " ", versus.all.ends, " ", el("span", {class: "soft"}, versus.all.p)),
    offset(versus.all, versus.all.reach, {axis: true}), versus.lines.map(text => el("p", {class: "soft"}, own(text[0].toUpperCase() + text.slice(1)), ".")), groups(versus), efforts(versus), flips(versus));
}

function compared(found) {
  if (!found) return el("p", {class: "soft"}, "This file holds the comparison of all of its runs in their order only.");
  if (found.broken) return el("p", {class: "card warn"}, own(found.broken));
  const said = [...found.protocols, ...found.notes];
  return el("div", {}, found.against.map(against), said.length ? el("section", {class: "card notes", "aria-label": "Measured with"}, el("h2", {}, "Measured with"), said.map(text => el("p", {}, own(text), "."))) : null);
}

function tasks(heads, rows) {
  const all = [...new Set(rows.map(row => row.task))].sort(), of = new Map();
  for (const row of rows) of.set(`${row.run}\0${row.task}`, [...(of.get(`${row.run}\0${row.task}`) || []), row]);
  return table([["Task"], ...heads.map((head, at) => [`${letter(at)} ${head.agent}`, 1])], all.map(task => el("tr", {}, el("th", {scope: "row"}, own(task)), heads.map(head => el("td", {class: "num"},
    (of.get(`${head.id}\0${task}`) || []).map(row => el("a", {href: `#/run/${head.id}/episode/${row.id}`, class: `chip ${tone(row.score)}`, "data-key": row.id}, none(row.score) ? row.state === "finished" ? "not scored" : row.state : score(row.score))))))), "beside");
}

const letter = at => String.fromCharCode(65 + at);

export function comparePage({app, heads, filter, keep}) {
  const ids = heads.map(head => head.id), list = makeList({several: true, filter, changed: keep}), runs = el("ul", {class: "runs"});
  const numbers = el("div", {role: "status"}, el("p", {class: "soft"}, "comparing …")), every = el("details", {class: "card"}), place = el("div"), readers = heads.map(head => rowsOf(head.id));
  renew(every, el("summary", {}, "All tasks"), place);
  renew(app, el("h1", {}, "Compare"), runs, numbers, every, list.node);
  let ended = false, timer = 0, told = "";
  const first = at => at && source.live ? el("a", {href: `#/runs/${[ids[at], ...ids.filter((_, other) => other !== at)].join("+")}`, "data-key": `first ${ids[at]}`, title: "Compare the others with this run"}, letter(at)) : el("b", {}, letter(at));
  const draw = () => renew(runs, heads.map((head, at) => attempt(() => line(head, el("span", {class: "letter"}, first(at))), "the run")));
  async function rowsNow(head, read) {
    let answer = await read();
    while (answer && answer.pending && !ended) answer = await read();
    return (answer ? answer.rows : []).map(row => Object.assign(row, {run: head.id}));
  }
  async function load() {
    const rows = (await Promise.all(heads.map((head, at) => rowsNow(head, readers[at])))).flat();
    if (ended) return;
    renew(place, attempt(() => tasks(heads, rows), "the tasks"));
    list.update(rows);
    const fresh = await Promise.all(ids.map(id => source.head(id)));
    if (ended) return;
    heads = heads.map((head, at) => fresh[at] && !fresh[at].broken ? fresh[at] : head);
    draw();
    const found = await source.compare(ids);
    if (ended) return;
    if (JSON.stringify(found) !== told) renew(numbers, attempt(() => compared(found), "the comparison"));
    told = JSON.stringify(found);
    if (source.live && heads.some(head => head.stale || head.state === "running")) timer = setTimeout(again, heads.some(head => !head.summary) ? 500 : 3000);
  }
  const again = () => load().catch(() => { if (!ended) timer = setTimeout(again, 3000); });
  draw();
  return {title: "Compare", crumbs: [[null, "compare"]], ready: load(), keys: {}, end() { ended = true; clearTimeout(timer); list.end(); }};
}
