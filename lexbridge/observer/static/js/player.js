/** Playing a call's audio in step with its timeline: the browser's own <audio>, and where in the call it is. */

import { address } from "./api.js";
import { signal } from "./html.js";

export class Player {
  /** `call`: whose audio it is; `view`: whose cursor moves with it. */
  constructor(call, view) {
    this._call = call;
    this._view = view;
    this.isPlaying = signal(false);
    this.error = signal(null);
    this._audio = new Audio();
    this._audio.preload = "none";
    this._loadedFor = null;
    this._audio.onended = () => (this.isPlaying.value = false);
    this._audio.onpause = () => (this.isPlaying.value = false);
    this._audio.onerror = () => this._failed();
  }

  close() {
    this._audio.pause();
    this._audio.removeAttribute("src");
  }

  /** Play from the cursor, or pause. */
  toggle() {
    if (this.isPlaying.peek()) this._audio.pause();
    else this._play();
  }

  /** Go to a Unix time, playing or not. */
  seek(unix_s) {
    this._view.setCursor(unix_s);
    if (this.isPlaying.peek()) this._audio.currentTime = Math.max(0, this._view.cursor_s.peek() - this._starts_s);
  }

  /** Unix time of the first sample: the recording begins with the first audio that was kept. */
  get _starts_s() {
    const { caller = [], bot = [] } = this._call.audio;
    const begins = [...caller, ...bot].map(([start_s]) => start_s);
    return begins.length ? Math.min(...begins) : this._call.began_s;
  }

  async _play() {
    const cursor_s = this._view.cursor_s.peek();
    const whole = this._view.whole;
    const from_s = cursor_s === null || cursor_s > whole.to_s - 0.3 ? this._starts_s : cursor_s;
    this.error.value = null;
    // A live call's recording grows, so it is fetched anew.
    if (this._loadedFor === null || this._call.isLive) {
      this._loadedFor = this._call.sid;
      this._audio.src = address(`calls/${encodeURIComponent(this._call.sid)}/wav`);
    }
    this._view.isFollowing.value = false;
    this.isPlaying.value = true;
    try {
      this._audio.currentTime = Math.max(0, from_s - this._starts_s);
      await this._audio.play();
    } catch (error) {
      if (error.name !== "AbortError") this._failed();
      return;
    }
    this._step();
  }

  _failed() {
    if (!this._audio.hasAttribute("src")) return;
    this.isPlaying.value = false;
    this._loadedFor = null;
    this.error.value = "The audio of this call cannot be played: it is not kept, or no longer.";
  }

  _step() {
    if (!this.isPlaying.peek()) return;
    const at_s = this._starts_s + this._audio.currentTime;
    this._view.setCursor(at_s);
    this._view.reveal(at_s);
    requestAnimationFrame(() => this._step());
  }
}
