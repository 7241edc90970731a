// The page of an episode: its score with every check, and its steps one at a time.
import {el, own, none, time, number, money, score, tone, attempt, renew, plural} from "./dom.js";
import {source} from "./source.js";
import {chip, splitBar} from "./parts.js";
import {screen, words, hasTree} from "./screen.js";
import {film} from "./film.js";
import {lastOrder} from "./list.js";

const SHOWS = [["screen", "Before"], ["after", "After"], ["difference", "Difference"]];
const FILM = ["film", "Video"];
const REPLAY = ["replay", "Recorded and replayed"];
const KEYS = [["→ or j", "next step"], ["← or k", "previous step"], ["Home, End", "first step, end state"], ["b, f, d, v", "before, after, difference, video"],
  ["a", "elements of the accessibility tree"], ["n, p", "next, previous episode of the list"], ["Esc", "back to the list"], ["?", "this help"]];
const block = (name, text, kind = "") => text ? el("section", {class: `said-block ${kind}`}, el("h3", {}, name), el("pre", {dir: "auto"}, text)) : null;
const table = (heads, rows) => el("div", {class: "scroll"}, el("table", {}, el("thead", {}, el("tr", {}, heads.map(name => el("th", {scope: "col"}, name)))), el("tbody", {}, rows)));

function checks(shown) {
  const parts = shown.parts.map(part => el("tr", {}, el("td", {}, own(part.name)), el("td", {class: tone(Math.min(1, part.score / (Math.min(1, part.weight) || 1)))}, score(part.score)),
    el("td", {}, score(part.weight)), el("td", {}, own(part.description || ""))));
  const rows = shown.checks.map(check => el("tr", {}, el("td", {}, own(check.metric)), el("td", {}, el("span", {class: `chip ${tone(check.value)}`}, score(check.value))),
    el("td", {}, el("pre", {dir: "auto"}, check.result || "")), el("td", {}, el("pre", {dir: "auto"}, check.expected || "")), el("td", {}, own(check.note || ""))));
  return [rows.length ? table(["Check", "Value", "Found", "Expected", "Note"], rows) : null, parts.length ? table(["Part", "Score", "Weight", "What"], parts) : null];
}

function facts(shown) {
  const all = [["Domain", shown.domain], ["Agent", shown.agent], ["Attempt", shown.attempt || ""], ["Repeat", shown.repeat ? shown.repeat + 1 : ""],
    ["Limits", none(shown.limits[0]) ? "" : `${shown.limits[0]} steps, ${shown.limits[1]} s`], ["Tokens", shown.tokens ? `${number(shown.tokens[0])} in, ${number(shown.tokens[1])} out` : ""],
    ["Cost", none(shown.cost_usd) ? "" : money(shown.cost_usd)], ["Tags", shown.tags.join(", ")], ["OSWorld's mistakes of", shown.osworld_strict || ""]];
  return el("dl", {class: "facts"}, all.filter(([, value]) => value !== "").map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, own(value)))));
}

function details(step, last) {
  if (!step) return [el("p", {class: "soft"}, last ? "The end state: this is what was scored." : "No step has been taken.")];
  const results = step.results.flatMap((one, index) => !one[0] ? [block(`Action ${index + 1} was refused`, one[1], "bad")] : [block(`Output of action ${index + 1}`, one[2])]);
  const numbers = [["Model", time(step.model_ms) + (step.attempts > 1 ? `, ${step.attempts} requests` : "")], ["Actions", time(step.act_ms)],
    ["Settling", time(step.settle_ms) + (step.settled === false ? ", still changing" : step.settled_by ? `, by ${step.settled_by}` : "")], ["Round trip", time(step.roundtrip_ms)],
    ["Tokens", `${number(step.input_tokens)} in, ${number(step.output_tokens)} out`], ["Cost", money(step.cost_usd)], ["Pointer", step.cursor.join(", ")]];
  return [el("section", {class: "said-block"}, el("h3", {}, "Actions"), step.actions.length ? el("ol", {class: "actions"}, step.actions.map(action => el("li", {}, el("code", {dir: "auto"}, words(action)))))
    : el("p", {class: "soft"}, "none: the agent looks again")), results, block("The user answers", step.answer), block("Thought", step.thought),
    step.reply === step.thought ? null : block("Reply", step.reply), step.problems.map(text => el("p", {class: "warn"}, own(text))), block("Terminal", step.terminal),
    el("dl", {class: "facts"}, numbers.map(([name, value]) => el("div", {}, el("dt", {}, name), el("dd", {}, value))))];
}

function help() {
  const dialog = el("dialog", {class: "help", onclose: () => dialog.remove(), onclick: event => { if (event.target === dialog) dialog.close(); }}, el("h2", {}, "Keys"),
    el("dl", {class: "facts"}, KEYS.map(([key, what]) => el("div", {}, el("dt", {}, el("kbd", {}, key)), el("dd", {}, what)))), el("button", {type: "button", onclick: () => dialog.close()}, "Close"));
  document.body.append(dialog);
  dialog.showModal();
}

export function episodePage({app, run, id, head, shown: first, step: start, go}) {
  let shown = first, at = 0, show = "screen", elements = false, playing = null;
  const title = el("div", {class: "title"}), verdict = el("section", {class: "card verdict", "aria-label": "Checks"}), bar = el("div", {class: "bar"});
  const strip = el("div", {class: "strip", role: "group", "aria-label": "Steps"}), stage = el("div", {class: "stage"}), side = el("div", {class: "side", "aria-live": "polite"});
  renew(app, title, el("section", {class: "card player", "aria-label": "Steps"}, bar, el("div", {class: "columns"}, stage, side), strip), verdict);

  const last = () => shown.steps.length - (shown.final ? 0 : 1);
  const where = n => `#/run/${run}/episode/${id}/step/${shown.final && n === shown.steps.length ? "end" : n + 1}`;
  const readdress = n => { if (location.hash.startsWith(`#/run/${run}/episode/${id}/`) || location.hash === `#/run/${run}/episode/${id}`) history.replaceState(history.state, "", where(n)); };  // unless the reader has already gone on
  const position = text => text === "end" ? last() : /^\d{1,6}$/.test(text || "") ? Math.max(0, Math.min(last(), Number(text) - 1)) : 0;
  function move(n) {
    at = Math.max(0, Math.min(last(), n));
    readdress(at);
    draw();
    if (playing && show === "film") playing.seek(at);
  }
  const hasFilm = () => !none(shown.film) && source.video(run, id) !== null;
  function filmed() {
    if (playing) return playing;
    const times = [...shown.steps, ...(shown.final ? [shown.final] : [])].map(one => one.time);
    const follow = n => { if (n !== at && n <= last()) { at = n; readdress(at); draw(); } };
    playing = film({url: source.video(run, id), span: shown.film, times, follow, ready: () => playing.seek(at), lost: () => renew(stage, el("p", {class: "warn", role: "status"}, "This browser cannot play the video."))});
    return playing;
  }
  const choose = name => { if (name !== "film" || hasFilm()) { if (show === "film" && playing) playing.node.pause(); show = name; draw(); if (name === "film" && playing) playing.seek(at); } };
  function neighbours() {
    const order = lastOrder.get(run) || [], index = order.indexOf(id);
    return [index > 0 ? order[index - 1] : null, index >= 0 && index + 1 < order.length ? order[index + 1] : null];
  }
  function heading() {
    const [before, next] = neighbours(), others = (shown.attempts || []).filter(one => one.repeat === shown.repeat);
    renew(title, el("h1", {dir: "auto"}, shown.instruction || shown.task), el("p", {class: "soft"}, own(shown.task),
      before ? [" · ", el("a", {href: `#/run/${run}/episode/${before}`}, "previous episode")] : null, next ? [" · ", el("a", {href: `#/run/${run}/episode/${next}`}, "next episode")] : null,
      source.live && others.length > 1 ? [" · attempts ", others.map(one => [el("a", {href: `#/run/${run}/episode/${one.id}`, "aria-current": one.id === id ? "page" : null}, String(one.attempt)), " "])] : null),
      el("div", {class: "outcome"}, chip(shown), el("span", {}, own(shown.ending.replace("_", " "))), el("span", {class: "soft"}, plural(shown.step_count, "step")), el("span", {class: "soft"}, time(shown.wall_ms)),
        shown.reason && shown.reason !== "passed" ? el("span", {class: `reason ${shown.score >= 1 ? "" : tone(shown.score)}`, dir: "auto"}, shown.reason) : null), shown.trouble.map(text => el("p", {class: "warn"}, own(text))),
      none(shown.divergence) ? null : el("p", {class: "warn"}, "This replay first differs from the recorded episode at ", el("a", {href: where(shown.divergence)}, shown.divergence < shown.steps.length ? `step ${shown.divergence + 1}` : "the end"), "."));
    renew(verdict, el("h2", {}, "What was checked"), shown.checks.length + shown.parts.length ? null : el("p", {class: "soft"}, shown.state === "running" ? "The episode goes on: nothing has been checked." : "Nothing was checked."),
      block("Error", shown.error, "bad"), block("The agent's answer", shown.answer), attempt(() => el("div", {}, checks(shown)), "the checks"), attempt(() => facts(shown), "the facts"));
  }
  function stripe() {
    const cells = shown.steps.map((step, n) => [step, n, step.model_ms + step.act_ms + step.settle_ms]);
    const made = cells.map(([step, n, spent]) => cell(step, n, String(n + 1), splitBar({model: step.model_ms, act: step.act_ms, settle: step.settle_ms}), time(spent)));
    if (shown.final) made.push(cell(shown.final, shown.steps.length, "end", null, ""));
    renew(strip, made);
  }
  function cell(seen, n, name, spent, words_) {
    const url = seen.frame ? source.thumbnail(run, id, seen.frame) : null;
    return el("a", {href: where(n), class: "cell", "data-key": `step ${n}`, title: words_, onclick: event => { event.preventDefault(); history.pushState(null, "", where(n)); move(n); }},
      url ? el("img", {src: url, alt: "", loading: "lazy", decoding: "async"}) : el("span", {class: "empty"}), spent, el("span", {}, name));
  }
  function draw() {
    const step = shown.steps[at], seen = step || shown.final, after = step ? shown.steps[at + 1] || shown.final : null;
    const button = (name, text, attrs) => el("button", {type: "button", "data-key": name, ...attrs}, text);
    renew(bar, button("previous", "← Previous", {disabled: at === 0, onclick: () => move(at - 1)}), button("next", "Next →", {disabled: at >= last(), onclick: () => move(at + 1)}),
      el("b", {class: "where"}, step ? `Step ${at + 1} of ${shown.steps.length}` : shown.final ? "End state" : "No steps"),
      el("span", {class: "choices", role: "group", "aria-label": "Show"}, [...SHOWS, ...(hasFilm() ? [FILM] : []), ...(shown.divergence === at ? [REPLAY] : [])].map(([name, text]) => button(name, text, {"aria-pressed": String(show === name), disabled: !["screen", "replay", "film"].includes(name) && !after, onclick: () => choose(name)}))),
      hasTree(seen) ? button("elements", "Elements", {"aria-pressed": String(elements), onclick: () => { elements = !elements; draw(); }}) : null, button("help", "?", {"aria-label": "Keys", onclick: help}));
    if (show === "film") { if (!stage.contains(filmed().node) && !stage.querySelector(".warn")) renew(stage, playing.node); }
    else renew(stage, attempt(() => screen({run, id, seen, after, actions: step ? step.actions : [], show: show === "replay" ? shown.divergence === at ? show : "screen" : after ? show : "screen", divergence: shown.divergence, elements, label: step ? `Screen at step ${at + 1}` : "Screen at the end"}), "the screen"));
    renew(side, attempt(() => el("div", {}, details(step, shown.final)), "the step"));
    strip.querySelectorAll("[aria-current]").forEach(node => node.removeAttribute("aria-current"));
    const current = strip.children[at];
    if (current) {
      current.setAttribute("aria-current", "step");
      strip.scrollLeft = current.offsetLeft - strip.clientWidth / 2 + current.clientWidth / 2;
    }
  }
  at = position(start);
  heading(); attempt(stripe, "the steps"); draw();
  return {
    title: shown.task,
    crumbs: [[`#/run/${run}`, head ? head.name : "run"], [null, shown.task]],
    step(text) { move(position(text)); },
    keys: {ArrowRight: () => move(at + 1), j: () => move(at + 1), ArrowLeft: () => move(at - 1), k: () => move(at - 1), Home: () => move(0), End: () => move(last()),
      b: () => choose("screen"), f: () => choose("after"), d: () => choose("difference"), v: () => choose("film"), a: () => { elements = !elements; draw(); }, "?": help,
      n: () => { const next = neighbours()[1]; if (next) go(`#/run/${run}/episode/${next}`); }, p: () => { const before = neighbours()[0]; if (before) go(`#/run/${run}/episode/${before}`); },
      Escape: () => go(`#/run/${run}`)},
    async changed() {
      if (shown.state !== "running") return;
      const fresh = await source.episode(run, id);
      if (!fresh || !strip.isConnected) return;
      const atEnd = at === last();
      shown = fresh;
      heading(); attempt(stripe, "the steps");
      if (atEnd && shown.state === "running") { at = last(); readdress(Math.max(0, at)); }
      draw();
    },
    end() { if (playing) playing.node.pause(); },
  };
}
