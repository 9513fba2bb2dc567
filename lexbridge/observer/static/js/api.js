/** The observer's API over HTTP: questions, changes, and the stream of what happens now. */

const HEADERS = { "X-Lexbridge": "console" };
const FIRST_RETRY_MS = 500;
const LONGEST_RETRY_MS = 8000;
/** Time without an event after which the server is asked whether it is there, because a socket may be dead silently. */
const SILENCE_MS = 20000;

/** Return the address of a path of the API; the page stands at `/console/`. */
export function address(path) {
  const url = new URL(`../${path}`, document.baseURI);
  url.username = url.password = ""; // fetch() refuses an address with a password in it; the browser knows it by now
  return url.href;
}

/** Return the JSON at a path. Throws an Error with a sentence that can be shown. */
export async function getJson(path) {
  return answer(await reach(address(path), { cache: "no-store" }));
}

/** Post JSON to a path, and return the answer's JSON. */
export async function postJson(path, body) {
  const headers = { ...HEADERS, "Content-Type": "application/json" };
  return answer(await reach(address(path), { method: "POST", headers, body: JSON.stringify(body) }));
}

async function reach(url, options) {
  try {
    return await fetch(url, options);
  } catch {
    throw new Error("The server does not answer.");
  }
}

async function answer(response) {
  if (response.ok) return response.json();
  let words = "";
  try {
    words = (await response.json()).error ?? "";
  } catch {
    // An answer without JSON: the status alone tells.
  }
  const error = new Error(words || `The server answered ${response.status}.`);
  error.status = response.status;
  throw error;
}

/** A stream of events that is opened again when it breaks, later and later. */
export class EventStream {
  /** `path`: of the stream; `on`: name to function of the event's data; `report(state, retry_s)`: "open", "lost". */
  constructor(path, on, report) {
    this._path = path;
    this._on = on;
    this._report = report;
    this._retryMs = FIRST_RETRY_MS;
    this._isClosed = false;
    this._open();
  }

  close() {
    this._isClosed = true;
    clearTimeout(this._timer);
    clearTimeout(this._watch);
    this._source?.close();
  }

  _open() {
    const source = new EventSource(address(this._path));
    this._source = source;
    source.onopen = () => {
      this._retryMs = FIRST_RETRY_MS;
      this._report("open", 0);
      this._heard();
    };
    source.onerror = () => this._lost();
    for (const [name, take] of Object.entries(this._on)) {
      source.addEventListener(name, (event) => {
        this._heard();
        take(JSON.parse(event.data));
      });
    }
  }

  _heard() {
    clearTimeout(this._watch);
    this._watch = setTimeout(() => this._ask(), SILENCE_MS);
  }

  async _ask() {
    try {
      await fetch(address("ping"), { cache: "no-store", signal: AbortSignal.timeout(5000) });
      this._heard();
    } catch {
      this._lost();
    }
  }

  _lost() {
    this._source.close();
    if (this._isClosed) return;
    clearTimeout(this._watch);
    clearTimeout(this._timer);
    this._report("lost", this._retryMs / 1000);
    this._timer = setTimeout(() => this._open(), this._retryMs);
    this._retryMs = Math.min(LONGEST_RETRY_MS, this._retryMs * 2);
  }
}
