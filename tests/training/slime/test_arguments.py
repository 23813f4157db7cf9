"""slime's whole command lines, as golden files: a changed flag shows up in review.

Write them anew with TAU2_WRITE_GOLDEN=1 and read the difference.
"""

import os
import re
from pathlib import Path

import pytest
from model_configs import config

import train_grpo_slime
import train_sft_slime
from tau2_agent.errors import InputError
from tau2_agent.evaluation.validation_slime import slime_arguments as validation_arguments
from tau2_agent.source_code import code_digest
from tau2_agent.training.slime import user_arguments
from tau2_agent.training.slime.arguments import job_environment
from tau2_agent.training.slime.install import SCRIPTS, Install
from tau2_agent.training.slime.user_arguments import fingerprint_fields

GOLDEN = Path(__file__).parents[2] / "golden"
SFT_FILES = ["--model", "/m/hf", "--base", "/m/dist", "--traces", "/d/traces", "--output", "/c/sft"]
GRPO_FILES = ["--model", "/m/hf", "--sft", "/c/sft", "--tasks", "/d/tasks", "--output", "/c/rl"]

# The programs' own defaults, and what the options change; presets: test_preset_commands.py.
CASES = {
    "sft_2gpu": ("sft", []),
    "sft_epochs_wandb": (
        "sft",
        ["--epochs", "3", "--tracking", "wandb", "--wandb-mode", "offline"],
    ),
    "grpo_2gpu": ("grpo", []),
    "grpo_moe": ("grpo", ["--gpus", "8", "--tensor-parallel", "4", "--expert-parallel", "8"]),
    "grpo_options": (
        "grpo",
        [
            *(
                "--kl-coef",
                "0.001",
                "--no-scale-by-group-std",
                "--no-dynamic-sampling",
                "--updates-per-rollout",
                "4",
                "--recompute",
                "none",
            ),
            *("--context-parallel", "1", "--tracking", "wandb", "--save-rollouts", "5"),
            *("--attention-backend", "fused"),
            *("--extra-args", "--sglang-disable-cuda-graph --sglang-attention-backend triton"),
        ],
    ),
}


# A training that is resumed before its first checkpoint: what it began with is validated already.
VALIDATING = {"grpo_validation": validation_arguments(Path("/s/validation_tasks.jsonl"), True)}
CASES |= {"grpo_validation": ("grpo", [])}

MODELS = {"grpo_moe": "Qwen3-30B-A3B"}  # of the golden files; else Qwen3-4B-Instruct-2507


def command(stage, extra, model="Qwen3-4B-Instruct-2507", validating=()):
    if stage == "sft":
        options = train_sft_slime.parse([*SFT_FILES, *extra])
        steps = train_sft_slime.count_steps(options, 74)
        return train_sft_slime.slime_arguments(
            options,
            config=config(model),
            folder=Path("/s"),
            data=Path("/s/tokens.jsonl"),
            steps=steps,
        )
    options = train_grpo_slime.parse([*GRPO_FILES, *extra])
    return train_grpo_slime.slime_arguments(
        options,
        config=config(model),
        folder=Path("/s"),
        hooks=Path("/s/tau2.yaml"),
        validating=validating,
    )


def one_flag_a_line(arguments):
    lines = []
    for argument in arguments:
        if argument.startswith("--"):
            lines.append(argument)
        else:
            lines[-1] += f" {argument}"
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("case", CASES)
def test_golden_command_lines(case):
    model = MODELS.get(case, "Qwen3-4B-Instruct-2507")
    words = command(*CASES[case], model, VALIDATING.get(case, ()))
    text = one_flag_a_line(words).replace(str(Path.cwd()), "/project")
    path = GOLDEN / f"{case}.txt"
    if os.environ.get("TAU2_WRITE_GOLDEN"):
        path.write_text(text)
    assert text == path.read_text(), f"{path} differs; see this file's docstring"


@pytest.mark.parametrize("stage", ["sft", "grpo"])
def test_no_flag_is_given_twice(stage):
    flags = [word for word in command(stage, []) if word.startswith("--")]
    assert len(flags) == len(set(flags))


def test_sft_has_what_the_published_commands_lack():
    text = one_flag_a_line(command("sft", []))
    for line in (
        "--loss-type sft_loss",
        "--calculate-per-token-loss",
        "--disable-compute-advantages-and-returns",
        "--debug-train-only",
        "--save-interval 10",
        "--use-dynamic-batch-size",
        "--num-rollout 49",
    ):
        assert f"{line}\n" in text
    assert "--apply-chat-template" not in text and "--sglang" not in text
    # tokens and masks are ours
    assert "--rollout-function-path tau2_agent.training.slime.sft_rollout" in text
    assert "--loss-mask-type" not in text and "--tool-key" not in text


def test_grpo_starts_from_the_sft_folder_and_resumes_its_own():
    arguments = command("grpo", [])
    assert arguments[arguments.index("--ref-load") + 1] == "/c/sft"
    assert arguments[arguments.index("--load") + 1] == "/s"
    assert arguments[arguments.index("--save") + 1] == "/s"
    assert "--start-rollout-id" not in arguments and "--finetune" not in arguments


def test_the_filter_sees_what_the_reward_hook_sees():
    arguments = command("grpo", [])
    assert arguments[arguments.index("--reward-key") + 1] == "shaped"


def test_extra_arguments_come_last_and_win():
    arguments = command("grpo", ["--extra-args", "--lr 5e-7 --sglang-mem-fraction-static '0.5'"])
    assert arguments[-4:] == ["--lr", "5e-7", "--sglang-mem-fraction-static", "0.5"]


OFFLOAD = ["--optimizer-cpu-offload", "--overlap-cpu-optimizer-d2h-h2d"]


@pytest.mark.parametrize("stage", ["sft", "grpo"])
@pytest.mark.parametrize(
    ("option", "more", "fewer"),
    [
        (["--optimizer-offload"], [*OFFLOAD, "--use-precision-aware-optimizer"], []),
        (["--tracking", "tensorboard"], ["--use-tensorboard"], []),
        (["--recompute", "none"], [], ["--recompute-granularity", "full"]),
        (["--tensor-parallel", "1"], [], ["--sequence-parallel"]),
        (["--no-dynamic-batches"], [], ["--use-dynamic-batch-size"]),
    ],
)
def test_what_an_option_adds_and_takes_away(stage, option, more, fewer):
    before, after = command(stage, []), command(stage, option)
    added = [word for word in after if after.count(word) > before.count(word)]
    gone = [word for word in before if before.count(word) > after.count(word)]
    assert [word for word in added if word.startswith("--") and word != "--balance-data"] == more
    assert set(fewer) <= set(gone) and (fewer or not gone)


def test_engines_are_watched_where_there_are_others():
    assert "--use-fault-tolerance" in command("grpo", ["--gpus", "2"])
    nodes = ["--gpus", "2", "--gpus-per-engine", "2", "--nodes", "2"]
    assert "--use-fault-tolerance" in command("grpo", nodes)
    alone = ["--gpus", "2", "--gpus-per-engine", "2"]
    assert "--use-fault-tolerance" not in command("grpo", alone)
    variables = job_environment(
        Install(Path("/slime"), Path("/megatron")), train_grpo_slime.parse(GRPO_FILES)
    )
    # SGLang's own answer to a check must come before slime stops waiting for it
    words = command("grpo", [])
    timeout = float(words[words.index("--rollout-health-check-timeout") + 1])
    assert timeout > float(variables["SGLANG_HEALTH_CHECK_TIMEOUT"]) > 120


# --- the user's own arguments --------------------------------------------------------------------


def grpo_options(extra):
    return train_grpo_slime.parse([*GRPO_FILES, f"--extra-args={extra}"])


@pytest.mark.parametrize("form", ["--custom-config-path {}", "--custom-config-path={} --use-tis"])
def test_a_users_own_configuration_is_merged_into_ours(tmp_path, form):
    path = tmp_path / "mine.yaml"
    path.write_text("opsm_delta: 0.1\n")
    options = grpo_options(form.format(path))
    settings = train_grpo_slime.hook_settings(options, Path("/s"))
    assert settings["opsm_delta"] == 0.1 and settings["tau2_alpha"] == 0.5
    words = command("grpo", ["--extra-args", form.format(path)])
    given = [word for word in words if word.startswith("--custom-config-path")]
    assert given == ["--custom-config-path"]  # slime reads one, and it is ours
    assert words[words.index(given[0]) + 1] == "/s/tau2.yaml"
    assert ("--use-tis" in words) == ("--use-tis" in form)
    # another content is another run, another place is not
    fields = train_grpo_slime.fingerprint_fields(options)
    path.rename(tmp_path / "moved.yaml")
    moved = grpo_options(form.format(tmp_path / "moved.yaml"))
    assert train_grpo_slime.fingerprint_fields(moved) == fields
    (tmp_path / "moved.yaml").write_text("opsm_delta: 0.2\n")
    assert train_grpo_slime.fingerprint_fields(moved) != fields


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (None, r"mine\.yaml' cannot be read"),
        ("a: [", "cannot be read"),
        ("[1]", "keys and values"),
        ("tau2_alpha: 3", "tau2_alpha is set"),
        ("opsm-delta: 3", "opsm-delta is no attribute.*underscores"),
        ("3: 3", "3 is no attribute"),
        ("begins: 2026-01-01", "date is not JSON serializable; write texts, numbers"),
        ("author: Zoë", "cannot be read.*utf-8"),
    ],
)
def test_a_configuration_that_cannot_be_merged(tmp_path, text, said):
    path = tmp_path / "mine.yaml"
    if text:
        path.write_bytes(text.encode("latin-1"))
    with pytest.raises(InputError, match=said) as error:
        train_grpo_slime.hook_settings(grpo_options(f"--custom-config-path {path}"), Path("/s"))
    assert "\n" not in str(error.value)


def test_a_configuration_without_a_name():
    with pytest.raises(InputError, match="--custom-config-path '' cannot be read"):
        train_grpo_slime.hook_settings(grpo_options("--use-tis --custom-config-path"), Path("/s"))


@pytest.mark.parametrize(
    ("extra", "refused"),
    [
        ("--rollout-top-p 0.9", True),
        ("--rollout-top-p=0.9", True),
        ("--rollout-top-p 0.9 --rollout-top-p 1", False),
        ("--rollout-top-p 1.0", False),
        ("--rollout-top-p=1.0", False),
        ("--rollout-top-p high", True),
        ("--rollout-top-p", True),
        ("--custom-config-path {}", True),
    ],
)
def test_top_p_is_refused(tmp_path, extra, refused):
    (tmp_path / "mine.yaml").write_text("rollout_top_p: 0.5\n")
    options = grpo_options(extra.format(tmp_path / "mine.yaml"))
    with pytest.raises(InputError, match="top-p" if refused else "74 tasks"):
        options.prompts_per_rollout = 100
        train_grpo_slime.check(options, 74)


def test_what_decides_the_weights_and_what_does_not():
    extra = ["--sglang-disable-cuda-graph", "--use-tis", "--tis-clip", "2"]
    extra += ["--router-policy", "manual", "--sglang-quantization", "fp8", "--train-env-vars", "{}"]
    extra += ["--sglang-mem-fraction-static", "0.5"]
    kept = ["--use-tis", "--tis-clip", "2", "--sglang-quantization", "fp8"]
    assert fingerprint_fields(extra) == kept
    named = [*extra, "--custom-rm-path=tau2_reward_shaping.shaped_reward"]
    code = f"code {code_digest('tau2_reward_shaping')}"
    assert fingerprint_fields(named) == [*kept, named[-1], code]


@pytest.mark.parametrize(
    "flag",
    [
        *("--router-policy x", "--attention-backend x", "--no-gradient-accumulation-fusion"),
        *("--recompute-granularity full", "--log-probs-chunk-size 9", "--use-fault-tolerance"),
        *(
            "--rollout-health-check-interval 9",
            "--train-env-vars {}",
            "--save-debug-rollout-data x",
        ),
        *("--dump-details x", "--use-tensorboard", "--tb-project-name x", "--wandb-group x"),
        "--use-wandb",
    ],
)
def test_flags_of_the_machine_and_of_records_are_in_no_key(flag):
    assert fingerprint_fields([*flag.split(), "--use-tis"]) == ["--use-tis"]


@pytest.mark.parametrize(
    ("program", "files", "extra", "said"),
    [
        (train_sft_slime, SFT_FILES, ["--gpus", "3"], "cannot be shared by"),
        (train_sft_slime, SFT_FILES, ["--gpus", "4", "--batch-size", "7"], "2 replicas"),
        (
            train_sft_slime,
            SFT_FILES,
            [
                *("--gpus", "2", "--tensor-parallel", "1", "--context-parallel", "1"),
                *("--pipeline-parallel", "2", "--expert-parallel", "2"),
            ],
            "2 GPUs cannot be shared by expert × pipeline parallel = 2 × 2",
        ),
        (train_sft_slime, SFT_FILES, ["--batch-size", "80"], "74 traces"),
        (train_sft_slime, SFT_FILES, ["--nodes", "2"], "--ray-address"),
        (train_grpo_slime, GRPO_FILES, ["--updates-per-rollout", "3"], "does not divide the 32"),
        (
            train_grpo_slime,
            GRPO_FILES,
            ["--gpus", "8", "--updates-per-rollout", "16"],
            "4 replicas",
        ),
        (train_grpo_slime, GRPO_FILES, ["--prompts-per-rollout", "100"], "74 tasks"),
        (train_grpo_slime, GRPO_FILES, ["--nodes", "2"], "--ray-address"),
        (train_grpo_slime, GRPO_FILES, ["--over-sampling-groups", "9"], "more than the 8 groups"),
        (
            train_grpo_slime,
            GRPO_FILES,
            ["--extra-args=--over-sampling-batch-size 16"],
            "set grpo.over_sampling_groups",
        ),
    ],
)
def test_numbers_that_do_not_fit_are_found_before_slime_starts(program, files, extra, said):
    with pytest.raises(InputError, match=said):
        program.check(program.parse([*files, *extra]), 74)


def test_our_hooks_are_importable_in_every_process_and_secrets_are_not_handed_on(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "secret")
    monkeypatch.setenv("NCCL_NVLS_ENABLE", "0")
    monkeypatch.setenv("PYTHONPATH", "/mine")
    options = train_grpo_slime.parse([*GRPO_FILES, "--tracking", "wandb"])
    variables = job_environment(Install(Path("/slime"), Path("/megatron")), options)
    assert variables["PYTHONPATH"].split(":") == [str(SCRIPTS), "/slime", "/megatron", "/mine"]
    assert "secret" not in str(variables)
    assert "NCCL_NVLS_ENABLE" not in variables  # what the machine says stays
    assert "secret" not in " ".join(command("grpo", ["--tracking", "wandb"]))


def test_every_process_of_a_job_has_these_variables(monkeypatch):
    for before, after in (("", "127.0.0.1,localhost"), (".here", "127.0.0.1,localhost,.here")):
        monkeypatch.setenv("no_proxy", before)
        install = Install(Path("/slime"), Path("/megatron"))
        variables = job_environment(install, train_grpo_slime.parse(GRPO_FILES))
        variables.pop("PYTHONPATH")
        assert variables == {
            "PYTHONUNBUFFERED": "1",
            "CUDA_DEVICE_MAX_CONNECTIONS": "1",
            "RAY_DEDUP_LOGS": "0",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LOGURU_AUTOINIT": "False",
            "SGLANG_HEALTH_CHECK_TIMEOUT": "240",
            "no_proxy": after,
        }


def test_tensorboard_writes_beside_the_logs():
    options = train_sft_slime.parse([*SFT_FILES, "--tracking", "tensorboard"])
    variables = job_environment(Install(Path("/slime"), Path("/megatron")), options)
    assert variables["TENSORBOARD_DIR"] == str(Path("logs/tensorboard/sft").resolve())


SINGLE = ["--tensor-parallel", "1"]


def test_sft_needs_a_trace_for_each_place_of_a_batch(monkeypatch):
    monkeypatch.setattr(train_sft_slime, "require_weights", lambda _: None)
    options = train_sft_slime.parse([*SFT_FILES, "--batch-size", "8", "--gpus", "2", *SINGLE])
    train_sft_slime.check(options, 8)
    with pytest.raises(InputError, match="/d/traces has 7 traces, --batch-size is 8; lower it"):
        train_sft_slime.check(options, 7)
    options.traces *= 2
    with pytest.raises(InputError, match="/d/traces and /d/traces has 7 traces"):
        train_sft_slime.check(options, 7)
    uneven = train_sft_slime.parse([*SFT_FILES, "--batch-size", "9", "--gpus", "2", *SINGLE])
    with pytest.raises(InputError, match="--batch-size 9 cannot be shared by 2 replicas"):
        train_sft_slime.check(uneven, 99)


@pytest.mark.parametrize("flag", user_arguments.REPLACED)
def test_a_flag_of_slimes_own_rollout_is_refused_unless_it_is_used(flag):
    instead = re.escape(user_arguments.REPLACED[flag])
    for words in ([flag, "x"], [f"{flag}=x"]):
        with pytest.raises(InputError, match=f"{flag} is of slime's own .* set {instead} instead"):
            user_arguments.refuse_replaced(["--lr", "1", *words])
        user_arguments.refuse_replaced([*words, "--rollout-function-path", "slime.rollout.x"])
        user_arguments.refuse_replaced([*words, "--rollout-function-path=slime.rollout.x"])
