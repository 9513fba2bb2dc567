/** The part of a call that a timeline shows: zoom, move, follow. Pure but for its signals. */

import { signal } from "./html.js";

/** Least time across the picture, because a frame is 20 ms. */
const LEAST_S = 0.4;
/** Time across the picture while it follows a live call, because more is too small to read. */
const FOLLOWED_S = 20;

export class View {
  constructor(call) {
    this._call = call;
    /** {from_s, to_s} in Unix seconds, or null for the whole call. */
    this.window = signal(null);
    this.isFollowing = signal(true);
    /** Unix time of the cursor, or null. */
    this.cursor_s = signal(null);
  }

  /** The whole of the call, with a little room at its end. */
  get whole() {
    const { began_s, ends_s } = this._call;
    return { from_s: began_s, to_s: Math.max(began_s + 4, ends_s + (ends_s - began_s) * 0.01) };
  }

  get shown() {
    if (this._call.isLive && this.isFollowing.peek()) {
      const { from_s, to_s } = this.whole;
      return { from_s: Math.max(from_s, to_s - FOLLOWED_S), to_s: Math.max(to_s, from_s + FOLLOWED_S) };
    }
    return this.window.peek() ?? this.whole;
  }

  /** Zoom by a factor (below 1: in) around a Unix time, by default the cursor, the newest speech in the picture, or the middle. */
  zoom(factor, around_s) {
    const { from_s, to_s } = this.shown;
    const cursor_s = this.cursor_s.peek();
    const isCursorShown = cursor_s !== null && cursor_s >= from_s && cursor_s <= to_s;
    const at = around_s ?? (isCursorShown ? cursor_s : (this._newestSpeech_s(from_s, to_s) ?? (from_s + to_s) / 2));
    const span_s = Math.max(LEAST_S, (to_s - from_s) * factor);
    this._set(at - ((at - from_s) / (to_s - from_s)) * span_s, span_s);
  }

  _newestSpeech_s(from_s, to_s) {
    const starts = [...(this._call.model?.turns.values() ?? [])].map((turn) => turn.voice_s).filter((at_s) => at_s >= from_s && at_s <= to_s);
    return starts.length ? Math.max(...starts) : null;
  }

  /** Move by seconds. */
  move(by_s) {
    const { from_s, to_s } = this.shown;
    this._set(from_s + by_s, to_s - from_s);
  }

  /** Show a span with room around it. */
  show(from_s, to_s) {
    const room_s = Math.max(1, (to_s - from_s) * 0.35);
    this._set(from_s - room_s, to_s - from_s + 2 * room_s);
  }

  /** Have a Unix time in the picture. */
  reveal(at_s) {
    const { from_s, to_s } = this.shown;
    if (at_s < from_s || at_s > to_s) this._set(at_s - (to_s - from_s) * 0.1, to_s - from_s);
  }

  fit() {
    this.isFollowing.value = false;
    this.window.value = null;
  }

  follow() {
    this.isFollowing.value = true;
    this.cursor_s.value = null;
  }

  setCursor(at_s) {
    const { from_s, to_s } = this.whole;
    this.cursor_s.value = Math.min(to_s, Math.max(from_s, at_s));
  }

  _set(from_s, span_s) {
    const whole = this.whole;
    this.isFollowing.value = false;
    if (span_s >= whole.to_s - whole.from_s) this.window.value = null;
    else {
      const first = Math.min(Math.max(from_s, whole.from_s), whole.to_s - span_s);
      this.window.value = { from_s: first, to_s: first + span_s };
    }
  }
}
