"""Run one of the slime programs against the stand-ins: run.py PROGRAM ARGUMENTS…"""

import runpy
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
SCRIPTS = HERE.parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from tau2_agent.preflight import host as machine  # noqa: E402
from tau2_agent.training.slime import install as slime_install  # noqa: E402
from tau2_agent.training.slime import ray_head  # noqa: E402

slime_install.NEEDED_MODULES = ()
ray_head.RAY[:] = [sys.executable, str(HERE / "ray.py")]
ray_head.dashboard_installed = lambda: True
gpus = (machine.Gpu("stand-in", total_gib=140.0, free_gib=139.0),) * 8
machine.free_bytes = lambda folder: 10**13
machine.look = lambda: machine.Machine(gpus=gpus, driver="stand-in")

sys.argv = sys.argv[1:]
runpy.run_path(str(SCRIPTS / sys.argv[0]), run_name="__main__")
