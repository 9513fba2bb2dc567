/** The list of live and recent calls of all workers. */

import { began, count, duration, endWords, replyClass, seconds, shortSid, stateWords, who, NONE } from "./format.js";
import { faultNames } from "./faults.js";
import { FirstCall } from "./first_call.js";
import { html, signal, useEffect } from "./html.js";
import { openError } from "./open_file.js";
import { allSummaries, callSignal, counts, follow, isLoaded, liveSids, loadError, now_s, recentSids, workers } from "./store.js";

/** Rows of ended calls that are drawn at first, because nobody reads more at a glance. */
const RECENT_ROWS = 50;

const filter = signal("");
const worker = signal("");
const onlyFaults = signal(false);
/** Name of the only line whose calls are shown, or null for all. The default line has the name "". */
const line = signal(null);
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
  const all = allSummaries();
  const errors = all.reduce((sum, one) => sum + (one.errors || 0), 0);
  const faults = all.reduce((sum, one) => sum + (one.faults || 0), 0);
  const running = workers.value.filter((one) => one.state !== "ended");
  const busiest = Math.max(0, ...running.map((one) => one.busy_percent ?? 0));
  const lag = Math.max(0, ...running.map((one) => one.lag_ms ?? 0));
  return html`<dl class="totals">
    <${Tile} name="live calls" go=${() => showList("Live")}>${live}<//>
    <${Tile} name="ended, kept here" go=${() => showList("Recent")}>${recentSids.value.length}<//>
    ${counts.value.started !== undefined && html`<div><dt>calls since start</dt><dd>${counts.value.started}</dd></div>`}
    ${counts.value.refused > 0 && html`<${Tile} name="refused calls" mood="warns" go=${toHealth}>${counts.value.refused}<//>`}
    <${Tile} name="faults in these calls" mood=${errors ? "warns" : faults ? "minds" : ""} isOn=${onlyFaults.value} go=${() => (onlyFaults.value = !onlyFaults.value)}>${faults}<//>
    <${Tile} name="workers" go=${toHealth}>${running.length}<//>
    <${Tile} name="busiest worker" mood=${busiest >= 90 ? "warns" : ""} go=${toHealth}>${Math.round(busiest)} %<//>
    <${Tile} name="longest loop lag" mood=${lag >= 100 ? "warns" : ""} go=${toHealth}>${Math.round(lag)} ms<//>
  </dl>`;
}

/** A figure, whose name is a button to what it counts. */
function Tile({ name, mood = "", isOn, go, children }) {
  return html`<div class=${`tile ${mood} ${isOn ? "on" : ""}`} onClick=${go}>
    <dt><button type="button" aria-pressed=${isOn === undefined ? null : String(isOn)}>${name}</button></dt><dd>${children}</dd></div>`;
}

function toHealth() {
  location.hash = "#/health";
}

function showList(title) {
  document.querySelector(`[aria-label="${title} calls"]`)?.scrollIntoView({ block: "start", behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

function Filters() {
  const pids = [...new Set(allSummaries().flatMap(pidsOf))].filter(Boolean).sort((a, b) => a - b);
  const lines = allLines();
  return html`<form class="filters" role="search" onSubmit=${(event) => event.preventDefault()}>
    <input type="search" placeholder="Search: number, SID, intent, event, worker" aria-label="Search calls" value=${filter.value}
      onInput=${(event) => (filter.value = event.target.value)} />
    <select aria-label="Worker" value=${worker.value} onChange=${(event) => (worker.value = event.target.value)}>
      <option value="">All workers</option>
      ${pids.map((pid) => html`<option value=${String(pid)}>Worker ${pid}</option>`)}
    </select>
    ${lines.length > 1 &&
    html`<select aria-label="Line" value=${line.value === null ? "" : `=${line.value}`} onChange=${(event) => (line.value = event.target.value ? event.target.value.slice(1) : null)}>
      <option value="">All lines</option>
      ${lines.map((name) => html`<option value=${`=${name}`}>${name ? `Line ${name}` : "Default line"}</option>`)}
    </select>`}
    <label class="check"><input type="checkbox" checked=${onlyFaults.value} onChange=${(event) => (onlyFaults.value = event.target.checked)} />
      only with faults</label>
  </form>`;
}

/** Return the names of all lines that served a call. Older servers and files name none. */
function allLines() {
  return [...new Set(allSummaries().map((one) => one?.line ?? ""))].sort();
}

function isShown(summary) {
  if (line.value !== null && (summary.line ?? "") !== line.value) return false;
  if (onlyFaults.value && !summary.faults) return false;
  if (worker.value && !pidsOf(summary).map(String).includes(worker.value)) return false;
  const words = filter.value.trim().toLowerCase();
  if (!words) return true;
  const parts = [summary.call_sid, summary.caller, summary.called, summary.intent, summary.dialog_state, summary.mode, summary.ended_by];
  const { search = "", fault_counts = {}, opened } = summary;
  const more = [search, ...Object.keys(fault_counts), faultNames(summary.call_sid), ...pidsOf(summary), summary.why, endWords(summary)];
  const text = [...parts, ...more, stateWords(opened ? "opened" : summary.state), who(summary.speaking)].join(" ").toLowerCase();
  return words.split(/\s+/).every((word) => text.includes(word));
}

/** Return all workers that served a call. */
function pidsOf(summary) {
  return summary.worker_pids?.length ? summary.worker_pids : [summary.worker_pid].filter(Boolean);
}

function List({ title, sids, limit = Infinity }) {
  const hasFilter = filter.value || worker.value || onlyFaults.value || line.value !== null;
  const hasLines = allLines().some(Boolean);
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
            <th class="number">${isLive ? "Last reply" : "Worst reply"}</th><th>Intent</th>${hasLines && html`<th>Line</th>`}<th>Notes</th><th>Worker</th>
          </tr></thead>
          <tbody>${shown.map((sid) => html`<${Row} key=${sid} sid=${sid} hasLines=${hasLines} />`)}</tbody>
        </table>`}
    ${found.length > shown.length &&
    html`<button type="button" class="more" onClick=${() => (areAllShown.value = true)}>Show all ${found.length}</button>`}
  </section>`;
}

function Row({ sid, hasLines }) {
  const one = callSignal(sid)?.value;
  if (!one) return null;
  const isLive = one.state === "live";
  const reply = isLive ? one.last_reply_ms : one.worst_reply_ms;
  return html`<tr class=${one.state} onClick=${(event) => goTo(event, sid)}>
    <td class="caller"><a href=${`#/call/${encodeURIComponent(sid)}`}><i class=${`dot ${one.opened ? "opened" : one.state}`} aria-hidden="true"></i
      ><span class="who-calls">${one.caller ?? "unknown number"}</span><span class="faint sid">${one.opened ? sid : shortSid(sid)}</span></a></td>
    <td class="age">${isLive ? html`<${Age} began_s=${one.began_s} />` : began(one.began_s, now_s.peek())}</td>
    <td class="now">${isLive ? html`<span class=${`speaks ${one.speaking ?? ""}`}>${who(one.speaking)}</span>` : duration(one.ended_s - one.began_s)}</td>
    <td class="number turn-count">${one.turns}</td>
    <td class=${`number reply ${replyClass(reply)}`} data-label=${isLive ? "last reply" : "worst reply"}>${seconds(reply)}</td>
    <td class="intent">${one.intent ?? NONE}${one.dialog_state && html` <span class="faint">${one.dialog_state}</span>`}</td>
    ${hasLines && html`<td class="line-name" data-label="line">${one.line ? one.line : html`<span class="faint">default</span>`}</td>`}
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
    <${Faults} one=${one} />
    ${one.streams > 1 && html`<span class="tag slow">${one.streams} streams</span>`}
    ${one.no_inputs > 0 && html`<span class="tag quiet">${one.no_inputs} no-input</span>`}
    ${one.fillers > 0 && html`<span class="tag slow">${count(one.fillers, "filler")}</span>`}
    ${one.barge_ins > 0 && html`<span class="tag">${count(one.barge_ins, "barge-in")}</span>`}
    ${one.state === "ended" && one.ended_by && one.ended_by !== "caller" && html`<span class="tag quiet" title=${endWords(one)}>by ${one.ended_by}${one.why ? `: ${one.why}` : ""}</span>`}`;
}

/** Errors and warnings apart; of older servers and files only their sum is known. */
function Faults({ one }) {
  const names = Object.entries(one.fault_counts ?? {}).map(([name, n]) => `${n} × ${name}`).join(", ") || faultNames(one.call_sid).trim() || null;
  const { errors = 0, warnings = 0, faults = 0 } = one;
  if (faults > 0 && errors + warnings === 0) return html`<span class="tag bad" title=${names}>${count(faults, "fault")}</span>`;
  return html`${errors > 0 && html`<span class="tag bad" title=${names}>✕ ${count(errors, "error")}</span>`}
    ${warnings > 0 && html`<span class="tag slow" title=${names}>${count(warnings, "warning")}</span>`}`;
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
