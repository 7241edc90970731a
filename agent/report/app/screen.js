// The screen of a step: the picture with the actions marked on it, the elements of its tree, and what a step changed.
import {el, svg} from "./dom.js";
import {source} from "./source.js";

export function words(action) {
  const {type, ...rest} = action;
  return type + Object.entries(rest).map(([name, value]) => ` ${name}=${JSON.stringify(value)}`).join("");
}

const pair = at => Array.isArray(at) && at.length === 2 && at.every(Number.isFinite);

// Rings for points, lines for drags, frames for regions; each has the number of its action.
function marks(actions, width) {
  const big = width / 70, made = [];
  let at = null;
  const label = (x, y, text) => svg("text", {x: x + big * 1.3, y: y - big * .8, class: "mark-number", "font-size": big * 1.5}, text);
  actions.forEach((action, index) => {
    const name = actions.length > 1 ? String(index + 1) : "";
    if (Array.isArray(action.path) && action.path.every(pair) && action.path.length) {
      const points = action.path.map(point => point.join(",")).join(" ");
      made.push(svg("polyline", {points, class: "mark under", "stroke-width": big / 1.8}), svg("polyline", {points, class: "mark", "stroke-width": big / 4}));
      at = action.path[action.path.length - 1];
    } else if (Array.isArray(action.region) && action.region.length === 4 && action.region.every(Number.isFinite)) {
      const [x, y, right, bottom] = action.region;
      made.push(svg("rect", {x, y, width: Math.max(0, right - x), height: Math.max(0, bottom - y), class: "mark", "stroke-width": big / 4}));
      return;
    } else if (pair([action.x, action.y])) at = [action.x, action.y];
    else if (!["click", "scroll", "mouse_down", "mouse_up"].includes(action.type) || !at) return;
    const [cx, cy] = at;
    made.push(svg("circle", {cx, cy, r: big, class: "mark under", "stroke-width": big / 1.8}), svg("circle", {cx, cy, r: big, class: "mark", "stroke-width": big / 4}),
      svg("circle", {cx, cy, r: big / 5, class: "mark-point"}), label(cx, cy, name));
  });
  return made;
}

function overlay(width, height, kids) {
  return svg("svg", {viewBox: `0 0 ${width} ${height}`, class: "overlay", "aria-hidden": "true"}, kids);
}

const loaded = url => new Promise((done, failed) => {
  const image = new Image();
  image.onload = () => done(image);
  image.onerror = () => failed(new Error("a picture cannot be read"));
  image.src = url;
});

// The later picture in grey with every changed pixel in colour, and how much of the screen that is.
async function difference(before, after) {
  const [one, other] = await Promise.all([loaded(before), loaded(after)]);
  const width = Math.min(one.naturalWidth, other.naturalWidth), height = Math.min(one.naturalHeight, other.naturalHeight);
  const pixels = image => {
    const canvas = el("canvas", {width, height}), pen = canvas.getContext("2d", {willReadFrequently: true});
    pen.drawImage(image, 0, 0);
    return [canvas, pen, pen.getImageData(0, 0, width, height)];
  };
  const [, , was] = pixels(one), [canvas, pen, now] = pixels(other);
  let changed = 0;
  for (let i = 0; i < now.data.length; i += 4) {
    const far = Math.abs(was.data[i] - now.data[i]) + Math.abs(was.data[i + 1] - now.data[i + 1]) + Math.abs(was.data[i + 2] - now.data[i + 2]);
    const grey = 200 + (now.data[i] * .3 + now.data[i + 1] * .59 + now.data[i + 2] * .11) * .2;
    const differs = far > 48;
    changed += differs;
    now.data[i] = differs ? 214 : grey; now.data[i + 1] = differs ? 30 : grey; now.data[i + 2] = differs ? 70 : grey;
  }
  pen.putImageData(now, 0, 0);
  return {canvas, share: changed / Math.max(1, width * height)};
}

async function boxes(run, id, seen) {
  const found = await source.tree(run, id, seen.tree);
  if (!found) throw new Error("it is not there");
  return found.map(([x, y, width, height, role, name]) => svg("rect", {x, y, width, height, class: "box"}, svg("title", {}, `${role} ${name}`)));
}

// show: "screen", "after" or "difference"; `elements` draws the tree of the picture that is shown.
export function screen({run, id, seen, after, actions, show, elements, label, divergence}) {
  if (show === "replay") return el("div", {class: "replay"}, el("img", {src: source.difference(run, divergence), alt: "the recorded screen and the replay's screen"}),
    el("p", {class: "soft caption"}, "The recorded screen and the replay's, with what differs marked: the first difference between them."));
  const shown = show === "after" && after ? after : seen;
  const url = shown && shown.frame ? source.frame(run, id, shown.frame) || source.thumbnail(run, id, shown.frame) : null;
  const node = el("div", {class: "screen"}), caption = el("p", {class: "soft caption", role: "status"});
  const width = shown && shown.width || 1280, height = shown && shown.height || 800;
  node.style.aspectRatio = `${width} / ${height}`;
  if (!url) {
    node.append(el("p", {class: "nothing"}, shown && shown.frame ? "The screenshot of this step is not in this file." : "There is no screenshot of this step."));
    if (shown && shown.terminal) node.append(el("pre", {class: "terminal"}, shown.terminal));
    return el("div", {}, node, caption);
  }
  node.append(el("img", {src: url, alt: label, width, height, onerror: event => event.target.replaceWith(el("p", {class: "nothing"}, "The screenshot of this step cannot be shown."))}));
  if (show === "screen") node.append(overlay(width, height, marks(actions, width)));
  if (show === "difference" && after && after.frame) {
    const other = source.frame(run, id, after.frame) || source.thumbnail(run, id, after.frame);
    caption.textContent = "comparing …";
    if (other) difference(url, other).then(found => {
      node.querySelector("img").replaceWith(found.canvas);
      caption.textContent = found.share ? `this step changed ${(100 * found.share).toFixed(found.share < .01 ? 2 : 1)} % of the screen` : "this step changed nothing on the screen";
    }).catch(error => { caption.textContent = `the screens cannot be compared: ${error.message}`; });
    else caption.textContent = "the next screenshot is not in this file";
  }
  if (elements && shown.tree) boxes(run, id, shown).then(made => {
    node.append(overlay(width, height, made));
    caption.textContent = made.length ? `${made.length} elements of the accessibility tree` : "the accessibility tree holds no element with a place";
  }).catch(error => { caption.textContent = `the tree cannot be read: ${error.message}`; });
  return el("div", {}, node, caption);
}

export const hasTree = seen => Boolean(seen && seen.tree && source.knowsTree(seen.tree));
