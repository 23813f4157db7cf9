"""Run one of the slime programs against the stand-ins: run.py PROGRAM ARGUMENTS…"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from tau2_agent import slime_install, slime_job  # noqa: E402

slime_install.NEEDED_MODULES = ()
slime_job.RAY[:] = [sys.executable, str(HERE / "ray.py")]
slime_job.dashboard_installed = lambda: True

sys.argv = sys.argv[1:]
runpy.run_path(str(SCRIPTS / sys.argv[0]), run_name="__main__")
