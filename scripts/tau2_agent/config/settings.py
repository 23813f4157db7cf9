"""Every setting: its type, range, unit, default and a line of help. The one source of all of these.

config.yaml is made from here (`scripts/show_config.py --template`), and so are the options of the
programs (`program_options.py`) and the messages about mistakes (`mistakes.py`). A key without a
default stands in the presets, since recipes differ in it. Docstrings of sections are their
introductions in config.yaml. Importing this takes milliseconds: the workflow does at each start.
"""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from tau2_agent.config.fields import (
    AtLeast0,
    BelowOne,
    Count,
    Distinct,
    Flag,
    Fraction,
    Mixture,
    Optional,
    Port,
    Positive,
    Section,
    Seed,
    Text,
    Whole,
    WholeAtLeast0,
    no_one,
    no_zero,
)
from tau2_agent.config.settings_machine import Resources, Slime, Tracking
from tau2_agent.config.settings_players import Phrasing, Traces, User

# Tests compare these names with what the packages offer that they belong to.
SPLITS = (
    *("train", "test", "small", "base", "full"),
    *("extra", "extra_train", "extra_dev", "extra_unseen", "all_train"),
)
Split = Literal[SPLITS]
Prompt = Literal["tau2", "tau2-owners", "short"]


class Model(Section):
    """The model that is trained. Who gives another source than a lower layer, such as the preset,
    leaves behind what that says of its own: revision, chat_template, max_positions and the name,
    which is then made from the source."""

    name: Annotated[Text, Field(pattern="^[A-Za-z0-9][A-Za-z0-9.-]*$")] = Field(
        description="in file names: letters, digits, dots and dashes"
    )
    source: Text = Field(description="demo: made here | a hub id | a local Hugging Face folder")
    revision: Optional[Text] = Field(None, description="of a hub id, required: commit hash or tag")
    chat_template: Optional[Text] = Field(
        None,
        description="in place of its own: a file, or hermes | llama3 | qwen3_nothink",
    )
    max_positions: Optional[Count] = Field(
        None, description="tokens that it can read, if more than it was made for; null: its own"
    )
    layers: Count = Field(2, description="of a demo model, as the next four")
    hidden_size: Count = Field(128, description="of each layer")
    heads: Count = Field(4, description="attention heads")
    vocab_size: Annotated[Whole, Field(ge=300)] = Field(3000, description="tokens at most")
    context_length: Count = Field(4096, description="tokens")


class Tasks(Section):
    """Which tasks are for what. Splits: tau2's train, test, small, base, full; and extra (full
    without base), in three parts: extra_train, extra_dev (for choosing settings), extra_unseen
    (never used); and all_train (train and extra_train)."""

    sft: Split = Field("train", description="split that the teacher solves")
    grpo: Split = Field("train", description="split that the policy plays")
    rejection_sampling: Optional[Split] = Field(
        None, description="split that the SFT model plays for rejection sampling; null: as grpo"
    )
    held_out: Distinct[Split] = Field(
        ["test"], description="no training begins while it shares a fault combination with these"
    )
    in_sample: Distinct[Split] = Field(
        ["train"], description="may be evaluated although they were trained on"
    )


class SFT(Section):
    """Supervised fine-tuning on the traces."""

    lr: Positive = Field(description="peak learning rate; warm-up, then cosine")
    epochs: Optional[Count] = Field(None, description="passes over the traces …")
    steps: Optional[Count] = Field(
        None, description="… or optimizer steps (slime); the other one is null"
    )
    batch_size: Count = Field(description="traces a step")
    max_length: Count = Field(description="tokens; a longer trace is an error")
    warmup_ratio: Fraction = Field(0.1, description="of the steps")
    weight_decay: AtLeast0 = Field(description="of AdamW")
    adam_beta2: BelowOne = Field(0.98, description="of AdamW")
    save_steps: Count = Field(description="steps between checkpoints")


class RejectionSampling(Section):
    """Between SFT and GRPO, if samples_per_task is not 0: the SFT model plays tasks, what it solved
    is kept, and a second SFT learns from that; GRPO then begins with its model. Episodes have
    GRPO's user and limits; what is not said here about the second SFT is as in sft."""

    samples_per_task: WholeAtLeast0 = Field(0, description="episodes a task; 0: no such stage")
    num_tasks: Annotated[Whole, Field(ge=-1), AfterValidator(no_zero)] = Field(
        -1, description="drawn by hash; -1: all"
    )
    issues: Literal["proportional", "balanced"] = Field(
        "proportional",
        description="of the num_tasks: proportional | balanced: as many of each issue",
    )
    temperature: Positive = Field(1.0, description="of sampling; greedy samples would be all alike")
    keep_per_task: Count = Field(
        1, description="solved episodes at most; most checks passed first, then the shorter ones"
    )
    min_partial: Optional[Fraction] = Field(
        None,
        description="of a task never solved, keep the best episode if its partial score is at "
        "least this; null: keep none",
    )
    teacher_traces: Flag = Field(True, description="learn from the teacher's traces, too")
    start_from: Literal["base", "sft"] = Field(
        "base", description="base: train it anew | sft: go on from the SFT model"
    )
    lr: Optional[Positive] = Field(None, description="of the second SFT; null: sft.lr")
    epochs: Optional[Count] = Field(None, description="of the second SFT …")
    steps: Optional[Count] = Field(
        None, description="… or optimizer steps (slime); both null: as in sft"
    )


class GRPO(Section):
    """Reinforcement learning from the SFT model, or from that of rejection sampling."""

    lr: Positive = Field(description="learning rate")
    lr_schedule: Literal["constant", "linear", "cosine"] = Field(
        "constant", description="constant | linear | cosine: these two end at 0 with the rollouts"
    )
    weight_decay: AtLeast0 = Field(0.1, description="of AdamW")
    adam_beta2: BelowOne = Field(0.98, description="of AdamW")
    rollouts: Count = Field(
        description="rounds of sampling and training; more resume a training of constant lr"
    )
    prompts_per_rollout: Count = Field(description="tasks a round")
    samples_per_prompt: Annotated[Whole, Field(ge=2)] = Field(
        description="episodes a task, the group that is compared; at least 2"
    )
    temperature: Positive = Field(description="of sampling; greedy samples would be all alike")
    max_new_tokens: Count = Field(description="tokens of a turn")
    context_length: Count = Field(description="tokens of an episode; then it ends")
    max_steps: Count = Field(200, description="steps of an episode, as tau2 counts them")
    repeat_limit: Annotated[WholeAtLeast0, AfterValidator(no_one)] = Field(
        0, description="an episode ends where the same turns came so many times in a row; 0: never"
    )
    repeat_penalty: Annotated[AtLeast0, Field(le=0.05)] = Field(
        0.0, description="taken off the reward for a turn repeated or cut, for 10 of them at most"
    )
    scale_by_group_std: Flag = Field(
        description="divide advantages by the group's standard deviation"
    )
    loss_weighting: Literal["token", "sample"] = Field(
        "token",
        description="token | sample: in the loss each sampled token weighs the same, or each"
        " episode",
    )
    clip_low: BelowOne = Field(0.2, description="the policy ratio stays above 1 - clip_low …")
    clip_high: AtLeast0 = Field(0.28, description="… and below 1 + clip_high")
    kl_coef: AtLeast0 = Field(
        0.0, description="weight of the KL to the SFT model; 0 spares its copy in memory"
    )
    micro_batch_size: Count = Field(8, description="episodes a backward pass (cpu)")
    updates_per_rollout: Count = Field(1, description="optimizer steps a round (slime)")
    dynamic_sampling: Flag = Field(
        True, description="play other tasks in place of groups whose rewards are all the same"
    )
    max_resampled_groups: WholeAtLeast0 = Field(
        8, description="groups a round that are played for it, at most; then any group is taken"
    )
    over_sampling_groups: WholeAtLeast0 = Field(
        0, description="of these, how many begin with the round, needed or not (slime)"
    )
    group_order: Literal["drawn", "finished"] = Field(
        "drawn",
        description="drawn | finished: which groups are taken if there are more than needed; as"
        " they finish, short episodes win (slime)",
    )
    curriculum: Literal["none", "success_rate"] = Field(
        "none", description="none | success_rate: tasks that are solved now and then come first"
    )
    issues: Literal["proportional", "balanced"] = Field(
        "proportional",
        description="proportional | balanced: the issues of the split have as many groups each",
    )
    response_length: Count = Field(
        4096, description="tokens of an episode after its first prompt; then it ends (slime)"
    )
    save_rollouts: Count = Field(description="rounds between checkpoints")
    validation_every: WholeAtLeast0 = Field(
        10, description="rounds between validations: greedy, on a part of extra_dev; 0: none"
    )
    validation_tasks: Count = Field(
        40, description="of them, drawn by hash, each issue in proportion; 171 are all"
    )
    checkpoint: Literal["last", "best"] = Field(
        "last", description="what becomes the model: last | best on validation, the earlier of two"
    )
    keep_episodes: WholeAtLeast0 = Field(
        8, description="conversations of each round that are kept, in transcripts.jsonl.gz"
    )


class PartialWeights(Section):
    """Weights of the kinds of checks in the partial score."""

    action: AtLeast0 = Field(0.7, description="of tool calls")
    communicate: AtLeast0 = Field(0.1, description="of what the user is told")
    assertion: AtLeast0 = Field(0.2, description="of the final state")


class Reward(Section):
    """Reward = tau2's own reward + alpha × partial score, which is between 0 and 1."""

    alpha: AtLeast0 = Field(0.5, description="weight of the partial score")
    weights: PartialWeights = Field(PartialWeights(), description="of the checks in that score")


class Evaluation(Section):
    """Playing every task of a split with a model."""

    splits: Annotated[Distinct[Split], Field(min_length=1)] = Field(
        ["test"], description="what plain `snakemake` evaluates; others: results/eval_SPLIT.json"
    )
    compare_with: Distinct[Literal["base", "sft", "rejection"]] = Field(
        ["base", "sft", "rejection"],
        description="models evaluated beside the final one, as far as the run makes them",
    )
    num_tasks: Annotated[Whole, Field(ge=-1), AfterValidator(no_zero)] = Field(
        -1, description="drawn by hash, each issue in proportion; -1: all"
    )
    temperature: AtLeast0 = Field(0.0, description="of sampling; 0 is greedy")
    max_new_tokens: Count = Field(1024, description="tokens of a turn")
    context_length: Count = Field(description="tokens of an episode")
    max_steps: Count = Field(200, description="steps of an episode, as tau2 counts them")
    concurrency: Count = Field(description="episodes at a time")
    trials: Count = Field(1, description="episodes a task")
    user: Optional[Mixture] = Field(
        None, description="null: as in training; or another simulator than the trained one"
    )
    phrasing: Optional[Phrasing] = Field(
        None, description="null: as in training; or other words of the scripted user, as there"
    )
    sglang_port: Optional[Port] = Field(
        None, description="of a server that runs already; null: the job starts one"
    )
    max_failure_share: Fraction = Field(
        0.1,
        description="of 20 episodes and more that the policy's server fails in, or that time out;"
        " then it stops",
    )
    keep_tokens: Flag = Field(
        True, description="with loss mask and log probs, in the transcripts beside the results"
    )


class Settings(Section):
    """The whole configuration."""

    backend: Literal["auto", "slime", "cpu"] = Field(
        "auto", description="auto: slime where an NVIDIA GPU and slime are, else cpu | slime | cpu"
    )
    preset: Text = Field(
        "auto",
        description="auto: demo on cpu, qwen3-4b on slime | a file in presets/, without .yaml",
    )
    seed: Seed = Field(0, description="of the random weights and of all sampling; below 2^32")
    prompt: Prompt = Field(
        description="system prompt of every stage: tau2 (policy and tool schemas)"
        " | tau2-owners (and who owns which tools) | short (one sentence)"
    )
    model: Model
    user: User
    tasks: Tasks
    traces: Traces
    sft: SFT
    rejection_sampling: RejectionSampling
    grpo: GRPO
    reward: Reward
    evaluation: Evaluation
    slime: Slime
    resources: Resources
    tracking: Tracking
    runs: dict[str, dict[str, Any] | None] = Field(
        {}, description="such as {seed1: {seed: 1}, low: {grpo: {lr: 1.0e-4}}}"
    )
