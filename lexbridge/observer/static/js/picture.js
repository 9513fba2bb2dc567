/** A picture on a canvas: its lanes, the theme's colours, where a time is, text that is cut off where there is no room. */

export const FONT = "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif";

/** Lanes from above: name, height in pixels, and its words at the left. */
export const LANES = [
  ["ruler", 22, ""],
  ["said", 20, ""],
  ["caller", 62, "caller"],
  ["level", 60, "level"],
  ["voiced", 16, "voiced"],
  ["lex", 42, "Lex"],
  ["bot", 62, "bot"],
  ["heard", 20, ""],
  ["marks", 46, "events"],
];
/** Return the width of the lanes' names at the left of a picture. */
export function gutterOf(width) {
  return width < 640 ? 42 : 72;
}

export const HEIGHT = LANES.reduce((sum, [, height]) => sum + height + 4, 0);
export const TOPS = Object.fromEntries(
  LANES.map(([name], i) => [name, LANES.slice(0, i).reduce((sum, [, height]) => sum + height + 4, 0)]),
);
export const HEIGHTS = Object.fromEntries(LANES);

const COLOURS = ["ink", "faint", "fainter", "line", "card", "sunken", "accent", "caller", "caller-soft", "bot", "bot-soft", "bot-ink", "lex", "lex-ink",
  "lex-thinks", "update", "keys", "cut", "pre-roll", "onset", "hangover", "reply", "bad", "slow"];

/** Return the theme's colours, by name. */
export function colours() {
  const style = getComputedStyle(document.documentElement);
  return Object.fromEntries(COLOURS.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

/** Return the context of a canvas that is `width` x `height` CSS pixels, sharp on any screen, and empty. */
export function prepare(canvas, width, height) {
  const ratio = devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return ctx;
}

/** A picture in the making: the context, the view in Unix seconds, and where x is. */
export class Picture {
  constructor(ctx, width, gutter, view, palette) {
    Object.assign(this, { ctx, width, gutter, view, palette });
    this.span_s = view.to_s - view.from_s;
  }

  x(unix_s) {
    return this.gutter + ((unix_s - this.view.from_s) / this.span_s) * (this.width - this.gutter);
  }

  fill(from_s, to_s, y, height, colour, least = 0) {
    const [left, right] = [Math.max(this.gutter, this.x(from_s)), Math.min(this.width, this.x(to_s))];
    if (right < this.gutter || left > this.width || right + least <= left) return;
    this.ctx.fillStyle = colour;
    this.ctx.fillRect(left, y, Math.max(least, right - left), height);
  }

  /** Write text from a time on, cut off where `to_s` is. Returns whether anything was written. */
  text(words, from_s, to_s, y, colour, size = 12) {
    const left = Math.max(this.gutter + 2, this.x(from_s));
    const room = Math.min(this.width, this.x(to_s)) - left - 6;
    if (room < 14 || left > this.width) return false;
    this.ctx.font = `${size}px ${FONT}`;
    this.ctx.fillStyle = colour;
    this.ctx.textBaseline = "middle";
    this.ctx.textAlign = "left";
    this.ctx.fillText(cut(this.ctx, words, room), left, y);
    return true;
  }
}

function cut(ctx, words, room) {
  if (ctx.measureText(words).width <= room) return words;
  let [fits, fitsNot] = [0, words.length];
  while (fitsNot - fits > 1) {
    const middle = (fits + fitsNot) >> 1;
    if (ctx.measureText(`${words.slice(0, middle)}…`).width <= room) fits = middle;
    else fitsNot = middle;
  }
  return fits > 1 ? `${words.slice(0, fits).trimEnd()}…` : "";
}

/** Hatch a rectangle, for what was not heard. */
export function hatch(ctx, left, top, width, height, colour) {
  ctx.save();
  ctx.beginPath();
  ctx.rect(left, top, width, height);
  ctx.clip();
  ctx.strokeStyle = colour;
  ctx.globalAlpha = 0.55;
  ctx.lineWidth = 1;
  ctx.beginPath();
  for (let x = left - height; x < left + width; x += 7) {
    ctx.moveTo(x, top + height);
    ctx.lineTo(x + height, top);
  }
  ctx.stroke();
  ctx.restore();
}

/** Write a label on a ground of its own, so that it can be read over anything. */
export function label({ ctx, palette }, words, x, y, colour) {
  ctx.font = `600 11px ${FONT}`;
  const { width } = ctx.measureText(words);
  ctx.fillStyle = palette.card;
  ctx.fillRect(x - 3, y - 8, width + 6, 16);
  ctx.fillStyle = colour;
  ctx.textAlign = "left";
  ctx.textBaseline = "middle";
  ctx.fillText(words, x, y);
}
