/** Drawing the whole call small, as the strip in which the view is moved. */

import { waveHeight } from "./levels.js";

/** Draw the whole call small, with the view as a window in it. */
export function drawOverview(picture, call, view, height) {
  const { ctx, palette, width } = picture;
  const columns = call.levels.columns(picture.view.from_s, picture.view.to_s, Math.max(1, Math.floor(width)));
  ctx.fillStyle = palette.sunken;
  ctx.fillRect(0, 0, width, height);
  const draw = (values, heightOf, middle, colour) => {
    ctx.fillStyle = colour;
    for (let x = 0; x < values.length; x += 1) {
      const half = heightOf(Number.isNaN(values[x]) ? null : values[x]) * (height / 4);
      if (half > 0.3) ctx.fillRect(x, middle - half, 1, 2 * half);
    }
  };
  draw(columns.level, waveHeight, height * 0.27, palette.caller);
  draw(columns.bot, (peak) => peak || 0, height * 0.73, palette.bot);
  for (const prompt of call.mode === "call-update" ? call.model.prompts : []) picture.fill(prompt.from_s, prompt.to_s, height * 0.62, height * 0.24, palette["bot-soft"], 1);
  for (const one of call.model.markers) if (one.kind === "cut" || one.kind === "lost" || one.kind === "fault") picture.fill(one.at_s, one.at_s, 0, height, palette.cut, 1);
  ctx.globalAlpha = 0.66;
  picture.fill(picture.view.from_s, view.from_s, 0, height, palette.card);
  picture.fill(view.to_s, picture.view.to_s, 0, height, palette.card);
  ctx.globalAlpha = 1;
  ctx.strokeStyle = palette.accent;
  ctx.lineWidth = 1.5;
  const [left, right] = [Math.max(1, picture.x(view.from_s)), Math.min(width - 1, picture.x(view.to_s))];
  ctx.strokeRect(left, 1, Math.max(3, right - left), height - 2);
}
