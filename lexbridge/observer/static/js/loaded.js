/** A page's data: asked for when it opens, and again from time to time. */

import { getJson } from "./api.js";
import { html, useEffect, useState } from "./html.js";

/** Return [data, error, ask again] of a path of the API, asked again each `every_s` seconds. */
export function useLoaded(path, every_s) {
  const [data, setData] = useState(null);
  const [error, setError] = useState(null);
  const ask = () =>
    getJson(path).then(
      (answer) => {
        setData(answer);
        setError(null);
      },
      (reason) => setError(reason.message),
    );
  useEffect(() => {
    ask();
    if (!every_s) return undefined;
    const timer = setInterval(ask, every_s * 1000);
    return () => clearInterval(timer);
  }, [path]);
  return [data, error, ask];
}

/** What stands in a page's place until its data are there, or null if they are. */
export function waiting(data, error) {
  if (data !== null) return null;
  return error ? html`<div class="card empty"><h1>No data</h1><p>${error}</p></div>` : html`<p class="faint loading">Loading …</p>`;
}
