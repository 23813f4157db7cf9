"""AdamW, gradient clipping and the learning rate: the same on both backends, in SFT and in GRPO.

Torch's AdamW and Megatron's Adam are one algorithm (decoupled decay, bias correction); both leave
biases and the weights of norms out of the decay, and both clip the gradient's norm over all weights
before the step. What stands here is what no setting changes; docs/objective.md lists the rest.
"""

from __future__ import annotations

from typing import Any

ADAM_BETA1 = 0.9
ADAM_EPSILON = 1e-8
MAX_GRAD_NORM = 1.0


def trl_arguments(*, lr: float, schedule: str, weight_decay: float, beta2: float) -> dict[str, Any]:
    """Arguments of a TRL configuration. Warm-up, which TRL wants in steps, is the caller's."""
    return {
        "optim": "adamw_torch",
        "learning_rate": lr,
        "lr_scheduler_type": schedule,
        "weight_decay": weight_decay,
        "adam_beta1": ADAM_BETA1,
        "adam_beta2": beta2,
        "adam_epsilon": ADAM_EPSILON,
        "max_grad_norm": MAX_GRAD_NORM,
    }


def slime_arguments(
    *, lr: float, schedule: str, weight_decay: float, beta2: float, warmup: float = 0.0
) -> list[str]:
    """Flags for slime. The schedule is always the flags', also on resume with more rollouts.

    warmup: share of the steps in which the rate rises from 0.
    """
    return [
        *("--optimizer", "adam"),
        *("--lr", str(lr)),
        *("--lr-decay-style", schedule),
        *(["--lr-warmup-fraction", str(warmup)] if warmup else []),
        *("--weight-decay", str(weight_decay)),
        *("--adam-beta1", str(ADAM_BETA1), "--adam-beta2", str(beta2)),
        *("--adam-eps", str(ADAM_EPSILON)),
        *("--clip-grad", str(MAX_GRAD_NORM)),
        "--override-opt_param-scheduler",
    ]
