"""Profiles of Hypothesis: few examples on a desk, many in CI, far more at night.

`pytest --hypothesis-profile=nightly` names a profile; otherwise the environment variable CI decides.
"""

import os

from hypothesis import HealthCheck, settings

FACTORS = {"quick": 0.2, "thorough": 1.0, "nightly": 10.0}
"""Factor of each profile by which it multiplies the examples that a test asks for."""


def load_profile() -> None:
    """Register the profiles, and load `thorough` if CI is set, else `quick`."""
    for name in FACTORS:
        # A busy machine makes an example slow, not wrong. The same examples each time: a failure that comes and goes
        # teaches to run a test again; new ones are for the night.
        settings.register_profile(
            name,
            deadline=None,
            derandomize=name != "nightly",
            suppress_health_check=[HealthCheck.too_slow],
            print_blob=True,
        )
    settings.load_profile("thorough" if os.environ.get("CI") else "quick")


def examples(thorough: int) -> settings:
    """Return the settings of a property test that is to try `thorough` examples in CI."""
    factor = FACTORS.get(settings.get_current_profile_name(), 1.0)
    return settings(max_examples=max(5, round(thorough * factor)))
