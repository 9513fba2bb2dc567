/** The page of one call: its timeline, its turns, what if, its events. */

import { address } from "./api.js";
import { CallState } from "./call_state.js";
import { EventsList } from "./events_list.js";
import { dayAndClock, duration, endWords, replyClass, seconds, shortSid, stateWords, who, NONE } from "./format.js";
import { html, useEffect, useMemo, useRef, useState } from "./html.js";
import { callSignal, now_s } from "./store.js";
import { Notes } from "./calls_page.js";
import { Player } from "./player.js";
import { Timeline } from "./timeline.js";
import { showTurn, Transcript, TurnTable } from "./turns.js";
import { View } from "./view.js";
import { WhatIf } from "./what_if.js";

export function CallPage({ sid, turn, event }) {
  const call = useMemo(() => new CallState(sid), [sid]);
  const view = useMemo(() => new View(call), [call]);
  const player = useMemo(() => new Player(call, view), [call]);
  const [isWhatIf, setWhatIf] = useState(false);
  const [selected, setSelected] = useState(null);
  const last = useRef(null); // of the turns that were selected: keys may come faster than the page is drawn
  useEffect(
    () => () => {
      call.close();
      player.close();
    },
    [call],
  );
  const select = (index) => {
    const turns = call.turns.peek();
    if (turns.length === 0) return;
    const at = Math.min(turns.length - 1, Math.max(0, index));
    last.current = at;
    setSelected(at);
    showTurn(call, view, turns[at]);
  };
  useEffect(() => {
    const pressed = (event) => onKey(event, { view, player, next: (by) => select((last.current ?? (by > 0 ? -1 : call.turns.peek().length)) + by), whatIf: () => setWhatIf((is) => !is), close: isWhatIf ? () => setWhatIf(false) : null });
    // Of the document, so that a key is taken here before the whole page takes it.
    document.addEventListener("keydown", pressed);
    return () => document.removeEventListener("keydown", pressed);
  }, [view, player, isWhatIf]);
  const summary = call.summary.value;
  const listed = callSignal(sid)?.value;
  useEffect(() => {
    if (listed) call.takeSummary(listed);
  }, [listed]);
  const hasModel = call.version.value > 0;
  useEffect(() => {
    if (turn !== null && hasModel) select(call.turns.peek().findIndex((one) => `${one.stream_sid}/${one.turn}` === turn));
  }, [turn, hasModel]);
  useEffect(() => {
    if (event === null || !hasModel) return;
    view.show(event.at_s - 1.5, event.at_s + 1.5);
    view.setCursor(event.at_s);
    const at = call.turns.peek().findLastIndex((one) => one.began_s <= event.at_s && event.at_s - one.began_s < 60);
    last.current = at < 0 ? null : at;
    setSelected(last.current);
  }, [event, hasModel]);
  if (call.error.value && summary === null) return html`<div class="card empty"><h1>Call ${shortSid(sid)}</h1><p>${call.error.value}</p><p><a href="#/calls">Back to the calls</a></p></div>`;
  if (summary === null) return html`<p class="faint loading">Loading the call …</p>`;
  return html`<${Header} call=${call} isWhatIf=${isWhatIf} setWhatIf=${setWhatIf} />
    <div class="call-columns">
      <${Timeline} call=${call} view=${view} player=${player} />
      ${isWhatIf && html`<${WhatIf} call=${call} view=${view} close=${() => setWhatIf(false)} />`}
      <${Transcript} call=${call} view=${view} selected=${selected} /><${TurnTable} call=${call} view=${view} />
    </div>
    <${EventsList} call=${call} view=${view} chosen=${event} />`;
}

function Header({ call, isWhatIf, setWhatIf }) {
  const one = call.summary.value;
  const isLive = one.state === "live";
  const worst = one.worst_reply_ms;
  return html`<header class="call-header">
    <div>
      <p class="crumbs"><a href="#/calls">Calls</a> / <span title=${one.call_sid}>${shortSid(one.call_sid)}</span></p>
      <h1><i class=${`dot ${one.opened ? "opened" : one.state}`} aria-hidden="true"></i>${one.caller ?? "Unknown number"} <span class="faint">→ ${one.called ?? NONE}</span></h1>
      <p class="faint">${dayAndClock(one.began_s)} · ${stateWords(one.opened ? "opened" : one.state)}${isLive ? html`: ${who(one.speaking)}` : html`. ${endWords(one)}`} <${Notes} one=${one} /></p>
    </div>
    <dl class="facts">
      <div><dt>${isLive ? "age" : "length"}</dt><dd>${isLive ? html`<${Age} began_s=${one.began_s} />` : duration(one.ended_s - one.began_s)}</dd></div>
      <div><dt>turns</dt><dd>${one.turns}</dd></div>
      <div><dt>worst reply</dt><dd class=${replyClass(worst)}>${seconds(worst)}</dd></div>
      ${one.line && html`<div><dt>line</dt><dd>${one.line}${one.line_bot && ` → ${one.line_bot}`}</dd></div>`}
      <div><dt>mode</dt><dd>${one.mode ?? NONE}</dd></div>
      <div><dt>worker</dt><dd>${one.worker_pid ?? NONE}</dd></div>
    </dl>
    <div class="row">
      <button type="button" aria-pressed=${String(isWhatIf)} onClick=${() => setWhatIf(!isWhatIf)} title="w">What if …</button>
      <${Export} sid=${one.call_sid} />
    </div>
  </header>`;
}

function Age({ began_s }) {
  return duration(now_s.value - began_s);
}

function Export({ sid }) {
  const href = (words) => address(`calls/${encodeURIComponent(sid)}/export?words=${words}`);
  const menu = useRef(null);
  const close = () => (menu.current.open = false);
  const left = ({ relatedTarget }) => relatedTarget && !menu.current.contains(relatedTarget) && close();
  useEffect(() => {
    const pressedOutside = (event) => menu.current.contains(event.target) || close();
    document.addEventListener("pointerdown", pressedOutside);
    return () => document.removeEventListener("pointerdown", pressedOutside);
  }, []);
  const pressed = (event) => {
    if (event.key !== "Escape" || !menu.current.open) return;
    close();
    menu.current.querySelector("summary").focus();
    event.preventDefault(); // it closes the menu, not the call
  };
  return html`<details class="menu" ref=${menu} onFocusOut=${left} onKeyDown=${pressed} onClick=${(event) => event.target.closest("a") && close()}><summary class="button">Export</summary><div>
    <a href=${href("off")} download=${`${sid}.json`}>Without words<small>Times, levels and states. Safe to share: no transcript, no keys, no audio</small></a>
    <a href=${href("on")} download=${`${sid}-words.json`}>With words and audio<small>What was said and heard. Private: handle it as a recording</small></a>
  </div></details>`;
}

function onKey(event, { view, player, next, whatIf, close }) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea, dialog *")) return;
  const cursor = (by) => player.seek((view.cursor_s.peek() ?? view.shown.from_s) + by);
  const step = event.shiftKey ? 2 : 0.2;
  const keys = {
    " ": () => player.toggle(),
    ArrowLeft: () => (cursor(-step), view.reveal(view.cursor_s.peek())),
    ArrowRight: () => (cursor(step), view.reveal(view.cursor_s.peek())),
    "+": () => view.zoom(0.5),
    "=": () => view.zoom(0.5),
    "-": () => view.zoom(2),
    0: () => view.fit(),
    f: () => view.follow(),
    n: () => next(1),
    p: () => next(-1),
    w: whatIf,
    ...(close ? { Escape: close } : {}),
    Home: () => (player.seek(view.whole.from_s), view.reveal(view.whole.from_s)),
    End: () => (player.seek(view.whole.to_s), view.reveal(view.whole.to_s)),
  };
  if (!keys[event.key] || (event.key === " " && event.target.matches("button, a, summary"))) return;
  keys[event.key]();
  event.preventDefault();
}
