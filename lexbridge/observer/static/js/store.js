/** What the console knows: the calls of all workers, the workers, and whether the server is there. */

import { EventStream, getJson } from "./api.js";
import { batch, computed, signal } from "./html.js";

/** Time for which changes of calls are gathered before they are shown, because 200 calls change all the time. */
const GATHER_MS = 120;

export const connection = signal({ state: "starting", retry_s: 0 });
export const workers = signal([]);
export const counts = signal({});
export const droppedFacts = signal(0);
export const loadError = signal(null);
/** Unix time of the server, so that ages are right where the browser's clock is not. It ticks once a second. */
export const now_s = signal(Date.now() / 1000);
/** True once the first answer came. */
export const isLoaded = signal(false);

let clockAhead_s = 0;
const calls = new Map();
const membership = signal(0);
const pending = new Map();
let timer = null;

/** SIDs of live calls, newest first. */
export const liveSids = computed(() => sidsOf((state) => state === "live"));
/** SIDs of all other calls, newest first. */
export const recentSids = computed(() => sidsOf((state) => state !== "live"));

function sidsOf(isWanted) {
  membership.value;
  const found = [...calls.values()].map((one) => one.peek()).filter((one) => isWanted(one.state));
  return found.sort((a, b) => b.began_s - a.began_s).map((one) => one.call_sid);
}

/** Return the signal of a call's summary, or undefined. */
export function callSignal(sid) {
  return calls.get(sid);
}

/** Return all summaries as they are now. */
export function allSummaries() {
  return [...calls.values()].map((one) => one.peek());
}

/** Take the whole list of calls from the server. */
export async function refresh() {
  try {
    const book = await getJson("calls");
    batch(() => takeBook(book));
    loadError.value = null;
  } catch (error) {
    loadError.value = error.message;
  }
}

function takeBook(book) {
  clockAhead_s = book.now_s - Date.now() / 1000;
  now_s.value = book.now_s;
  const all = [...book.live, ...book.recent];
  const named = new Set(all.map((one) => one.call_sid));
  for (const sid of calls.keys()) if (!named.has(sid)) calls.delete(sid);
  for (const summary of all) takeSummary(summary);
  workers.value = book.workers ?? [];
  counts.value = book.counts ?? {};
  droppedFacts.value = book.dropped_facts ?? 0;
  isLoaded.value = true;
  membership.value += 1;
}

/** Least time between two looks at the counts, which changes of calls do not carry. */
const COUNTS_MS = 1500;
let countsTimer = null;

/** Take the list anew, soon, because a new call is not counted yet. */
function refreshSoon() {
  countsTimer ??= setTimeout(() => {
    countsTimer = null;
    refresh();
  }, COUNTS_MS);
}

/** Take one summary. Returns whether the lists of live and recent calls have changed by it. */
function takeSummary(summary) {
  const known = calls.get(summary.call_sid);
  if (known === undefined) {
    calls.set(summary.call_sid, signal(summary));
    return true;
  }
  const hasMoved = known.peek().state !== summary.state;
  known.value = summary;
  return hasMoved;
}

function gather(changed) {
  for (const summary of listOf(changed, "calls")) pending.set(summary.call_sid, summary);
  timer ??= setTimeout(show, GATHER_MS);
}

function show() {
  timer = null;
  batch(() => {
    let hasMoved = false;
    for (const summary of pending.values()) {
      if (!calls.has(summary.call_sid)) refreshSoon();
      hasMoved = takeSummary(summary) || hasMoved;
    }
    pending.clear();
    if (hasMoved) membership.value += 1;
  });
}

/** Return the list in an event's data, which is the list itself or an object that holds it. */
export function listOf(data, name) {
  return Array.isArray(data) ? data : (data?.[name] ?? []);
}

let stream = null;
let followed = null;

/** Follow a call: `on` has a function for each of "fact", "levels", "turn"; `again` runs after a lost connection. */
export function follow(sid, on = {}, again = () => {}) {
  if (stream !== null && sid === followed) return;
  followed = sid;
  stream?.close();
  const path = sid ? `console/api/stream?follow=${encodeURIComponent(sid)}` : "console/api/stream";
  const common = { calls: gather, workers: (data) => (workers.value = listOf(data, "workers")) };
  stream = new EventStream(path, { ...common, ...on }, (state, retry_s) => {
    const wasLost = connection.peek().state === "lost";
    connection.value = { state, retry_s };
    // What happened meanwhile is not told again: the list is taken anew, and so is the call.
    if (state === "open") {
      refresh();
      if (wasLost) again();
    }
  });
}

/** Follow the call no longer, so that its worker stops telling its audio. Does nothing if another is followed by now. */
export function unfollow(sid) {
  if (sid === followed) follow(null);
}

setInterval(() => {
  now_s.value = Date.now() / 1000 + clockAhead_s;
}, 1000);
