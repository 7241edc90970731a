// The film of an episode, aligned with its steps: it goes to a step that is chosen, and the step follows it.
import {el} from "./dom.js";

const CLOSE = .02;  // seconds

// span: the Unix times when the film was asked for, was there and was ended; times: those of the steps; follow: is called
// with the step that is playing; ready: when it can be told where to play.
export function film({url, span, times, follow, ready, lost}) {
  const node = el("video", {src: url, controls: true, muted: true, playsinline: true, preload: "metadata", class: "film", "aria-label": "Film of the episode"});
  let sought = null, began = span[1];
  const at = step => Math.max(0, times[step] - began);
  node.addEventListener("error", lost);
  node.addEventListener("loadedmetadata", () => {
    if (Number.isFinite(node.duration)) began = Math.min(span[1], Math.max(span[0], span[2] - node.duration));
    ready();
  }, {once: true});
  node.addEventListener("timeupdate", () => {
    if (node.seeking || (sought !== null && Math.abs(node.currentTime - sought) < CLOSE)) return;
    sought = null;
    let step = 0;
    while (step + 1 < times.length && at(step + 1) <= node.currentTime) step++;
    follow(step);
  });
  return {node, seek(step) {
    if (step < 0 || step >= times.length) return;
    sought = at(step);
    node.currentTime = sought;
    if (node.duration) sought = Math.min(sought, node.duration);
  }};
}
