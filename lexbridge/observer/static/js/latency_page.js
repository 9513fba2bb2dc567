/** How long replies take: percentiles, their history, and the slowest turns. */

import { clock, count, replyClass, seconds, shortSid, span } from "./format.js";
import { lines } from "./faults.js";
import { html } from "./html.js";
import { Chart } from "./latency_chart.js";
import { stale, useLoaded, waiting } from "./loaded.js";

const FIGURES = [
  ["reply_ms", "Reply", "from the caller's last sound to the first sound of the reply"],
  ["end_ms", "End of speech", "the silence that was waited for"],
  ["queue_ms", "Queue", "waiting for an earlier turn, which is with Lex"],
  ["lex_ms", "Lex", "from the request to Lex's answer"],
  ["update_ms", "Call update", "until Twilio took the new document"],
];
const PERCENTILES = ["p50", "p90", "p99"];
const MEANINGS = { p50: "half of the replies are faster", p90: "nine of ten replies are faster", p99: "99 of 100 replies are faster" };

export function LatencyPage() {
  const [data, error] = useLoaded("console/api/latency", 10);
  const wait = waiting(data, error);
  if (wait) return wait;
  const hasTurns = Object.values(data.since_start ?? {}).some((one) => one?.p50 !== null && one?.p50 !== undefined);
  return html`<h1>Latency</h1>${stale(error)}
    ${!hasTurns && html`<div class="card"><p>No turn has been measured yet. The figures come with the first reply.</p></div>`}
    <div class="columns"><${Percentiles} title="The last hour" of=${data.last_hour} /><${Percentiles} title="Since the start" of=${data.since_start} /></div>
    <${History} history=${data.history ?? []} />
    <${Slowest} turns=${data.slowest ?? []} />`;
}

function Percentiles({ title, of }) {
  const turns = of?.reply_ms?.turns;
  return html`<section class="card" aria-label=${title}><h2>${title} ${turns !== undefined && html`<span class="faint">${count(turns, "reply", "replies")}</span>`}</h2>
    <table><thead><tr><th></th>${PERCENTILES.map((one) => html`<th class="number" title=${MEANINGS[one]}>${one}</th>`)}</tr></thead>
    <tbody>${FIGURES.filter(([name]) => name !== "queue_ms" || of?.queue_ms).map(
      ([name, words, meaning]) => html`<tr><td>${words}<small class="faint">${meaning}</small></td>
        ${PERCENTILES.map((one) => html`<td class=${`number ${name === "reply_ms" ? replyClass(of?.[name]?.[one]) : ""}`}>${span(of?.[name]?.[one])}</td>`)}</tr>`,
    )}</tbody></table>
  </section>`;
}

function History({ history }) {
  const faults = lines.value;
  return html`<section class="card" aria-label="History"><h2>Replies by the minute</h2>
    ${history.length < 2
      ? html`<p class="faint">The history begins with the second minute.</p>`
      : html`<${Chart} history=${history} faults=${faults} /><p class="chart-note faint"><span>p90: nine of ten replies are faster.</span><span>A gap: no reply in that minute.</span>
          ${faults.length > 0 && html`<span><b class="bad">▼</b> error</span><span><b class="slow">▼</b> warning</span>`}</p>`}
  </section>`;
}

function Slowest({ turns }) {
  const hasQueue = turns.some((one) => one.queue_ms > 0);
  return html`<section class="card" aria-label="Slowest turns"><h2>Slowest turns of the last hour</h2>
    ${turns.length === 0
      ? html`<p class="faint">None yet.</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label="Table of slow turns"><table><thead><tr><th>Call</th><th class="number">At</th><th class="number">Reply</th><th class="number">End</th>${hasQueue && html`<th class="number" title="waiting for an earlier turn">Queue</th>`}<th class="number">Lex</th><th class="number">Update</th><th></th></tr></thead>
          <tbody>${turns.map(
            (one) => html`<tr><td><a href=${`#/call/${encodeURIComponent(one.call_sid)}/${one.turn}/${one.stream_sid}`}><code>${shortSid(one.call_sid)}</code></a></td>
              <td class="number">${clock(one.at_s)}</td><td class=${`number ${replyClass(one.reply_ms)}`}><b>${seconds(one.reply_ms)}</b></td>
              <td class="number">${span(one.end_ms)}</td>${hasQueue && html`<td class="number">${span(one.queue_ms)}</td>`}<td class="number">${span(one.lex_ms)}</td><td class="number">${span(one.update_ms)}</td>
              <td>${one.filler && html`<span class="tag slow">filler</span>`}${one.outcome && one.outcome !== "answered" && html`<span class="tag bad">${one.outcome}</span>`}</td></tr>`,
          )}</tbody></table></div>`}
  </section>`;
}
