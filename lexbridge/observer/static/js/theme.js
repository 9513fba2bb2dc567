/** Dark and light: as the system has it, until somebody chooses. The choice stays in the browser. */

import { signal } from "./html.js";

const KEY = "lexbridge-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** "dark" or "light". */
export const theme = signal(chosen() ?? ofSystem());

function chosen() {
  try {
    return localStorage.getItem(KEY);
  } catch {
    return null; // storage is forbidden: the system's choice then
  }
}

function ofSystem() {
  return system.matches ? "dark" : "light";
}

function apply() {
  document.documentElement.dataset.theme = theme.value;
}

/** Change from dark to light, or back. */
export function toggleTheme() {
  theme.value = theme.value === "dark" ? "light" : "dark";
  try {
    localStorage.setItem(KEY, theme.value);
  } catch {
    // Then it holds for this page alone.
  }
  apply();
}

system.addEventListener("change", () => {
  if (chosen()) return;
  theme.value = ofSystem();
  apply();
});
apply();
