/** The timeline of a call: the picture, the strip with the whole call, the buttons, the figures under the pointer. */

import { moment } from "./format.js";
import { effect, html, useEffect, useRef, useState } from "./html.js";
import { drawOverview } from "./overview_draw.js";
import { colours, gutterOf, HEIGHT, Picture, prepare } from "./picture.js";
import { drawTimeline } from "./timeline_draw.js";
import { theme } from "./theme.js";
import { describeAt } from "./timeline_words.js";
import { now_s } from "./store.js";

const OVERVIEW_HEIGHT = 40;

export function Timeline({ call, view, player }) {
  const canvas = useRef(null);
  const overview = useRef(null);
  const box = useRef(null);
  const [tip, setTip] = useState(null);
  useEffect(() => watch({ call, view, canvas: canvas.current, overview: overview.current, box: box.current }), [call, view]);
  useEffect(() => interact({ call, view, player, canvas: canvas.current, overview: overview.current, setTip }), [call, view]);
  return html`<section class="card timeline" aria-label="Timeline">
    <${Toolbar} call=${call} view=${view} player=${player} />
    <div class="canvas-box" ref=${box}>
      <canvas ref=${canvas} class="picture" tabindex="0" role="img"
        aria-label="Timeline of the call: caller, level, Lex, bot and events. The table of turns below has the same in words."></canvas>
      <${Tip} tip=${tip} />
    </div>
    <canvas ref=${overview} class="overview" aria-hidden="true"></canvas>
    <${Readout} call=${call} view=${view} /><${Legend} />
  </section>`;
}

function Toolbar({ call, view, player }) {
  const summary = call.summary.value;
  const hasAudio = summary?.has_audio;
  return html`<div class="toolbar" role="toolbar" aria-label="Timeline">
    <button type="button" class="primary" disabled=${!hasAudio} onClick=${() => player.toggle()} title=${hasAudio ? "Space" : "No audio of this call is kept"}>
      ${player.isPlaying.value ? "❚❚ Pause" : "▶ Play"}</button>
    ${summary?.state === "live" &&
    html`<button type="button" aria-pressed=${String(view.isFollowing.value)} onClick=${() => view.follow()} title="f">● Follow live</button>`}
    <span class="spread"></span>
    <button type="button" onClick=${() => view.zoom(0.5)} aria-label="Zoom in" title="+">+</button>
    <button type="button" onClick=${() => view.zoom(2)} aria-label="Zoom out" title="−">−</button>
    <button type="button" onClick=${() => view.fit()} title="0">Whole call</button>
    ${player.error.value && html`<p class="bad" role="alert">${player.error.value}</p>`}
  </div>`;
}

function Legend() {
  const entries = [["pre-roll", "pre-roll"], ["onset", "onset"], ["hangover", "hangover"], ["lex", "audio flows to Lex"], ["thinks", "Lex thinks"],
    ["reply", "last sound to reply"], ["unheard", "not heard"], ["threshold", "threshold"], ["floor", "noise floor"]];
  return html`<ul class="legend" aria-label="Legend">${entries.map(([name, words]) => html`<li><i class=${`swatch ${name}`}></i>${words}</li>`)}</ul>`;
}

/** The figures at the cursor, for those who move it with the keyboard; a screen reader reads them. */
function Readout({ call, view }) {
  const cursor_s = view.cursor_s.value;
  call.version.value;
  if (cursor_s === null || !call.model) return html`<p class="readout faint" aria-live="polite">Click into the picture, or use ← and →, to read the figures of a moment.</p>`;
  return html`<p class="readout" aria-live="polite"><b>${moment(cursor_s - call.began_s)}</b> ${describeAt(call, cursor_s).join(" · ")}</p>`;
}

function Tip({ tip }) {
  const element = useRef(null);
  useEffect(() => {
    if (!tip || !element.current) return;
    const { width, height } = element.current.getBoundingClientRect();
    const top = element.current.parentElement.getBoundingClientRect().top;
    // Below the pointer, or above it where the window ends; never over the window's edge.
    const isBelow = top + tip.y + 16 + height <= innerHeight - 4;
    const y = isBelow ? tip.y + 16 : Math.max(4 - top, tip.y - 12 - height);
    element.current.style.left = `${Math.max(4, Math.min(tip.x + 14, tip.room - width - 6))}px`;
    element.current.style.top = `${y}px`;
  });
  if (!tip) return null;
  return html`<div class="tip" ref=${element}><b>${tip.title}</b>${tip.lines.map((line) => html`<div>${line}</div>`)}</div>`;
}

/** Draw whenever something has changed, at most once a frame of the screen. Returns how to stop. */
function watch({ call, view, canvas, overview, box }) {
  let frame = null;
  const draw = () => {
    frame = null;
    drawBoth(call, view, canvas, overview, box.clientWidth);
  };
  const soon = () => (frame ??= requestAnimationFrame(draw));
  const stop = effect(() => {
    call.version.value, view.window.value, view.isFollowing.value, view.cursor_s.value, theme.value;
    if (call.summary.value?.state === "live") now_s.value;
    soon();
  });
  const sizes = new ResizeObserver(soon);
  sizes.observe(box);
  return () => {
    stop();
    sizes.disconnect();
    cancelAnimationFrame(frame);
  };
}

function drawBoth(call, view, canvas, overview, width) {
  if (!call.model || width < 50) return;
  const palette = colours();
  const shown = view.shown;
  const gutter = gutterOf(width);
  canvas.style.width = overview.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  overview.style.height = `${OVERVIEW_HEIGHT}px`;
  const picture = new Picture(prepare(canvas, width, HEIGHT), width, gutter, shown, palette);
  const drawn = { began_s: call.began_s, mode: call.summary.peek().mode, levels: call.levels, model: call.model, turns: call.turns.peek(), now_s: call.ends_s };
  drawTimeline(picture, drawn);
  const cursor_s = view.cursor_s.peek();
  if (cursor_s !== null) picture.fill(cursor_s - (0.75 / width) * picture.span_s, cursor_s + (0.75 / width) * picture.span_s, 18, HEIGHT, palette.ink, 1.5);
  drawOverview(new Picture(prepare(overview, width, OVERVIEW_HEIGHT), width, 0, view.whole, palette), drawn, shown, OVERVIEW_HEIGHT);
}

/** Let pointer and wheel move what is shown. Returns how to stop. */
function interact({ call, view, player, canvas, overview, setTip }) {
  const gutter = () => gutterOf(canvas.clientWidth);
  const timeAt = (event) => {
    const { left, width } = canvas.getBoundingClientRect();
    const { from_s, to_s } = view.shown;
    return from_s + ((event.clientX - left - gutter()) / (width - gutter())) * (to_s - from_s);
  };
  let drag = null;
  const handlers = {
    wheel(event) {
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) view.move((event.deltaX / canvas.clientWidth) * (view.shown.to_s - view.shown.from_s));
      else if (event.ctrlKey || event.metaKey || document.activeElement === canvas) view.zoom(1.0018 ** event.deltaY, timeAt(event));
      else return;
      event.preventDefault();
    },
    pointerdown(event) {
      drag = { x: event.clientX, hasMoved: false };
      canvas.setPointerCapture(event.pointerId);
    },
    pointermove(event) {
      if (drag === null) {
        setTip(tipAt(call, canvas, event, timeAt(event), view.shown));
        return;
      }
      const by = event.clientX - drag.x;
      if (!drag.hasMoved && Math.abs(by) < 4) return;
      drag = { x: event.clientX, hasMoved: true };
      setTip(null);
      view.move((-by / (canvas.clientWidth - gutter())) * (view.shown.to_s - view.shown.from_s));
    },
    pointerup(event) {
      if (drag && !drag.hasMoved) player.seek(timeAt(event));
      drag = null;
    },
    pointercancel: () => (drag = null),
    pointerleave: () => setTip(null),
  };
  const scrub = (event) => {
    if (event.buttons === 0) return;
    const { left, width } = overview.getBoundingClientRect();
    const whole = view.whole;
    const at_s = whole.from_s + ((event.clientX - left) / width) * (whole.to_s - whole.from_s);
    const { from_s, to_s } = view.shown;
    if (view.window.peek() === null && !view.isFollowing.peek()) player.seek(at_s);
    else view.move(at_s - (from_s + to_s) / 2);
  };
  const more = { pointerdown: (event) => (overview.setPointerCapture(event.pointerId), scrub(event)), pointermove: scrub };
  for (const [name, handler] of Object.entries(handlers)) canvas.addEventListener(name, handler, { passive: false });
  for (const [name, handler] of Object.entries(more)) overview.addEventListener(name, handler);
  return () => {
    for (const [name, handler] of Object.entries(handlers)) canvas.removeEventListener(name, handler);
    for (const [name, handler] of Object.entries(more)) overview.removeEventListener(name, handler);
  };
}

function tipAt(call, canvas, event, at_s, shown) {
  if (!call.model || event.pointerType === "touch" || at_s < call.began_s) return null;
  const { left, top, width } = canvas.getBoundingClientRect();
  const lines = describeAt(call, at_s, (8 / width) * (shown.to_s - shown.from_s));
  return { x: event.clientX - left, y: event.clientY - top, room: width, title: moment(at_s - call.began_s), lines };
}

