"""What the programs of this pipeline share: one noun a module.

The way of the data: task id -> Task -> episode(agent, user, environment) -> Trajectory -> Score
-> a trace line, a training sample or an evaluation row.

Importing the package quiets tau2 (loguru writes every step at DEBUG to stderr) and keeps litellm,
should anything import it, from fetching its price list over the network.
"""

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from loguru import logger as _loguru

_loguru.remove()
