// Where the caller's voice comes from: a microphone, a sound file, or nowhere, for those who type.

import { element, fillSelect, showProblem } from "/page.js";
import { microphones } from "/sound.js";

const TYPED = "typed";
const FILE = "file";

/** The choice of a source for `sound`. `isOn()` and `isAnswered()` tell of the call. */
export class Source {
  constructor(sound, isOn, isAnswered) {
    this.sound = sound;
    this.isOn = isOn;
    this.isAnswered = isAnswered;
    this.file = null;
    element("source").onchange = () => this.use();
    element("choose-file").onclick = () => element("file").click();
    element("file").onchange = () => this.take(element("file").files[0]);
    navigator.mediaDevices?.addEventListener("devicechange", () => this.list());
    this.list();
  }

  /** Use what is chosen, if a call is on. */
  async use() {
    const chosen = element("source").value;
    if (!this.isOn() || !this.sound.context) return;
    if (chosen === TYPED) this.sound.silence();
    else if (chosen === FILE) await this.play();
    else await this.listen(chosen);
  }

  /** Begin to play the file, if one is chosen and somebody has answered. */
  async play() {
    if (!this.file || element("source").value !== FILE || !this.isAnswered()) return;
    try {
      await this.sound.useFile(this.file);
    } catch {
      showProblem(`${this.file.name} is no sound that this browser can play.`);
    }
  }

  async listen(deviceId) {
    try {
      await this.sound.useMicrophone(deviceId);
      await this.list(); // by now the microphones have names
    } catch (error) {
      const why = error.message || error.name;
      showProblem(`There is no microphone (${why}). Type what you want to say, or drop a WAV file.`);
      element("source").value = TYPED;
    }
  }

  /** Take a sound file, and choose it. */
  async take(file) {
    if (!file) return;
    this.file = file;
    await this.list(FILE);
    await this.use();
  }

  /** List what can be chosen. */
  async list(chosen = element("source").value) {
    const found = await microphones();
    const named = found.map((device, k) => [device.deviceId, device.label || `Microphone ${k + 1}`]);
    const usual = named.some(([id]) => id === "default") ? [] : [["", "Usual microphone"]];
    const files = this.file ? [[FILE, `File: ${this.file.name}`]] : [];
    const all = [...usual, ...named, ...files, [TYPED, "What I type"]];
    fillSelect(element("source"), all, all.some(([id]) => id === chosen) ? chosen : all[0][0]);
  }
}
