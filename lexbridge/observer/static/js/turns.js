/** The turns of a call: who said what, what Lex made of it, and where the time went. */

import { count, duration, pretty, replyClass, seconds, shortSid, span, valueText } from "./format.js";
import { greeting } from "./greeting.js";
import { html, signal, useEffect, useRef } from "./html.js";
import { entriesOf, keyOf, lossWords, unheardWords, unsaid } from "./transcript_model.js";

/** Parts of a reply's time, in their order: field, words, class. What is left of the reply is until it was audible. */
const PARTS = [
  ["end_ms", "waiting for the end of speech", "end"],
  ["queue_ms", "waiting for an earlier turn", "queue"],
  ["lex_ms", "Lex", "lex"],
  ["update_ms", "call update", "update"],
];

/** Return the parts of a turn's reply time: [{words, name, ms}]. */
export function latencyParts(turn) {
  const parts = PARTS.map(([field, words, name]) => ({ words, name, ms: turn[field] })).filter((one) => one.ms > 0);
  const rest = (turn.reply_ms ?? 0) - parts.reduce((sum, one) => sum + one.ms, 0);
  if (rest > 20) parts.push({ words: turn.update_ms ? "in between" : "until audible", name: "audible", ms: rest });
  return parts;
}

/** A stacked bar of a turn's time, as wide as its share of the slowest turn. */
function LatencyBar({ turn, longest_ms }) {
  const bar = useRef(null);
  const parts = latencyParts(turn);
  useEffect(() => {
    [...bar.current.children].forEach((child, i) => (child.style.flexBasis = `${(100 * parts[i].ms) / longest_ms}%`));
  });
  const words = parts.map((one) => `${one.words} ${span(one.ms)}`).join(", ");
  return html`<div class="bar" ref=${bar} role="img" aria-label=${words || "no times"} title=${words}>
    ${parts.map((one) => html`<span class=${one.name}></span>`)}
  </div>`;
}

const open = signal(new Set());

function toggle(key) {
  const keys = new Set(open.value);
  if (!keys.delete(key)) keys.add(key);
  open.value = keys;
}

/** The transcript: all that the caller said and heard, and what Lex made of it. */
export function Transcript({ call, view, selected }) {
  const turns = call.turns.value;
  call.story.value; // events tell more than turns
  const list = useRef(null);
  useKeptAtEnd(list, call, view);
  const summary = call.summary.value;
  const entries = entriesOf({ turns, events: call.events, streams: call.streams, summary, greeting: summary.opened ? null : greeting() });
  return html`<section class="card transcript" aria-label="Transcript" tabindex="0" ref=${list}><h2>Transcript <span class="faint">${count(turns.length, "turn")}</span></h2>
    ${entries.length === 0
      ? html`<p class="faint">Nobody has said anything yet.</p>`
      : html`<ol>${entries.map((one) =>
          one.kind === "turn"
            ? html`<${Turn} key=${keyOf(one.turn)} call=${call} view=${view} entry=${one} before=${turns.slice(0, one.number - 1).findLast((earlier) => earlier.dialog_state)} isSelected=${selected === one.number - 1} />`
            : html`<${Between} key=${`${one.kind}${one.at_s}`} call=${call} view=${view} one=${one} />`,
        )}</ol>`}
  </section>`;
}

/** Distance from the end of a transcript within which its reader is taken to be at the end. */
const END_PX = 160;

/** Keep the end of a live call's transcript in sight: in its box from the start on, in the page for who has scrolled to it. */
function useKeptAtEnd(list, call, view) {
  const bottom = useRef(null);
  const isFollowing = view.isFollowing.value;
  useEffect(() => {
    const box = list.current;
    const isBox = getComputedStyle(box).overflowY === "auto";
    const before = bottom.current;
    bottom.current = isBox ? box.scrollHeight : box.getBoundingClientRect().bottom + scrollY;
    if (!call.isLive || bottom.current === before) return;
    if (isBox) {
      if (before === null || box.scrollTop + box.clientHeight >= before - END_PX) box.scrollTop = bottom.current;
    } else if (before !== null && before > innerHeight && scrollY + innerHeight >= before && scrollY + innerHeight <= before + END_PX) {
      scrollBy(0, bottom.current - before);
    }
  });
  useEffect(() => {
    if (call.isLive && isFollowing) list.current.scrollTop = list.current.scrollHeight;
  }, [isFollowing]);
}

function At({ call, at_s, show }) {
  return html`<button type="button" class="at" onClick=${show} title="Show in the timeline">${duration(at_s - call.began_s)}</button>`;
}

/** What is no turn: a prompt, a break of the stream, a note. */
function Between({ call, view, one }) {
  return html`<li class=${`between ${one.kind}`}>
    <${At} call=${call} at_s=${one.at_s} show=${() => (view.setCursor(one.at_s), view.reveal(one.at_s))} />
    <div class="says"><${Heard} one=${one} /></div>
  </li>`;
}

function Heard({ one }) {
  return html`<p class=${`aside ${one.kind}`}>${one.text}</p>${one.words && html`<p class="bot"><span class="unseen">Bot: </span>${one.words}</p>`}`;
}

function Turn({ call, view, entry, before, isSelected }) {
  const { turn, during } = entry;
  const element = useRef(null);
  useEffect(() => {
    if (isSelected) element.current.scrollIntoView({ block: "nearest" });
  }, [isSelected]);
  const key = keyOf(turn);
  const said = turn.transcript ? `“${turn.transcript}”` : turn.keys ? `keys ${turn.keys}` : null;
  const isOpen = open.value.has(key);
  const isLast = call.turns.value.findLast((one) => one.stream_sid === turn.stream_sid) === turn;
  const unheard = unheardWords(turn, isLast);
  return html`<li ref=${element} class=${`turn ${isSelected ? "selected" : ""}`}>
    <${At} call=${call} at_s=${turn.began_s} show=${() => showTurn(call, view, turn)} />
    <div class="says">
      ${said ? html`<p class="caller"><span class="unseen">Caller: </span>${said}</p>` : html`<p class="caller unsaid">${unsaid(turn, circumstances(call, turn))}</p>`}
      ${said && lossWords(turn) && html`<p class="aside break">${lossWords(turn)}</p>`}
      ${during.map((one) => html`<${Heard} one=${one} />`)}
      <p class="lex-line"><span><${Outcome} turn=${turn} isFillerTold=${during.length > 0} />
        ${turn.intent && html`<b>${turn.intent}</b>`} ${turn.dialog_state}${turn.slot_to_elicit && html` <span class="faint">asks for</span> ${turn.slot_to_elicit}`}</span>
        ${turn.reply_ms !== null && turn.reply_ms !== undefined && html`<span class=${`reply ${replyClass(turn.reply_ms)}`}>${seconds(turn.reply_ms)}</span>`}
      </p>
      <${Slots} turn=${turn} before=${before} />
      ${turn.messages.map((words) => html`<p class=${`bot ${unheard && turn.heard !== "partly" ? "not-heard" : ""}`}><span class="unseen">Bot: </span>${words}</p>`)}
      ${unheard && html`<p class="aside break">${unheard}</p>`}
      <button type="button" class="link" aria-expanded=${String(isOpen)} onClick=${() => toggle(key)}>${isOpen ? "Hide details" : "Attributes, Lex JSON, TwiML"}</button>
      ${isOpen && html`<${Details} turn=${turn} />`}
    </div>
  </li>`;
}

function circumstances(call, turn) {
  const stream = call.streams.find((one) => one.stream_sid === turn.stream_sid);
  return {
    how: call.model?.turns.get(keyOf(turn))?.how, // the model may come later than the turn
    dropped: call.events.find((one) => one.name === "utterance-dropped" && one.stream_sid === turn.stream_sid && one.fields.turn === turn.turn),
    isLive: call.isLive && !stream?.ended_s,
    isFile: Boolean(call.summary.peek()?.opened),
  };
}

function Outcome({ turn, isFillerTold }) {
  return html`${turn.filler && !isFillerTold && html`<span class="tag slow">filler</span>`}
    ${["failed", "lost"].includes(turn.outcome) && html`<span class="tag bad" title=${turn.why}>${turn.outcome}</span>`}
    ${turn.outcome === "dropped" && html`<span class="tag slow">dropped</span>`}
    ${["false-alarm", "joined", "cancelled"].includes(turn.outcome) && html`<span class="tag">${turn.outcome}</span>`}`;
}

function Slots({ turn, before }) {
  const slots = Object.entries(turn.slots ?? {}).filter(([, value]) => value !== null && value !== undefined);
  if (slots.length === 0) return null;
  const isNew = (name, value) => valueText(before?.slots?.[name]) !== valueText(value);
  return html`<ul class="slots" aria-label="Slots">
    ${slots.map(([name, value]) => html`<li class=${isNew(name, value) ? "new" : ""}>${name} <b>${valueText(value)}</b>${isNew(name, value) && html`<span class="unseen"> (new)</span>`}</li>`)}
  </ul>`;
}

function Details({ turn }) {
  const changed = Object.entries(turn.attributes_changed ?? {});
  return html`<div class="details">
    <h3>Session attributes that changed</h3>
    ${changed.length
      ? html`<dl>${changed.map(([name, value]) => html`<div><dt><code>${name}</code></dt><dd>${value === null ? html`<i>removed</i>` : html`<code>${valueText(value)}</code>`}</dd></div>`)}</dl>`
      : html`<p class="faint">None.</p>`}
    <h3>Answer of Lex</h3>${turn.raw ? html`<pre tabindex="0">${pretty(turn.raw)}</pre>` : html`<p class="faint">Not known.</p>`}
    <h3>TwiML</h3>${turn.twiml ? html`<pre tabindex="0">${pretty(turn.twiml)}</pre>` : html`<p class="faint">None: the reply was audio on the stream, or there was none.</p>`}
  </div>`;
}

/** Show a turn in the timeline, with the cursor at its start. */
export function showTurn(call, view, turn) {
  const steps = call.model?.turns.get(`${turn.stream_sid}/${turn.turn}`);
  const from_s = steps?.from_s ?? steps?.asked_s ?? turn.began_s;
  const to_s = steps?.reply_s ?? steps?.answered_s ?? steps?.to_s ?? from_s + 2;
  view.show(from_s, Math.max(to_s, from_s + 0.5));
  view.setCursor(from_s);
}

/** The table of turns: the timeline in words and figures, with a stacked bar for each reply. */
export function TurnTable({ call, view }) {
  const turns = call.turns.value;
  const longest_ms = Math.max(1000, ...turns.map((one) => Math.max(one.reply_ms ?? 0, ...[latencyParts(one).reduce((sum, part) => sum + part.ms, 0)])));
  const hasQueue = turns.some((one) => one.queue_ms > 0);
  return html`<section class="card turns" aria-label="Latency of each turn"><h2>Where the time went</h2>
    ${turns.length === 0
      ? html`<p class="faint">No turn yet.</p>`
      : html`<div class="scroll" tabindex="0" role="region" aria-label="Table of turns"><table>
          <thead><tr><th>Turn</th><th class="number">End</th>${hasQueue && html`<th class="number" title="waiting for an earlier turn">Queue</th>`}<th class="number">Lex</th><th class="number">Update</th><th class="number">Reply</th><th class="wide">Share</th></tr></thead>
          <tbody>${turns.map(
            (turn, i) => html`<tr title=${`Turn ${turn.turn} of stream ${shortSid(turn.stream_sid)}`}>
              <td><button type="button" class="link" onClick=${() => showTurn(call, view, turn)}>${i + 1}<span class="unseen"> at ${duration(turn.began_s - call.began_s)}</span></button></td>
              <td class="number">${span(turn.end_ms)}</td>${hasQueue && html`<td class="number">${span(turn.queue_ms)}</td>`}<td class="number">${span(turn.lex_ms)}</td><td class="number">${span(turn.update_ms)}</td>
              <td class=${`number ${replyClass(turn.reply_ms)}`}><b>${seconds(turn.reply_ms)}</b></td>
              <td class="wide"><${LatencyBar} turn=${turn} longest_ms=${longest_ms} /></td>
            </tr>`,
          )}</tbody>
        </table></div>
        <ul class="legend" aria-label="Legend"><li><i class="swatch end"></i>waiting for the end of speech</li>${hasQueue && html`<li><i class="swatch queue"></i>waiting for an earlier turn</li>`}<li><i class="swatch thinks"></i>Lex</li><li><i class="swatch update"></i>call update</li><li><i class="swatch audible"></i>until audible</li></ul>`}
  </section>`;
}
