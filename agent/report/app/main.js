// Addresses: #/ all runs, #/runs/A+B the others compared with A, #/run/A one, #/run/A/live its desktops, #/run/A/episode/E/step/7 a step of an episode.
import {el, own, attempt, renew} from "./dom.js";
import {source} from "./source.js";
import {indexPage, runPage} from "./run.js";
import {desktopsPage} from "./desktops.js";
import {comparePage} from "./compare.js";
import {episodePage} from "./episode.js";

const app = document.getElementById("app"), path = document.getElementById("path"), status = document.getElementById("live");
const scrolls = new Map();
let page = null, shownPlace = "", turn = 0, unwatch = () => {};

const place = () => { const [way, query = ""] = location.hash.replace(/^#\/?/, "").split("?"); return {parts: way.split("/"), filter: Object.fromEntries(new URLSearchParams(query))}; };
const go = hash => { location.hash = hash; };
const lost = gone => { status.textContent = gone ? "connection lost" : ""; };

function keep(filter) {
  const query = new URLSearchParams(filter).toString(), way = location.hash.split("?")[0] || "#/";
  history.replaceState(history.state, "", query ? `${way}?${query}` : way);
  shownPlace = way;
}

function message(title, text) {
  renew(app, el("h1", {}, title), el("p", {}, text), el("p", {}, el("a", {href: "#/"}, "All runs")));
  return {title, crumbs: [], keys: {}, end() {}};
}

async function make({parts, filter}, mine) {
  const [kind, id, view, episode, , step] = parts;
  if (kind === "run" && id) {
    const head = await source.head(id);
    if (!head) return () => message("Not here", "There is no such run here.");
    if (head.broken) return () => message(head.name, head.broken);
    if (view === "live") return () => desktopsPage({app, head, connection: lost});
    if (!episode) return () => runPage({app, head, filter, keep: () => keep(filter), connection: lost});
    const shown = await source.episode(id, episode);
    return shown ? () => episodePage({app, run: id, id: episode, head, shown, step, go}) : () => message("Not here", "There is no such episode in this run.");
  }
  if (kind === "runs" && id) {
    const found = await Promise.all(id.split("+").map(one => source.head(one)));
    const heads = found.filter(head => head && !head.broken);
    return () => comparePage({app, heads, filter, keep: () => keep(filter)});
  }
  const {runs, pending} = await source.runs();
  if (runs.length === 1 && !runs[0].broken && mine === turn) {  // else somebody has gone on, and this would be their entry
    history.replaceState(null, "", `#/run/${runs[0].id}`);
    return make(place(), mine);
  }
  return () => indexPage({app, heads: runs, pending, again: source.runs});
}

function crumbs(made) {
  renew(path, made.crumbs.map(([href, text]) => [el("span", {class: "slash", "aria-hidden": "true"}, "/"), href ? el("a", {href}, own(text)) : own(text)]));
  document.title = `${made.title} · deskbench`;
}

async function route(back) {
  const now = place(), way = location.hash.split("?")[0], mine = ++turn, same = now.parts.slice(0, 4).join("/");
  if (page && page.step && now.parts[2] === "episode" && same === shownPlace.replace(/^#\/?/, "").split("/").slice(0, 4).join("/")) {
    shownPlace = way;
    page.step(now.parts[5]);
    return;
  }
  if (page && way === shownPlace) return;
  if (page) scrolls.set(shownPlace, scrollY);
  let build;
  try {
    build = await make(now, mine);
  } catch (error) {
    build = () => message("This cannot be shown", error.message);
  }
  if (mine !== turn) return;
  if (page) { page.end(); unwatch(); }
  lost(false);
  page = attempt(build, "the page");
  if (page instanceof Node) { const said = page; page = message("This cannot be shown", ""); app.append(said); }
  shownPlace = location.hash.split("?")[0];
  unwatch = page.changed ? source.watch(now.parts[1], page.changed, lost) : () => {};
  crumbs(page);
  if (page.ready) await page.ready.catch(error => app.append(el("p", {class: "bad"}, error.message)));
  if (mine !== turn) return;
  history.replaceState({been: true}, "");  // known again when a person comes back to it
  scrollTo(0, back ? scrolls.get(shownPlace) || 0 : 0);
  if (document.activeElement === document.body || !document.activeElement) app.focus({preventScroll: true});
}

addEventListener("popstate", event => route(Boolean(event.state && event.state.been)));
addEventListener("keydown", event => {
  if (!page || event.ctrlKey || event.altKey || event.metaKey || event.target.closest("input, select, textarea, dialog")) return;
  const act = Object.hasOwn(page.keys, event.key) ? page.keys[event.key] : null;
  if (act) { event.preventDefault(); act(); }
});
if ("scrollRestoration" in history) history.scrollRestoration = "manual";
route(false);
