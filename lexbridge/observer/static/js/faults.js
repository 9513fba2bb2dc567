/** What went wrong lately, in all pages: asked for from time to time, for the mark on Health and the search of calls. */

import { getJson } from "./api.js";
import { computed, signal } from "./html.js";
import { now_s } from "./store.js";

/** Time between two looks, because a fault of a minute ago is new to an operator. */
const LOOK_MS = 15000;
/** Age of errors that the mark on Health counts. */
const MARKED_S = 600;

/** Warnings and errors of the last hour, the newest first. */
export const lines = signal([]);

/** How many errors there were in the last ten minutes. */
export const errorsLately = computed(() => lines.value.filter((one) => one.level === "error" && now_s.value - one.at_s < MARKED_S).length);

const namesByCall = computed(() => {
  const names = new Map();
  for (const one of lines.value) for (const sid of callsOf(one)) names.set(sid, `${names.get(sid) ?? ""} ${one.name}`);
  return names;
});

/** Return the calls that a line is about: its own, or those that its worker served. */
export function callsOf(line) {
  return [...new Set([...(line.call_sid ? [line.call_sid] : []), ...(line.calls ?? [])])];
}

/** Return the events by which a call had a fault in the last hour, as one text. */
export function faultNames(sid) {
  return namesByCall.value.get(sid) ?? "";
}

/** Take the lines that a page has just asked for. */
export function takeLines(found) {
  lines.value = found ?? [];
}

/** Look now, and from time to time. */
export function watchFaults() {
  const look = () => getJson("console/api/health").then((health) => takeLines(health.lines), () => {});
  look();
  setInterval(look, LOOK_MS);
}
