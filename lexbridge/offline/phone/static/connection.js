// The one WebSocket to the phone's server. It comes back by itself when the server does.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 5000;

/** A connection. `took(message)` has each JSON message, `played(mulaw)` each 20 ms, `changed(isOpen)` its state. */
export class Connection {
  constructor(took, played, changed) {
    this.took = took;
    this.played = played;
    this.changed = changed;
    this.waitMs = FIRST_WAIT_MS;
    this.open();
  }

  open() {
    const address = new URL("/line", location.href);
    address.protocol = address.protocol.replace("http", "ws");
    this.socket = new WebSocket(address);
    this.socket.binaryType = "arraybuffer";
    this.socket.onopen = () => {
      this.waitMs = FIRST_WAIT_MS;
      this.changed(true);
    };
    this.socket.onmessage = ({ data }) => {
      if (typeof data === "string") this.took(JSON.parse(data));
      else this.played(new Uint8Array(data));
    };
    this.socket.onclose = () => {
      this.changed(false);
      setTimeout(() => this.open(), this.waitMs);
      this.waitMs = Math.min(LONGEST_WAIT_MS, 2 * this.waitMs);
    };
  }

  /** Tell the server to do something. */
  tell(message) {
    if (this.socket.readyState === WebSocket.OPEN) this.socket.send(JSON.stringify(message));
  }

  /** Send 20 ms of the caller's voice. Nothing waits: a late voice is worse than a hole. */
  speak(mulaw) {
    if (this.socket.readyState === WebSocket.OPEN && this.socket.bufferedAmount < 8000) this.socket.send(mulaw);
  }
}
