/** Faults that a rehearsal can switch on, to see what a caller hears. There is no such page where real callers call. */

import { getJson, postJson } from "./api.js";
import { html, useEffect, useState } from "./html.js";

export function FaultsPage({ rehearsal }) {
  const [error, setError] = useState(null);
  const { faults = [], phone_url } = rehearsal.value;
  const refresh = async () => (rehearsal.value = await getJson("console/api/rehearsal"));
  useEffect(() => {
    refresh().catch((reason) => setError(reason.message));
  }, []);
  const set = async (body) => {
    setError(null);
    try {
      await postJson("console/api/rehearsal", body);
      await refresh();
    } catch (reason) {
      setError(reason.message);
    }
  };
  const isAnyOn = faults.some((one) => one.is_on);
  return html`<h1>Faults</h1>
    <section class="card" aria-label="Faults">
      <p>Switch a fault on, call, and see that the caller hears words. This is a rehearsal: no real caller is affected.
        ${phone_url && html` <a href=${phone_url} target="_blank" rel="noreferrer">Open the phone</a>`}</p>
      ${isAnyOn && html`<p class="bad" role="status">A fault is on.</p>`}
      ${error && html`<p class="bad" role="alert">${error}</p>`}
      ${faults.map((fault) => html`<${Fault} key=${fault.name} fault=${fault} set=${set} />`)}
      ${faults.length === 0 && html`<p class="faint">The rehearsal offers no faults.</p>`}
    </section>`;
}

/** Return the arguments that a fault takes, by name, with their values now: a name, a list of names, or an object. */
function argumentsOf(fault) {
  if (!fault.takes) return {};
  if (Array.isArray(fault.takes)) return Object.fromEntries(fault.takes.map((one) => (typeof one === "string" ? [one, ""] : [one.name, one.default ?? ""])));
  return typeof fault.takes === "string" ? { [fault.takes]: "" } : fault.takes;
}

function Fault({ fault, set }) {
  const [values, setValues] = useState({});
  const takes = argumentsOf(fault);
  const numbers = Object.fromEntries(Object.entries({ ...takes, ...values }).filter(([, value]) => value !== "" && value !== null).map(([name, value]) => [name, asGiven(value)]));
  return html`<div class="fault">
    <div><p><b>${fault.name}</b> ${fault.is_on && html`<span class="tag bad">on</span>`}</p><p class="faint">${fault.help}</p>
      ${Object.keys(takes).length > 0 &&
      html`<p>${Object.entries(takes).map(([name, value]) => html`<label>${name.replaceAll("_", " ")}
        <input type="number" value=${values[name] ?? value} onInput=${(event) => setValues({ ...values, [name]: event.target.value })} /></label>`)}</p>`}</div>
    <button type="button" aria-pressed=${String(Boolean(fault.is_on))} onClick=${() => set({ name: fault.name, on: !fault.is_on, ...(fault.is_on ? {} : numbers) })}>
      ${fault.is_on ? "Switch off" : "Switch on"}</button>
  </div>`;
}

function asGiven(value) {
  return typeof value === "string" && value.trim() !== "" && !Number.isNaN(Number(value)) ? Number(value) : value;
}
