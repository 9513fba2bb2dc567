"""Programs that need other versions of the service's packages (urllib3, botocore).

Each is installed in an environment of its own.
"""

import subprocess
import sys
import venv
from pathlib import Path

BIN = Path(sys.executable).parent
CHECKOV = "checkov==3.3.30"
MINISTACK = "ministack==1.5.33"
INSTALL_LIMIT_S = 600


def installed(requirement: str) -> Path:
    """Return the program of a package such as "checkov==3.3.30"; install it from the package index if it is missing."""
    place = Path(sys.prefix) / requirement
    program = place / "bin" / requirement.partition("==")[0]
    complete = place / "complete"  # missing after an interrupted installation, which then starts again
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
