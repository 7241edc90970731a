// Pieces of pages: intervals, bars and curves as SVG, and the words around a score.
import {el, svg, own, none, time, number, money, score, share, tone, plural} from "./dom.js";

const percent = value => `${(100 * Math.min(1, Math.max(0, value))).toFixed(2)}%`;

// A mean with its interval on an axis from 0 to 1.
export function interval(mean, {axis = false} = {}) {
  const height = axis ? 46 : 18, middle = axis ? 14 : 9;
  const words = none(mean.mean) ? "no score" : `${share(mean.mean)}, interval ${share(mean.low)} to ${share(mean.high)}`;
  const node = svg("svg", {class: "interval", height, role: "img", "aria-label": words},
    svg("line", {x1: "0", x2: "100%", y1: middle, y2: middle, class: "axis"}));
  if (axis) for (const tick of [0, .25, .5, .75, 1]) node.append(
    svg("line", {x1: percent(tick), x2: percent(tick), y1: middle - 4, y2: middle + 4, class: "axis"}),
    svg("text", {x: percent(tick), y: 40, class: "tick", "text-anchor": tick === 0 ? "start" : tick === 1 ? "end" : "middle"}, String(tick)));
  if (none(mean.mean)) return node;
  if (!none(mean.low)) node.append(svg("rect", {x: percent(mean.low), y: middle - 4, height: 8, rx: 4, class: "band",
    width: percent(mean.high - mean.low)}));
  node.append(svg("circle", {cx: percent(mean.mean), cy: middle, r: axis ? 7 : 5, class: "dot"}));
  return node;
}

export const range = mean => none(mean.mean) ? "no score" : none(mean.low) ? mean.note || "no interval" : `${share(mean.low)} to ${share(mean.high)}`;

export const SPLIT = [["model", "model"], ["act", "actions"], ["settle", "settling"], ["other", "reset, set-up, scoring"]];
export const split = item => ({model: item.model_ms, act: item.act_ms, settle: item.settle_ms,
  other: none(item.other_ms) ? Math.max(0, item.wall_ms - item.model_ms - item.act_ms - item.settle_ms) : item.other_ms});

export function splitBar(parts) {
  const sum = SPLIT.reduce((total, [key]) => total + (parts[key] || 0), 0) || 1;
  return el("div", {class: "split", role: "img", "aria-label": SPLIT.map(([key, name]) => `${name} ${time(parts[key])}`).join(", ")},
    SPLIT.map(([key]) => el("i", {class: key, css: {width: percent((parts[key] || 0) / sum)}})));
}

// What each row counts for in the mean: tasks of one template (name@0, name@1, ...) share one part, as in the score.
function weights(rows) {
  const family = row => row.task.replace(/@\d+$/, ""), counts = new Map();
  for (const row of rows) counts.set(family(row), (counts.get(family(row)) || 0) + 1);
  return rows.map(row => 1 / counts.get(family(row)) / counts.size);
}

// The mean score if every episode had been cut off at x: a step curve.
export function curve(rows, what, words, width = 320) {
  const all = rows.filter(row => row.state === "finished" && !none(row.score) && !none(row[what]));
  const title = el("h3", {}, "Score against ", words.name);
  if (!all.length || all.every(row => !row[what])) return el("figure", {class: "curve"}, title, el("p", {class: "soft"}, "nothing yet"));
  const weight = weights(all), sorted = all.map((row, index) => [row[what], row.score * weight[index]]).sort((a, b) => a[0] - b[0]);
  const most = sorted[sorted.length - 1][0], height = 132, left = 30, bottom = 22;
  const x = value => left + (width - left - 6) * value / most, y = value => 8 + (height - bottom - 8) * (1 - value);
  let sum = 0, line = `M${x(0)} ${y(0)}`;
  for (const [at, value] of sorted) {
    line += `L${x(at).toFixed(1)} ${y(sum).toFixed(1)}L${x(at).toFixed(1)} ${y(sum + value).toFixed(1)}`;
    sum += value;
  }
  return el("figure", {class: "curve"}, title, svg("svg", {viewBox: `0 0 ${width} ${height}`, role: "img",
    "aria-label": `mean score if episodes were cut off: ${share(sum)} at ${words.show(most)}`},
    [0, .5, 1].map(tick => [svg("line", {x1: left, x2: width - 6, y1: y(tick), y2: y(tick), class: "grid"}),
      svg("text", {x: left - 6, y: y(tick) + 4, class: "tick", "text-anchor": "end"}, String(tick))]),
    [0, .5, 1].map(part => svg("text", {x: x(most * part), y: height - 5, class: "tick",
      "text-anchor": part === 0 ? "start" : part === 1 ? "end" : "middle"}, words.show(most * part))),
    svg("path", {d: `${line}L${x(most)} ${y(0)}Z`, class: "area"}), svg("path", {d: line, class: "line"})));
}

export function domains(list, choose) {
  return el("div", {class: "domains"}, list.map(one => el("div", {class: "domain"},
    el("button", {type: "button", class: "plain", "data-key": `domain ${one.name}`, title: "Show these episodes", onclick: () => choose(one.name)}, own(one.name)),
    interval(one), el("b", {class: "num"}, share(one.mean)), el("span", {class: "soft num"}, plural(one.tasks, "task")))));
}

// What a score holds under: nothing that is printed as a score stands without it.
export function protocol(head) {
  const facts = [["agent", head.agent], ["provider", head.provider], ["looks", head.policy], ["deskbench", head.version], ["revision", head.git],
    ["task set", head.task_set], ...Object.entries(head.desktop || {})];
  const wanted = ["max_steps", "max_seconds", "width", "height", "repeats", "seed", "network", "isolated", "osworld_strict"];
  const settings = head.settings || {};
  for (const name of wanted) if (Object.hasOwn(settings, name)) facts.push([name.replace("_", " "), settings[name]]);
  for (const name of ["video", "take_over"]) if (settings[name] === "True") facts.push([name.replace("_", " "), "yes"]);
  for (const name of ["model", "observation", "action_space", "base_url"])
    if (Object.hasOwn(head.agent_settings || {}, name)) facts.push([name.replace("_", " "), head.agent_settings[name]]);
  return el("dl", {class: "facts"}, facts.filter(([, value]) => value !== "" && !none(value)).map(([name, value]) =>
    el("div", {}, el("dt", {}, own(name)), el("dd", {}, own(value)))));
}

export const chip = row => el("span", {class: `chip ${row.state === "running" ? "going" : tone(row.score)}`},
  row.state !== "finished" ? row.state : none(row.score) ? "not scored" : score(row.score));

export const sums = summary => [["Steps", number(summary.steps)],
  ["Time", time(summary.model_ms + summary.act_ms + summary.settle_ms + summary.other_ms)],
  ["Tokens in", number(summary.input_tokens)], ["Tokens out", number(summary.output_tokens)], ["Cost", money(summary.cost_usd)]];
