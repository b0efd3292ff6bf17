"""The command line, run as people run it."""

import os
import subprocess
import sys

from clarin_server.settings import WANTED

CLARIN = [sys.executable, "-m", "clarin_server"]


def clarin(*words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, in an environment without settings of its own."""
    inherited = {name: value for name, value in os.environ.items() if name not in WANTED}
    done = subprocess.run(
        [*CLARIN, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**inherited, "COLUMNS": "100", "NO_COLOR": "1", **environ},
    )
    assert "Traceback" not in done.stderr
    return done
