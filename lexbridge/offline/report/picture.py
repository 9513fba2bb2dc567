"""A picture of a call: both voices, the voiced frames, the Lex requests, the replies, and how long each took."""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from lexbridge.audio.pcm import FRAME_MS, FULL_SCALE, MULAW_FRAME_BYTES, RATE_HZ, decode_mulaw
from lexbridge.audio.vad import AmplitudeDetector
from lexbridge.offline.report.spoken_turns import SpokenTurn

if TYPE_CHECKING:  # matplotlib takes half a second to import, and only this file wants it
    from matplotlib.axes import Axes

VOICE_THRESHOLD = 500  # the bridge's default: the band shows the frames its detector takes for voice
INCHES_A_SECOND = 0.42
CHARACTERS_AN_INCH = 13.5
ENVELOPE_MS = 10
SPEECH_LINES = 5  # of words: no room for more

INK = "#22313f"
FAINT = "#8795a1"
CALLER = "#2f6fb2"
BOT = "#2e8b6f"
LEX = "#e08e0b"
LEX_THINKS = "#b23a48"
KEYS = "#6b3fa0"
CUT = "#d1232a"


@dataclass(frozen=True, slots=True)
class Speech:
    """Words on the line, from `began_s` to `ended_s` of the recording."""

    began_s: float
    ended_s: float
    text: str


@dataclass(frozen=True, slots=True)
class LexSpan:
    """A Lex request on the recording's time: open, closed, answered; seconds."""

    opened_s: float
    closed_s: float
    answered_s: float
    heard: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Key:
    """The caller presses a key."""

    at_s: float
    digit: str


@dataclass(frozen=True, slots=True)
class Cut:
    """The bridge stops a prompt; `unheard_s` of it were still to come."""

    at_s: float
    unheard_s: float


@dataclass(frozen=True, slots=True)
class CallPicture:
    """The contents of a picture. All times, those of the turns too, are seconds of the recording."""

    title: str
    caller_mulaw: bytes
    bot_mulaw: bytes
    caller_speech: Sequence[Speech]
    bot_speech: Sequence[Speech]
    lex: Sequence[LexSpan]
    turns: Sequence[SpokenTurn]
    keys: Sequence[Key] = ()
    cuts: Sequence[Cut] = ()


def draw(path: Path, picture: CallPicture) -> None:
    """Write the picture as a PNG. Raises ImportError without matplotlib, OSError if the file cannot be written."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    length_s = max(1.0, len(picture.caller_mulaw) / RATE_HZ)
    width = min(60.0, max(12.0, length_s * INCHES_A_SECOND))
    figure = Figure(figsize=(width, 6.9), dpi=120, facecolor="white")
    FigureCanvasAgg(figure)
    margin = 1.15 / width
    grid = figure.add_gridspec(
        4, 1, height_ratios=[3, 0.4, 1.35, 3], hspace=0.0, left=margin, right=1 - 0.25 / width, top=0.86, bottom=0.085
    )
    caller, voiced, lex, bot = (figure.add_subplot(grid[row, 0]) for row in range(4))
    inches = (width - 1.4) / length_s
    _voice(caller, picture.caller_mulaw, picture.caller_speech, CALLER, "caller", inches, above=True)
    _voiced_frames(voiced, picture.caller_mulaw)
    _lex_requests(lex, picture.lex, inches)
    _voice(bot, picture.bot_mulaw, picture.bot_speech, BOT, "bot", inches, above=False)
    for axes in (caller, voiced, lex, bot):
        _frame(axes, length_s, last=axes is bot)
        _latencies(axes, picture.turns, labelled=axes is caller)
        for cut in picture.cuts:
            axes.axvline(cut.at_s, color=CUT, linewidth=1.4, linestyle=(0, (4, 2)))
    _pressed(caller, picture.keys)
    _cut(bot, picture.cuts)
    bot.set_xlabel("seconds since the call was answered", color=INK, fontsize=10)
    figure.text(margin, 0.955, picture.title, color=INK, fontsize=16, fontweight="bold", va="center")
    figure.text(margin, 0.913, _summary(picture), color=FAINT, fontsize=11, va="center")
    _legend(figure, width, picture)
    figure.savefig(path)


def _summary(picture: CallPicture) -> str:
    replies_s = [turn.replied_s - turn.ended_s for turn in picture.turns if turn.replied_s is not None]
    count = ", ".join(
        [
            _count(len(picture.turns), "turn"),
            *([_count(len(picture.cuts), "interruption")] if picture.cuts else []),
            *([_count(len(picture.keys), "key")] if picture.keys else []),
        ]
    )
    if not replies_s:
        return f"{count}, no reply"
    return f"{count}; the bot is heard {median(replies_s):.2f} s after the caller falls silent (median)"


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"


def _legend(figure: Any, width: float, picture: CallPicture) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    entries: list[Patch | Line2D] = [
        Patch(color=CALLER, label="voiced frame"),
        Patch(color=LEX, label="audio flows to Lex"),
        Patch(color=LEX_THINKS, label="Lex thinks"),
        Patch(color=INK, alpha=0.14, label="end of speech to reply"),
    ]
    if picture.keys:
        entries.append(Patch(facecolor="white", edgecolor=KEYS, label="key pressed"))
    if picture.cuts:
        entries.append(Line2D([], [], color=CUT, linewidth=1.4, linestyle=(0, (4, 2)), label="prompt interrupted"))
    figure.legend(
        handles=entries, loc="upper right", ncols=len(entries) if len(entries) <= 4 else 3,
        frameon=False, fontsize=9, labelcolor=INK,
        bbox_to_anchor=(1 - 0.2 / width, 0.985), handlelength=1.2, columnspacing=1.6,
    )  # fmt: skip


def _frame(axes: "Axes", length_s: float, *, last: bool) -> None:
    axes.set_xlim(0, length_s)
    axes.set_yticks([])
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom" and last)
        spine.set_color(FAINT)
    axes.tick_params(axis="x", bottom=last, labelbottom=last, colors=INK, labelsize=9)
    step_s = 2 if length_s <= 60 else 5
    axes.set_xticks(np.arange(0, length_s, step_s))
    axes.grid(visible=True, axis="x", color=FAINT, alpha=0.18, linewidth=0.8)
    axes.set_axisbelow(True)


def _name(axes: "Axes", name: str, colour: str, at: float) -> None:
    """The row's name, left of it, at the height `at` of its own scale."""
    axes.annotate(
        name, (0, at), xytext=(-12, 0), xycoords=("axes fraction", "data"), textcoords="offset points",
        color=colour, fontsize=12, fontweight="bold", ha="right", va="center", annotation_clip=False,
    )  # fmt: skip


def envelope(mulaw: bytes) -> npt.NDArray[np.float64]:
    """Return the loudest sample of each 10 ms, 0 to 1."""
    samples = np.abs(np.frombuffer(decode_mulaw(mulaw), "<i2").astype(np.float64)) / FULL_SCALE
    step = RATE_HZ * ENVELOPE_MS // 1000
    whole: npt.NDArray[np.float64] = samples[: len(samples) // step * step].reshape(-1, step).max(axis=1)
    return whole


def _voice(
    axes: "Axes", mulaw: bytes, speech: Sequence[Speech], colour: str, name: str, inches: float, *, above: bool
) -> None:
    heights = envelope(mulaw)
    heights = heights / max(0.05, float(heights.max(initial=0.0))) * 0.92
    times_s = np.arange(len(heights)) * ENVELOPE_MS / 1000
    # The wave takes a good half of the height; the words have the rest, on the outer side.
    axes.axhline(0, color=colour, alpha=0.35, linewidth=0.8)
    axes.fill_between(times_s, -heights, heights, color=colour, alpha=0.9, linewidth=0)
    axes.set_ylim((-1.05, 2.55) if above else (-2.55, 1.15))
    _name(axes, name, colour, 0)
    for place, words in enumerate(speech):
        until_s = speech[place + 1].began_s if place + 1 < len(speech) else times_s[-1] if len(times_s) else 0.0
        room = max(12, int((until_s - words.began_s) * inches * CHARACTERS_AN_INCH) - 2)
        axes.text(
            words.began_s, 1.15 if above else -1.15,
            "\n".join(textwrap.wrap(f"“{words.text}”", room, max_lines=SPEECH_LINES, placeholder=" …”")),
            color=INK, fontsize=9, ha="left", va="bottom" if above else "top", linespacing=1.15, clip_on=False,
        )  # fmt: skip


def _pressed(axes: "Axes", keys: Sequence[Key]) -> None:
    """Each key as a little cap over the caller's wave."""
    for key in keys:
        axes.text(
            key.at_s, 1.3, key.digit, color=KEYS, fontsize=8, fontweight="bold", ha="left", va="center",
            bbox={"boxstyle": "round,pad=0.18", "facecolor": "white", "edgecolor": KEYS, "linewidth": 0.9},
        )  # fmt: skip


def _cut(axes: "Axes", cuts: Sequence[Cut]) -> None:
    """Draw where a prompt stopped, and how much of it the caller did not hear."""
    for cut in cuts:
        axes.text(
            cut.at_s, 0.98, f" ✕ {cut.unheard_s:.1f} s not heard", color=CUT, fontsize=8.5, fontweight="bold",
            ha="left", va="center",
        )  # fmt: skip


def _voiced_frames(axes: "Axes", mulaw: bytes) -> None:
    detector = AmplitudeDetector(VOICE_THRESHOLD)
    spans = [
        (place / RATE_HZ, FRAME_MS / 1000)
        for place in range(0, len(mulaw) - MULAW_FRAME_BYTES + 1, MULAW_FRAME_BYTES)
        if detector.is_voiced(decode_mulaw(mulaw[place : place + MULAW_FRAME_BYTES]))
    ]
    axes.broken_barh(spans, (0.15, 0.7), color=CALLER, linewidth=0)
    axes.set_ylim(0, 1)
    _name(axes, "voiced", CALLER, 0.5)


def _lex_requests(axes: "Axes", spans: Sequence[LexSpan], inches: float) -> None:
    axes.set_ylim(0, 1)
    _name(axes, "Lex", LEX, 0.77)
    for place, span in enumerate(spans):
        axes.broken_barh([(span.opened_s, span.closed_s - span.opened_s)], (0.66, 0.22), color=LEX, linewidth=0)
        axes.broken_barh(
            [(span.closed_s, span.answered_s - span.closed_s)], (0.66, 0.22), color=LEX_THINKS, linewidth=0
        )
        until_s = spans[place + 1].opened_s if place + 1 < len(spans) else span.opened_s + 8
        room = max(12, int((until_s - span.opened_s) * inches * CHARACTERS_AN_INCH) - 2)
        lines = [*textwrap.wrap(span.heard, room)[:2], span.outcome]
        axes.text(
            span.opened_s, 0.6, "\n".join(lines), color=INK, fontsize=8, ha="left", va="top", linespacing=1.15
        )  # fmt: skip


def _latencies(axes: "Axes", turns: Sequence[SpokenTurn], *, labelled: bool) -> None:
    for turn in turns:
        if turn.replied_s is None:
            continue
        axes.axvspan(turn.ended_s, turn.replied_s, color=INK, alpha=0.09, linewidth=0, zorder=0)
        if labelled:
            axes.text(
                (turn.ended_s + turn.replied_s) / 2, 2.42, f"{turn.replied_s - turn.ended_s:.2f} s",
                color=INK, fontsize=10, fontweight="bold", ha="center", va="top",
            )  # fmt: skip
