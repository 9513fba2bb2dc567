// What the page shows: its elements, and how each is filled. No state of the call is kept here.

const LOWEST_DB = -60;

const understood = new Map(); // of this call: the intents, each with its state and slots

export const element = (id) => document.getElementById(id);

/** Return a new element with a text and a class. */
export function made(name, text = "", className = "") {
  const node = document.createElement(name);
  node.textContent = text;
  if (className) node.className = className;
  return node;
}

/** Show what does not work, until it is dismissed. The same sentences are shown once. */
export function showProblem(...sentences) {
  const box = element("problems");
  const shown = new Set([...box.querySelectorAll("p")].map((p) => p.textContent));
  const fresh = sentences.filter((sentence) => sentence && !shown.has(sentence));
  const close = box.querySelector("button") ?? made("button", "Dismiss");
  close.type = "button";
  close.onclick = hideProblems;
  if (fresh.length) box.append(...fresh.map((sentence) => made("p", sentence)), close);
}

export function hideProblems() {
  element("problems").replaceChildren();
}

/** Fill a select, unless it has these options already. `options`: pairs of value and text. */
export function fillSelect(select, options, chosen) {
  const wanted = JSON.stringify(options);
  if (select.dataset.options !== wanted) {
    select.dataset.options = wanted;
    select.replaceChildren(...options.map(([value, text]) => new Option(text, value)));
  }
  if (chosen !== undefined && chosen !== null) select.value = chosen;
}

/** Return a level from 0 to 1 as dB relative to full scale. */
export const decibels = (level) => (level > 0 ? Math.max(LOWEST_DB, 20 * Math.log10(level)) : LOWEST_DB);

const share = (db) => Math.min(1, Math.max(0, 1 - db / LOWEST_DB)).toFixed(3);

/** Show a level on its meter. `thresholdDb`: what counts as voice, or null. */
export function showLevel(meter, db, thresholdDb = null) {
  meter.style.setProperty("--share", share(db));
  meter.setAttribute("aria-valuenow", Math.round(db));
  meter.dataset.voiced = thresholdDb === null || db > thresholdDb;
}

/** Show what counts as voice. `isTooQuiet`: whether somebody speaks whom the bridge cannot hear. */
export function showThreshold(thresholdDb, detector, isTooQuiet) {
  element("threshold").hidden = thresholdDb === null;
  element("threshold").style.setProperty("--share", share(thresholdDb ?? 0));
  const mark = `the mark (${Math.round(thresholdDb)} dBFS)`;
  const known = isTooQuiet
    ? `You are too quiet: nothing you said was beyond ${mark}. Raise the microphone's level.`
    : `Sound beyond ${mark} counts as voice.`;
  const note = thresholdDb === null ? `The bridge's detector, ${detector}, decides by itself what is voice.` : known;
  if (element("threshold-note").textContent !== note) element("threshold-note").textContent = note;
}

/** Add to the transcript: the bot's words, or what Lex heard of the caller. */
export function showSaid(message) {
  element("nothing-said").hidden = true;
  const line = made("li", "", message.who);
  line.append(made("span", message.who === "bot" ? "Bot" : callerName(message), "who"));
  line.append(message.text || (message.who === "bot" ? "(speaks)" : notUnderstood(message)));
  const callers = element("transcript").querySelectorAll(".caller");
  if (message.after && callers.length) callers[callers.length - 1].replaceWith(line); // asked again: one bubble
  else element("transcript").append(line);
  element("transcript").scrollTop = element("transcript").scrollHeight;
  if (message.who === "caller") showUnderstood(message);
}

function callerName(message) {
  const failed = `Lex answered ${message.status}`;
  const before = message.after ? `Lex answered ${message.after}, asked again` : "";
  if (message.status >= 400) return before ? `You; ${before}: ${failed}` : `You; ${failed}`;
  const name = message.keys ? "You, by keys" : "You, as Lex heard it";
  return before ? `${name}; ${before}` : name;
}

/** Return what stands for words that Lex did not tell: if it failed, what was clicked or typed. */
function notUnderstood({ status, spoken, keys }) {
  if (status < 400) return "(nothing that Lex understood)";
  return spoken && !keys ? spoken : "(Lex failed before it told what it heard)";
}

/** Show each intent with its slots so far. An intent that was left keeps what it had. */
function showUnderstood({ intent, slots, state }) {
  if (!intent) return;
  understood.set(intent, { state, slots: { ...understood.get(intent)?.slots, ...slots } });
  const shown = [...understood].map(([name, each]) => {
    const line = made("li", `${name}: ${each.state}`);
    const list = made("dl");
    list.append(...Object.entries(each.slots).flatMap(([slot, value]) => [made("dt", slot), made("dd", value)]));
    line.append(list);
    return line;
  });
  element("intents").replaceChildren(...shown);
  element("understood").hidden = false;
}

/** Add an event of the call to the list. */
export function showEvent({ at_s: atS, who, text }) {
  const line = made("li");
  line.append(made("span", atS.toFixed(2), "time"), made("span", who, who === "fault" ? "fault" : ""), made("span", text));
  const list = element("event-list");
  element("events").hidden = false;
  const isAtEnd = list.scrollTop + list.clientHeight >= list.scrollHeight - 30;
  list.append(line);
  if (isAtEnd) list.scrollTop = list.scrollHeight;
}

export function clearCall() {
  element("transcript").replaceChildren();
  element("event-list").replaceChildren();
  element("intents").replaceChildren();
  understood.clear();
  element("understood").hidden = true;
  element("events").hidden = true;
}

/** Show sentences that a caller may say. `say(sentence)` is called at a click. */
export function showExamples(sentences, say) {
  element("suggestions").hidden = !sentences.length;
  const buttons = sentences.map((sentence) => {
    const button = made("button", `“${sentence}”`);
    button.type = "button";
    button.onclick = () => say(sentence);
    const line = made("li");
    line.append(button);
    return line;
  });
  element("examples").replaceChildren(...buttons);
}
