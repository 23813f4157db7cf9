"""Run slime's own loss on the CPU: `python slime_loss.py FOLDER`, with slime on the path.

Reads FOLDER/cases.pt, writes FOLDER/results.pt: for each case the loss and the gradient, put
together from micro batches as Megatron does (schedules.py forward_step_calc_loss,
finalize_model_grads). Without Megatron its parallel state, here of one process, is a stand-in.
"""

from __future__ import annotations

import sys
import types
from pathlib import Path

import torch
from objective_cases import gradient
from transformers import AutoModelForCausalLM

SLIMES_OWN = {  # defaults of slime/utils/arguments.py
    "loss_type": "policy_loss",
    "kl_coef": 0.0,
    "entropy_coef": 0.0,
    "eps_clip_c": None,
    "custom_advantage_function_path": None,
    "log_probs_chunk_size": -1,
    "rollout_top_p": 1.0,
}
OFF = ["use_rollout_logprobs", "use_opsm", "use_opd", "use_tis", "get_mismatch_metrics"]
OFF += ["normalize_advantages", "recompute_loss_function", "allgather_cp"]


def parallel_state() -> None:
    try:
        from megatron.core import mpu
    except ImportError:
        mpu = types.ModuleType("megatron.core.mpu")
        core, megatron = types.ModuleType("megatron.core"), types.ModuleType("megatron")
        core.mpu, megatron.core = mpu, core
        sys.modules |= {"megatron": megatron, "megatron.core": core, "megatron.core.mpu": mpu}
        # what slime patches in Megatron is not there to be patched
        sys.modules["slime.backends.megatron_utils"] = package = types.ModuleType("package")
        import slime.backends

        package.__path__ = [str(Path(slime.backends.__path__[0]) / "megatron_utils")]
    mpu.get_context_parallel_world_size = lambda: 1
    mpu.get_data_parallel_world_size = lambda **_: 1
    mpu.get_tensor_model_parallel_group = lambda: None
    mpu.is_pipeline_last_stage = lambda: True


def run(case, model, reference) -> tuple[float, torch.Tensor]:
    from slime.backends.megatron_utils.loss import (
        compute_advantages_and_returns,
        get_log_probs_and_entropy,
        loss_function,
    )

    args, episodes = case["args"], case["episodes"]
    for name, value in (SLIMES_OWN | dict.fromkeys(OFF, False)).items():
        setattr(args, name, value)
    data = {
        "unconcat_tokens": [torch.tensor(e.prompt + e.completion) for e in episodes],
        "total_lengths": [len(e.prompt) + len(e.completion) for e in episodes],
        "response_lengths": [len(e.completion) for e in episodes],
        "loss_masks": [torch.tensor(e.mask, dtype=torch.int) for e in episodes],
        # what _convert_samples_to_train_data makes of one sample a rollout
        "rollout_mask_sums": [torch.tensor(sum(e.mask)) for e in episodes],
        "log_probs": [torch.tensor(e.old) for e in episodes],
        "rewards": case["rewards"],
    }
    compute_advantages_and_returns(args, data)
    model.zero_grad()
    micro_batches = [range(0, 3), range(3, 4), range(4, 8)]  # unequal, as packed by tokens
    total, tokens = 0.0, 0
    for places in micro_batches:
        batch = {
            key: [values[i] for i in places]
            for key, values in data.items()
            if isinstance(values, list)
        }

        def logits(of, batch=batch):
            # a forward a sample: packed samples do not see each other
            parts = [of(ids[None]).logits[0] for ids in batch["unconcat_tokens"]]
            return torch.cat(parts)[None].float()

        if args.use_kl_loss:
            with torch.no_grad():
                keys = ("unconcat_tokens", "total_lengths", "response_lengths")
                _, found = get_log_probs_and_entropy(
                    logits(reference), args=args, **{key: batch[key] for key in keys}
                )
            batch["ref_log_probs"] = found["log_probs"]
        loss, normalizer, log = loss_function(
            args, batch, len(micro_batches), len(episodes), logits(model)
        )
        if not args.calculate_per_token_loss:
            loss = loss / torch.clamp(normalizer, min=1) / len(micro_batches)
        loss.backward()
        tokens += int(normalizer)
        total += float(log["values"][1 + log["keys"].index("loss")])
    scale = 1 / tokens if args.calculate_per_token_loss else 1.0
    divisor = tokens if args.calculate_per_token_loss else len(episodes)
    return total / divisor, scale * gradient(model)


def main() -> None:
    folder = Path(sys.argv[1])
    parallel_state()
    cases = torch.load(folder / "cases.pt", weights_only=False)
    model, reference = (
        AutoModelForCausalLM.from_pretrained(folder / name, dtype=torch.float32)
        for name in ("policy", "reference")
    )
    torch.save([run(case, model, reference) for case in cases], folder / "results.pt")


if __name__ == "__main__":
    main()
