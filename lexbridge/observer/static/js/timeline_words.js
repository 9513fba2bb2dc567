/** A moment of a call in words: what a pointer or a cursor on the timeline shows. */

import { figure, seconds, span } from "./format.js";

/** Time around a moment in which a marker counts as pointed at. */
const NEAR_S = 0.12;

/** Return what there is at a Unix time, as short sentences, the most telling first. */
export function describeAt(call, at_s, near_s = NEAR_S) {
  const lines = [];
  for (const one of call.model.markers) if (Math.abs(one.at_s - at_s) <= Math.min(near_s, 0.6)) lines.push(one.title);
  const numbers = numbersOf(call.turns.peek());
  for (const turn of call.model.turns.values()) lines.push(...turnAt(turn, at_s, numbers.get(turn.key) ?? turn.turn));
  for (const { from_s, to_s, text } of call.model.prompts) if (from_s <= at_s && at_s < to_s) lines.push(`bot: “${text}” (length estimated)`);
  for (const { from_s, to_s, unheard_s } of call.model.unheard) if (from_s <= at_s && at_s < to_s) lines.push(`not heard: ${seconds(unheard_s * 1000, 1)} of the bot's audio`);
  lines.push(...levelAt(call.levels.at(at_s)));
  return lines.length ? lines : ["nothing is known of this moment"];
}

/** Return the numbers by which the transcript knows the turns: those of the call, not of a stream. */
export function numbersOf(turns) {
  return new Map(turns.map((one, i) => [`${one.stream_sid}/${one.turn}`, i + 1]));
}

function turnAt(turn, at_s, number) {
  const within = (from_s, to_s) => from_s !== undefined && to_s !== undefined && from_s <= at_s && at_s < to_s;
  const lines = [];
  if (within(turn.from_s, turn.voice_s)) lines.push(`turn ${number}: pre-roll`);
  if (within(turn.voice_s, turn.onset_s)) lines.push(`turn ${number}: onset`);
  if (within(turn.onset_s, turn.lastSound_s)) lines.push(`turn ${number}: the caller speaks`);
  if (within(turn.lastSound_s, turn.to_s)) lines.push(`turn ${number}: hangover, ${span(turn.silent_ms)} in all`);
  const opened_s = turn.opened_s ?? turn.asked_s;
  if (turn.opened_s !== undefined && within(opened_s, turn.closed_s ?? turn.answered_s ?? turn.over_s ?? Infinity)) lines.push("audio flows to Lex");
  const closed_s = turn.closed_s ?? turn.asked_s;
  if (within(closed_s, turn.answered_s ?? turn.over_s ?? Infinity)) {
    lines.push(turn.answered_s ? `Lex thinks, ${span((turn.answered_s - closed_s) * 1000)} in all` : "Lex thinks");
  }
  if (within(turn.lastSound_s, turn.reply_s)) lines.push(`reply ${seconds(turn.latency.reply_ms)} after the last sound`);
  return lines;
}

function levelAt(frame) {
  if (frame === null) return [];
  const parts = [`level ${figure(frame.level)}`];
  if (frame.threshold !== null) parts.push(`threshold ${figure(frame.threshold)}`);
  if (frame.floor !== null) parts.push(`floor ${figure(frame.floor)}`);
  return [`${parts.join(", ")} dBFS${frame.voiced ? ", voiced" : ""}`];
}
