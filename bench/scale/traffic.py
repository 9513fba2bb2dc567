"""Traffic: when calls come, and how long they last."""

from dataclasses import dataclass

import numpy as np

from bench.scale.constants import CALL_MEAN_S, CALL_SIGMA, LONGEST_CALL_S

DAY_S = 86_400
# Share of the busiest hour's calls, from midnight: an assumed working day with a peak before noon and one after.
HOURLY = [
    *(0.06, 0.04, 0.03, 0.03, 0.04, 0.08, 0.18, 0.38, 0.70, 0.92, 1.00, 0.95),
    *(0.80, 0.86, 0.96, 0.94, 0.88, 0.75, 0.58, 0.42, 0.30, 0.20, 0.14, 0.09),
]


@dataclass(frozen=True, slots=True)
class Burst:
    """Burst of calls, as after a television programme: `times` as many from a moment on, for a while."""

    at_s: int
    lasts_s: int
    times: float


@dataclass(frozen=True, slots=True)
class Lengths:
    """Log-normal lengths of calls, seconds."""

    mean_s: float = CALL_MEAN_S.value
    sigma: float = CALL_SIGMA.value
    longest_s: int = int(LONGEST_CALL_S.value)

    def draw(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Return whole seconds, at least one, rounded at random so that the mean stays."""
        median_s = self.mean_s / np.exp(self.sigma**2 / 2)
        drawn = median_s * np.exp(self.sigma * rng.standard_normal(count))
        return np.asarray(np.clip(np.floor(drawn + rng.random(count)), 1, self.longest_s - 1), dtype=np.int64)


def rates(
    peak_calls: float, mean_s: float, seconds: int, *, daily: bool = True, burst: Burst | None = None
) -> np.ndarray:
    """Return the expected number of new calls for each second from midnight on.

    At the peak `peak_calls` are live on average.
    """
    at_s = np.arange(seconds)
    hours = np.arange(len(HOURLY) + 1)
    share = np.interp(at_s % DAY_S / 3600, hours, [*HOURLY, HOURLY[0]]) if daily else np.ones(seconds)
    found = peak_calls / mean_s * share
    if burst is not None:
        found[burst.at_s : burst.at_s + burst.lasts_s] *= burst.times
    return found
