"""Simulation of calls on ECS at three sizes: how many are refused and moved, and how many tasks it takes.

Calls come by the curve of a working day and have log-normal lengths; tasks take time to start; the metric is late;
scaling, protection, deregistration, draining and deployments work as AWS documents them and as the templates and the
code have them. The last table lists what is documented, what is our own, and what is assumed. Nothing was compared with
real AWS. Seeded.

    python -m bench scale                    # the tables, some minutes
    python -m bench scale --write docs       # into docs/scale-figures.md too, with a picture (needs matplotlib)
"""

from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from bench.harness.arguments import make_parser
from bench.scale import report
from bench.scale.scenarios import days, deployments
from bench.scale.simulation import simulate


def main(arguments: Sequence[str]) -> int:
    """Run the measurement. Return its exit status."""
    parser = make_parser("scale", __doc__)
    parser.add_argument("--write", type=Path, metavar="FOLDER", help="write scale-figures.md and a picture into it")
    parser.add_argument("--processes", type=int, default=1, help="number of processes (default: %(default)s)")
    options = parser.parse_args(arguments)
    sized, deployed = days(), deployments()
    with ProcessPoolExecutor(options.processes) as pool:
        outcomes = list(pool.map(simulate, [plan for _, plan in sized] + list(deployed)))
    of_days = [(size, outcome) for (size, _), outcome in zip(sized, outcomes, strict=False)]
    text = report.page(of_days, outcomes[len(sized) :])
    print(text)
    if options.write is not None:
        from bench.scale.picture import draw

        (options.write / "scale-figures.md").write_text(text, encoding="utf-8")
        draw(options.write / "images" / "scale-day.png", [outcome for size, outcome in of_days if size == "10,000"])
    return 0
