/** Text of a help or a table, with its `code` as code. */

import { html } from "./html.js";

export function Marked({ text }) {
  const plain = (text ?? "").replace(/\[([^\]]+)\]\([^)]+\)/g, "$1");
  return plain.split("`").map((part, i) => (i % 2 ? html`<code>${part}</code>` : part));
}
