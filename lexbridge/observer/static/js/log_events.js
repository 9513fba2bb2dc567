/** What an event of the log means, and what to do about it: the table of docs/log.md. */

import { signal } from "./html.js";

/** Explanations by event, once they are there. */
const table = signal(null);

/** Return {when, todo} of an event, or an empty object. */
export function explanation(name) {
  if (table.value === null) load();
  return table.value !== null && Object.hasOwn(table.value, name) ? table.value[name] : {};
}

let isAsked = false;

async function load() {
  if (isAsked) return;
  isAsked = true;
  try {
    table.value = await (await fetch(new URL("../log_events.json", import.meta.url))).json();
  } catch {
    isAsked = false; // asked again when the next one is wanted
  }
}
