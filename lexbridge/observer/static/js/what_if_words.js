/** The difference between two ways to hear a call, in words. Pure: utterances have from_s, to_s and a reason. */

import { span } from "./format.js";

/** Difference of a start or an end below which two utterances are the same: one frame. */
const SAME_S = 0.021;

/** Return sentences; `at` turns a Unix time into words. */
export function differences(now, then, at) {
  const sentences = [totals(now, then)];
  const groups = together(now, then);
  for (const [before, after] of groups) sentences.push(...groupWords(before, after, at));
  if (sentences.length === 1 && now.length === then.length) return ["Nothing would change: the same utterances, with the same starts and ends."];
  return sentences;
}

function totals(now, then) {
  const words = (n) => (n === 1 ? "1 utterance" : `${n} utterances`);
  if (now.length === then.length) return `${words(now.length)} in both.`;
  return `${words(then.length)} instead of ${now.length}.`;
}

/** Return groups of utterances that overlap: [[of now], [of then]]. */
function together(now, then) {
  const all = [...now.map((one) => [one, 0]), ...then.map((one) => [one, 1])].sort((a, b) => a[0].from_s - b[0].from_s);
  const groups = [];
  let until_s = -Infinity;
  for (const [one, side] of all) {
    if (one.from_s >= until_s) groups.push([[], []]);
    groups.at(-1)[side].push(one);
    until_s = Math.max(until_s, one.to_s);
  }
  return groups;
}

function groupWords(before, after, at) {
  if (after.length === 0) return before.map((one) => `Not heard any more: ${at(one.from_s)} to ${at(one.to_s)} (${span((one.to_s - one.from_s) * 1000)}).`);
  if (before.length === 0) return after.map((one) => `Newly heard: ${at(one.from_s)} to ${at(one.to_s)} (${span((one.to_s - one.from_s) * 1000)}).`);
  if (before.length === 1 && after.length > 1) return [`At ${at(before[0].from_s)}: one utterance would become ${after.length}, because a pause in it would end it.`];
  if (before.length > 1 && after.length === 1) return [`At ${at(before[0].from_s)}: ${before.length} utterances would become one, because the pauses between them would not end it.`];
  if (before.length > 1) return [`At ${at(before[0].from_s)}: ${before.length} utterances would be cut into ${after.length} in another way.`];
  return oneWords(before[0], after[0], at);
}

function oneWords(now, then, at) {
  const parts = [];
  const start_s = then.from_s - now.from_s;
  const end_s = then.to_s - now.to_s;
  if (Math.abs(start_s) > SAME_S) parts.push(`start ${span(Math.abs(start_s) * 1000)} ${start_s < 0 ? "earlier" : "later"}`);
  if (Math.abs(end_s) > SAME_S) parts.push(`end ${span(Math.abs(end_s) * 1000)} ${end_s < 0 ? "earlier, and so would the reply" : "later, and so would the reply"}`);
  if (now.reason !== then.reason) parts.push(`end by ${then.reason} instead of ${now.reason}`);
  return parts.length ? [`At ${at(now.from_s)}: it would ${parts.join(", and ")}.`] : [];
}
