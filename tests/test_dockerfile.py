"""The Dockerfile copies every package of the service; tests/deploy/test_image.py builds the image."""

import re

from tests.support.packages import PACKAGES, ROOT


def test_the_image_has_every_package_but_offline() -> None:
    copied = re.findall(r"^COPY (\S+) (\S+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    packages = {package for package in PACKAGES if (ROOT / "lexbridge" / package).is_dir()} - {"offline"}
    wanted = {(f"lexbridge/{package}", f"lexbridge/{package}") for package in packages}
    assert {pair for pair in copied if pair[0].startswith("lexbridge")} == {("lexbridge/*.py", "lexbridge/"), *wanted}
