/** The greeting of lexbridge, which a caller hears first. No event tells its words; the settings do. */

import { getJson } from "./api.js";
import { signal } from "./html.js";

/** The words, "" where there are none, or null until the settings were asked for. */
const words = signal(null);
let isAsked = false;

/** Return what a caller of this service hears first, or null where the bot speaks first or nobody knows. */
export function greeting() {
  if (!isAsked) ask();
  return words.value || null;
}

async function ask() {
  isAsked = true;
  try {
    const settings = await getJson("console/api/settings");
    const valueOf = (name) => settings.find((one) => one.name === name)?.value;
    words.value = valueOf("WELCOME") === "bot" ? "" : (valueOf("GREETING") ?? "");
  } catch {
    isAsked = false; // asked again when the next call is opened
  }
}
