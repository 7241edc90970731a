// Where the data comes from: the server of `deskbench view`, or the page itself in a report. Both answer the same.
import {none} from "./dom.js";

const HASH = /^[0-9a-f]{64}$/;
const block = name => JSON.parse(document.getElementById(name).textContent);

function inside(data, images) {
  const frames = data.frames;
  const found = id => data.runs.find(run => run.id === id);
  const picture = hash => Object.hasOwn(images, hash) ? images[hash] : null;
  return {
    live: false,
    runs: async () => ({runs: data.runs, pending: 0}),
    head: async run => found(run) || null,
    rows: async run => found(run) ? {rows: found(run).episodes, whole: true, pending: 0, token: ""} : null,
    episode: async (run, id) => found(run)?.episodes.find(one => one.id === id) || null,
    frame: (run, id, hash) => !HASH.test(hash) ? null : frames ? `${encodeURIComponent(frames)}/${hash}.png` : picture(hash),
    thumbnail: (run, id, hash) => picture(hash),
    difference: run => picture(`difference ${run}`),
    screen: (run, id, hash) => picture(hash),
    video: (run, id) => frames ? `${encodeURIComponent(frames)}/${encodeURIComponent(`${run}-${id}`)}.mp4` : null,
    desktops: async () => ({}),
    tree: async (run, id, hash) => Object.hasOwn(data.trees, hash) ? data.trees[hash] : null,
    knowsTree: hash => Object.hasOwn(data.trees, hash),
    compare: async runs => data.comparison && runs.join() === data.runs.map(run => run.id).join() ? data.comparison : null,
    watch: () => () => {},
  };
}

function served() {
  const ask = async path => {
    const answer = await fetch(path);
    if (answer.status === 404) return null;
    if (!answer.ok) throw new Error(`the server says ${answer.status}`);
    return answer.json();
  };
  const place = (run, id) => `api/runs/${encodeURIComponent(run)}/episodes/${encodeURIComponent(id)}`;
  const named = (run, id, folder, hash, end) => HASH.test(hash) ? `${place(run, id)}/${folder}/${hash}${end}` : null;
  return {
    live: true,
    runs: () => ask("api/runs"),
    head: run => ask(`api/runs/${encodeURIComponent(run)}`),
    rows: (run, since = "") => ask(`api/runs/${encodeURIComponent(run)}/episodes?since=${encodeURIComponent(since)}`),
    episode: (run, id) => ask(place(run, id)),
    frame: (run, id, hash) => named(run, id, "frames", hash, ".png"),
    thumbnail: (run, id, hash) => named(run, id, "thumbnails", hash, ".webp"),
    difference: (run, step) => Number.isInteger(step) ? `api/runs/${encodeURIComponent(run)}/differences/${step}.png` : null,
    screen: (run, id, hash) => named(run, id, "screens", hash, ".webp"),
    video: (run, id) => `${place(run, id)}/video.mp4`,
    desktops: run => ask(`api/runs/${encodeURIComponent(run)}/desktops`),
    knowsTree: hash => HASH.test(hash),
    tree: (run, id, hash) => HASH.test(hash) ? ask(named(run, id, "trees", hash, "")) : Promise.resolve([]),
    compare: runs => ask(`api/compare/${runs.map(encodeURIComponent).join("+")}`),
    watch(run, changed, lost) {
      const stream = new EventSource(`api/runs/${encodeURIComponent(run)}/events`);
      stream.onmessage = () => { lost(false); changed(); };
      stream.onerror = () => lost(true);
      return () => stream.close();
    },
  };
}

const DATA = block("data");
export const source = none(DATA) ? served() : inside(DATA, block("images"));

// The rows of a run as they are now: after the first time only what changed is asked for.
export function rowsOf(run) {
  const known = new Map();
  let token = "";
  return async () => {
    const answer = await source.rows(run, token);
    if (answer === null) return null;
    if (answer.whole && token) known.clear();
    for (const row of answer.rows) known.set(row.id, row);
    token = answer.token;
    return {rows: [...known.values()].filter(row => row.counts), pending: answer.pending};
  };
}
