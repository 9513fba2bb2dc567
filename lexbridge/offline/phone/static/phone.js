// The phone: what its buttons do, and what is shown when something happens.

import { Connection } from "/connection.js";
import { showFaults, watchFaults } from "/faults.js";
import {
  clearCall, decibels, element, fillSelect, hideProblems, made, showEvent, showExamples, showLevel, showProblem, showSaid,
  showThreshold,
} from "/page.js";
import { Sound } from "/sound.js";
import { Source } from "/source.js";

const KEYS = "123456789*0#";
const AUDIBLE = 0.002; // level of the loudest frame that a caller does not hear: -54 dBFS
const FIRST_WORDS_MS = 10000; // after which a caller has said something
const LEVELS_EVERY_MS = 50; // between two drawings of the meters: one for each frame of the screen costs a call's work
const SERVER_GONE = "The phone's server does not answer. Is `make run` still running? This page tries again by itself.";

const SHORT = 20; // characters of an example that the narrow field shows
const RESTARTS = "A choice starts the bridge again, between two calls";

let stage = { ready: false, waits_for: "", examples: [], threshold_dbfs: null };
let isConnected = false;
let call = null; // {state, sid, since}, of the call that is on or was the last
let isMuted = false;
let botSpeaks = false;
let levels = { you: 0, bot: 0 };

/** Figures of this page, for tests and the curious. Frames are 20 ms. */
export const figures = { sent: 0, got: 0, audible: 0, loudest: 0, spoken: 0, ear: {} };
window.lexbridgePhone = figures;

const isOn = () => call !== null && call.state !== "over";
const isAnswered = () => call?.state === "answered";
const sound = new Sound(spoke, heard);
const source = new Source(sound, isOn, isAnswered);
const connection = new Connection(took, played, connected);

// The line

function spoke(mulaw, level) {
  levels.you = isMuted ? 0 : Math.max(levels.you, level);
  if (isMuted || !isAnswered()) return;
  figures.spoken = Math.max(figures.spoken, level);
  connection.speak(mulaw);
  figures.sent++;
}

function played(mulaw) {
  figures.got++;
  sound.play(mulaw);
}

function heard(ear) {
  figures.ear = ear;
  figures.loudest = Math.max(figures.loudest, ear.level);
  if (ear.level > AUDIBLE) figures.audible++;
  levels.bot = Math.max(levels.bot, ear.level);
}

function connected(isOpen) {
  const wasOn = isOn();
  isConnected = isOpen;
  if (isOpen) {
    hideProblems();
    tellLine();
  } else {
    showProblem(SERVER_GONE);
    if (wasOn) over("the phone's server is gone");
  }
  render();
}

// What the server tells

function took(message) {
  const take = { stage: tookStage, call: tookCall, said: showSaid, moment: showEvent, bot: tookBot, problem: tookProblem };
  take[message.what]?.(message);
  render();
}

function tookStage(message) {
  const isNew = JSON.stringify(message.examples) !== JSON.stringify(stage.examples);
  stage = message;
  if (isNew) {
    showExamples(stage.examples, say);
    element("words").placeholder = stage.examples.slice(1).find((each) => each.length <= SHORT) ?? "Hello";
  }
  fillSelect(element("bot"), stage.bots.map((name) => [name, name]), stage.bot);
  fillSelect(element("mode"), stage.modes.map((name) => [name, MODE_NAMES[name] ?? name]), stage.mode);
  fillSelect(element("quality"), Object.entries(stage.lines));
  if (stage.problem) showProblem(stage.problem);
}

const MODE_NAMES = { "call-update": "call-update: Twilio's voice", stream: "stream: the bot's voice" };

function tookCall(message) {
  if (message.state === "over") {
    over(message.reason);
    return;
  }
  call = { state: message.state, sid: message.sid, since: Date.now(), starts: stage.starts };
  source.play();
}

function tookBot(message) {
  botSpeaks = message.speaks;
}

function tookProblem(message) {
  showProblem(...message.texts);
}

function over(reason) {
  call = { ...call, state: "over", reason };
  botSpeaks = false;
  sound.silence();
}

// What the caller does

async function placeCall() {
  hideProblems();
  clearCall();
  Object.assign(figures, { sent: 0, got: 0, audible: 0, loudest: 0, spoken: 0 });
  call = { state: "calling", since: Date.now() };
  render();
  await sound.open();
  tellLine();
  connection.tell({ do: "call" });
  await source.use();
}

function hangUp() {
  connection.tell({ do: "hang_up" });
}

function mute() {
  isMuted = !isMuted;
  render();
}

function press(key) {
  connection.tell({ do: "key", key });
  const button = [...element("keypad").children].find((each) => each.textContent === key);
  button?.setAttribute("aria-pressed", "true");
  setTimeout(() => button?.setAttribute("aria-pressed", "false"), 150);
}

function say(text) {
  if (isAnswered() && text.trim()) connection.tell({ do: "say", text });
}

function tellLine(held = {}) {
  const line = { quality: element("quality").value, echo: element("echo").checked, ...held };
  connection.tell({ do: "line", ...line });
}

// What is shown

function stateText() {
  if (!isConnected) return "No connection to the phone's server";
  if (call?.state === "calling") return "Calling ...";
  if (isOn()) return `On the phone, ${clock(call.since)}${isMuted ? ", muted" : ""}${botSpeaks ? ": the bot speaks" : ""}`;
  if (!stage.ready) return stage.problem ? "Out of order" : `Waiting for ${stage.waits_for || "the bridge"} ...`;
  return call ? `The call is over: ${call.reason}` : "Ready";
}

/** Return whether the microphone brings a voice that the bridge takes for noise. */
function isTooQuiet() {
  const isLate = isAnswered() && Date.now() - call.since > FIRST_WORDS_MS;
  return isLate && figures.spoken > AUDIBLE && decibels(figures.spoken) < (stage.threshold_dbfs ?? -Infinity);
}

function clock(since) {
  const seconds = Math.floor((Date.now() - since) / 1000);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
}

function render() {
  const state = stateText();
  if (element("state").textContent !== state) element("state").textContent = state;
  element("call").disabled = isOn() || !isConnected || !stage.ready;
  element("hang-up").disabled = !isOn();
  element("mute").disabled = !isOn();
  element("mute").setAttribute("aria-pressed", isMuted);
  element("mute").textContent = isMuted ? "Unmute" : "Mute";
  for (const id of ["bot", "mode"]) element(id).disabled = isOn() || !stage.ready || Boolean(stage.why_fixed);
  for (const row of element("bridge-settings").querySelectorAll(".row")) row.hidden = Boolean(stage.why_fixed);
  element("why-fixed").textContent = stage.why_fixed || `${RESTARTS}${stage.console_url ? ": the console forgets its calls" : ""}.`;
  for (const button of document.querySelectorAll("#keypad button, #examples button, #say-it")) button.disabled = !isAnswered();
  showThreshold(stage.threshold_dbfs, stage.detector, isTooQuiet());
  element("suggestions-title").textContent = isOn() ? "Say" : "Press Call, then say";
  element("bridge").textContent = stage.bridge ? `calls ${stage.bridge}` : "";
  const link = element("console");
  link.hidden = !isConnected || !stage.console_url;
  const isKnown = isOn() && Boolean(call.sid) && call.starts === stage.starts;
  link.href = isKnown ? `${stage.console_url}/console/#/call/${call.sid}` : `${stage.console_url}/console/`;
  link.textContent = isKnown ? "This call in the console" : "Open the console";
  showFaults(isOn());
}

function drawLevels() {
  showLevel(element("you-level"), decibels(levels.you), stage.threshold_dbfs);
  showLevel(element("bot-level"), decibels(levels.bot));
  levels = { you: levels.you * 0.5, bot: levels.bot * 0.5 };
  setTimeout(() => requestAnimationFrame(drawLevels), LEVELS_EVERY_MS);
}

// The page's elements

function hold(id, name) {
  const button = element(id);
  const set = (isHeld) => {
    if ((button.getAttribute("aria-pressed") === "true") === isHeld) return;
    button.setAttribute("aria-pressed", isHeld);
    tellLine({ [name]: isHeld });
  };
  button.onpointerdown = (event) => {
    button.setPointerCapture(event.pointerId);
    set(true);
  };
  button.onpointerup = button.onpointercancel = button.onblur = () => set(false);
  button.onkeydown = (event) => [" ", "Enter"].includes(event.key) && set(true);
  button.onkeyup = (event) => [" ", "Enter"].includes(event.key) && set(false);
}

function switchBridge() {
  connection.tell({ do: "switch", mode: element("mode").value, bot: element("bot").value });
}

function isTyping(target) {
  return target instanceof HTMLInputElement || target instanceof HTMLSelectElement;
}

element("keypad").append(...[...KEYS].map((key) => {
  const button = made("button", key);
  button.type = "button";
  button.onclick = () => press(key);
  return button;
}));
element("call").onclick = placeCall;
element("hang-up").onclick = hangUp;
element("mute").onclick = mute;
element("say").onsubmit = (event) => {
  event.preventDefault();
  say(element("words").value);
  element("words").value = "";
};
element("quality").onchange = element("echo").onchange = () => tellLine();
element("bot").onchange = element("mode").onchange = switchBridge;
hold("cough", "cough");
hold("noise", "noise");
watchFaults();
document.onkeydown = (event) => {
  const isKey = KEYS.includes(event.key) && event.key.length === 1 && !event.ctrlKey && !event.metaKey && !event.altKey;
  if (isKey && isAnswered() && !isTyping(event.target)) press(event.key);
};
document.ondragover = (event) => {
  event.preventDefault();
  document.body.classList.add("dropping");
};
document.ondragleave = (event) => event.relatedTarget ?? document.body.classList.remove("dropping");
document.ondrop = (event) => {
  event.preventDefault();
  document.body.classList.remove("dropping");
  source.take(event.dataTransfer.files[0]);
};
setInterval(render, 500);
drawLevels();
render();
