/** Levels of a call's audio, one value for each frame of 20 ms, by stream. Pieces come live and are put in their place. */

export const FRAME_MS = 20;
/** Value of a 16-bit sample at full scale. */
const FULL_SCALE = 32768;

const NAMES = { level: "level_dbfs", threshold: "threshold_dbfs", floor: "floor_dbfs", voiced: "voiced", bot: "bot_peak" };

/** Return a peak as 0 to 1, whether it was told as a share, as a sample or in dBFS. */
export function peakShare(peak) {
  if (peak === null || peak === undefined) return 0;
  if (peak < 0) return 10 ** (peak / 20);
  return Math.min(1, peak > 1 ? peak / FULL_SCALE : peak);
}

/** Return a level in dBFS (of the RMS) as the height of a wave, 0 to 1: speech of -15 dBFS fills most of the lane. */
export function waveHeight(dbfs) {
  return dbfs === null || dbfs === undefined ? 0 : Math.min(1, 10 ** (dbfs / 20) * 3.2);
}

export class Levels {
  constructor() {
    this._streams = new Map();
    this.endsAt_s = 0;
  }

  get isEmpty() {
    return this._streams.size === 0;
  }

  /** Put what the server told of each stream into its place. */
  merge(streams) {
    for (const piece of streams) this._mergeOne(piece);
  }

  _mergeOne(piece) {
    let stream = this._streams.get(piece.stream_sid);
    if (stream === undefined) {
      stream = { began_s: piece.began_s, frames: 0, level: [], threshold: [], floor: [], voiced: [], bot: [] };
      this._streams.set(piece.stream_sid, stream);
    }
    if (piece.began_s) stream.began_s = piece.began_s;
    const first = Math.round((piece.from_ms ?? 0) / FRAME_MS);
    for (const [name, theirs] of Object.entries(NAMES)) {
      const values = piece[theirs] ?? [];
      for (let i = 0; i < values.length; i += 1) stream[name][first + i] = values[i];
      stream.frames = Math.max(stream.frames, first + values.length);
    }
    this.endsAt_s = Math.max(this.endsAt_s, stream.began_s + (stream.frames * FRAME_MS) / 1000);
  }

  /** Return media time up to which a stream's levels are known. */
  knownTo_ms(streamSid) {
    return (this._streams.get(streamSid)?.frames ?? 0) * FRAME_MS;
  }

  /** Return the figures of the frame at a Unix time, or null. */
  at(unix_s) {
    let found = null;
    for (const stream of this._streams.values()) {
      const frame = Math.floor(((unix_s - stream.began_s) * 1000) / FRAME_MS);
      if (frame < 0 || frame >= stream.frames || stream.level[frame] === undefined) continue;
      const of = (name) => stream[name][frame] ?? null;
      found = { level: of("level"), threshold: of("threshold"), floor: of("floor"), voiced: of("voiced"), bot: peakShare(of("bot")), ms: frame * FRAME_MS };
    }
    return found;
  }

  /** Return media time of the first voiced frame of a stream from one time to another, or null. */
  firstVoiced_ms(streamSid, from_ms, to_ms) {
    const voiced = this._streams.get(streamSid)?.voiced ?? [];
    for (let frame = Math.floor(from_ms / FRAME_MS); frame < to_ms / FRAME_MS; frame += 1) if (voiced[frame]) return frame * FRAME_MS;
    return null;
  }

  /** Return the Unix time up to which the bot's audio goes on without a gap from a time on. */
  botUntil_s(from_s) {
    const GAP_FRAMES = 25;
    for (const stream of this._streams.values()) {
      let frame = Math.floor(((from_s - stream.began_s) * 1000) / FRAME_MS);
      if (frame < 0 || frame >= stream.frames) continue;
      let last = frame;
      for (; frame < stream.frames && frame - last < GAP_FRAMES; frame += 1) if (peakShare(stream.bot[frame]) > 0.002) last = frame;
      return stream.began_s + (last * FRAME_MS) / 1000;
    }
    return from_s;
  }

  /** Return, for each of `n` columns from one Unix time to another: the loudest level, the voiced share, and so on. */
  columns(from_s, to_s, n) {
    const make = (value) => new Float32Array(n).fill(value);
    const out = { level: make(NaN), threshold: make(NaN), floor: make(NaN), voiced: make(0), bot: make(0) };
    const perFrame = (FRAME_MS / 1000 / (to_s - from_s)) * n;
    for (const stream of this._streams.values()) {
      const first = Math.max(0, Math.floor(((from_s - stream.began_s) * 1000) / FRAME_MS));
      const last = Math.min(stream.frames, Math.ceil(((to_s - stream.began_s) * 1000) / FRAME_MS));
      for (let frame = first; frame < last; frame += 1) {
        const x = ((stream.began_s + (frame * FRAME_MS) / 1000 - from_s) / (to_s - from_s)) * n;
        this._spread(stream, frame, out, Math.max(0, Math.floor(x)), Math.min(n, Math.max(Math.floor(x) + 1, Math.ceil(x + perFrame))));
      }
    }
    return out;
  }

  _spread(stream, frame, out, from, to) {
    const level = stream.level[frame];
    const threshold = stream.threshold[frame];
    const floor = stream.floor[frame];
    const bot = peakShare(stream.bot[frame]);
    for (let x = from; x < to; x += 1) {
      if (level !== undefined && level !== null && !(out.level[x] >= level)) out.level[x] = level;
      if (threshold !== undefined && threshold !== null) out.threshold[x] = threshold;
      if (floor !== undefined && floor !== null) out.floor[x] = floor;
      if (stream.voiced[frame]) out.voiced[x] = 1;
      if (bot > out.bot[x]) out.bot[x] = bot;
    }
  }
}
