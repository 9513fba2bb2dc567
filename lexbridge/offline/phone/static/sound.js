// The browser's audio: a microphone or a sound file for the caller, the loudspeaker for the bot.

const RATE_HZ = 8000;
const MICROPHONE = { echoCancellation: true, noiseSuppression: false, autoGainControl: true }; // as telephones have it

/** The caller's mouth and ear. `spoke(mulaw, level)` has each 20 ms of the caller, `heard(figures)` each of the bot. */
export class Sound {
  constructor(spoke, heard) {
    this.spoke = spoke;
    this.heard = heard;
    this.context = null;
    this.source = null;
    this.file = null;
    this.turn = 0;
  }

  /** Open the loudspeaker. A click has to have caused it: browsers want that. */
  async open(rateHz = Number(new URLSearchParams(location.search).get("rate")) || RATE_HZ) {
    if (this.context) return this.context.resume();
    this.context = newContext(rateHz);
    await this.context.audioWorklet.addModule("/worklets.js");
    this.mouthpiece = new AudioWorkletNode(this.context, "mouthpiece", { outputChannelCount: [1] });
    this.mouthpiece.port.onmessage = ({ data }) => this.spoke(data.mulaw, data.level);
    this.mouthpiece.connect(this.context.destination); // it is silent: some browsers run only what is connected
    this.earpiece = new AudioWorkletNode(this.context, "earpiece", { numberOfInputs: 0, outputChannelCount: [1] });
    this.earpiece.port.onmessage = ({ data }) => this.heard(data);
    this.earpiece.connect(this.context.destination);
    return this.context.resume();
  }

  /** Play 20 ms of the bot's voice. */
  play(mulaw) {
    this.earpiece?.port.postMessage(mulaw);
  }

  /** Take the caller's voice from a microphone. It throws where there is none, or none is allowed. */
  async useMicrophone(deviceId) {
    const turn = this.silence();
    if (!navigator.mediaDevices) throw new Error("this page needs https or localhost for a microphone");
    const audio = deviceId ? { ...MICROPHONE, deviceId: { exact: deviceId } } : MICROPHONE;
    const stream = await navigator.mediaDevices.getUserMedia({ audio });
    const stop = () => stream.getTracks().forEach((track) => track.stop());
    if (turn !== this.turn) return stop(); // something else was chosen meanwhile
    let node;
    try {
      node = this.context.createMediaStreamSource(stream);
    } catch (error) {
      if (error.name !== "NotSupportedError" || this.context.sampleRate !== RATE_HZ) throw error;
      await this.reopen(); // Firefox takes a microphone only at the rate of the sound card
      node = this.context.createMediaStreamSource(stream);
    }
    this.use(node, stop);
  }

  /** Take the caller's voice from a sound file, from its beginning. */
  async useFile(file) {
    const turn = this.silence();
    const sound = await this.context.decodeAudioData(await file.arrayBuffer());
    if (turn !== this.turn) return;
    const node = new AudioBufferSourceNode(this.context, { buffer: sound });
    this.use(node, () => node.stop());
    node.start();
  }

  /** Take the caller's voice from nowhere. */
  silence() {
    this.source?.node.disconnect();
    this.source?.stop();
    this.source = null;
    return ++this.turn;
  }

  use(node, stop) {
    node.connect(this.mouthpiece);
    this.source = { node, stop };
  }

  async reopen() {
    await this.context.close();
    this.context = null;
    await this.open(null);
  }
}

/** Return the microphones that may be chosen. Their names are known once one was allowed. */
export async function microphones() {
  if (!navigator.mediaDevices) return [];
  const devices = await navigator.mediaDevices.enumerateDevices();
  return devices.filter((device) => device.kind === "audioinput" && device.deviceId);
}

/** Return an audio context at this rate, or at the sound card's where that is impossible: the worklets resample. */
function newContext(rateHz) {
  const options = { latencyHint: "interactive" };
  try {
    return new AudioContext(rateHz ? { ...options, sampleRate: rateHz } : options);
  } catch {
    return new AudioContext(options);
  }
}
