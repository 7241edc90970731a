"use strict";
const LIVE = document.getElementById("data").textContent === "null";
let data = LIVE ? {runs: []} : JSON.parse(document.getElementById("data").textContent);
const images = LIVE ? {} : JSON.parse(document.getElementById("images").textContent);
let filter = {text: "", run: "", result: ""}, open = null, step = 0;

// Everything that came from a desktop or a model goes through textContent: this function is the only maker of nodes.
function el(tag, attrs = {}, ...kids) {
  const svg = ["svg", "circle", "path", "text", "rect", "polyline"].includes(tag);
  const node = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
  for (const [k, v] of Object.entries(attrs)) {
    if (k.startsWith("on")) node.addEventListener(k.slice(2), v);
    else if (k === "width") node.style.width = v;  // the content policy allows no style attributes
    else if (v !== null && v !== undefined && v !== false) node.setAttribute(k, v === true ? "" : v);
  }
  for (const kid of kids.flat(Infinity)) if (kid !== null && kid !== undefined) node.append(kid);
  return node;
}
const RIGHT = ["score", "score, 95 % interval", "n", "feasible", "infeasible", "unscored", "steps", "time", "tokens in / out", "cost", "value", "weight"];
const th = h => el("th", {class: RIGHT.includes(h) ? "num" : ""}, h);
const ms = v => v >= 60000 ? (v / 60000).toFixed(1) + " min" : v >= 1000 ? (v / 1000).toFixed(1) + " s" : Math.round(v) + " ms";
const value = v => v === null || v === undefined ? "not scored" : Number(v).toFixed(2).replace(/\.00$/, ".0");
const tone = v => v === null || v === undefined ? "none" : v >= 1 ? "good" : v > 0 ? "" : "bad";
const money = v => v === null || v === undefined ? "" : "$" + v.toFixed(v < 1 ? 4 : 2);
const mean = m => m.mean === null ? ["–"] : [m.mean.toFixed(3), el("div", {class: "soft"}, m.low === null ? m.note : `${m.low.toFixed(3)} to ${m.high.toFixed(3)}`)];
const src = (run, episode, frame) => LIVE ? `frame/${run}/${episode.id}/${frame}.png` : Object.hasOwn(images, frame) ? images[frame] : null;
// Text of a stranger beside words of ours: marks that turn the direction of writing end with it.
const own = text => el("bdi", {}, text);
const joined = (parts, between) => parts.flatMap((part, i) => i ? [between, part] : [part]);

// One record that is not as it should be is said to be so; the rest of the page stays.
function attempt(make, what, wrap = x => x) {
  try { return make(); } catch (error) { return wrap(el("span", {class: "bad"}, `${what} cannot be shown: ${error.message}`)); }
}

function bar(parts) {
  const sum = parts.reduce((a, [, v]) => a + v, 0) || 1;
  return el("div", {class: "bar", title: parts.map(([n, v]) => `${n} ${ms(v)}`).join(", ")},
    parts.map(([n, v]) => el("i", {class: n[0], width: `${100 * v / sum}%`})));
}
function runs() {
  const head = ["agent", "score, 95 % interval", "n", "feasible", "infeasible", "unscored", "steps", "time", "where the time went", "tokens in / out", "cost", "endings"];
  return [el("h2", {}, data.runs.length > 1 ? "Runs" : "Run"), el("div", {class: "scroll"}, el("table", {},
    el("thead", {}, el("tr", {}, head.map(th))),
    el("tbody", {}, data.runs.map(r => attempt(() => { const s = r.summary; return el("tr", {},
      el("td", {}, el("b", {}, r.agent), el("div", {class: "soft"}, r.name)),
      el("td", {class: "num"}, mean(s.all), s.all_planned.mean === null ? null : el("div", {class: "soft"}, `unscored as 0: ${s.all_planned.mean.toFixed(3)}`)), el("td", {class: "num"}, `${s.all.tasks} tasks, ${s.all.episodes} of ${s.planned} episodes`),
      el("td", {class: "num"}, mean(s.feasible)), el("td", {class: "num"}, mean(s.infeasible)),
      el("td", {class: "num " + (s.unscored ? "none" : "")}, s.unscored + (s.planned - s.scored - s.unscored > 0 ? ` (+${s.planned - s.scored - s.unscored} not run)` : "")),
      el("td", {class: "num"}, s.steps), el("td", {class: "num"}, ms(s.model_ms + s.act_ms + s.settle_ms + s.other_ms)),
      el("td", {}, bar([["model", s.model_ms], ["actions", s.act_ms], ["settling", s.settle_ms], ["other", s.other_ms]])),
      el("td", {class: "num"}, s.input_tokens + s.output_tokens ? `${s.input_tokens} / ${s.output_tokens}` : ""), el("td", {class: "num"}, money(s.cost_usd)),
      el("td", {}, Object.entries(s.endings).map(([k, v]) => `${k} ${v}`).join(", "))); }, "the run", line))))),
    el("p", {class: "soft key"}, "Time:", el("i", {class: "m"}), "model", el("i", {class: "a"}), "actions", el("i", {class: "s"}), "settling", el("i", {class: "o"}), "reset, set-up, scoring"),
    data.runs.map(r => attempt(() => el("p", {class: "soft"}, own(r.agent), ", ", own(r.protocol), `, interval by ${r.summary.all.method}, task set `, own(r.task_set), r.validated ? `, validated ${r.validated.n} of ${r.validated.of} tasks` : "",
      r.skipped.length ? [`; skipped ${r.skipped.length}: `, joined(r.skipped.map(x => [own(x.task), " (", own(x.reason), ")"]), "; ")] : null,
      r.summary.deaths ? [`; desktops that died while the agent acted: ${r.summary.deaths}; tampered: ${r.summary.tampered.length} `, joined(r.summary.tampered.map(own), ", ")] : null), "the run"))];
}
const line = node => el("tr", {}, el("td", {colspan: 12}, node));
function compare() {
  if (data.runs.length < 2) return [];
  const tasks = [...new Set(data.runs.flatMap(r => r.episodes.map(e => e.task)))].sort();
  return [el("h2", {}, "Side by side"), el("div", {class: "scroll"}, el("table", {},
    el("thead", {}, el("tr", {}, el("th", {}, "task"), data.runs.map(r => el("th", {class: "num"}, r.agent)))),
    el("tbody", {}, tasks.map(t => el("tr", {}, el("td", {}, t), data.runs.map((r, i) => {
      const e = r.episodes.find(x => x.task === t);
      return e ? el("td", {class: "num " + tone(e.score)}, el("button", {onclick: () => show(i, r.episodes.indexOf(e))}, value(e.score))) : el("td", {class: "num soft"}, "–"); }))))))];
}
function matches(r, e) {
  const result = e.score === null ? "unscored" : e.score >= 1 ? "passed" : "failed";
  return (!filter.run || r.name === filter.run) && (!filter.result || filter.result === result) &&
    (!filter.text || (e.task + " " + e.instruction + " " + e.ending).toLowerCase().includes(filter.text.toLowerCase()));
}
function rows() {
  return data.runs.flatMap((r, i) => r.episodes.map((e, k) => [r, i, e, k])).filter(([r, , e]) => matches(r, e)).map(([r, i, e, k]) => attempt(() =>
    el("tr", {class: "pick", tabindex: 0, onclick: () => show(i, k), onkeydown: ev => { if (ev.key === "Enter") show(i, k); }},
      el("td", {}, el("b", {}, e.task), el("div", {class: "soft"}, e.instruction)), el("td", {}, r.agent),
      el("td", {class: "num " + tone(e.score)}, e.running ? "running" : value(e.score)), el("td", {}, e.ending),
      el("td", {class: "num"}, e.steps.length), el("td", {class: "num"}, ms(e.wall_ms)),
      el("td", {}, bar([["model", e.model_ms], ["actions", e.act_ms], ["settling", e.settle_ms], ["other", Math.max(0, e.wall_ms - e.model_ms - e.act_ms - e.settle_ms)]])),
      el("td", {class: "num"}, money(e.cost_usd))), "the episode", line));
}
function list() {
  const body = el("tbody", {}, rows()), again = () => body.replaceChildren(...rows());
  const pick = (name, options) => el("select", {"aria-label": name, onchange: ev => { filter[name] = ev.target.value; again(); }},
    options.map(([v, t]) => el("option", {value: v, selected: filter[name] === v}, t)));
  return [el("h2", {}, "Episodes"), el("div", {class: "tools"},
      el("input", {placeholder: "filter by task or words", "aria-label": "filter", value: filter.text, oninput: ev => { filter.text = ev.target.value; again(); }}),
      pick("result", [["", "every result"], ["passed", "passed"], ["failed", "failed"], ["unscored", "unscored"]]),
      data.runs.length > 1 ? pick("run", [["", "every run"], ...data.runs.map(r => [r.name, r.agent])]) : null),
    el("div", {class: "scroll"}, el("table", {}, el("thead", {}, el("tr", {}, ["task", "agent", "score", "ending", "steps", "time", "split", "cost"].map(th))), body))];
}
function marks(actions, width, height) {
  const svg = el("svg", {viewBox: `0 0 ${width} ${height}`}), big = width / 80;
  let at = null;
  for (const a of actions) {
    if (a.path) { svg.append(el("polyline", {points: a.path.map(p => p.join(",")).join(" "), fill: "none", stroke: "var(--mark)", "stroke-width": big / 4})); at = a.path[a.path.length - 1]; }
    else if (a.x !== undefined) at = [a.x, a.y];
    else if (!["click", "scroll", "mouse_down", "mouse_up"].includes(a.type) || !at) continue;
    svg.append(el("circle", {cx: at[0], cy: at[1], r: big, fill: "none", stroke: "#fff", "stroke-width": big / 2.2}),
      el("circle", {cx: at[0], cy: at[1], r: big, fill: "none", stroke: "var(--mark)", "stroke-width": big / 4}),
      el("circle", {cx: at[0], cy: at[1], r: big / 6, fill: "var(--mark)"}));
  }
  return svg;
}
function words(a) {
  const {type, ...rest} = a;
  return type + (Object.keys(rest).length ? " " + Object.entries(rest).map(([k, v]) => `${k}=${JSON.stringify(v)}`).join(" ") : "");
}
function show(run, episode) { open = [run, episode]; step = 0; history.replaceState(null, "", `#${run}.${episode}.0`); draw(); window.scrollTo(0, 0); }
function go(n) { const e = data.runs[open[0]].episodes[open[1]]; step = Math.max(0, Math.min(n, e.steps.length - (e.final ? 0 : 1))); history.replaceState(null, "", `#${open[0]}.${open[1]}.${step}`); draw(); }
function details(e, s) {
  const out = [];
  if (s) {
    out.push(el("div", {}, el("b", {}, "Actions"), el("pre", {}, s.actions.map(words).join("\n") || "none: looks again")));
    s.results.forEach((r, i) => { if (!r[0]) out.push(el("div", {class: "bad"}, `action ${i + 1}: ${r[1]}`)); else if (r[2]) out.push(el("pre", {}, r[2])); });
    if (s.answer) out.push(el("div", {}, el("b", {}, "The user answers"), el("pre", {}, s.answer)));
    if (s.thought) out.push(el("div", {}, el("b", {}, "Thought"), el("pre", {}, s.thought)));
    if (s.reply) out.push(el("div", {}, el("b", {}, "Reply"), el("pre", {}, s.reply)));
    out.push(el("dl", {}, [["model", ms(s.model_ms) + (s.attempts > 1 ? `, ${s.attempts} requests` : "")], ["actions", ms(s.act_ms)], ["settling", ms(s.settle_ms) + (s.settled === false ? " (still changing)" : "")],
      ["round trip", ms(s.roundtrip_ms)], ["tokens", `${s.input_tokens} in, ${s.output_tokens} out`], ["cost", money(s.cost_usd) || "unknown"], ["cursor", s.cursor.join(", ")]].map(([k, v]) => [el("dt", {}, k), el("dd", {}, v)])));
    s.problems.forEach(p => out.push(el("div", {class: "none"}, p)));
  } else out.push(el("p", {class: "soft"}, "The end state: this is what was scored."));
  return out;
}
function why(e) {
  const out = [el("p", {}, el("b", {class: tone(e.score)}, e.running ? "running" : value(e.score)), ` · ending ${e.ending} · `, own(e.reason))];
  if (e.error) out.push(el("pre", {class: "bad"}, e.error));
  if (e.parts.length) out.push(el("div", {class: "scroll"}, el("table", {}, el("thead", {}, el("tr", {}, ["part", "score", "weight", "what"].map(th))),
    el("tbody", {}, e.parts.map(p => el("tr", {}, el("td", {}, p.name), el("td", {class: "num " + tone(Math.min(1, p.score / (Math.min(1, p.weight) || 1)))}, value(p.score)), el("td", {class: "num"}, value(p.weight)), el("td", {}, p.description || "")))))));
  if (e.checks.length) out.push(el("div", {class: "scroll"}, el("table", {}, el("thead", {}, el("tr", {}, ["check", "value", "result", "expected", "note"].map(th))),
    el("tbody", {}, e.checks.map(c => el("tr", {}, el("td", {}, c.metric), el("td", {class: "num " + tone(c.value)}, value(c.value)), el("td", {}, el("pre", {}, c.result || "")), el("td", {}, el("pre", {}, c.expected || "")), el("td", {}, c.note || "")))))));
  return out;
}
function viewer() {
  const r = data.runs[open[0]], e = r.episodes[open[1]], s = e.steps[step], seen = s || e.final, last = e.steps.length - (e.final ? 0 : 1);
  const screen = el("div", {class: "screen"});
  if (seen && seen.frame && src(open[0], e, seen.frame)) screen.append(el("img", {src: src(open[0], e, seen.frame), alt: `screen at step ${step + 1}`}), attempt(() => marks(s ? s.actions : [], seen.width, seen.height), "the action"));
  else screen.append(el("p", {class: "dark"}, "no screenshot"));
  return [el("div", {class: "tools"}, el("button", {onclick: () => { open = null; history.replaceState(null, "", "#"); draw(); }}, "← all episodes"),
      el("button", {disabled: step === 0, onclick: () => go(step - 1)}, "previous"), el("button", {disabled: step >= last, onclick: () => go(step + 1)}, "next"),
      el("span", {class: "soft"}, own(r.agent), " · ", own(e.task), e.limits[0] ? ` · at most ${e.limits[0]} steps and ${e.limits[1]} s` : "", " · arrow keys step through")),
    el("h1", {}, e.instruction), attempt(() => why(e), "the score"),
    el("div", {class: "strip"}, e.steps.map((_, i) => el("button", {class: i === step ? "on" : "", onclick: () => go(i)}, i + 1)), e.final ? el("button", {class: step === e.steps.length ? "on" : "", onclick: () => go(e.steps.length)}, "end") : null),
    el("div", {id: "viewer"}, screen, el("div", {class: "side"}, attempt(() => details(e, s), "the step")))];
}
function draw() {
  const typing = document.activeElement && document.activeElement.tagName === "INPUT" && LIVE;
  if (typing) return;
  const app = document.getElementById("app");
  const page = open && data.runs[open[0]] && data.runs[open[0]].episodes[open[1]] ? [attempt(viewer, "the episode")]
    : [el("h1", {}, "deskbench"), el("p", {class: "soft"}, joined(data.runs.map(r => own(r.name)), ", ")), attempt(runs, "the runs"), attempt(compare, "the comparison"), attempt(list, "the list")];
  app.replaceChildren(...page.flat(Infinity).filter(node => node !== null && node !== undefined));
}
document.addEventListener("keydown", ev => {
  if (!open || ["INPUT", "SELECT"].includes(ev.target.tagName)) return;
  if (ev.key === "ArrowRight") go(step + 1); else if (ev.key === "ArrowLeft") go(step - 1); else if (ev.key === "Escape") { open = null; draw(); }
});
const at = location.hash.slice(1).split(".").map(Number);
if (at.length === 3 && at.every(Number.isInteger)) { open = at.slice(0, 2); step = at[2]; }
if (LIVE) { const poll = async () => { try { data = await (await fetch("api/run")).json(); draw(); } catch (e) { document.title = "deskbench (server gone)"; } setTimeout(poll, 2000); }; poll(); } else draw();
