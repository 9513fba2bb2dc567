/** The empty list: how to make the first call. */

import { getJson } from "./api.js";
import { html, useEffect, useRef, useState } from "./html.js";

export function FirstCall({ rehearsal }) {
  const [settings, setSettings] = useState(null);
  useEffect(() => {
    getJson("console/api/settings").then(setSettings, () => setSettings([]));
  }, []);
  const valueOf = (name) => settings?.find((one) => one.name === name)?.value ?? null;
  const url = valueOf("URL")?.replace(/\/$/, "").replace(/^ws/, "http");
  const webhook = url ? `${url}/twiml` : null;
  const phone = rehearsal.value?.phone_url;
  return html`<section class="card empty">
    <h1>No call yet</h1>
    <p>A call appears here the moment Twilio asks lexbridge what to do with it.</p>
    ${phone
      ? html`<p><a class="button primary" href=${phone} target="_blank" rel="noreferrer">Open the phone and call</a></p>
          <p class="faint">The phone in the browser calls this lexbridge through a simulated Twilio. No account is needed.</p>`
      : html`<ol>
          <li>In Twilio's console, open your phone number, and set <b>A call comes in</b> to <b>Webhook</b>, <b>HTTP POST</b>:
            ${webhook ? html`<${Copied} text=${webhook} />` : html`<p class="faint">the address in the setting <code>URL</code>, followed by <code>/twiml</code></p>`}
          </li>
          <li>Call the number.</li>
          <li>If nothing appears here, look at <a href="#/health">Health</a>: it lists refused requests, with the reason.</li>
        </ol>
        <p class="faint">No number yet? <code>make run</code> starts a phone in the browser, which calls this lexbridge.</p>`}
  </section>`;
}

function Copied({ text }) {
  const [isCopied, setCopied] = useState(false);
  const code = useRef(null);
  const copy = async () => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      getSelection().selectAllChildren(code.current); // without a clipboard: the keyboard's own copy is one key away
      return;
    }
    setCopied(true);
    setTimeout(() => setCopied(false), 2000);
  };
  return html`<p class="copied"><code ref=${code}>${text}</code><button type="button" onClick=${copy}>${isCopied ? "Copied" : "Copy"}</button></p>`;
}
