// Nodes and words. Everything that came from a desktop or a model goes through textContent: `el` and `svg` are the only
// makers of nodes, and neither takes HTML.

const SPACE = "http://www.w3.org/2000/svg";

function fill(node, attrs, kids) {
  for (const [name, value] of Object.entries(attrs)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (name === "css") for (const [rule, text] of Object.entries(value)) node.style.setProperty(rule, text);
    else node.setAttribute(name, value === true ? "" : value);
  }
  for (const kid of kids.flat(Infinity)) if (kid !== null && kid !== undefined && kid !== false) node.append(kid);
  return node;
}

export const el = (tag, attrs = {}, ...kids) => fill(document.createElement(tag), attrs, kids);
export const svg = (tag, attrs = {}, ...kids) => fill(document.createElementNS(SPACE, tag), attrs, kids);

// Text of a stranger beside words of ours: marks that turn the direction of writing end with it.
export const own = text => el("bdi", {}, String(text));

export const none = value => value === null || value === undefined;

export function time(ms) {
  if (none(ms) || !Number.isFinite(ms)) return "–";
  if (ms >= 5400000) return (ms / 3600000).toFixed(1) + " h";
  if (ms >= 90000) return (ms / 60000).toFixed(1) + " min";
  if (ms >= 1000) return (ms / 1000).toFixed(1) + " s";
  return Math.round(ms) + " ms";
}

export const number = value => none(value) ? "–" : Math.round(value).toLocaleString("en");
export const money = value => none(value) ? "–" : "$" + value.toFixed(value < 1 ? 4 : 2);
export const score = value => none(value) ? "–" : Number(value).toFixed(2).replace(/0$/, "");
export const share = value => none(value) ? "–" : Number(value).toFixed(3);
export const tone = value => none(value) ? "none" : value >= 1 ? "good" : value > 0 ? "part" : "bad";
export const plural = (count, word) => `${number(count)} ${word}${count === 1 ? "" : "s"}`;

export function day(seconds) {
  if (none(seconds)) return "";
  const at = new Date(seconds * 1000), two = n => String(n).padStart(2, "0");
  return `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())} ${two(at.getHours())}:${two(at.getMinutes())}`;
}

// One part that is not as it should be is said to be so; the rest of the page stays.
export function attempt(make, what) {
  try {
    return make();
  } catch (error) {
    return el("p", {class: "bad"}, `${what} cannot be shown: ${error.message}`);
  }
}

// Put new nodes into a place without taking the focus from what a person is using.
export function renew(place, ...nodes) {
  const held = place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  place.replaceChildren(...nodes.flat(Infinity).filter(node => node !== null && node !== undefined && node !== false));
  if (held) [...place.querySelectorAll("[data-key]")].find(node => node.dataset.key === held)?.focus({preventScroll: true});
}
