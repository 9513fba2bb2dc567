/** What if: this call's audio again with other settings of endpointing, both results one above the other. */

import { postJson } from "./api.js";
import { colours, gutterOf, Picture, prepare } from "./picture.js";
import { effect, html, useEffect, useRef, useState } from "./html.js";
import { waveHeight } from "./levels.js";
import { theme } from "./theme.js";
import { differences } from "./what_if_words.js";

const FIELDS = [
  ["hangover_ms", "Hangover", "ms", "HANGOVER_MS"],
  ["hangover_min_ms", "Least hangover", "ms", "HANGOVER_MIN_MS"],
  ["hangover_max_ms", "Longest hangover", "ms", "HANGOVER_MAX_MS"],
  ["voice_threshold", "Threshold", "RMS", "VOICE_THRESHOLD"],
  ["voice_margin_db", "Margin", "dB", "VOICE_MARGIN_DB"],
  ["onset_ms", "Onset", "ms", "ONSET_MS"],
  ["pre_roll_ms", "Pre-roll", "ms", "PRE_ROLL_MS"],
  ["barge_in_ms", "Barge-in", "ms", "BARGE_IN_MS"],
];
const DETECTORS = ["amplitude", "webrtc", "adaptive", "hybrid", "silero"];
const HEIGHT = 118;

export function WhatIf({ call, view, close }) {
  const [wanted, setWanted] = useState({});
  const [result, setResult] = useState(null);
  const [error, setError] = useState(null);
  const [isBusy, setBusy] = useState(false);
  const ask = async (event) => {
    event.preventDefault();
    setBusy(true);
    setError(null);
    try {
      setResult(await postJson(`calls/${encodeURIComponent(call.sid)}/what-if`, numbersOf(wanted)));
    } catch (reason) {
      setError(reason.message);
    }
    setBusy(false);
  };
  const set = (name) => (event) => setWanted({ ...wanted, [name]: event.target.value });
  const isEmpty = Object.keys(numbersOf(wanted)).length === 0;
  return html`<section class="card what-if" aria-label="What if">
    <div class="row between"><h2>What if this call had other settings?</h2><button type="button" onClick=${close} aria-label="Close what if">✕</button></div>
    <form onSubmit=${ask}>
      <label><span>Detector</span><select value=${wanted.vad ?? ""} onChange=${set("vad")}><option value="">as it is</option>${DETECTORS.map((one) => html`<option>${one}</option>`)}</select></label>
      ${FIELDS.map(
        ([name, words, unit, setting]) => html`<label title=${setting}><span>${words}, ${unit}</span>
          <input type="number" inputmode="numeric" name=${name} placeholder="as it is" value=${wanted[name] ?? ""} onInput=${set(name)} /></label>`,
      )}
      <button class="primary" disabled=${isBusy || isEmpty}>${isBusy ? "Hearing it again …" : "Hear it again"}</button>
    </form>
    ${error && html`<p class="bad" role="alert">${error}</p>`}
    ${result && html`<${Result} call=${call} view=${view} result=${result} />`}
    ${!result && !error && html`<p class="faint">The caller's audio goes through endpointing again, with the settings that you change. Nothing of the service changes.</p>`}
  </section>`;
}

function numbersOf(wanted) {
  const given = Object.entries(wanted).filter(([, value]) => value !== "");
  return Object.fromEntries(given.map(([name, value]) => [name, name === "vad" ? value : Number(value)]));
}

/** Return an utterance in Unix seconds: of the stream that it names, or of the call's first. */
function placed(call, one) {
  const stream = call.streams.find((each) => each.stream_sid === one.stream_sid) ?? call.streams[0];
  const base = stream?.began_s ?? call.began_s;
  return { ...one, from_s: base + one.started_ms / 1000, to_s: base + one.ended_ms / 1000 };
}

function Result({ call, view, result }) {
  const canvas = useRef(null);
  const [now, then] = [result.now, result.then].map((list) => list.map((one) => placed(call, one)));
  const words = differences(now, then, (unix_s) => `${(unix_s - call.began_s).toFixed(1)} s`);
  useEffect(() => {
    const draw = () => canvas.current && drawBoth(canvas.current, call, view, now, then);
    const stop = effect(() => {
      call.version.value, view.window.value, view.isFollowing.value, theme.value;
      draw();
    });
    const sizes = new ResizeObserver(draw);
    sizes.observe(canvas.current.parentElement);
    return () => {
      stop();
      sizes.disconnect();
    };
  }, [result]);
  return html`<div class="canvas-box"><canvas ref=${canvas} role="img" aria-label="Utterances now, above, and with the other settings, below. The list has the differences in words."></canvas></div>
    <ul class="differences" role="status">${words.map((one) => html`<li>${one}</li>`)}</ul>`;
}

function drawBoth(canvas, call, view, now, then) {
  const width = canvas.parentElement.clientWidth;
  const palette = colours();
  canvas.style.width = `${width}px`;
  canvas.style.height = `${HEIGHT}px`;
  const gutter = gutterOf(width);
  const picture = new Picture(prepare(canvas, width, HEIGHT), width, gutter, view.shown, palette);
  const { ctx } = picture;
  const columns = call.levels.columns(view.shown.from_s, view.shown.to_s, Math.max(1, Math.floor(width - gutter)));
  ctx.fillStyle = palette.sunken;
  ctx.fillRect(gutter, 38, width - gutter, 40);
  ctx.fillStyle = palette.caller;
  for (let x = 0; x < columns.level.length; x += 1) {
    const half = waveHeight(Number.isNaN(columns.level[x]) ? null : columns.level[x]) * 19;
    if (half > 0.3) ctx.fillRect(gutter + x, 58 - half, 1, 2 * half);
  }
  drawRow(picture, "now", now, 6, palette.accent);
  drawRow(picture, "then", then, 84, palette.bot);
}

function drawRow(picture, name, utterances, y, colour) {
  const { ctx, palette, gutter } = picture;
  ctx.font = "600 12px system-ui, sans-serif";
  ctx.fillStyle = colour;
  ctx.textAlign = "right";
  ctx.textBaseline = "middle";
  ctx.fillText(name, gutter - 9, y + 13);
  utterances.forEach((one, i) => {
    picture.fill(one.from_s, one.to_s, y, 26, colour, 2);
    ctx.globalAlpha = 0.4;
    picture.fill(one.from_s, one.from_s, y === 6 ? 32 : 38, 46, colour, 1);
    picture.fill(one.to_s, one.to_s, y === 6 ? 32 : 38, 46, colour, 1);
    ctx.globalAlpha = 1;
    drawNumber(picture, i + 1, one, y + 13);
  });
}

/** Write the number of an utterance into the middle of its bar, where that is in sight and wide enough. */
function drawNumber(picture, number, { from_s, to_s }, y) {
  const { ctx, palette, gutter, width } = picture;
  const [left, right] = [Math.max(gutter, picture.x(from_s)), Math.min(width, picture.x(to_s))];
  if (right - left < ctx.measureText(number).width + 2) return;
  ctx.fillStyle = palette.card;
  ctx.textAlign = "center";
  ctx.fillText(number, (left + right) / 2, y);
}
