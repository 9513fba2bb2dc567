/** Faults that a rehearsal can switch on, to see what a caller hears. There is no such page where real callers call. */

import { getJson, postJson } from "./api.js";
import { html, useEffect, useState } from "./html.js";

export function FaultsPage({ rehearsal }) {
  const [error, setError] = useState(null);
  const [done, setDone] = useState(null);
  const { faults = [], phone_url } = rehearsal.value;
  const refresh = async () => (rehearsal.value = await getJson("console/api/rehearsal"));
  useEffect(() => {
    refresh().catch((reason) => setError(reason.message));
  }, []);
  const set = async (fault, on) => {
    setError(null);
    setDone(null);
    try {
      await postJson("console/api/rehearsal", { name: fault.name, on });
      if (fault.is_once) setDone(fault.name);
      await refresh();
    } catch (reason) {
      setError(reason.message);
    }
  };
  return html`<h1>Faults</h1>
    <section class="card" aria-label="Faults">
      <p>Switch a fault on, call, and see that the caller hears words. This is a rehearsal: no real caller is affected.
        ${phone_url && html` <a href=${phone_url} target="_blank" rel="noreferrer">Open the phone</a>`}</p>
      ${faults.some((one) => one.is_on) && html`<p class="bad" role="status">A fault is on. It stays on until it is switched off.</p>`}
      ${error && html`<p class="bad" role="alert">${error}</p>`}
      ${faults.map((fault) => html`<${Fault} key=${fault.name} fault=${fault} isDone=${done === fault.name} set=${set} />`)}
      ${faults.length === 0 && html`<p class="faint">The rehearsal offers no faults.</p>`}
    </section>`;
}

function Fault({ fault, isDone, set }) {
  const words = fault.is_once ? "Do it once" : fault.is_on ? "Switch off" : "Switch on";
  return html`<div class="fault">
    <div><p><b>${fault.name}</b> ${fault.is_on && html`<span class="tag bad">on</span>`}${isDone && html`<span class="tag good" role="status">done</span>`}</p>
      <p class="faint">${fault.help}</p></div>
    <button type="button" class=${fault.is_on ? "on" : ""} aria-label=${`${words}: ${fault.name}`} onClick=${() => set(fault, fault.is_once || !fault.is_on)}>${words}</button>
  </div>`;
}
