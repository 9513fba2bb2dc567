/** The console: one page, whose address behind `#` says what it shows. */

import { getJson } from "./api.js";
import { CallPage } from "./call_page.js";
import { CallsPage } from "./calls_page.js";
import { errorsLately, watchFaults } from "./faults.js";
import { shortSid, timeZone } from "./format.js";
import { FaultsPage } from "./faults_page.js";
import { HealthPage } from "./health_page.js";
import { Help } from "./help.js";
import { html, render, signal, useEffect, useRef } from "./html.js";
import { LatencyPage } from "./latency_page.js";
import { openError, openFile } from "./open_file.js";
import { SettingsPage } from "./settings_page.js";
import { connection, droppedFacts, follow, refresh } from "./store.js";
import { theme, toggleTheme } from "./theme.js";

/** Time between two looks at the whole list, because calls that the server has forgotten are not told. */
const REFRESH_MS = 60000;

const route = signal(readRoute());
const isHelpOpen = signal(false);
/** What the rehearsal's control answered, or null where there is none: then there is no page of faults. */
const rehearsal = signal(null);

const PAGES = [
  ["calls", "Calls", "1"],
  ["latency", "Latency", "2"],
  ["health", "Health", "3"],
  ["settings", "Settings", "4"],
  ["faults", "Faults", "5"],
];

function readRoute() {
  // A call may be followed by one of its turns (number/stream) or events (at/Unix time/name).
  const [page, sid, turn, stream, name] = location.hash.replace(/^#\/?/, "").split("/");
  const event = turn === "at" ? { at_s: Number(stream), name } : null;
  return { page: page || "calls", sid: sid ? decodeURIComponent(sid) : null, turn: turn && !event ? `${stream}/${turn}` : null, event };
}

/** Return the title of the window, by which tabs are told apart. */
function titleOf({ page, sid }) {
  const words = sid ? `Call ${shortSid(sid)}` : (PAGES.find(([name]) => name === page)?.[1] ?? "Calls");
  return `${words} - lexbridge console`;
}

function shownPages() {
  return PAGES.filter(([page]) => page !== "faults" || rehearsal.value !== null);
}

function Navigation() {
  const here = route.value.page === "call" ? "calls" : route.value.page;
  return html`<nav aria-label="Pages">
    ${shownPages().map(
      ([page, words]) =>
        html`<a href=${`#/${page}`} class=${here === page ? "here" : ""} aria-current=${here === page ? "page" : null}>${words}${page === "health" && html`<${ErrorMark} />`}${page === "faults" && html`<${FaultMark} />`}</a>`,
    )}
  </nav>`;
}

/** How many errors there were in the last ten minutes, as a mark on Health. */
function ErrorMark() {
  const n = errorsLately.value;
  return n > 0 && html`<span class="mark" title="Errors in the last 10 minutes">${n}<span class="unseen"> errors in the last 10 minutes</span></span>`;
}

/** How many faults are switched on, as a mark on Faults: one that was forgotten explains what the calls show. */
function FaultMark() {
  const n = (rehearsal.value.faults ?? []).filter((one) => one.is_on).length;
  return n > 0 && html`<span class="mark" title="Faults that are on">${n}<span class="unseen"> ${n === 1 ? "fault is" : "faults are"} on</span></span>`;
}

function Connection() {
  const { state } = connection.value;
  const words = { open: "live", lost: "connection lost", starting: "connecting" }[state];
  return html`<span class=${`pill connection ${state}`} role="status"><i aria-hidden="true"></i><span class="words">${words}</span></span>`;
}

function LostBanner() {
  const { state, retry_s } = connection.value;
  if (state !== "lost") return null;
  return html`<div class="banner bad" role="alert">
    Connection lost, trying again${retry_s >= 1 ? ` in ${Math.round(retry_s)} s` : ""}. What you see is from before. Calls go on
    without the console.
  </div>`;
}

function DroppedBanner() {
  if (!droppedFacts.value) return null;
  return html`<div class="banner slow" role="status">
    ${droppedFacts.value} facts did not reach the console, because it was too slow for them. Calls are not affected; pictures may have holes.
  </div>`;
}

function Page() {
  const { page, sid, turn, event } = route.value;
  if (page === "call" && sid) return html`<${CallPage} key=${sid} sid=${sid} turn=${turn} event=${event} />`;
  if (page === "latency") return html`<${LatencyPage} />`;
  if (page === "health") return html`<${HealthPage} />`;
  if (page === "settings") return html`<${SettingsPage} />`;
  if (page === "faults" && rehearsal.value) return html`<${FaultsPage} rehearsal=${rehearsal} />`;
  return html`<${CallsPage} rehearsal=${rehearsal} />`;
}

function App() {
  const isFirst = useRef(true);
  useEffect(() => {
    document.title = titleOf(route.value);
    document.querySelector("nav .here")?.scrollIntoView({ block: "nearest", inline: "nearest" });
    if (route.value.page !== "calls") openError.value = null;
    // The first page is read from its top, so that the first Tab leads to the link that skips the navigation.
    if (!isFirst.current) document.querySelector("main")?.focus({ preventScroll: true });
    isFirst.current = false;
    window.scrollTo(0, 0);
  }, [route.value.page, route.value.sid]);
  const phone = rehearsal.value?.phone_url;
  return html`<a class="skip" href="#main" onClick=${skip}>Skip to the page</a>
    <header class="top">
      <a class="brand" href="#/calls"><img src="static/icon.svg" alt="" width="24" height="24" />lexbridge</a>
      <${Navigation} />
      <div class="tools">
        <${Connection} />
        ${phone && html`<a class="button" href=${phone} target="_blank" rel="noreferrer">Phone</a>`}
        <label class="button" title="Open an exported call (o)">
          Open file<input id="open-file" class="unseen" type="file" accept=".json,application/json" onChange=${openFile} />
        </label>
        <button type="button" onClick=${toggleTheme} title="Dark or light (t)" aria-label=${`Theme: ${theme.value}`}>
          ${theme.value === "dark" ? "☾" : "☀"}
        </button>
        <button type="button" onClick=${() => (isHelpOpen.value = true)} title="Keyboard (?)" aria-label="Keyboard and help">?</button>
      </div>
    </header>
    <${LostBanner} /><${DroppedBanner} />
    <main id="main" tabindex="-1"><${Page} /></main>
    <footer class="faint">Times of day are those of this browser, ${timeZone()}.</footer>
    ${isHelpOpen.value && html`<${Help} pages=${shownPages().map(([, words]) => words)} close=${() => (isHelpOpen.value = false)} />`}`;
}

function skip(event) {
  event.preventDefault();
  document.querySelector("main").focus();
}

function isTyping(event) {
  return event.target.matches?.("input:not([type=file]):not([type=checkbox]), textarea, select");
}

const KEYS = {
  "?": () => (isHelpOpen.value = !isHelpOpen.value),
  t: toggleTheme,
  o: () => document.getElementById("open-file").click(),
  "/": () => document.querySelector("input[type=search]")?.focus(),
};

function pressed(event) {
  if (event.defaultPrevented) return;
  if (event.key === "Escape") {
    if (isHelpOpen.value) isHelpOpen.value = false;
    else if (isTyping(event)) event.target.blur();
    else if (route.value.page === "call") location.hash = "#/calls";
    return;
  }
  if (isTyping(event) || event.ctrlKey || event.metaKey || event.altKey) return;
  const page = shownPages().find(([, , key]) => key === event.key);
  if (page) location.hash = `#/${page[0]}`;
  else if (KEYS[event.key]) KEYS[event.key]();
  else return;
  event.preventDefault();
}

/** Time between two looks at the faults, because the phone and other windows switch them too. */
const REHEARSAL_MS = 5000;

/** Look at the faults of the rehearsal from time to time. A rehearsal that does not answer is asked again. */
async function followRehearsal() {
  try {
    const told = await getJson("console/api/rehearsal");
    if (JSON.stringify(told) !== JSON.stringify(rehearsal.value)) rehearsal.value = told;
  } catch {
    // The page of faults tells it when somebody switches one.
  }
}

async function findRehearsal() {
  try {
    // Where real callers call there is none, and asking would be an error in the browser's log.
    const settings = await getJson("console/api/settings");
    if (!settings.some((one) => one.name === "REHEARSAL_URL" && one.is_set)) return;
    rehearsal.value = await getJson("console/api/rehearsal");
    setInterval(followRehearsal, REHEARSAL_MS);
  } catch {
    rehearsal.value = null;
  }
}

addEventListener("hashchange", () => (route.value = readRoute()));
addEventListener("keydown", pressed);
const root = document.getElementById("app");
root.replaceChildren();
render(html`<${App} />`, root);
if (route.value.page !== "call") follow(null);
findRehearsal();
watchFaults();
setInterval(refresh, REFRESH_MS);
