"""Tables, JSON and picture of the load measurement."""

import importlib.util
import json
import os
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.harness.report import markdown_table, table
from bench.load.case import Case, Figures, figures_from
from bench.load.compare import beyond_plan_ms
from bench.load.rounds import Rounds, chosen

HEADING = (
    *(
        "server",
        "calls",
        "",
        "us a message",
        "of a core",
        "calls a core",
        "age p50, p99 ms",
        "beyond plan",
        "closed p50, p99 ms",
    ),
    *("ms a turn", "of it frames", "kB a call", "lost", "core not had"),
)

JSON = "load.json"
"""File with the figures of a run."""
PIECES = "pieces.json"
"""File with the CPU of each piece of work."""


def row_of(figures: Figures) -> list[str]:
    """Return the row of one case."""
    case, age, closed = figures.case, figures.age, figures.closed
    troubles = figures.late + figures.broken + figures.odd
    lost = (
        "" if figures.lost < 0 and not troubles else f"{max(0, figures.lost)}" + (f" +{troubles}" if troubles else "")
    )
    return [
        *(case.name, str(case.calls), "talking" if case.talks else "silent", f"{figures.us_a_message:.1f}"),
        *(f"{figures.busiest:.2f}", f"{figures.calls_a_core:,.0f}", f"{age.p50:.1f}, {age.p99:.1f}"),
        f"{beyond_plan_ms(figures):.1f}",
        f"{closed.p50:.1f}, {closed.p99:.1f}" if closed.count else "",
        *("" if ms is None else f"{ms:.1f}" for ms in (figures.turn_ms, figures.turn_frames_ms)),
        *(f"{figures.kb_a_call:.0f}", lost, f"{figures.waited:.0%}"),
    ]


def figures_table(found: Sequence[Figures]) -> str:
    """Return the table of the round of each case that counts."""
    return table([list(HEADING), *map(row_of, found)])


def machine() -> dict[str, Any]:
    """Return what the figures depend on: the processor, its cores, kernel and Python."""
    lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    model = next(
        (line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine()
    )
    return {
        "processor": model,
        "cores": len(os.sched_getaffinity(0)),
        "system": platform.release(),
        "python": platform.python_version(),
        "load": [round(each, 2) for each in os.getloadavg()],
    }


def document(rounds: Rounds, limit_rows: Sequence[Sequence[str]]) -> dict[str, Any]:
    """Return the JSON of a run: each case with the round that counts and all rounds, and the limits."""
    cases = [
        {"best": best.as_json(), "rounds": [figures.as_json() for figures in rounds[best.case]]}
        for best in chosen(rounds)
    ]
    return {"machine": machine(), "cases": cases, "limits": [list(row) for row in limit_rows]}


def read_document(folder: Path) -> dict[str, Any]:
    """Return the JSON of the run that was written to `folder`."""
    found: dict[str, Any] = json.loads((folder / JSON).read_text(encoding="utf-8"))
    return found


def write_json(folder: Path, made: dict[str, Any]) -> None:
    """Write the JSON of a run, or of what there is of it so far, to `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / JSON).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


def write_figures(folder: Path, made: dict[str, Any]) -> None:
    """Write the JSON of a run to `folder`, and its picture if matplotlib is there. `make docs` writes the tables."""
    write_json(folder, made)
    if importlib.util.find_spec("matplotlib"):
        from bench.load.picture import draw

        draw(folder / "images" / "load.png", best_figures(made))


def pieces_markdown(folder: Path) -> str:
    """Return the table of the pieces of work that were measured and written to `folder`."""
    found = json.loads((folder / PIECES).read_text(encoding="utf-8"))
    made = found["machine"]
    about = f"{made['processor']}, {made['cores']} cores, Python {made['python']}, load {made['load'][0]}."
    return f"{about}\n\n{markdown_table(['piece', 'once a', 'hot, us', 'cold, us'], found['rows'])}"


def rounds_of(made: dict[str, Any]) -> dict[Case, list[Figures]]:
    """Return all rounds of a run, by case."""
    found = [[figures_from(each) for each in case["rounds"]] for case in made["cases"] if "rounds" in case]
    return {of_case[0].case: of_case for of_case in found}


def best_figures(made: dict[str, Any]) -> list[Figures]:
    """Return the round of each case that counts."""
    return [figures_from(case["best"]) for case in made["cases"]]


def markdown(made: dict[str, Any]) -> str:
    """Return the tables of a run for a document."""
    found, on = best_figures(made), made["machine"]
    heading = [*HEADING[:2], "callers", *HEADING[3:]]
    lines = [
        f"{on['processor']}, {on['cores']} cores, Linux {on['system']}, Python {on['python']}, load {on['load'][0]:g}.",
        "",
        markdown_table(heading, map(row_of, found)),
        markdown_table(("limit", "found", "most", "kept"), made["limits"]),
        "![CPU of a media message, and what it waits, by server](images/load.png)",
        "",
    ]
    return "\n".join(lines)
