/** The history of latency as a chart: percentiles as lines, the number of turns behind them, faults as marks. */

import { clock } from "./format.js";
import { html, useEffect, useRef } from "./html.js";
import { theme } from "./theme.js";

const HEIGHT = 280;
const MINUTE_S = 60;
/** Distances of the times below the chart: whole minutes, because a row is a minute. */
const STEPS_S = [1, 2, 5, 10, 15, 30, 60, 120, 360, 720].map((minutes) => minutes * MINUTE_S);

/** `history`: [minute_s, p50, p90, p99, turns] by the minute; `faults`: lines with their time and level. */
export function Chart({ history, faults }) {
  const box = useRef(null);
  const name = theme.value;
  useEffect(() => draw(box.current, history, faults), [history, faults, name]);
  return html`<div class="chart" ref=${box}></div>`;
}

/** Return the columns of the chart. A minute without a reply has no row: it becomes a gap. */
export function columnsOf(history) {
  const rows = [];
  for (const row of [...history].sort((a, b) => a[0] - b[0])) {
    const next_s = rows.length ? rows.at(-1)[0] + MINUTE_S : row[0];
    for (let at_s = next_s; at_s < row[0]; at_s += MINUTE_S) rows.push([at_s, null, null, null, null]);
    rows.push(row);
  }
  const inSeconds = (i) => rows.map((row) => (row[i] === null ? null : row[i] / 1000));
  return [rows.map((row) => row[0]), rows.map((row) => row[4]), inSeconds(1), inSeconds(2), inSeconds(3)];
}

/** Draw with uPlot, which is loaded when it is needed first. Returns how to stop. */
function draw(box, history, faults) {
  let plot = null;
  let sizes = null;
  let isGone = false;
  import("../vendor/uplot/uplot.js").then(({ default: UPlot }) => {
    if (isGone) return;
    plot = new UPlot({ ...options(UPlot, faults), width: box.clientWidth, height: HEIGHT }, columnsOf(history), box);
    sizes = new ResizeObserver(() => plot.setSize({ width: box.clientWidth, height: HEIGHT }));
    sizes.observe(box);
  });
  return () => {
    isGone = true;
    sizes?.disconnect();
    plot?.destroy();
  };
}

function options(UPlot, faults) {
  const style = getComputedStyle(document.documentElement);
  const colour = (name) => style.getPropertyValue(`--${name}`).trim();
  const axis = { stroke: colour("faint"), grid: { stroke: colour("line"), width: 1 }, ticks: { stroke: colour("line") } };
  const line = (label, name, more = {}) => ({ ...more, label, stroke: colour(name), width: 2, points: { size: 5 }, value: (_, s) => (s === null || s === undefined ? "–" : `${s.toFixed(2)} s`) });
  const bars = { label: "turns", scale: "turns", fill: colour("accent-soft"), width: 0, points: { show: false }, paths: UPlot.paths.bars({ size: [0.9, 40] }) };
  return {
    padding: [12, 8, 0, 0],
    // Half a minute of room at both ends, so that the first and the last bar are whole.
    scales: {
      x: { range: (_, first, last) => [first - MINUTE_S / 2, last + MINUTE_S / 2] },
      y: { range: (_, least, most) => [0, Math.max(1, most * 1.1)] },
      turns: { range: (_, least, most) => [0, Math.max(4, most * 1.25)] },
    },
    axes: [
      { ...axis, incrs: STEPS_S, values: (_, all) => all.map((s) => clock(s).slice(0, 5)) },
      { ...axis, values: (_, all) => all.map((one) => `${one} s`) },
      { ...axis, scale: "turns", side: 1, grid: { show: false }, label: "turns", labelSize: 16, size: 44, values: (_, all) => all.map((n) => (Number.isInteger(n) ? n : "")) },
    ],
    series: [
      { value: (_, s) => (s === null || s === undefined ? "–" : clock(s)), label: "time" },
      { ...bars, value: (_, n) => n ?? "–" },
      line("p50", "bot"),
      line("p90", "lex"),
      // Dashed, because with few replies it lies on p90.
      line("p99", "lex-thinks", { dash: [5, 5] }),
    ],
    hooks: { draw: [(plot) => drawFaults(plot, faults, { error: colour("bad"), warning: colour("slow") })] },
  };
}

/** Draw a mark above the minute of each fault: errors over warnings. */
function drawFaults(plot, faults, colours) {
  const { ctx, bbox } = plot;
  const size = 5 * devicePixelRatio;
  const inOrder = [...faults].sort((a, b) => (a.level === "error") - (b.level === "error"));
  ctx.save();
  for (const { at_s, level } of inOrder) {
    const x = plot.valToPos(at_s, "x", true);
    if (x < bbox.left || x > bbox.left + bbox.width || !colours[level]) continue;
    ctx.fillStyle = colours[level];
    ctx.beginPath();
    ctx.moveTo(x - size, bbox.top - 2 * size);
    ctx.lineTo(x + size, bbox.top - 2 * size);
    ctx.lineTo(x, bbox.top - size / 4);
    ctx.fill();
    ctx.globalAlpha = 0.3;
    ctx.fillRect(x - 0.5, bbox.top, 1, bbox.height);
    ctx.globalAlpha = 1;
  }
  ctx.restore();
}
