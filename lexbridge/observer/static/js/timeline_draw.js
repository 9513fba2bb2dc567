/** Drawing a timeline: lanes from the caller down to the markers. */

import { duration, moment, seconds } from "./format.js";
import { waveHeight } from "./levels.js";
import { placeMarkers, ticksAmong } from "./marker_places.js";
import { FONT, HEIGHT, HEIGHTS, LANES, TOPS, hatch, label } from "./picture.js";
import { numbersOf } from "./timeline_words.js";

const LEAST_DBFS = -75;
const STEPS_S = [0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600];

/** Draw a whole timeline. `call`: began_s, mode, levels, model, turns (with words). */
export function drawTimeline(picture, call) {
  const { width, gutter, view, palette, ctx } = picture;
  const columns = call.levels.columns(view.from_s, view.to_s, Math.max(1, Math.floor(width - gutter)));
  ctx.fillStyle = palette.sunken;
  for (const lane of ["caller", "level", "voiced", "lex", "bot"]) ctx.fillRect(gutter, TOPS[lane], width - gutter, HEIGHTS[lane]);
  drawBands(picture, call.model.bands);
  drawRuler(picture, call.began_s);
  drawEndpointing(picture, call.model.turns);
  drawWave(picture, columns.level, waveHeight, "caller");
  drawLevel(picture, columns);
  drawVoiced(picture, columns.voiced);
  drawUprights(picture, call.model.markers);
  drawLex(picture, call);
  drawBot(picture, call, columns);
  drawWords(picture, call);
  drawMarkers(picture, call.model.markers);
  drawGutter(picture, call);
}

function drawRuler(picture, began_s) {
  const { ctx, view, width, gutter, palette } = picture;
  const least_s = (70 * picture.span_s) / (width - gutter);
  // Also of a call that seems to last for years, because a clock was set, there are not more labels than have room.
  const step = STEPS_S.find((one) => one >= least_s) ?? 1200 * Math.ceil(least_s / 1200);
  ctx.font = `11px ${FONT}`;
  ctx.textBaseline = "middle";
  const first = Math.max(0, Math.ceil((view.from_s - began_s) / step));
  for (let i = first; began_s + i * step <= view.to_s; i += 1) {
    const x = Math.round(picture.x(began_s + i * step)) + 0.5;
    ctx.fillStyle = palette.line;
    ctx.fillRect(x, TOPS.said, 1, HEIGHT - TOPS.said);
    ctx.fillStyle = palette.faint;
    ctx.textAlign = x < gutter + 14 ? "left" : x > width - 14 ? "right" : "center";
    ctx.fillText(step < 1 ? moment(i * step) : duration(i * step), Math.min(x, width - 2), 10);
  }
}

function drawBands(picture, bands) {
  for (const band of bands) {
    picture.fill(band.from_s, band.to_s, TOPS.said, HEIGHT - TOPS.said, picture.palette.reply);
  }
}

function drawEndpointing(picture, turns) {
  const { palette } = picture;
  const [y, height] = [TOPS.caller, TOPS.voiced + HEIGHTS.voiced - TOPS.caller];
  for (const turn of turns.values()) {
    if (turn.from_s === undefined) continue;
    picture.fill(turn.from_s, turn.voice_s, y, height, palette["pre-roll"]);
    picture.fill(turn.voice_s, turn.onset_s, y, height, palette.onset);
    if (turn.to_s !== undefined) picture.fill(turn.lastSound_s, turn.to_s, y, height, palette.hangover);
  }
}

function drawWave(picture, values, heightOf, lane, hasAxis = true) {
  const { ctx, gutter, palette } = picture;
  const middle = TOPS[lane] + HEIGHTS[lane] / 2;
  ctx.fillStyle = palette[lane];
  if (hasAxis) {
    ctx.globalAlpha = 0.35;
    ctx.fillRect(gutter, middle - 0.5, picture.width - gutter, 1);
    ctx.globalAlpha = 1;
  }
  ctx.beginPath();
  for (let x = 0; x < values.length; x += 1) {
    const height = heightOf(Number.isNaN(values[x]) ? null : values[x]) * (HEIGHTS[lane] / 2 - 1);
    if (height > 0.4) ctx.rect(gutter + x, middle - height, 1, 2 * height);
  }
  ctx.fill();
}

function levelY(dbfs) {
  return TOPS.level + HEIGHTS.level * (Math.max(LEAST_DBFS, Math.min(0, dbfs)) / LEAST_DBFS);
}

function drawLevel(picture, columns) {
  const { ctx, gutter, palette } = picture;
  const bottom = TOPS.level + HEIGHTS.level;
  ctx.fillStyle = palette.caller;
  ctx.globalAlpha = 0.4;
  for (let x = 0; x < columns.level.length; x += 1) {
    if (!Number.isNaN(columns.level[x])) ctx.fillRect(gutter + x, levelY(columns.level[x]), 1, bottom - levelY(columns.level[x]));
  }
  ctx.globalAlpha = 1;
  drawLine(picture, columns.floor, palette.faint, [2, 3]);
  drawLine(picture, columns.threshold, palette.cut, []);
}

function drawLine({ ctx, gutter }, values, colour, dashes) {
  ctx.strokeStyle = colour;
  ctx.lineWidth = 1.2;
  ctx.setLineDash(dashes);
  ctx.beginPath();
  let isDown = false;
  for (let x = 0; x < values.length; x += 1) {
    if (Number.isNaN(values[x])) isDown = false;
    else if (isDown) ctx.lineTo(gutter + x, levelY(values[x]));
    else {
      ctx.moveTo(gutter + x, levelY(values[x]));
      isDown = true;
    }
  }
  ctx.stroke();
  ctx.setLineDash([]);
}

function drawVoiced({ ctx, gutter, palette }, voiced) {
  ctx.fillStyle = palette.caller;
  for (let x = 0; x < voiced.length; x += 1) if (voiced[x]) ctx.fillRect(gutter + x, TOPS.voiced + 2, 1, HEIGHTS.voiced - 4);
}

function drawLex(picture, { model, turns, now_s }) {
  const numbers = numbersOf(turns);
  const { palette } = picture;
  const [y, height] = [TOPS.lex + 4, 15];
  const all = [...model.turns.values()].filter((turn) => (turn.opened_s ?? turn.asked_s) !== undefined);
  all.sort((a, b) => (a.opened_s ?? a.asked_s) - (b.opened_s ?? b.asked_s));
  all.forEach((turn, i) => {
    const opened = turn.opened_s ?? turn.asked_s;
    const until_s = turn.over_s ?? now_s;
    const closed = turn.opened_s === undefined ? opened : (turn.closed_s ?? turn.answered_s ?? until_s);
    const answered = turn.answered_s ?? (turn.closed_s || turn.asked_s ? until_s : closed);
    picture.fill(opened, closed, y, height, palette.lex, 1);
    picture.fill(closed, answered, y, height, turn.isCancelled ? palette.fainter : palette["lex-thinks"], 2);
    const next = all[i + 1] ? (all[i + 1].opened_s ?? all[i + 1].asked_s) : Infinity;
    picture.text(lexWords(turn, numbers.get(turn.key)), opened, next, y + height + 11, turn.failed ? palette.bad : palette.faint, 11);
  });
}

function lexWords(turn, number) {
  if (turn.failed) return `✕ ${turn.failed}`;
  if (turn.isCancelled) return "broken off";
  const what = [turn.intent, turn.dialog_state].filter(Boolean).join(" ");
  return [number, what].filter(Boolean).join(" → ");
}

function drawBot(picture, call, columns) {
  const { ctx, palette } = picture;
  if (call.mode === "call-update") {
    call.model.prompts.forEach((prompt, i) => drawPrompt(picture, prompt, call.model.prompts[i + 1]?.from_s ?? Infinity));
  }
  drawWave(picture, columns.bot, (peak) => Math.min(1, (peak || 0) * 1.1), "bot", call.mode !== "call-update"); // no axis through words
  for (const { from_s, to_s, unheard_s } of call.model.unheard) {
    const [left, right] = [Math.max(picture.gutter, picture.x(from_s)), Math.min(picture.width, picture.x(to_s))];
    if (right <= left) continue;
    picture.fill(from_s, to_s, TOPS.bot, HEIGHTS.bot, `${palette.sunken}b0`);
    hatch(ctx, left, TOPS.bot, right - left, HEIGHTS.bot, palette.cut);
    if (right - left > 74) label(picture, `${seconds(unheard_s * 1000, 1)} not heard`, left + 5, TOPS.bot + 10, palette.cut);
  }
}

/** Draw the bar of a prompt. Its words go on until the next one, because the bar is only as long as Twilio may speak. */
function drawPrompt(picture, prompt, next_s) {
  const { palette } = picture;
  const y = TOPS.bot + 16;
  picture.fill(prompt.from_s, prompt.to_s, y, 30, palette["bot-soft"], 2);
  picture.fill(prompt.from_s, prompt.from_s, y, 30, palette.bot, 2);
  picture.text(`“${prompt.text}”`, prompt.from_s + (6 / picture.width) * picture.span_s, next_s, y + 16, palette.ink);
}

function drawWords(picture, { turns, model, mode }) {
  const { palette } = picture;
  const said = [];
  const heard = [];
  for (const turn of turns) {
    const steps = model.turns.get(`${turn.stream_sid}/${turn.turn}`);
    if (!steps) continue;
    if (turn.transcript) said.push([steps.voice_s ?? steps.asked_s ?? steps.answered_s, `“${turn.transcript}”`]);
    // In call-update mode the bar of the prompt has the words.
    if (mode !== "call-update" && turn.messages?.length) heard.push([steps.reply_s ?? steps.answered_s, `“${turn.messages.join(" ")}”`]);
  }
  const write = (list, y, colour) => {
    const inOrder = list.filter(([at]) => at).sort((a, b) => a[0] - b[0]);
    inOrder.forEach(([at, words], i) => picture.text(words, at, inOrder[i + 1]?.[0] ?? Infinity, y, colour));
  };
  write(said, TOPS.said + 10, palette.caller);
  write(heard, TOPS.heard + 10, palette["bot-ink"]);
  model.bands.forEach((band, i) => {
    const left = picture.x(band.from_s);
    const next = model.bands[i + 1] ? picture.x(model.bands[i + 1].from_s) : picture.width;
    if (next - left > 52 && left + 46 < picture.width && left > picture.gutter) label(picture, seconds(band.reply_ms), left + 3, TOPS.caller + 9, palette.ink);
  });
}

const MARK_COLOURS = { cut: "cut", key: "keys", keys: "keys", filler: "lex", update: "update", mark: "fainter", note: "accent", lost: "bad", fault: "bad" };

function drawMarkers(picture, markers) {
  const { ctx, palette, gutter, width } = picture;
  const shown = markers.map((one) => ({ ...one, x: picture.x(one.at_s) })).filter(({ x }) => x >= gutter && x <= width);
  // Their words are under the pointer.
  const isTick = ticksAmong(shown, width - gutter);
  for (const one of shown.filter(isTick)) {
    ctx.fillStyle = palette[MARK_COLOURS[one.kind]];
    ctx.fillRect(one.x, TOPS.marks + HEIGHTS.marks - 6, 1, 6);
  }
  ctx.font = `11px ${FONT}`;
  ctx.textBaseline = "middle";
  const dots = shown.filter((one) => !isTick(one));
  const widthOf = (words) => ctx.measureText(words).width;
  for (const { one, x, row, label: words } of placeMarkers(dots, { left: gutter, right: width, widthOf }).reverse()) {
    const y = TOPS.marks + 7 + row * 15;
    ctx.fillStyle = palette[MARK_COLOURS[one.kind]];
    ctx.beginPath();
    ctx.arc(x, y, 3.5, 0, 7);
    ctx.fill();
    if (!words) continue;
    if (one.kind === "filler") ctx.fillStyle = palette["lex-ink"];
    ctx.textAlign = words.align;
    ctx.fillText(one.label, words.x, y + 0.5);
  }
}

/** Draw a line through the lanes where the bot was cut off, or a stream was. Words are written over it. */
function drawUprights(picture, markers) {
  const { ctx, palette, gutter, width } = picture;
  for (const { kind, at_s } of markers) {
    const x = picture.x(at_s);
    if ((kind !== "cut" && kind !== "lost") || x < gutter || x > width) continue;
    ctx.strokeStyle = palette[MARK_COLOURS[kind]];
    ctx.setLineDash(kind === "cut" ? [4, 3] : []);
    ctx.lineWidth = 1.4;
    ctx.beginPath();
    ctx.moveTo(x, TOPS.caller);
    ctx.lineTo(x, TOPS.marks);
    ctx.stroke();
    ctx.setLineDash([]);
  }
}

function drawGutter(picture, call) {
  const { ctx, palette, gutter } = picture;
  const room = gutter < 60 ? 4 : 9;
  ctx.clearRect(0, TOPS.said, gutter, HEIGHT);
  const owner = { caller: "caller", level: "caller", voiced: "caller", lex: "lex-ink", bot: "bot", marks: "faint" };
  for (const [name, height, words] of LANES) {
    if (!words) continue;
    ctx.font = `600 ${gutter < 60 ? 10 : 12}px ${FONT}`;
    ctx.fillStyle = palette[owner[name]];
    ctx.textBaseline = "middle";
    ctx.textAlign = "right";
    ctx.fillText(words, gutter - room, TOPS[name] + (name === "lex" || name === "marks" ? 12 : height / 2));
  }
  if (gutter >= 60 && !call.levels.isEmpty) {
    ctx.font = `10px ${FONT}`;
    ctx.fillStyle = palette.faint;
    for (const dbfs of [-20, -60]) ctx.fillText(`${dbfs} dB`, gutter - 9, levelY(dbfs) + (dbfs === -20 ? -2 : 4));
  }
}
