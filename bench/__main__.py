"""Command line of the measurements: `python -m bench` lists them, `python -m bench NAME [arguments]` runs one."""

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from itertools import groupby

from bench.registry import BENCHMARKS, Benchmark, find

USAGE = "usage: python -m bench NAME [arguments]      (python -m bench NAME --help tells the arguments)"


def main(arguments: Sequence[str]) -> int:
    """Run the measurement that `arguments` name, or list all. Return the exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        print(listing())
        return 0
    name, *rest = arguments
    benchmark = find(name)
    if benchmark is None:
        print(f"no measurement is called {name!r}\n\n{listing()}", file=sys.stderr)
        return 2
    missing = missing_packages(benchmark)
    if missing and not {"-h", "--help"} & {*rest}:
        print(f"{name} needs {', '.join(missing)}: pip install -r {benchmark.requirements}", file=sys.stderr)
        return 2
    return run(benchmark, rest)


def listing() -> str:
    """Return the usage line and one line for each measurement, grouped by folder."""
    width = max(map(len, BENCHMARKS))
    lines = [USAGE]
    for group, members in groupby(BENCHMARKS.items(), lambda item: item[1].group):
        lines += ["", f"{group}:", *(f"  {name:{width}}  {benchmark.help}" for name, benchmark in members)]
    return "\n".join(lines)


def missing_packages(benchmark: Benchmark) -> list[str]:
    """Return the packages that the measurement needs and that are not installed."""
    return [package for module, package in benchmark.packages.items() if importlib.util.find_spec(module) is None]


def run(benchmark: Benchmark, arguments: Sequence[str]) -> int:
    """Import the measurement and run it. Return its exit status."""
    if benchmark.on_gevent:
        from gevent import monkey

        # Before the module is imported, so that no socket is made by the unpatched library.
        monkey.patch_all()
    status: int = importlib.import_module(benchmark.module).main(arguments)
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
