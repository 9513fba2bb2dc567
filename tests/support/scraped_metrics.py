"""What `/metrics` shows, read as Prometheus reads it, and checked by promtool where that is installed."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from lexbridge.telemetry.metric_table import METRICS, PREFIX, Kind, Metric


def samples_of(text: str) -> dict[str, float]:
    """Return the value of each sample, by names such as `lexbridge_turns_total{outcome="failed"}` with sorted labels.

    No sample may come twice.
    """
    samples: dict[str, float] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            name = f"{sample.name}{{{labels}}}" if labels else sample.name
            assert name not in samples, name
            samples[name] = sample.value
    return samples


def fallen(before: dict[str, float], after: dict[str, float]) -> list[str]:
    """Return the counters that are less than they were, or gone."""
    return [name for name, value in before.items() if _is_counter(name) and after.get(name, -1.0) < value]


def _is_counter(sample: str) -> bool:
    return re.match(r"\w+_(total|bucket|count|sum)\b", sample) is not None


def promtool(*arguments: str, text: str = "") -> str:
    """Run promtool, which comes with Prometheus, and return what it complains of. Skip the test where there is none.

    `text`: for its standard input. PROMTOOL names the program if it is not in PATH.
    """
    program = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if program is None:
        pytest.skip("promtool is not installed: it comes with Prometheus (Debian: apt install prometheus)")
    done = subprocess.run([program, *arguments], input=text, capture_output=True, text=True, check=False, timeout=120)
    return f"{done.stdout}{done.stderr}" if done.returncode else done.stderr


def metrics_named(text: str) -> Iterator[tuple[Metric, dict[str, str]]]:
    """Yield each metric that a text names, with the patterns that its labels have to match there.

    Fail for a metric or a label that does not exist.
    """
    for name, selector in re.findall(rf"\b{PREFIX}(\w+)(\{{[^{{}}]*\}})?", text):
        metric = METRICS.get(name) or METRICS.get(re.sub(r"_(bucket|count|sum)$", "", name))
        assert metric is not None, name
        assert name == metric.name or metric.kind is Kind.HISTOGRAM, name
        matchers = dict(re.findall(r'(\w+)=~?"([^"]*)"', selector))
        bucket = matchers.pop("le", None)
        assert {*matchers} <= {*metric.labels}, (name, matchers)
        assert bucket is None or float(bucket) in metric.buckets, (name, bucket)
        yield metric, matchers
