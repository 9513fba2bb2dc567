/** How the service is: its workers, what it refused, what went wrong. */

import { clock, count, duration, figure, shortSid, valueText } from "./format.js";
import { callsOf, takeLines } from "./faults.js";
import { html, useEffect } from "./html.js";
import { explanation } from "./log_events.js";
import { Marked } from "./marked.js";
import { stale, useLoaded, waiting } from "./loaded.js";
import { workers as liveWorkers } from "./store.js";

export function HealthPage() {
  const [data, error] = useLoaded("console/api/health", 5);
  useEffect(() => {
    if (data !== null) takeLines(data.lines);
  }, [data]);
  const wait = waiting(data, error);
  if (wait) return wait;
  const workers = liveWorkers.value.length ? liveWorkers.value : (data.workers ?? []);
  return html`<div class="row between"><h1>Health</h1><a href="../metrics" target="_blank">Metrics</a></div>${stale(error)}
    <${Workers} workers=${workers} />
    <div class="columns">
      <${Counted} title="Refused since the start" none="Nothing was refused." of=${data.refusals} />
      <${Counted} title="Warnings and errors since the start" none="There was none." of=${data.errors} />
    </div>
    <${Lines} lines=${data.lines ?? []} />`;
}

function Workers({ workers }) {
  return html`<section class="card" aria-label="Workers"><h2>Workers <span class="faint">${workers.length}</span></h2>
    ${workers.length === 0
      ? html`<p class="faint">No worker has reported yet. They do once a second.</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label="Table of workers"><table><thead><tr><th>Worker</th><th>State</th><th class="number">Live calls</th><th class="number">Loop lag</th><th class="number">Busy</th><th class="number">Memory</th><th class="number">Age</th></tr></thead>
          <tbody>${workers.map(
            (one) => html`<tr><td>${one.pid} <span class="faint">slot ${one.slot}${one.lines_generation ? `, table ${one.lines_generation}` : ""}</span></td><td><${State} state=${one.state} /> ${endOf(one)} ${(one.lost_calls ?? []).map((sid) => html`<a href=${`#/call/${encodeURIComponent(sid)}/at/${one.ended_s}/worker-ended`}>${shortSid(sid)}</a> `)}</td>
              <td class="number">${one.live_calls}</td><td class=${`number ${one.lag_ms >= 100 ? "bad" : ""}`}>${figure(one.lag_ms)} ms</td>
              <td class=${`number ${one.busy_percent >= 90 ? "bad" : ""}`}>${figure(one.busy_percent)} %</td><td class="number">${figure(one.memory_mb)} MB</td><td class="number">${duration(one.age_s)}</td></tr>`,
          )}</tbody></table></div>`}
  </section>`;
}

/** How a worker ended, and how many calls that hit. */
function endOf({ ended_s, signal, status, lost_calls }) {
  if (!ended_s) return null;
  const how = signal ?? (status ? `status ${status}` : "");
  const hit = lost_calls?.length ? `, hit ${count(lost_calls.length, "call")}:` : "";
  return html`<span class="faint">${clock(ended_s)} ${how}${hit}</span>`;
}

function State({ state }) {
  const kind = { __proto__: null, ready: "good", accepting: "good", serving: "good", draining: "slow", starting: "slow", overloaded: "slow" }[state] ?? (state === "ended" || state === "died" || state === "hung" ? "bad" : "quiet");
  return html`<span class=${`tag ${kind}`}>${state ?? "unknown"}</span>`;
}

function Counted({ title, none, of }) {
  const rows = Object.entries(of ?? {}).sort((a, b) => b[1] - a[1]);
  return html`<section class="card" aria-label=${title}><h2>${title}</h2>
    ${rows.length === 0 ? html`<p class="faint">${none}</p>` : html`<table><tbody>${rows.map(([name, n]) => html`<tr><td>${name}</td><td class="number"><b>${n}</b></td></tr>`)}</tbody></table>`}
  </section>`;
}

/** Fields that tell most, which stand before the others. */
const FIRST = ["check", "error", "why", "reason"];

function Lines({ lines }) {
  return html`<section class="card health-lines" aria-label="Recent warnings and errors"><h2>Warnings and errors of the last hour <span class="faint">${lines.length}</span></h2>
    ${lines.length === 0
      ? html`<p class="faint">None. That is how it should be.</p>`
      : html`<ul>${lines.map((one) => html`<${Line} one=${one} />`)}</ul>`}
  </section>`;
}

function Line({ one }) {
  const { when, todo } = explanation(one.name);
  const remedy = one.fields?.remedy;
  return html`<li class=${one.level}>
    <span class="when">${clock(one.at_s)}</span><span class=${`tag ${one.level === "error" ? "bad" : "slow"}`}>${one.level}</span>
    <div><code>${one.name}</code> ${callsOf(one).map((sid) => html`<a href=${eventLink(sid, one)}>${shortSid(sid)}</a> `)}
      <span class="fields">${fieldsOf(one).map(([name, value]) => html`<span><i>${name}</i> ${valueText(value)} </span>`)}</span>
      ${remedy && html`<p><b>${remedy}</b></p>`}
      ${when && html`<p class="faint"><${Marked} text=${when} />${todo && html` <b class="todo">What to do:</b> <${Marked} text=${todo} />`}</p>`}
    </div></li>`;
}

/** Return the address of an event in its call; of a turn of it, where the event belongs to one. */
function eventLink(sid, { at_s, name }) {
  return `#/call/${encodeURIComponent(sid)}/at/${at_s}/${name}`;
}

function fieldsOf({ fields }) {
  const rank = (name) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  const skipped = ["call_sid", "stream_sid", "pid", "remedy"];
  return Object.entries(fields ?? {}).filter(([name, value]) => !skipped.includes(name) && value !== null).sort((a, b) => rank(a[0]) - rank(b[0]));
}
