"""litellm without its phoning home, printing and logging. It takes seconds to import."""

from __future__ import annotations

import logging
import os
import warnings
from typing import Any


def quiet_litellm() -> Any:
    """Import litellm, and keep it from phoning home, printing and logging."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm
    from litellm.litellm_core_utils.logging_worker import GLOBAL_LOGGING_WORKER

    litellm.suppress_debug_info = True
    litellm.telemetry = False
    litellm.set_verbose = False
    litellm.drop_params = True  # as tau2: a parameter that a model does not know is left out
    for name in ("success_callback", "failure_callback", "callbacks", "input_callback"):
        setattr(litellm, name, [])
    # Its queue of records belongs to one event loop for ever; there is nobody to read them.
    GLOBAL_LOGGING_WORKER.ensure_initialized_and_enqueue = _discard
    for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    # It closes its clients once more at exit, in a loop that is closed, and forgets a coroutine
    # when a call is cancelled at its beginning.
    for name in ("close_litellm_async_clients", r"\w+\.acompletion"):
        warnings.filterwarnings("ignore", f"coroutine '{name}' was never awaited")
    return litellm


def _discard(async_coroutine: Any) -> None:
    async_coroutine.close()
