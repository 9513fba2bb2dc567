/** The list of live and recent calls of all workers. */

import { count, duration, endWords, replyClass, seconds, shortSid, stateWords, who, NONE, clock } from "./format.js";
import { FirstCall } from "./first_call.js";
import { html, signal, useEffect } from "./html.js";
import { openError } from "./open_file.js";
import { allSummaries, callSignal, counts, follow, isLoaded, liveSids, loadError, now_s, recentSids, workers } from "./store.js";

/** Rows of ended calls that are drawn at first, because nobody reads more at a glance. */
const RECENT_ROWS = 50;

const filter = signal("");
const worker = signal("");
const onlyFaults = signal(false);
const areAllShown = signal(false);

export function CallsPage({ rehearsal }) {
  useEffect(() => follow(null), []);
  useEffect(() => {
    addEventListener("keydown", moveByKey);
    return () => removeEventListener("keydown", moveByKey);
  }, []);
  if (loadError.value && !isLoaded.value) {
    return html`<div class="card empty"><h1>The console has no data yet</h1><p>${loadError.value}</p></div>`;
  }
  if (!isLoaded.value) return html`<p class="faint loading">Loading …</p>`;
  const isEmpty = liveSids.value.length + recentSids.value.length === 0;
  return html`<h1 class="unseen">Calls</h1>
    ${openError.value && html`<div class="banner bad" role="alert">${openError.value}</div>`}
    <${Totals} />
    ${isEmpty
      ? html`<${FirstCall} rehearsal=${rehearsal} />`
      : html`<${Filters} /><${List} title="Live" sids=${liveSids} /><${List} title="Recent" sids=${recentSids} limit=${RECENT_ROWS} />`}`;
}

function Totals() {
  const live = liveSids.value.length;
  const faults = allSummaries().reduce((sum, one) => sum + (one.faults || 0), 0);
  const running = workers.value.filter((one) => one.state !== "ended");
  const busiest = Math.max(0, ...running.map((one) => one.busy_percent ?? 0));
  const lag = Math.max(0, ...running.map((one) => one.lag_ms ?? 0));
  return html`<dl class="totals">
    <div><dt>live calls</dt><dd>${live}</dd></div>
    <div><dt>ended, kept here</dt><dd>${recentSids.value.length}</dd></div>
    ${counts.value.started !== undefined && html`<div><dt>calls since start</dt><dd>${counts.value.started}</dd></div>`}
    ${counts.value.refused > 0 && html`<div class="warns"><dt>refused calls</dt><dd>${counts.value.refused}</dd></div>`}
    <div class=${faults ? "warns" : ""}><dt>faults in these</dt><dd>${faults}</dd></div>
    <div><dt>workers</dt><dd>${running.length}</dd></div>
    <div class=${busiest >= 90 ? "warns" : ""}><dt>busiest worker</dt><dd>${Math.round(busiest)} %</dd></div>
    <div class=${lag >= 100 ? "warns" : ""}><dt>longest loop lag</dt><dd>${Math.round(lag)} ms</dd></div>
  </dl>`;
}

function Filters() {
  const pids = [...new Set(allSummaries().map((one) => one.worker_pid))].filter(Boolean).sort((a, b) => a - b);
  return html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    <input type="search" placeholder="Search: number, SID, intent, state" aria-label="Search calls" value=${filter.value}
      onInput=${(event) => (filter.value = event.target.value)} />
    <select aria-label="Worker" value=${worker.value} onChange=${(event) => (worker.value = event.target.value)}>
      <option value="">All workers</option>
      ${pids.map((pid) => html`<option value=${String(pid)}>Worker ${pid}</option>`)}
    </select>
    <label class="check"><input type="checkbox" checked=${onlyFaults.value} onChange=${(event) => (onlyFaults.value = event.target.checked)} />
      only with faults</label>
  </form>`;
}

function isShown(summary) {
  if (onlyFaults.value && !summary.faults) return false;
  if (worker.value && String(summary.worker_pid) !== worker.value) return false;
  const words = filter.value.trim().toLowerCase();
  if (!words) return true;
  const parts = [summary.call_sid, summary.caller, summary.called, summary.intent, summary.dialog_state, summary.mode, summary.ended_by];
  const text = [...parts, stateWords(summary.opened ? "opened" : summary.state), who(summary.speaking)].join(" ").toLowerCase();
  return words.split(/\s+/).every((word) => text.includes(word));
}

function List({ title, sids, limit = Infinity }) {
  const hasFilter = filter.value || worker.value || onlyFaults.value;
  const all = sids.value;
  const found = hasFilter ? all.filter((sid) => isShown(callSignal(sid).value)) : all;
  const shown = areAllShown.value ? found : found.slice(0, limit);
  const isLive = title === "Live";
  return html`<section class="card list" aria-label=${`${title} calls`}>
    <h2>${title} <span class="faint">${hasFilter ? `${found.length} of ${all.length}` : all.length}</span></h2>
    ${shown.length === 0
      ? html`<p class="faint none">${all.length ? "No call matches." : isLive ? "No call is live." : "No call has ended yet."}</p>`
      : html`<table class="calls">
          <thead><tr>
            <th>Caller</th><th>${isLive ? "Age" : "Began"}</th><th>${isLive ? "Now" : "Length"}</th><th class="number">Turn</th>
            <th class="number">${isLive ? "Last reply" : "Worst reply"}</th><th>Intent</th><th>Notes</th><th>Worker</th>
          </tr></thead>
          <tbody>${shown.map((sid) => html`<${Row} key=${sid} sid=${sid} />`)}</tbody>
        </table>`}
    ${found.length > shown.length &&
    html`<button type="button" class="more" onClick=${() => (areAllShown.value = true)}>Show all ${found.length}</button>`}
  </section>`;
}

function Row({ sid }) {
  const one = callSignal(sid)?.value;
  if (!one) return null;
  const isLive = one.state === "live";
  const reply = isLive ? one.last_reply_ms : one.worst_reply_ms;
  return html`<tr class=${one.state} onClick=${(event) => goTo(event, sid)}>
    <td class="caller"><a href=${`#/call/${encodeURIComponent(sid)}`}><i class=${`dot ${one.opened ? "opened" : one.state}`} aria-hidden="true"></i
      ><span class="who-calls">${one.caller ?? "unknown number"}</span><span class="faint sid">${one.opened ? sid : shortSid(sid)}</span></a></td>
    <td class="age">${isLive ? html`<${Age} began_s=${one.began_s} />` : clock(one.began_s)}</td>
    <td class="now">${isLive ? html`<span class=${`speaks ${one.speaking ?? ""}`}>${who(one.speaking)}</span>` : duration(one.ended_s - one.began_s)}</td>
    <td class="number turn-count">${one.turns}</td>
    <td class=${`number reply ${replyClass(reply)}`} data-label=${isLive ? "last reply" : "worst reply"}>${seconds(reply)}</td>
    <td class="intent">${one.intent ?? NONE}${one.dialog_state && html` <span class="faint">${one.dialog_state}</span>`}</td>
    <td class="notes"><${Notes} one=${one} /></td>
    <td class="worker faint" data-label="worker">${one.worker_pid ?? NONE}</td>
  </tr>`;
}

function Age({ began_s }) {
  return duration(now_s.value - began_s);
}

/** Short marks of what was unusual in a call. */
export function Notes({ one }) {
  return html`${one.state === "lost" && html`<span class="tag bad">stream lost</span>`}
    ${one.opened && html`<span class="tag">from a file</span>`}
    ${one.faults > 0 && html`<span class="tag bad">${count(one.faults, "fault")}</span>`}
    ${one.streams > 1 && html`<span class="tag slow">${one.streams} streams</span>`}
    ${one.fillers > 0 && html`<span class="tag slow">${count(one.fillers, "filler")}</span>`}
    ${one.barge_ins > 0 && html`<span class="tag">${count(one.barge_ins, "barge-in")}</span>`}
    ${one.state === "ended" && one.ended_by && one.ended_by !== "caller" && html`<span class="tag quiet" title=${endWords(one)}>by ${one.ended_by}</span>`}`;
}

function goTo(event, sid) {
  if (event.target.closest("a, button") || event.ctrlKey || event.metaKey || String(getSelection())) return;
  location.hash = `#/call/${encodeURIComponent(sid)}`;
}

function moveByKey(event) {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step || event.target.matches("input:not([type=checkbox]), select") || event.ctrlKey || event.metaKey) return;
  const links = [...document.querySelectorAll("table.calls td.caller a")];
  if (links.length === 0) return;
  const at = links.indexOf(document.activeElement);
  links[Math.min(links.length - 1, Math.max(0, at + step))].focus();
  event.preventDefault();
}
