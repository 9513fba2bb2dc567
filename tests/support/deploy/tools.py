"""Programs that want other versions of what the service needs (urllib3, botocore), so each is installed by itself."""

import subprocess
import sys
import venv
from pathlib import Path

BIN = Path(sys.executable).parent
CHECKOV = "checkov==3.3.30"
MINISTACK = "ministack==1.5.33"
INSTALL_LIMIT_S = 600


def installed(requirement: str) -> Path:
    """The program of a package such as "checkov==3.3.30", from the package index unless it is there already."""
    place = Path(sys.prefix) / requirement
    program = place / "bin" / requirement.partition("==")[0]
    complete = place / "complete"  # an installation that was interrupted is begun again
    if not complete.exists():
        venv.create(place, with_pip=True, clear=True)
        install = [
            place / "bin" / "python",
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            requirement,
        ]
        subprocess.run(install, check=True, timeout=INSTALL_LIMIT_S)
        complete.touch()
    return program
