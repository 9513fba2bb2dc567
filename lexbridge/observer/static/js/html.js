/** Templates: `html` makes elements of Preact from tagged text. There is no build step. */

import { h } from "../vendor/preact/preact.js";
import htm from "../vendor/htm/htm.js";

export const html = htm.bind(h);
export { render } from "../vendor/preact/preact.js";
export { useEffect, useRef, useState, useMemo } from "../vendor/preact/hooks.js";
export { signal, computed, batch, effect } from "../vendor/signals/signals.js";
