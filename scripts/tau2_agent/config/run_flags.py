"""What the programs are told that look at a whole run: the preflight, and that of the cards."""

from __future__ import annotations

import json

from tau2_agent.config.stage_files import StageFiles
from tau2_agent.config.stage_flags import PARALLEL, Config, only, words
from tau2_agent.config.task_splits import learnt_from
from tau2_agent.config.user_options import language_models, simulator_of


def preflight(config: Config, files: StageFiles) -> str:
    """What is asked before a run: its files, its models and its machine."""
    source = config["model"]["source"]
    trained = max(config["sft"]["max_length"], config["grpo"]["context_length"])
    asked = language_models(config, files.traces)
    values = {
        "backend": config["backend"],
        "model": files.models["base"],
        "source": None if source == "demo" else source,
        "checkpoints": [folder for stage, folder in files.models.items() if stage != "base"],
        "data": [*learnt_from(config), files.traces],
        "port": config["evaluation"]["sglang_port"],
        "ask": [f"{section}={json.dumps(one)}" for section, one in asked.items()] or None,
        **only(config, "resources", "keep_checkpoints"),
        "context_length": max(trained, config["evaluation"]["context_length"]),
    }
    if config["backend"] == "slime":
        values |= {
            **only(config, "resources", "gpus nodes"),
            "sample_length": trained,
            **only(config, "slime", f"{PARALLEL} optimizer_offload"),
            **{
                key: config["slime"][key] or None
                for key in ("extra_args", "convert_args", "server_args")
            },
        }
    return words(values)


def cards(config: Config) -> str:
    """The cards of the model and of its traces: where the model comes from, who made the traces."""
    section = config["traces"]
    makers = {
        "scripted": "the scripted teacher",
        "llm": f"the language model {section['model']}",
        "file": f"other people ({section['source']})",
        "hub": f"other people ({section['source']} on the hub)",
    }
    user = simulator_of(config, "traces")
    llm = user.flags.get("user_model")
    return words(
        {
            "base": config["model"]["source"],
            "revision": config["model"]["revision"],
            "teacher": makers[section["teacher"]],
            "user": f"the language model {llm}" if llm else f"the {user.simulator} user",
        }
    )
