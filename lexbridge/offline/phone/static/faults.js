// The rehearsal's faults: the same API as the console's.

import { element, made } from "/page.js";

const NO_CALL = "The buttons break a call: they wait until one is on.";

const GONE = "The phone's server does not answer. Is `make run` still running?";

const HEADERS = { "X-Lexbridge": "console", "Content-Type": "application/json" };

/** Time between two looks, because the console and other windows switch faults too. */
const LOOK_MS = 3000;

let isCallOn = false;
let known = "";

/** Show the faults while their part of the page is open. */
export function watchFaults() {
  const look = () => element("faults").open && ask({ headers: HEADERS });
  element("faults").ontoggle = look;
  setInterval(look, LOOK_MS);
}

async function ask(request) {
  const note = element("fault-note");
  try {
    const answer = await fetch("/rehearsal", request);
    const found = await answer.json();
    if (request.method || note.textContent === GONE) note.textContent = found.error ?? "";
    if (request.method || JSON.stringify(found.faults) !== known) show(found.faults);
  } catch {
    note.textContent = GONE;
  }
}

function show(faults) {
  if (!faults) return;
  known = JSON.stringify(faults);
  element("fault-list").replaceChildren(...faults.map(shown));
  showFaults(isCallOn);
}

/** Enable what only a call can have, or say why not. */
export function showFaults(isOn) {
  isCallOn = isOn;
  const buttons = [...element("fault-list").querySelectorAll("button")];
  for (const button of buttons) button.disabled = !isOn;
  element("no-call").textContent = isOn || !buttons.length ? "" : NO_CALL;
}

const turn = (name, on) => ask({ method: "POST", headers: HEADERS, body: JSON.stringify({ name, on }) });

function shown(fault) {
  if (fault.is_once) {
    const button = made("button", fault.help);
    button.type = "button";
    button.onclick = () => turn(fault.name, true);
    const line = made("div");
    line.append(button);
    return line;
  }
  const tick = made("input");
  tick.type = "checkbox";
  tick.checked = fault.is_on;
  tick.onchange = () => turn(fault.name, tick.checked);
  const label = made("label");
  label.append(tick, fault.help);
  return label;
}
