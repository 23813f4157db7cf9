"""Settings of slime, of what a job may use, and of tracking: a part of settings.py."""

from typing import Annotated, Literal

from pydantic import Field

from tau2_agent.config.fields import (
    Count,
    Flag,
    Positive,
    Section,
    Text,
    WholeAtLeast0,
    Words,
)


class Slime(Section):
    """Training and serving on GPUs; nothing of it matters on the CPU."""

    tensor_parallel: Count = Field(1, description="GPUs that share a layer")
    pipeline_parallel: Count = Field(1, description="GPUs in a row of layers")
    context_parallel: Count = Field(1, description="GPUs that share a text")
    expert_parallel: Count = Field(
        1, description="GPUs that share a layer's experts (mixtures of experts)"
    )
    max_tokens_per_gpu: Count = Field(
        12288, description="tokens of a micro batch; less when memory is short"
    )
    recompute: Literal["full", "none"] = Field(
        "full", description="full: less memory, a third more work | none"
    )
    optimizer_offload: Flag = Field(
        False, description="Adam on the CPU: 12 bytes a parameter less on the GPUs, slower"
    )
    attention_backend: Literal["flash", "fused", "unfused", "local", "auto"] = Field(
        "flash", description="Megatron's: flash | fused | unfused | local | auto"
    )
    gpus_per_engine: Count = Field(1, description="GPUs of one sampling server")
    sglang_mem_fraction: Annotated[Positive, Field(lt=1)] = Field(
        0.7, description="of a GPU's memory while sampling"
    )
    extra_args: Words = Field("", description="further arguments of both trainings; they win")
    convert_args: Words = Field("", description="further arguments of the conversion")
    server_args: Words = Field("", description="further arguments of the evaluation's server")


class Resources(Section):
    """What a job may use."""

    gpus: WholeAtLeast0 = Field(0, description="of each GPU job, on each of its nodes")
    nodes: Count = Field(1, description="of each training job on a cluster; evaluation takes one")
    keep_checkpoints: Count = Field(2, description="of a training; older ones are deleted")
    threads: WholeAtLeast0 = Field(
        0, description="of each training and evaluation job; 0: all there are"
    )
    memory_gb: Positive = Field(4.0, description="GB of a job; a retry gets half as much again")
    time_limit_hours: Positive = Field(
        1.0, description="of a job on a cluster; a retry gets as much again"
    )
    container: Text = Field(
        "docker://slimerl/slime:nightly-dev-20260810a-cu129",
        description="image for --sdm apptainer",
    )


class Tracking(Section):
    """Beside the JSON lines that every training writes (slime)."""

    tool: Literal["none", "tensorboard", "wandb"] = Field(
        "none", description="none | tensorboard | wandb"
    )
    project: Text = Field("tau2-telecom", description="project in W&B")
    offline: Flag = Field(
        False, description="W&B writes to logs/ only; `wandb sync` sends it later"
    )
