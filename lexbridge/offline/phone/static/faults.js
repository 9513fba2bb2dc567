// The rehearsal's faults: the same API as the console's.

import { element, made } from "/page.js";

const NO_CALL = "The buttons break a call: they wait until one is on.";

const HEADERS = { "X-Lexbridge": "console", "Content-Type": "application/json" };

let isCallOn = false;

/** Show the faults whenever their part of the page is opened. */
export function watchFaults() {
  element("faults").ontoggle = () => element("faults").open && ask({ headers: HEADERS });
}

async function ask(request) {
  const note = element("fault-note");
  try {
    const answer = await fetch("/rehearsal", request);
    const found = await answer.json();
    note.textContent = found.error ?? "";
    if (found.faults) element("fault-list").replaceChildren(...found.faults.map(shown));
    showFaults(isCallOn);
  } catch {
    note.textContent = "The phone's server does not answer. Is `make run` still running?";
  }
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
