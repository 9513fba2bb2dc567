/** The overlay with every key of the console. */

import { html, useEffect, useRef } from "./html.js";

const groups = (pages) => [
  [
    "Everywhere",
    [
      [`1 … ${pages.length}`, pages.join(", ")],
      ["/", "Search"],
      ["o", "Open an exported call"],
      ["t", "Dark or light"],
      ["?", "This list"],
      ["Esc", "Close, or back to the calls"],
    ],
  ],
  [
    "List of calls",
    [
      ["↓ ↑ or j k", "Next or previous call"],
      ["Enter", "Follow the call"],
    ],
  ],
  [
    "A call",
    [
      ["Space", "Play or pause"],
      ["← →", "Move the cursor by 0.2 s, with Shift by 2 s"],
      ["+ −", "Zoom in, zoom out"],
      ["0", "Show the whole call"],
      ["f", "Follow the live call"],
      ["n p", "Next or previous turn"],
      ["w", "What if: other settings"],
      ["Home End", "Start or end of the call"],
    ],
  ],
];

export function Help({ pages, close }) {
  const dialog = useRef(null);
  useEffect(() => {
    dialog.current.showModal();
  }, []);
  return html`<dialog ref=${dialog} class="help" aria-labelledby="help-title" onClose=${close} onClick=${(event) => event.target === dialog.current && close()}>
    <div class="help-body">
      <header><h2 id="help-title">Keyboard</h2><button type="button" onClick=${close} aria-label="Close">✕</button></header>
      <div class="help-groups">
        ${groups(pages).map(
          ([name, keys]) => html`<section><h3>${name}</h3><dl>
            ${keys.map(([key, words]) => html`<div><dt><kbd>${key}</kbd></dt><dd>${words}</dd></div>`)}
          </dl></section>`,
        )}
      </div>
      <p class="faint">Over the timeline: Ctrl and the wheel zoom, drag moves, click sets the cursor. After a click the wheel zooms alone.</p>
    </div>
  </dialog>`;
}
