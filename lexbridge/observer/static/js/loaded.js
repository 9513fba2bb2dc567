/** A page's data: asked for when it opens, and again from time to time. */

import { getJson } from "./api.js";
import { clock } from "./format.js";
import { html, useEffect, useRef, useState } from "./html.js";

/** Return [data, error, ask again] of a path of the API, asked again each `every_s` seconds. */
export function useLoaded(path, every_s) {
  const [data, setData] = useState(null);
  const [error, setError] = useState(null);
  const asked = useRef({ at_s: null });
  const ask = () =>
    getJson(path).then(
      (answer) => {
        asked.current.at_s = Date.now() / 1000;
        setData(answer);
        setError(null);
      },
      (reason) => setError({ words: reason.message, since_s: asked.current.at_s }),
    );
  useEffect(() => {
    ask();
    if (!every_s) return undefined;
    const timer = setInterval(ask, every_s * 1000);
    return () => clearInterval(timer);
  }, [path]);
  return [data, error, ask];
}

/** What stands above data that could not be asked for again, or null. */
export function stale(error) {
  return error && html`<div class="banner bad" role="alert">${error.words} What you see is from ${clock(error.since_s)}.</div>`;
}

/** What stands in a page's place until its data are there, or null if they are. */
export function waiting(data, error) {
  if (data !== null) return null;
  return error ? html`<div class="card empty"><h1>No data</h1><p>${error.words}</p></div>` : html`<p class="faint loading">Loading …</p>`;
}
