/** Every event of a call, as the log has it, with a filter. */

import { count, valueText } from "./format.js";
import { html, signal, useEffect, useRef, useState } from "./html.js";
import { explanation } from "./log_events.js";

/** Events that are drawn, the newest: more of them make the page slow. */
const SHOWN = 400;

const least = signal("info");
const words = signal("");
const RANK = { debug: 0, info: 1, warning: 2, error: 3 };

export function EventsList({ call, view, chosen }) {
  call.story.value;
  const [isOpen, setOpen] = useState(false);
  const wanted = words.value.trim().toLowerCase();
  const found = call.events.filter((one) => RANK[one.level] >= RANK[least.value] && (!wanted || textOf(one).includes(wanted)));
  const isChosen = (one) => chosen !== null && one.name === chosen.name && Math.abs(one.at_s - chosen.at_s) < 0.002;
  const at = found.findIndex(isChosen);
  const shown = at >= 0 && at < found.length - SHOWN ? found.slice(at, at + SHOWN) : found.slice(-SHOWN);
  const box = useRef(null);
  useEffect(() => {
    if (chosen === null) return;
    words.value = "";
    const event = call.events.find(isChosen);
    if (event && RANK[event.level] < RANK[least.value]) least.value = "debug";
    setOpen(true);
  }, [chosen, call.events.length > 0]);
  useEffect(() => box.current.querySelector("tr.selected")?.scrollIntoView({ block: "center" }), [chosen, at >= 0, isOpen]);
  return html`<details class="card events" ref=${box} open=${isOpen} onToggle=${() => setOpen(box.current.open)}><summary><h2>Events <span class="faint">${call.events.length}</span></h2></summary>
    ${isOpen && html`<form class="filters" onSubmit=${(event) => event.preventDefault()}>
      <select aria-label="Least level" value=${least.value} onChange=${(event) => (least.value = event.target.value)}>
        <option value="debug">all levels</option><option value="info">info and above</option><option value="warning">warnings and errors</option>
      </select>
      <input type="search" placeholder="Search events" aria-label="Search events" value=${words.value} onInput=${(event) => (words.value = event.target.value)} />
      <span class="faint">${count(found.length, "event")}${found.length > shown.length ? `, ${shown.length} shown` : ""}</span>
    </form>
    <div class="scroll log" tabindex="0" role="region" aria-label="Events"><table>
      <thead><tr><th class="number">Time</th><th>Event</th><th>Fields</th></tr></thead>
      <tbody>${shown.map(
        (one) => html`<tr class=${`${one.level} ${isChosen(one) ? "selected" : ""}`} title=${titleOf(one)}>
          <td class="number"><button type="button" class="link" onClick=${() => (view.setCursor(one.at_s), view.reveal(one.at_s))}>${(one.at_s - call.began_s).toFixed(2)} s</button></td>
          <td>${one.level !== "info" && one.level !== "debug" && html`<span class=${`tag ${one.level === "error" ? "bad" : "slow"}`}>${one.level}</span>`}<code>${one.name}</code></td>
          <td class="fields">${fieldsOf(one).map(([name, value]) => html`<span><i>${name}</i> ${valueText(value)}</span> `)}</td>
        </tr>`,
      )}</tbody>
    </table></div>`}
  </details>`;
}

function titleOf({ name }) {
  const { when, todo } = explanation(name);
  return when ? `${when}${todo ? ` What to do: ${todo}` : ""}`.replaceAll("`", "") : null;
}

function fieldsOf({ fields }) {
  return Object.entries(fields).filter(([name, value]) => value !== null && !["call_sid", "stream_sid", "pid"].includes(name));
}

function textOf(event) {
  return `${event.name} ${fieldsOf(event).flat().join(" ")}`.toLowerCase();
}
