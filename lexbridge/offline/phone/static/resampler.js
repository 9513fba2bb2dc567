// Changing the sample rate of a stream, for browsers whose audio does not run at 8 kHz.

const ZERO_CROSSINGS = 16; // of the filter on each side: more would be later, fewer would let aliases through
const PHASES = 256; // of the filter between two samples: the error is far under mu-law's own

/** A windowed-sinc resampler. `push` takes samples as they come and returns those that are ready. */
export class Resampler {
  constructor(fromHz, toHz) {
    this.step = fromHz / toHz; // input samples to an output sample
    const width = Math.max(1, this.step);
    this.half = this.step === 1 ? 0 : Math.ceil(ZERO_CROSSINGS * width);
    this.input = new Float32Array(this.half);
    this.place = this.half; // of the next output sample, in input samples
    this.table = this.half ? filter(this.half, 0.92 / width) : null;
  }

  push(samples) {
    if (!this.half) return samples;
    const input = new Float32Array(this.input.length + samples.length);
    input.set(this.input);
    input.set(samples, this.input.length);
    const output = [];
    while (this.place + this.half < input.length) {
      output.push(this.sampleAt(input, this.place));
      this.place += this.step;
    }
    const used = Math.max(0, Math.floor(this.place) - this.half);
    this.input = input.slice(used);
    this.place -= used;
    return Float32Array.from(output);
  }

  sampleAt(input, place) {
    const whole = Math.floor(place);
    const taps = this.table[Math.round((place - whole) * PHASES)];
    let sum = 0;
    for (let k = 0; k < taps.length; k++) sum += taps[k] * input[whole - this.half + 1 + k];
    return sum;
  }
}

/** Return the filter's taps for each phase. `cutoff`: share of the input's highest frequency that passes. */
function filter(half, cutoff) {
  return Array.from({ length: PHASES + 1 }, (_, phase) => {
    const taps = Float32Array.from({ length: 2 * half }, (_, k) => {
      const distance = k - half + 1 - phase / PHASES;
      const x = Math.PI * distance * cutoff;
      const window = 0.5 + 0.5 * Math.cos((Math.PI * Math.min(half, Math.abs(distance))) / half);
      return cutoff * window * (x ? Math.sin(x) / x : 1);
    });
    const sum = taps.reduce((total, tap) => total + tap, 0);
    return taps.map((tap) => tap / sum);
  });
}
