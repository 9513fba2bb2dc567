// G.711 mu-law, as telephone networks code each sample in a byte.

const BIAS = 0x84;
const CLIP = 32635;

/** Return the mu-law byte of a sample from -1 to 1. */
export function encode(sample) {
  const value = Math.max(-CLIP, Math.min(CLIP, Math.round(sample * 32768)));
  const sign = value < 0 ? 0x80 : 0;
  const biased = Math.abs(value) + BIAS;
  const exponent = Math.max(0, 24 - Math.clz32(biased));
  return ~(sign | (exponent << 4) | ((biased >> (exponent + 3)) & 15)) & 255;
}

/** Return the sample of a mu-law byte, from -1 to 1. */
export function decode(byte) {
  const code = ~byte & 255;
  const value = ((((code & 15) << 3) + BIAS) << ((code >> 4) & 7)) - BIAS;
  return (code & 0x80 ? -value : value) / 32768;
}
