/** Opening an exported call: the file goes to the observer, which shows it as a call beside the others. */

import { postJson } from "./api.js";
import { signal } from "./html.js";
import { refresh } from "./store.js";

/** Why the last file could not be opened, or null. */
export const openError = signal(null);

/** Open the file that was chosen in a file input. */
export async function openFile(event) {
  const file = event.target.files[0];
  event.target.value = "";
  if (file) await openExport(file);
}

/** Open an exported file, and go to its call. */
export async function openExport(file) {
  openError.value = null;
  try {
    const { call_sid } = await postJson("console/api/open", JSON.parse(await file.text()));
    await refresh();
    location.hash = `#/call/${encodeURIComponent(call_sid)}`;
  } catch (error) {
    const reason = error instanceof SyntaxError ? "It is no JSON file." : error.message;
    openError.value = `${file.name} could not be opened. ${reason}`;
    location.hash = "#/calls";
  }
}
