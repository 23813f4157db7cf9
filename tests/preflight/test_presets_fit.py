"""The shipped presets for GPUs: their models are ones that slime trains, and fit 80 GB a GPU."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from model_configs import config

from tau2_agent.config.backend import Backend
from tau2_agent.config.resolve import resolve
from tau2_agent.preflight.checks import findings
from tau2_agent.preflight.host import Gpu, Machine
from tau2_agent.preflight.requirements import Requirements
from tau2_agent.training.slime.install import Install

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = ROOT / "tests" / "slime_stand_in"
GPU = Gpu("NVIDIA H100 80GB HBM3", total_gib=79.6, free_gib=79.0)
POSITIONS = {"SmolLM2": 8192, "Qwen2.5": 32768, "Qwen3": 40960, "Qwen3-4B": 262144}


def settings(preset):
    found = resolve(
        [("--config", {"preset": preset})], ROOT / "presets", lambda *_: Backend("slime", "")
    )
    return found.config


GPU_PRESETS = {
    path.stem: settings(path.stem)
    for path in sorted((ROOT / "presets").glob("*.yaml"))
    if path.stem not in ("demo", "gpu-smoke")
}


@pytest.mark.parametrize("preset", GPU_PRESETS)
def test_a_presets_model_fits(preset, tmp_path):
    chosen = GPU_PRESETS[preset]
    model, slime = chosen["model"], chosen["slime"]
    name = model["source"].rsplit("/", 1)[-1]
    longest = max(
        (n for n in POSITIONS if name.startswith(n)), key=len, default=None
    )  # Llama-3.1 has more than is ever asked for
    positions = model["max_positions"] or POSITIONS.get(longest, 131072)
    (tmp_path / "config.json").write_text(
        json.dumps(config(name, max_position_embeddings=positions))
    )
    trained = max(chosen["sft"]["max_length"], chosen["grpo"]["context_length"])
    gpus = chosen["resources"]["gpus"]
    names = "tensor_parallel pipeline_parallel context_parallel expert_parallel max_tokens_per_gpu"
    job = Requirements(
        "slime",
        gpus,
        chosen["resources"]["nodes"],
        **{key: slime[key] for key in [*names.split(), "optimizer_offload"]},
        model=tmp_path,
        source=model["source"],
        context_length=max(trained, chosen["evaluation"]["context_length"]),
        sample_length=trained,
    )
    machine = Machine(gpus=(GPU,) * gpus, driver="580.95", shared_memory=2**36)
    found = list(findings(job, machine, Install(STAND_IN, STAND_IN)))
    # there are no weights here, only what describes them
    assert [f for f in found if f.level == "failure" and f.check != "weights"] == []
    assert {"GPU memory", "model"} <= {f.check for f in found}
    # sampling wants the weights in what SGLang takes
    weights = job.weights() * 2 / slime["gpus_per_engine"]
    assert weights < slime["sglang_mem_fraction"] * 80e9 * 0.8
