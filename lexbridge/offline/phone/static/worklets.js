// The two ends of the line in the browser's audio thread: 20 ms of mu-law each way.

import { decode, encode } from "/mulaw.js";
import { Resampler } from "/resampler.js";

const RATE_HZ = 8000;
const FRAME_SAMPLES = 160;
const START_FRAMES = 3; // that wait before the voice begins: 60 ms, for what the network brings late
const SPARE_FRAMES = 5; // that may wait all the time
const MOST_FRAMES = 12; // that may wait now and then: beyond that the bot's pauses are shortened
const LONGEST_FRAMES = 200; // that wait at most: beyond that the words belong to another moment of the call
const LOOK_BACK_FRAMES = 250; // over which the waiting ones are watched
const PAUSE_FRAMES = 10; // quiet ones in a row that are a pause: no sound within a word is quiet for so long
const QUIET = 0.002; // level of a frame that nobody hears: -54 dBFS

function level(samples) {
  let power = 0;
  for (const sample of samples) power += sample * sample;
  return Math.sqrt(power / samples.length);
}

/** The mouthpiece: posts each 20 ms of what it is given, as mu-law with its level. */
class Mouthpiece extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(sampleRate, RATE_HZ);
    this.frame = new Float32Array(FRAME_SAMPLES);
    this.filled = 0;
  }

  process(inputs) {
    const channel = inputs[0][0]; // of a stereo recording the left one: the caller's
    if (channel) for (const sample of this.resampler.push(channel)) this.take(sample);
    return true;
  }

  take(sample) {
    this.frame[this.filled++] = sample;
    if (this.filled < FRAME_SAMPLES) return;
    this.filled = 0;
    const mulaw = Uint8Array.from(this.frame, encode);
    this.port.postMessage({ mulaw, level: level(this.frame) }, [mulaw.buffer]);
  }
}

/** The earpiece: plays mu-law frames, and posts the level of each as it is played. No word is cut, however late. */
class Earpiece extends AudioWorkletProcessor {
  constructor() {
    super();
    this.resampler = new Resampler(RATE_HZ, sampleRate);
    this.frames = []; // each {samples, level}
    this.playing = false;
    this.quiet = 0; // frames in a row
    this.samples = new Float32Array(0);
    this.place = 0;
    this.counts = { played: 0, starved: 0, dropped: 0 };
    this.least = LONGEST_FRAMES;
    this.watched = 0;
    this.surplus = 0; // frames that waited all the time, beyond what the network needs
    this.port.onmessage = ({ data }) => this.take(data);
  }

  take(mulaw) {
    const samples = Float32Array.from(mulaw, decode);
    this.frames.push({ samples, level: level(samples) });
    if (this.frames.length > LONGEST_FRAMES) this.drop();
    if (this.frames.length >= START_FRAMES) this.playing = true;
  }

  drop() {
    this.frames.shift();
    this.counts.dropped++;
  }

  next() {
    if (this.playing && !this.frames.length) {
      this.playing = false;
      this.counts.starved++;
    }
    if (!this.playing) return new Float32Array(FRAME_SAMPLES);
    this.shortenPause();
    const frame = this.frames.shift();
    this.quiet = frame.level < QUIET ? this.quiet + 1 : 0;
    this.watch();
    this.counts.played++;
    this.port.postMessage({ level: frame.level, waiting: this.frames.length, ...this.counts });
    return frame.samples;
  }

  /** Drop a frame of a pause if more wait than may: one for each that is played, so that a pause stays one. */
  shortenPause() {
    const isPause = this.quiet >= PAUSE_FRAMES && this.frames[0].level < QUIET;
    if (!isPause || !(this.frames.length > MOST_FRAMES || (this.surplus && this.frames.length > 1))) return;
    this.surplus = Math.max(0, this.surplus - 1);
    this.drop();
  }

  /** Find out how many frames wait all the time. */
  watch() {
    this.least = Math.min(this.least, this.frames.length);
    if (++this.watched < LOOK_BACK_FRAMES) return;
    this.surplus = Math.max(0, this.least - SPARE_FRAMES);
    this.watched = 0;
    this.least = LONGEST_FRAMES;
  }

  process(_, outputs) {
    const channel = outputs[0][0];
    for (let k = 0; k < channel.length; k++) {
      while (this.place >= this.samples.length) {
        this.samples = this.resampler.push(this.next());
        this.place = 0;
      }
      channel[k] = this.samples[this.place++];
    }
    return true;
  }
}

registerProcessor("mouthpiece", Mouthpiece);
registerProcessor("earpiece", Earpiece);
