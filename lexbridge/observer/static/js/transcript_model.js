/** What the caller said and heard, in the order of time: turns, and between them all that is no turn. Pure. */

import { spokenText } from "./timeline_model.js";

/** Why an utterance was not sent to Lex, or why nothing came of it, by the outcome of its turn. */
const UNSAID = {
  __proto__: null, // an outcome of a file may be "constructor"
  "false-alarm": "a sound without words",
  joined: "joined with the next turn",
  dropped: "not sent to Lex",
  cancelled: "broken off", // in files of older versions
  lost: "lost",
  failed: "Lex gave no answer",
};

/** How a call came to a further stream, by the field `resumed` of its `stream-started`. */
const RESUMED = {
  __proto__: null,
  lost: "The stream was lost here",
  "handed-over": "The process ended here and handed the call over",
  keyed: "Twilio collected keys here",
  returned: "The transfer came back here",
};

const NOTES = {
  __proto__: null,
  "barged-in": () => "The caller interrupts the bot",
  "call-limit": (e) => `The call reached its limit, ${e.fields.setting ?? "as set"}`,
  transferred: () => "The bot transfers the call",
  "bot-hangs-up": () => "The bot ends the call",
  "transfer-ended": (e) => `The transfer is over: ${e.fields.status ?? "?"}`,
  "sent-on": (e) => `The call goes on at AFTER_URL: ${e.fields.outcome ?? "?"}`,
};

/**
 * Return the entries of a call's transcript: `{at_s, kind: "turn", turn, number, during}`, or
 * `{at_s, kind: "filler" | "prompt" | "break" | "note", text, words}`. `during`: what the caller heard before the reply.
 */
export function entriesOf({ turns, events, streams, summary, greeting }) {
  const entries = turns.map((turn, i) => ({ at_s: turn.began_s, kind: "turn", turn, number: i + 1, during: [] }));
  const byKey = new Map(entries.map((one) => [keyOf(one.turn), one]));
  const more = [...spoken(events, byKey), ...breaks(streams, events, summary), ...notes(events)];
  const isGreeted = events.some((one) => one.name === "call-answered") && !events.some((one) => one.name === "lex-asked" && one.fields.how === "welcome");
  if (greeting && isGreeted) entries.push({ at_s: summary.began_s, kind: "prompt", text: "The greeting", words: greeting });
  for (const one of more) (byKey.get(one.turnKey)?.during ?? entries).push(one);
  return entries.sort((a, b) => a.at_s - b.at_s);
}

/** Return the name by which a turn is known in a call. */
export function keyOf(turn) {
  return `${turn.stream_sid}/${turn.turn}`;
}

/** Yield fillers, prompts to a silent caller, and documents that answer no turn, with their words where they are known. */
function* spoken(events, byKey) {
  let waits = null; // what was told of without its words, which come with the next document
  let isAnswered = false;
  for (const event of events) {
    if (event.name === "filler-said") {
      waits = { at_s: event.at_s, kind: "filler", text: "A filler, while the caller waits", words: null, turnKey: `${event.stream_sid}/${event.fields.turn}` };
      yield waits;
    } else if (event.name === "no-input") {
      waits = { at_s: event.at_s, kind: "prompt", text: noInputWords(event.fields), words: null };
      yield waits;
      if (event.fields.by_document) waits = null;
    } else if (event.name === "lex-answered" || event.name === "turn-answered") {
      isAnswered = byKey.has(`${event.stream_sid}/${event.fields.turn}`);
      if (waits?.kind === "filler") waits = null;
    } else if (event.name === "update-made" || (event.name === "lex-asked" && event.fields.how === "speech")) {
      const words = event.words.twiml ? spokenText(event.words.twiml) : event.words.messages.join(" ");
      if (waits) waits.words = words || null;
      else if (words && !isAnswered) yield { at_s: event.at_s, kind: "prompt", text: "lexbridge says", words };
      if (!waits || waits.kind !== "filler") isAnswered = false;
      waits = null;
    }
  }
}

function noInputWords({ ends_call, times }) {
  const silent = `The caller was silent${times > 1 ? ` for the ${times}. time` : ""}`;
  return ends_call ? `${silent}: the call ends` : `${silent}: asked again`;
}

function* breaks(streams, events, summary) {
  const started = new Map(events.filter((one) => one.name === "stream-started").map((one) => [one.stream_sid, one]));
  const inOrder = [...streams].sort((a, b) => a.began_s - b.began_s);
  for (let i = 1; i < inOrder.length; i += 1) {
    const [before, stream] = [inOrder[i - 1], inOrder[i]];
    const isDead = before.how === "worker-ended" || events.some((one) => one.name === "worker-ended" && one.stream_sid === before.stream_sid);
    const resumed = RESUMED[started.get(stream.stream_sid)?.fields.resumed];
    const how = isDead ? `The stream was lost here: worker ${before.worker_pid} ended` : (resumed ?? howEnded(before, events));
    const gap_s = stream.began_s - (before.ended_s ?? stream.began_s);
    const after = gap_s >= 0.5 ? ` after ${gap_s.toFixed(1)} s` : "";
    const where = stream.worker_pid ? ` in worker ${stream.worker_pid}` : "";
    yield { at_s: before.ended_s ?? stream.began_s, kind: "break", text: `${how}; the call went on${after}${where}`, words: null };
  }
  const last = inOrder.at(-1);
  if (summary?.state === "lost" && last) yield { at_s: last.ended_s ?? summary.ended_s, kind: "break", text: "The stream was lost here, and the call did not go on", words: null };
}

function howEnded(stream, events) {
  const ofStream = events.filter((one) => one.stream_sid === stream.stream_sid);
  if (ofStream.some((one) => one.name === "handed-over")) return RESUMED["handed-over"];
  const end = ofStream.find((one) => one.name === "stream-ended");
  return end?.fields.how === "stopped" ? "The stream ended here" : RESUMED.lost;
}

function* notes(events) {
  for (const event of events) {
    const make = NOTES[event.name];
    if (make) yield { at_s: event.at_s, kind: "note", text: make(event), words: null };
  }
}

const WHYS = {
  __proto__: null,
  "worker-ended": "its worker ended",
  "stream lost": "the stream was lost",
  "stopped by Twilio": "Twilio stopped the stream",
  keys: "another stream took the caller’s keys",
  "handed over": "its process ended",
  switched: "the bot handed the call to another bot",
  "caller hung up": "the caller hung up first",
  "bot hung up": "the bot hung up first",
  "call-ended": "the call ended first", // in files of older versions
};

function whyWords(why) {
  return WHYS[why] ?? why;
}

/** Return what became of a turn that came to nothing, or undefined. One that counts was complete when the call ended. */
function outcomeWords(turn) {
  return turn.outcome === "dropped" && turn.counts ? "not answered" : UNSAID[turn.outcome];
}

/** Return what stands in place of the caller's words where a turn has none. `how`: what Lex was asked with. */
export function unsaid(turn, { how, dropped, isLive, isFile }) {
  if (how === "welcome") return "(the bot’s welcome)";
  const why = whyWords(turn.why ?? dropped?.fields.why);
  const outcome = outcomeWords(turn);
  if (outcome) return `(${outcome}${why ? `: ${why}` : ""})`;
  const isAnswered = Boolean(turn.outcome || turn.dialog_state);
  if (isAnswered && isFile && !turn.raw) return "(words left out of the file)";
  if (isAnswered) return "(no words)";
  if (!isLive) return "(nothing came of it: the stream ended first)";
  return turn.ended_ms === null || turn.ended_ms === undefined ? "speaking …" : "waiting for Lex …";
}

const HARDLY_HEARD = "replaced: the caller can hardly have heard it";

/** Return why nothing came of words that were heard, or null. */
export function lossWords(turn) {
  if (!["lost", "dropped", "failed"].includes(turn.outcome)) return null;
  return turn.why ? `${outcomeWords(turn)}: ${whyWords(turn.why)}` : null;
}

/** Return what to say of a reply that the caller did not hear, or null. `isLast`: no turn of the stream came after it. */
export function unheardWords(turn, isLast) {
  if (turn.messages.length === 0) return null;
  if (turn.heard === "partly") return "cut short: the caller heard a part of it";
  if (turn.heard === "replaced") return HARDLY_HEARD;
  if (turn.heard !== undefined) return null;
  // Of an older server: the latency of a spoken turn is told without a reply time if the reply was not heard.
  const isHeard = !(turn.outcome === "answered" && turn.transcript && turn.end_ms > 0 && !(turn.reply_ms > 0));
  if (isHeard) return null;
  return isLast ? "the caller can hardly have heard it" : HARDLY_HEARD;
}
