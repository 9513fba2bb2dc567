/** The settings as the service uses them. Values of secrets never leave the server. */

import { html, signal } from "./html.js";
import { Marked } from "./marked.js";
import { useLoaded, waiting } from "./loaded.js";

const words = signal("");
const onlySet = signal(false);
/** What became of the last copy, or null. */
const copied = signal(null);

export function SettingsPage() {
  const [data, error] = useLoaded("console/api/settings");
  const wait = waiting(data, error);
  if (wait) return wait;
  const wanted = words.value.trim().toLowerCase();
  const shown = data.filter((one) => (!onlySet.value || one.is_set) && `${one.name} ${one.help}`.toLowerCase().includes(wanted));
  const groups = [...new Set(shown.map((one) => one.group))];
  return html`<div class="row between"><h1>Settings</h1><button type="button" onClick=${() => copy(data)}>${copied.value ?? "Copy as .env"}</button></div>
    <form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
      <input type="search" placeholder="Search settings" aria-label="Search settings" value=${words.value} onInput=${(event) => (words.value = event.target.value)} />
      <label class="check"><input type="checkbox" checked=${onlySet.value} onChange=${(event) => (onlySet.value = event.target.checked)} />only those that are set</label>
    </form>
    ${shown.length === 0 && html`<p class="faint">No setting matches.</p>`}
    ${groups.map((group) => html`<section class="card" aria-label=${group}><h2>${group}</h2>
      <div class="scroll"><table class="settings"><thead><tr><th class="name">Name</th><th class="value">Value</th><th>Meaning</th></tr></thead>
        <tbody>${shown.filter((one) => one.group === group).map((one) => html`<tr class=${one.is_set ? "is-set" : ""}>
          <td><code>${one.name}</code></td><td class="value"><${Value} one=${one} /></td><td class="faint help-text"><${Marked} text=${one.help} /></td></tr>`)}</tbody></table></div>
    </section>`)}`;
}

function Value({ one }) {
  if (isSecret(one)) return html`<span class="tag">set</span> <span class="faint">secret, not shown</span>`;
  if (!one.is_set) return html`<code>${valueOf(one) ?? ""}</code> <span class="faint">${(valueOf(one) ?? "") === "" ? "unset" : "default"}</span>`;
  return html`<code>${valueOf(one)}</code>${one.default !== null && one.default !== undefined && String(one.default) !== String(valueOf(one)) && html` <span class="faint">default ${one.default}</span>`}`;
}

function isSecret(one) {
  return one.is_set && (one.is_hidden ?? (one.value === null || one.value === undefined));
}

function valueOf(one) {
  return one.value ?? one.default;
}

async function copy(settings) {
  const lines = settings.filter((one) => one.is_set).map((one) => (isSecret(one) ? `# ${one.name}=  (secret, not shown)` : `${one.name}=${valueOf(one)}`));
  const text = `${lines.join("\n")}\n`;
  try {
    await navigator.clipboard.writeText(text);
    copied.value = "Copied";
  } catch {
    download(text);
    copied.value = "Saved as lexbridge.env";
  }
  setTimeout(() => (copied.value = null), 2000);
}

/** Save the text as a file, where the browser has no clipboard (plain HTTP from another machine) or forbids it. */
function download(text) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = "lexbridge.env";
  link.click();
  URL.revokeObjectURL(link.href);
}
