"""A stand-in for apptainer, which this machine may lack.

It does what matters to a job's command: it starts a shell in the project's folder with the
container's PATH, not Snakemake's.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from pathlib import Path

APPTAINER = """#!/bin/bash
# exec --home FOLDER [options] IMAGE bash -c COMMAND | pull --name FILE URL | --version
case "$1" in
--version) echo "apptainer version 1.3.0"; exit ;;
esac
for word; do
    [ "$word" = pull ] && pull=1
    [ -n "$name" ] && { touch "$word"; name=; }
    [ "$word" = --name ] && name=1
done
[ -n "$pull" ] && exit
echo "$*" >>"$APPTAINER_LOG"
exec env PATH=/usr/bin:/bin HOME="$PWD" "${@: -3:1}" "${@: -2:1}" "${@: -1}"
"""


def install(folder: Path, environment: MutableMapping[str, str]) -> Path:
    """Put the stand-in into a new folder and first on PATH; returns its log, a line a container."""
    folder.mkdir()
    for name in ("apptainer", "singularity"):
        (folder / name).write_text(APPTAINER)
        (folder / name).chmod(0o755)
    log = folder / "started.log"
    environment |= {"PATH": f"{folder}:{environment['PATH']}", "APPTAINER_LOG": str(log)}
    return log


def add_to_container(project: Path) -> Path:
    """What `./run setup-gpu` adds: a python in .venv-gpu. Returns a file that its use creates."""
    used = project / "used"
    python = project / ".venv-gpu" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/bash\ntouch "{used}"\nexec {sys.executable} "$@"\n')
    python.chmod(0o755)
    return used
