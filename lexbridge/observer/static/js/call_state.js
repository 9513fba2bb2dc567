/** One call that is looked at: what the server knew when the page opened, and what has happened since. */

import { getJson } from "./api.js";
import { batch, signal } from "./html.js";
import { Levels } from "./levels.js";
import { follow, listOf, now_s, unfollow } from "./store.js";
import { buildTimeline, named } from "./timeline_model.js";

/** Time between two models of a live call's timeline, because a picture that moves ten times a second looks alive. */
const MODEL_MS = 100;
/** Time after which a known call is asked for again, if the server did not answer. */
const AGAIN_MS = 1000;

export class CallState {
  constructor(sid) {
    this.sid = sid;
    this.summary = signal(null);
    this.turns = signal([]);
    this.error = signal(null);
    /** Changes whenever the picture has to be drawn anew. */
    this.version = signal(0);
    /** Changes with the events and turns only, which are told of less often than the levels. */
    this.story = signal(0);
    this.events = [];
    this.streams = [];
    this.audio = {};
    this.levels = new Levels();
    this.model = null;
    this._hasNews = false;
    this._timer = null;
    this._isClosed = false;
    /** Numbers of the newest question, and of the newest one whose answer is shown. */
    this._asked = this._shown = 0;
    follow(sid, { fact: (event) => this._takeEvent(event), levels: (data) => this._takeLevels(data), turn: (turn) => this._takeTurn(turn), dropped: () => this.load() }, () => this.load());
    this.load();
  }

  close() {
    this._isClosed = true;
    clearTimeout(this._timer);
    unfollow(this.sid);
  }

  get isLive() {
    return this.summary.peek()?.state === "live";
  }

  get began_s() {
    return this.summary.peek()?.began_s ?? now_s.peek();
  }

  /** Unix time up to which there is something to see. */
  get ends_s() {
    const { ended_s } = this.summary.peek() ?? {};
    if (this.isLive) return Math.max(now_s.peek(), this.levels.endsAt_s);
    return Math.max(ended_s ?? 0, this.events.at(-1)?.at_s ?? 0, this.began_s + 1);
  }

  /** Ask for all that is known of the call. Answers may overtake one another: an older one never replaces a newer one. */
  async load() {
    const number = ++this._asked;
    try {
      const path = `calls/${encodeURIComponent(this.sid)}`;
      const [detail, levels] = await Promise.all([getJson(path), getJson(`${path}/levels`).catch(() => ({ streams: [] }))]);
      if (this._isClosed || number < this._shown) return;
      this._shown = number;
      batch(() => this._take(detail, levels));
    } catch (error) {
      if (this._isClosed || number < this._asked) return;
      this.error.value = error.status === 404 ? "The console does not know this call, or no longer." : error.message;
      if (error.status === undefined && this.summary.peek() !== null) setTimeout(() => this._isClosed || this.load(), AGAIN_MS);
    }
  }

  _take(detail, levels) {
    this.error.value = null;
    this.summary.value = detail.summary;
    this.events = detail.events.map(named);
    this.turns.value = inOrder(detail.turns.map(withTexts).map((turn) => this._withQueue(turn)));
    this.streams = detail.streams;
    this.audio = detail.audio ?? {};
    this.levels.merge(levels.streams ?? []);
    this._hasNews = true;
    this._changed();
  }

  _takeEvent(array) {
    const event = named(array);
    this.events.push(event);
    if (event.name === "stream-started" || event.name === "stream-described") {
      if (!this.streams.some((one) => one.stream_sid === event.stream_sid)) this.load();
    }
    if (event.name === "call-ended" || event.name === "call-left") setTimeout(() => this._isClosed || this.load(), 700);
    this._hasNews = true;
    this._changed();
  }

  _takeLevels(data) {
    this.levels.merge(listOf(data, "streams"));
    this._changed();
  }

  _takeTurn(turn) {
    const key = (one) => `${one.stream_sid}/${one.turn}`;
    const others = this.turns.peek().filter((one) => key(one) !== key(turn));
    this.turns.value = inOrder([...others, this._withQueue(withTexts(turn))]);
    this._hasNews = true;
    this._changed();
  }

  /** Return a turn with its wait for an earlier one, which files of older versions have in the event alone. */
  _withQueue(turn) {
    if (turn.queue_ms !== undefined) return turn;
    const told = this.events.findLast((one) => one.name === "turn-latency" && one.stream_sid === turn.stream_sid && one.fields.turn === turn.turn);
    return { ...turn, queue_ms: told?.fields.queue_ms ?? null };
  }

  /** Take the call's summary from the list, which is told with every change. The end of a call is asked for as a whole. */
  takeSummary(summary) {
    const known = this.summary.peek();
    if (known === null) return;
    if (summary.state !== known.state) this.load();
    else this.summary.value = summary;
  }

  /** Make the model of the timeline anew, soon. */
  _changed() {
    this._timer ??= setTimeout(() => {
      this._timer = null;
      batch(() => {
        this.model = buildTimeline({ ...this, summary: this.summary.peek() ?? {} });
        this.version.value += 1;
        if (this._hasNews) this.story.value += 1;
        this._hasNews = false;
      });
    }, this.model === null ? 0 : MODEL_MS);
  }
}

/** Return turns in the order in which the caller began to speak, which is not always that of their numbers. */
function inOrder(turns) {
  return turns.sort((a, b) => a.began_s - b.began_s);
}

/** Return a turn whose messages are texts. */
function withTexts(turn) {
  return { ...turn, messages: (turn.messages ?? []).map((one) => [one, one?.content, one?.text].find((text) => typeof text === "string") ?? "") };
}
