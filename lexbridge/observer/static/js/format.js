/** Words and figures as an operator reads them. Pure functions. */

export const NONE = "–";

/** Return milliseconds as "0.98 s", or a dash where they are not known. */
export function seconds(ms, digits = 2) {
  return ms === null || ms === undefined ? NONE : `${(ms / 1000).toFixed(digits)} s`;
}

/** Return a short time as "320 ms", a longer one as "1.42 s". */
export function span(ms) {
  if (ms === null || ms === undefined) return NONE;
  return Math.abs(ms) < 1000 ? `${Math.round(ms)} ms` : seconds(ms);
}

/** Return a length in seconds as "0:07", "12:30" or "1:02:03". */
export function duration(s) {
  if (s === null || s === undefined || Number.isNaN(s)) return NONE;
  const whole = Math.max(0, Math.floor(s));
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours ? `${hours}:${pair(minutes)}:${pair(whole % 60)}` : `${minutes}:${pair(whole % 60)}`;
}

/** Return a moment of a call as "1:07.4": finer than a length, as the cursor moves by tenths. */
export function moment(s) {
  const tenths = Math.max(0, Math.round(s * 10));
  return `${duration(Math.floor(tenths / 10))}.${tenths % 10}`;
}

/** Return the time of day of a Unix time: "14:03:27". */
export function clock(unix_s) {
  if (!unix_s) return NONE;
  const at = new Date(unix_s * 1000);
  return [at.getHours(), at.getMinutes(), at.getSeconds()].map(pair).join(":");
}

function pair(n) {
  return String(n).padStart(2, "0");
}

/** Return when a call began: the time of day, with the day before it if that is not today. */
export function began(unix_s, now_s) {
  const [day, time] = dayAndClock(unix_s).split(" ");
  return day === dayAndClock(now_s).split(" ")[0] ? time : `${day.slice(5)} ${time.slice(0, 5)}`;
}

/** Return the time zone of all times, as "UTC+01:00". */
export function timeZone() {
  const east_min = -new Date().getTimezoneOffset();
  const [hours, minutes] = [Math.floor(Math.abs(east_min) / 60), Math.abs(east_min) % 60];
  return east_min === 0 ? "UTC" : `UTC${east_min < 0 ? "−" : "+"}${pair(hours)}:${pair(minutes)}`;
}

/** Return the day and the time of day of a Unix time: "2026-11-29 14:03:27". */
export function dayAndClock(unix_s) {
  if (!unix_s) return NONE;
  const at = new Date(unix_s * 1000);
  return `${at.getFullYear()}-${pair(at.getMonth() + 1)}-${pair(at.getDate())} ${clock(unix_s)}`;
}

/** Return a count with its noun: "1 turn", "3 turns". */
export function count(n, noun, plural = `${noun}s`) {
  return `${n} ${n === 1 ? noun : plural}`;
}

/** Return a number with at most one digit behind the point. */
export function figure(n) {
  return n === null || n === undefined ? NONE : String(Math.round(n * 10) / 10);
}

/** Return the class that colours a reply time: from 1.5 s on callers notice, from 3 s on they ask "hello?". */
export function replyClass(ms) {
  if (ms === null || ms === undefined) return "";
  return ms >= 3000 ? "bad" : ms >= 1500 ? "slow" : "good";
}

/** Return a SID short enough for a table: its first eight characters, as the text log has it. */
export function shortSid(sid) {
  return sid ? sid.slice(0, 8) : NONE;
}

const WHO = { __proto__: null, caller: "caller", bot: "bot", lex: "Lex thinks" };

/** Return who speaks, in words. */
export function who(speaking) {
  return WHO[speaking] ?? "silence";
}

const STATES = { __proto__: null, live: "live", ended: "ended", lost: "lost", opened: "opened from a file" };

/** Return the state of a call, in words. */
export function stateWords(state) {
  return STATES[state] ?? state ?? NONE;
}

/** Return how a call ended, in words. */
export function endWords(summary) {
  if (summary.state === "live") return "";
  if (summary.state === "lost") return "lost: no stream went on with it";
  const by = { __proto__: null, caller: "The caller hung up", bot: "The bot ended it", transfer: "Transferred", release: "Let go", lexbridge: "lexbridge ended it" };
  const words = by[summary.ended_by] ?? "Ended";
  return summary.why ? `${words} (${summary.why})` : words;
}

/** Return a value of a field, of an attribute or of a slot as text. */
export function valueText(value) {
  if (value === null || value === undefined) return NONE;
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** Return a text that may be JSON or XML with line breaks and indents. */
export function pretty(raw) {
  if (raw === null || raw === undefined) return "";
  if (typeof raw !== "string") return JSON.stringify(raw, null, 2);
  const text = raw.trim();
  if (text.startsWith("<")) return prettyXml(text);
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return raw;
  }
}

function prettyXml(text) {
  let depth = 0;
  const lines = [];
  for (const piece of text.replace(/>\s*</g, ">\n<").split("\n")) {
    if (/^<\//.test(piece)) depth -= 1;
    lines.push("  ".repeat(Math.max(0, depth)) + piece);
    if (/^<[^!?/][^>]*[^/]>$/.test(piece) || /^<\w+>$/.test(piece)) depth += 1;
  }
  return lines.join("\n");
}
