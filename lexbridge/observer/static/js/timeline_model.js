/** What a timeline shows, made from a call's events and turns. Pure: times are Unix seconds; nothing is drawn here. */

import { valueText } from "./format.js";

/** Characters that Twilio says in a second, about: in call-update mode nobody tells when a prompt ends. */
const CHARACTERS_A_SECOND = 15;
/** Voice that opens an utterance, where the levels do not tell when it began. */
const USUAL_ONSET_MS = 60;

/**
 * Return an event of the API, which is an array, with names. A file may have anything in fields and words: a field is a
 * scalar or a text here, and words are texts.
 */
export function named([at_s, stream_sid, media_ms, level, name, fields, words]) {
  return { at_s, stream_sid, media_ms, level, name, fields: scalars(fields ?? {}), words: texts(words ?? {}) };
}

function scalars(fields) {
  return Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, typeof value === "object" && value !== null ? valueText(value) : value]));
}

function texts({ twiml, key, keys, messages }) {
  const text = (value) => (typeof value === "string" ? value : undefined);
  return { twiml: text(twiml), key: text(key), keys: text(keys), messages: Array.isArray(messages) ? messages.map(text).filter(Boolean) : [] };
}

/** Names of events that have a marker of their own, with its kind and words. It has no prototype, because a name may be "constructor". */
const MARKS = {
  __proto__: null,
  "barged-in": (e) => ["cut", "barge-in", `The caller interrupted the bot after ${e.fields.heard_ms ?? "?"} ms of the prompt`],
  "key-pressed": (e) => ["key", String(e.words.key ?? "•"), `Key ${e.words.key ?? ""}`],
  "keys-complete": (e) => ["keys", `${e.fields.keys ?? ""} keys`, "The keys are complete"],
  "keys-gathered": (e) => ["keys", `${e.fields.keys ?? ""} keys`, "Twilio collected the keys"],
  "filler-said": () => ["filler", "filler", "The caller hears “One moment please.”"],
  "call-updated": (e) => ["update", `update ${e.fields.number ?? ""}`, "Twilio took the call update"],
  "mark-sent": (e) => ["mark", "mark", `Mark ${e.fields.name ?? ""} sent`],
  "mark-returned": (e) => ["mark", "played", `Mark ${e.fields.name ?? ""} came back: the audio before it is over`],
  "audio-cleared": () => ["cut", "cleared", "Twilio was asked to drop what it had not played"],
  "false-alarm": () => ["cut", "false alarm", "No words in what interrupted the bot; the bot goes on"],
  "no-input": () => ["note", "no input", "The caller said nothing"],
  "handed-over": () => ["lost", "handed over", "The process ends; another one goes on with the call"],
  "call-resumed": () => ["lost", "resumed", "Twilio asked for a new stream for this call"],
  "worker-ended": (e) => ["lost", "worker ended", `Worker ${e.fields.pid ?? ""} ended while it served the call`],
  "joined": () => ["note", "joined", "Two pieces of speech became one turn"],
  "goes-on": () => ["note", "goes on", "The caller goes on with what they said before"],
  "bot-switched": (e) => ["note", "bot switched", `The bot hands the call to ${e.fields.bot || "its line's bot"} ${e.fields.locale ?? ""}`],
  "transferred": () => ["note", "transfer", "The bot transfers the call"],
  "transfer-ended": (e) => ["note", "transfer over", `The transfer is over: ${e.fields.status ?? "?"}`],
  "sent-on": (e) => ["note", "goes on", `The call goes on at AFTER_URL: ${e.fields.outcome ?? "?"}`],
  "bot-hangs-up": () => ["note", "bot ends", "The bot's answer ends the call"],
};

/** Return the model of a call: `turns`, `markers`, `prompts`, `unheard`, `streams`, `bands`. */
export function buildTimeline({ summary, streams, events, audio, levels }) {
  const began = new Map(streams.map((one) => [one.stream_sid, one.began_s]));
  const model = { turns: new Map(), markers: [], prompts: [], unheard: [], streams, bands: [], updates: new Map() };
  for (const event of events) {
    takeStep(model, event, began);
    takeMarker(model, event, began);
  }
  closePrompts(model, summary);
  model.unheard = unheardSpans(events, audio, levels);
  const ended = new Map(streams.map((one) => [one.stream_sid, one.ended_s]));
  for (const turn of model.turns.values()) {
    turn.over_s = ended.get(turn.stream_sid) ?? undefined; // nothing goes on beyond its stream
    finishTurn(turn, began, levels, model);
  }
  return model;
}

function turnOf(model, event) {
  const key = `${event.stream_sid}/${event.fields.turn}`;
  if (!model.turns.has(key)) model.turns.set(key, { key, stream_sid: event.stream_sid, turn: event.fields.turn });
  return model.turns.get(key);
}

const STEPS = {
  __proto__: null,
  // Its started_ms has the pre-roll in it; that of utterance-ended is the first voiced frame.
  "utterance-opened": (turn, e) => Object.assign(turn, { opened_s: e.at_s, opened_ms: e.media_ms, from_ms: e.fields.started_ms }),
  "utterance-closed": (turn, e) => Object.assign(turn, { closed_s: e.at_s }),
  "utterance-cancelled": (turn, e) => Object.assign(turn, { closed_s: turn.closed_s ?? e.at_s, answered_s: e.at_s, isCancelled: true }),
  "utterance-ended": (turn, e) =>
    Object.assign(turn, { voice_ms: e.fields.started_ms, ended_ms: e.fields.ended_ms, silent_ms: e.fields.silent_ms, ended: e.fields }),
  "keys-complete": (turn, e) => Object.assign(turn, { lastSound_s: e.at_s - (e.fields.silent_ms ?? 0) / 1000, isKeys: true }),
  "lex-asked": (turn, e) => Object.assign(turn, { asked_s: e.at_s, how: e.fields.how, keys: e.words.keys }),
  "lex-answered": (turn, e) => Object.assign(turn, { answered_s: e.at_s, dialog_state: e.fields.dialog_state, intent: e.fields.intent }),
  "lex-failed": (turn, e) => Object.assign(turn, { answered_s: e.at_s, failed: e.fields.error ?? "failed" }),
  "turn-failed": (turn, e) => Object.assign(turn, { answered_s: turn.answered_s ?? e.at_s, failed: turn.failed ?? e.fields.error ?? "failed" }),
  "turn-latency": (turn, e) => Object.assign(turn, { latency: e.fields }),
};

function takeStep(model, event) {
  const step = STEPS[event.name];
  if (step && event.fields.turn !== undefined && event.fields.turn !== null) step(turnOf(model, event), event);
  if (event.name === "update-made") model.updates.set(`${event.stream_sid}/${event.fields.number}`, event);
  if (event.name === "call-updated") {
    const made = model.updates.get(`${event.stream_sid}/${event.fields.number}`);
    const text = spokenText(made?.words.twiml ?? "");
    if (text) model.prompts.push({ from_s: event.at_s, to_s: event.at_s + Math.max(0.8, text.length / CHARACTERS_A_SECOND), text, isEstimate: true });
  }
}

/** Return what the <Say> verbs of a document say at first. */
export function spokenText(twiml) {
  // After the first <Gather> come the words for a caller who stays silent.
  const said = [...twiml.split("</Gather>")[0].matchAll(/<Say\b[^>]*>([\s\S]*?)<\/Say>/g)].map((found) => found[1].replace(/<[^>]+>/g, " "));
  const text = said.join(" ").replace(/\s+/g, " ").trim();
  const entities = { amp: "&", lt: "<", gt: ">", quot: "”", apos: "’", "#39": "’" };
  return text.replace(/&(amp|lt|gt|quot|apos|#39);/g, (_, name) => entities[name]);
}

function takeMarker(model, event) {
  const make = MARKS[event.name];
  if (make) {
    const [kind, label, title] = make(event);
    model.markers.push({ at_s: event.at_s, kind, label, title, event });
  } else if (event.name === "stream-ended" && event.fields.how === "lost") {
    model.markers.push({ at_s: event.at_s, kind: "lost", label: "stream lost", title: "The media stream was lost", event });
  } else if (event.level === "warning" || event.level === "error") {
    model.markers.push({ at_s: event.at_s, kind: "fault", label: event.name, title: faultTitle(event), event });
  }
}

function faultTitle(event) {
  const parts = Object.entries(event.fields).filter(([name]) => ["error", "why", "reason", "check", "remedy"].includes(name));
  return `${event.name}: ${parts.map(([, value]) => value).join(", ") || event.level}`;
}

/** A new document ends the one before; the end of the call ends the last. */
function closePrompts(model, summary) {
  model.prompts.forEach((prompt, i) => {
    const next = model.prompts[i + 1]?.from_s ?? summary.ended_s ?? Infinity;
    prompt.to_s = Math.min(prompt.to_s, next);
  });
}

/** Return spans of the bot's audio that Twilio was asked to drop. */
function unheardSpans(events, audio, levels) {
  const nextBot_s = (at_s) => Math.min(Infinity, ...(audio?.bot ?? []).map(([start_s]) => start_s).filter((start_s) => start_s > at_s + 0.01));
  if (audio?.unheard?.length) {
    return audio.unheard.map(([start_s, seconds]) => ({ from_s: start_s, to_s: Math.min(start_s + seconds, nextBot_s(start_s)), unheard_s: seconds }));
  }
  const spans = [];
  for (const { name, at_s } of events) {
    if (name !== "audio-cleared") continue;
    const piece = (audio?.bot ?? []).find(([start_s, seconds]) => start_s <= at_s && at_s < start_s + seconds);
    const to_s = piece ? piece[0] + piece[1] : levels.botUntil_s(at_s);
    if (to_s > at_s + 0.04) spans.push({ from_s: at_s, to_s, unheard_s: to_s - at_s });
  }
  return spans;
}

/** Put the pieces of an utterance on the time of the call, and make the band from the last sound to the reply. */
function finishTurn(turn, began, levels, model) {
  const base = began.get(turn.stream_sid);
  if (base !== undefined && (turn.from_ms ?? turn.voice_ms) !== undefined) {
    const from_ms = turn.from_ms ?? turn.voice_ms;
    const onset_ms = turn.opened_ms >= 0 ? turn.opened_ms : from_ms + USUAL_ONSET_MS;
    // While the caller speaks only the levels tell when the voice began.
    const voice_ms = turn.voice_ms ?? levels.firstVoiced_ms(turn.stream_sid, from_ms, onset_ms) ?? Math.max(from_ms, onset_ms - USUAL_ONSET_MS);
    turn.from_s = base + from_ms / 1000;
    turn.voice_s = base + voice_ms / 1000;
    turn.onset_s = base + onset_ms / 1000;
    if (turn.ended_ms !== undefined) {
      turn.to_s = base + turn.ended_ms / 1000;
      turn.lastSound_s = turn.to_s - (turn.silent_ms ?? 0) / 1000;
    }
  }
  const reply_ms = turn.latency?.reply_ms;
  if (turn.lastSound_s !== undefined && reply_ms !== undefined && reply_ms !== null) {
    turn.reply_s = turn.lastSound_s + reply_ms / 1000;
    model.bands.push({ from_s: turn.lastSound_s, to_s: turn.reply_s, reply_ms, turn: turn.turn });
  }
}
