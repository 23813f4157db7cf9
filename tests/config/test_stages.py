"""Files, flags and resources of the stages, and what is asked before the first job."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from tau2_agent.config import invocation, job_resources, stage_flags, start
from tau2_agent.config.backend import Backend, BackendUnavailable
from tau2_agent.config.invocation import Invocation
from tau2_agent.config.layers import ConfigError
from tau2_agent.config.stage_files import all_evaluated, evaluated, stage_files
from tau2_agent.config.sweeps import Run, resolve_runs

ROOT = Path(__file__).resolve().parents[2]
SERVED = {"source": "a/b", "revision": "c", "gpus": 2}


def runs_of(preset: str = "demo", **values) -> dict[str, Run]:
    def choose(wanted: str, wanted_by: str) -> Backend:
        return Backend("cpu" if wanted == "auto" else wanted, wanted_by)

    layers = [("config.yaml", {"preset": preset, **values})]
    return resolve_runs(layers, ROOT / "presets", choose)


def config_of(preset: str = "demo", **values) -> dict:
    return runs_of(preset, **values)[""].settings.config


# --- files ---------------------------------------------------------------------------------------


def test_files_of_the_plain_run_are_those_of_the_readme() -> None:
    files = stage_files(runs_of()[""])
    assert files.traces == "data/teacher_traces.jsonl"
    assert files.leaks == "data/leaks_{split}.json"
    assert files.models == {
        "base": "models/demo",
        "sft": "checkpoints/demo_sft_telecom",
        "rl": "checkpoints/demo_rl_telecom",
    }
    assert files.converted == "models/demo_torch_dist"
    assert files.results == {
        "base": "results/base/eval_{split}.json",
        "sft": "results/sft/eval_{split}.json",
        "rl": "results/eval_{split}.json",
    }


def test_a_run_has_files_of_its_own_and_those_that_it_shares() -> None:
    runs = runs_of(runs={"low": {"grpo": {"lr": 1e-5}}, "other": {"sft": {"lr": 1e-5}}})
    low, other = stage_files(runs["low"]), stage_files(runs["other"])
    assert low.models["sft"] == "checkpoints/demo_sft_telecom"
    assert low.models["rl"] == "checkpoints/demo+low_rl_telecom"
    assert other.models["sft"] == "checkpoints/demo+other_sft_telecom"
    assert low.results["sft"] == "results/sft/eval_{split}.json"
    assert low.results["rl"] == "results/low/eval_{split}.json"
    assert other.results["sft"] == "results/other/sft/eval_{split}.json"
    assert evaluated(runs["low"]) == [
        "results/base/eval_test.json",
        "results/sft/eval_test.json",
        "results/low/eval_test.json",
    ]
    assert len(all_evaluated(runs.values())) == 6


def test_folder_of_the_users_model(tmp_path: Path) -> None:
    user = {"simulator": "llm", "serve": SERVED}
    assert stage_files(runs_of(user=user)[""]).user_model == "models/user_model"
    user["serve"] = {"source": str(tmp_path)}
    assert stage_files(runs_of(user=user)[""]).user_model == str(tmp_path)


# --- flags ---------------------------------------------------------------------------------------


def test_how_values_become_flags() -> None:
    values = {"a_b": 1, "none": None, "yes": True, "no": False, "list": ["x", "y z"], "w": "--x 1"}
    assert shlex.split(stage_flags.words(values)) == [
        *("--a-b", "1", "--yes", "--no-no", "--list", "x", "y z", "--w=--x 1"),
    ]


@pytest.mark.parametrize(
    ("change", "stages"),
    [
        ({"grpo": {"lr": 1e-5}}, {"grpo"}),
        ({"sft": {"lr": 1e-5}}, {"sft"}),
        ({"seed": 3}, {"sft", "grpo", "evaluation", "base_model"}),
        ({"prompt": "tau2"}, {"traces", "sft", "grpo", "evaluation"}),
        ({"reward": {"weights": {"action": 0.5}}}, {"grpo", "evaluation"}),
        ({"evaluation": {"trials": 2}}, {"evaluation"}),
        ({"model": {"layers": 3}}, {"base_model"}),
        ({"sft": {"save_steps": 3}, "grpo": {"save_rollouts": 3}}, set()),
        ({"resources": {"keep_checkpoints": 9}, "evaluation": {"concurrency": 3}}, set()),
        ({"slime": {"extra_args": "--x"}, "tracking": {"tool": "wandb"}}, set()),
    ],
)
def test_a_key_decides_the_stages_that_it_is_for_and_no_others(change, stages) -> None:
    def decided(config) -> dict[str, str]:
        return {
            "base_model": stage_flags.base_model(config, "t"),
            "traces": stage_flags.traces(config, "m").flags,
            "sft": stage_flags.sft(config).flags,
            "grpo": stage_flags.grpo(config).flags,
            "evaluation": stage_flags.evaluation(config).flags,
        }

    before, after = decided(config_of()), decided(config_of(**change))
    assert {stage for stage in before if before[stage] != after[stage]} == stages


def golden_commands(preset: str) -> list[list[str]]:
    """The commands of a preset, from the file that tests/workflow/test_preset_commands.py holds."""
    text = (ROOT / "tests" / "golden" / "presets" / f"{preset}.txt").read_text(encoding="utf-8")
    return [shlex.split(part.replace("\n", " "), comments=False) for part in text.split("\n\n")]


def within(words: list[str], flags: str) -> bool:
    wanted = shlex.split(flags)
    return any(words[at : at + len(wanted)] == wanted for at in range(len(words)))


@pytest.mark.parametrize("preset", ["demo", "qwen3-4b"])
def test_stages_of_a_preset_are_told_what_its_golden_commands_tell(preset) -> None:
    config, commands = config_of(preset), golden_commands(preset)
    backend = "trl" if preset == "demo" else "slime"
    files = stage_files(runs_of(preset)[""])
    for program, flags in {
        "teacher_traces": stage_flags.traces(config, files.models["base"]),
        f"train_sft_{backend}": stage_flags.sft(config),
        f"train_grpo_{backend}": stage_flags.grpo(config),
        "evaluate_tau2": stage_flags.evaluation(config),
    }.items():
        mine = [words for words in commands if f"scripts/{program}.py" in words]
        assert len(mine) == (3 if program == "evaluate_tau2" else 1)
        for words in mine:
            assert within(words, f"{flags.flags} {flags.untracked}"), (flags, words)
    (base,) = [words for words in commands if "scripts/base_model.py" in words]
    assert within(base, stage_flags.base_model(config, files.traces))


def test_an_evaluation_has_its_own_user_and_rejection_sampling_that_of_grpo() -> None:
    user = {"simulator": "scripted", "phrasing": "train"}
    config = config_of(user=user, evaluation={"user": "scripted", "phrasing": "held_out"})
    assert "--user-phrasing held_out" in stage_flags.evaluation(config).flags
    for flags in (stage_flags.rejection_sampling(config), stage_flags.grpo(config)):
        assert "--user-phrasing train" in flags.flags


def test_the_second_sft_has_the_firsts_rate_unless_it_has_its_own() -> None:
    plain = {"samples_per_task": 4}
    first = stage_flags.sft(config_of()).flags
    assert stage_flags.rejection_sft(config_of(rejection_sampling=plain)).flags == first
    own = config_of(rejection_sampling=plain | {"lr": 0.125})
    assert "--lr 0.125 " in stage_flags.rejection_sft(own).flags


def test_a_mixture_of_experts_is_converted_on_all_gpus() -> None:
    for expert_parallel, gpus in ((1, 1), (2, 8), (8, 8)):
        config = {"resources": {"gpus": 8}, "slime": {"expert_parallel": expert_parallel}}
        assert stage_flags.conversion_gpus(config) == gpus


def test_a_conversion_names_a_published_model_and_more_gpus_than_one() -> None:
    def told(source: str, gpus: int = 1, args: str = "") -> tuple[str, str]:
        slime = {"expert_parallel": gpus, "convert_args": args}
        resources = {"gpus": gpus}
        config = {"model": {"source": source}, "slime": slime, "resources": resources}
        return tuple(stage_flags.conversion(config))

    assert told("demo") == ("", "")
    assert told("a/b") == ("--source a/b", "")
    assert told("a/b", 2, "--x 1") == ("--source a/b '--extra-args=--x 1'", "--gpus 2")


def test_traces_of_each_teacher_are_told_what_decides_them(tmp_path) -> None:
    def told(**traces) -> tuple[str, str]:
        user = {"phrasing": "train"}
        config = config_of("qwen3-4b", user=user, traces=traces)
        return tuple(stage_flags.traces(config, "MODEL"))

    scripted = "--user scripted --user-phrasing train --prompt tau2"
    assert told() == (f"--teacher scripted {scripted}", "")
    for count in (2, 3):
        assert told(wordings=count) == (f"--teacher scripted {scripted} --wordings {count}", "")
    paid, untracked = told(teacher="llm", model="openai/x", max_length=900)
    own = f"{scripted} --tokenizer MODEL --teacher-model openai/x --teacher-temperature 0.7"
    assert paid == f"--teacher llm {own} --attempts 4 --max-length 900"
    assert untracked == "--teacher-timeout-s 120.0 --concurrency 16"
    played = "--prompt tau2"  # by others: the user here has no part in them
    given, untracked = told(teacher="hub", source="a/b", revision="v1")
    assert given == (
        f"--teacher hub {played} --source a/b --revision v1 --no-replace-prompt"
        " --max-rejected-share 0.1"
    )
    assert untracked == ""
    (file := tmp_path / "t.jsonl").write_text("{}")
    given, _ = told(teacher="file", source=str(file), replace_prompt=True)
    own = f"{played} --source {file} --replace-prompt --max-rejected-share 0.1"
    assert given == f"--teacher file {own}"


def test_a_server_is_told_of_where_there_is_one() -> None:
    on_gpus = config_of("qwen3-4b", slime={"server_args": "--quantization fp8"})
    untracked = stage_flags.evaluation(on_gpus).untracked
    assert "--tensor-parallel 2 '--server-args=--quantization fp8'" in untracked
    for flags in (stage_flags.evaluation(config_of()), stage_flags.rejection_sampling(config_of())):
        assert "--tensor-parallel" not in flags.untracked and "server-args" not in flags.untracked


def test_a_training_is_told_that_nothing_is_validated() -> None:
    """Its program by itself would: that is the preset's."""
    for preset in ("demo", "qwen3-4b"):
        grpo = {"validation_every": 0, "checkpoint": "last"}
        words = shlex.split(stage_flags.grpo(config_of(preset, grpo=grpo)).untracked)
        assert words[words.index("--validation-every") + 1] == "0"
        assert [word for word in words if "validation" in word] == ["--validation-every"]


def test_untracked_flags_reach_the_programs() -> None:
    config = config_of("qwen3-4b", slime={"extra_args": "--x 1"}, tracking={"offline": True})
    for flags in (stage_flags.sft(config), stage_flags.grpo(config)):
        for part in ("--gpus 2", "'--extra-args=--x 1'", "--wandb-mode offline"):
            assert part in flags.untracked
        assert "--nodes" not in flags.untracked
    assert "--nodes 2" in stage_flags.sft(config_of("qwen3-4b-2x8gpu")).untracked
    assert "--concurrency 32" in stage_flags.evaluation(config).untracked


def test_teachers() -> None:
    llm = {
        "teacher": "llm",
        "model": "openai/x",
        "options": {"top_p": 0.9},
        "price": {"input": 1, "output": 2},
        "budget_usd": 3,
        "max_length": 900,
    }
    flags = stage_flags.traces(config_of("qwen3-4b", traces=llm), "MODEL")
    decided = shlex.split(flags.flags)
    assert decided[decided.index("--teacher-options") + 1] == json.dumps({"top_p": 0.9})
    assert "--tokenizer MODEL" in flags.flags and "--attempts 4" in flags.flags
    assert "--teacher-price 1.0 2.0" in flags.untracked and "budget" not in flags.flags
    hub = {"teacher": "hub", "source": "a/b", "revision": "v1"}
    flags = stage_flags.traces(config_of(traces=hub), "MODEL")
    assert "--source a/b --revision v1 --no-replace-prompt" in flags.flags
    assert "user" not in flags.flags + flags.untracked
    flags = stage_flags.traces(config_of(user={"simulator": "llm"}), "MODEL")
    assert "--attempts 4" in flags.flags and "--concurrency 16" in flags.untracked


def test_a_served_user_goes_before_the_command() -> None:
    config = config_of("qwen3-4b", user={"simulator": "llm", "serve": SERVED})
    words = shlex.split(stage_flags.user_server(config, "grpo", "models/u", "logs/u.log"))
    assert words == [
        *("python", "scripts/with_user_model.py", "--model", "models/u", "--name", "a/b@c"),
        *("--gpus", "2", "--server-args=--tool-call-parser qwen25", "--log", "logs/u.log", "--"),
    ]
    assert job_resources.user_gpus(config, "grpo") == 2
    assert stage_flags.user_server(config_of(), "grpo", "models/u", "logs/u.log") == ""


# --- resources -----------------------------------------------------------------------------------


def test_resources() -> None:
    config = config_of("qwen3-4b-2x8gpu")
    assert (job_resources.gpus(config), job_resources.server_gpus(config)) == (8, 2)
    assert job_resources.training_nodes(config)["nodes"] == 2
    assert job_resources.gpus(config_of()) == job_resources.server_gpus(config_of()) == 0
    assert job_resources.training_nodes(config_of()) == {}
    assert [job_resources.memory_mb(config, attempt) for attempt in (1, 2)] == [200_000, 300_000]
    assert [job_resources.runtime(config, attempt) for attempt in (1, 2)] == [480, 960]


def test_copies_share_only_what_comes_out_the_same() -> None:
    assert job_resources.same_each_time(config_of()) == (True, True)
    assert job_resources.same_each_time(config_of(user={"simulator": "llm"})) == (False, False)
    assert job_resources.same_each_time(config_of("qwen3-4b")) == (True, True)


# --- the start -----------------------------------------------------------------------------------

HERE = Invocation(True, False, False, None, (), {})


def test_what_stops_a_run_before_its_first_job(monkeypatch) -> None:
    start.check_start(runs_of().values(), HERE, "local")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(ConfigError, match="no sbatch in PATH"):
        start.check_start(runs_of().values(), HERE, "slurm")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(BackendUnavailable, match="no NVIDIA GPU"):
        start.check_start(runs_of("gpu-smoke").values(), HERE, "local")
    remote = HERE._replace(remote=True)
    start.check_start(runs_of("gpu-smoke").values(), remote, "local")


def test_every_run_is_asked_for_its_models_key(monkeypatch) -> None:
    monkeypatch.delenv("GEMINI_API_KEY", raising=False)
    runs = runs_of(runs={"paid": {"user": {"simulator": "llm"}}, "free": {"seed": 3}})
    with pytest.raises(ConfigError, match=r"runs\.paid: user: .*GEMINI_API_KEY"):
        start.check_start(runs.values(), HERE, "local")


def workflow(nodes=None, dryrun=False, default_resources=None, remote=False, methods=()):
    return SimpleNamespace(
        is_main_process=True,
        remote_exec=remote,
        resource_settings=SimpleNamespace(
            nodes=nodes, default_resources=default_resources, cores=3
        ),
        output_settings=SimpleNamespace(dryrun=dryrun),
        deployment_settings=SimpleNamespace(
            deployment_method=[SimpleNamespace(name=name) for name in methods]
        ),
        config_settings=SimpleNamespace(configfiles=[], config={"seed": 1}),
        global_resources={"mem_mb": 5},
    )


@pytest.mark.parametrize(
    ("settings", "remote"),
    [
        ({}, False),
        ({"nodes": 4}, True),
        ({"nodes": 4, "dryrun": True}, False),  # snakemake -n -j 4
        ({"nodes": 4, "dryrun": True, "default_resources": {}}, True),  # with a cluster's profile
        ({"remote": True}, True),
    ],
)
def test_where_jobs_run(settings, remote: bool) -> None:
    assert invocation.read(workflow(**settings)).remote is remote


def test_the_command_that_makes_everything_again(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    plain = Invocation(True, False, False, 2, (), {})
    assert plain.again() == "snakemake --cores all"
    files, values = (tmp_path / "my own.yaml",), {"seed": 1, "grpo": {"lr": "1.0e-4"}}
    words = shlex.split(plain._replace(files=files, values=values).again())
    assert words[3:] == ["--configfile", "my own.yaml", "--config", "seed=1", words[-1]]
    assert yaml.safe_load(words[-1].removeprefix("grpo=")) == {"lr": "1.0e-4"}


def test_invocation_and_its_layers(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "config.yaml").write_text("seed: 2\n")
    started = invocation.read(workflow(methods=["APPTAINER"]))
    assert (started.container, started.cores, started.main) == (True, 3, True)
    assert started.layers() == [("config.yaml", {"seed": 2}), ("--config", {"seed": 1})]
    flow = workflow()
    invocation.cap_gpus(flow, 2)
    invocation.cap_gpus(flow, 4)  # the first, or the command line's, stays
    assert flow.global_resources == {"mem_mb": 5, "gpu": 2}


def test_versions_of_snakemake() -> None:
    invocation.check_version("9.27.1")
    for version in ("8.30.0", "10.0.0", "10.0.0b1"):
        with pytest.raises(ConfigError, match=f"Snakemake {version} is not one"):
            invocation.check_version(version)


# --- the rules -----------------------------------------------------------------------------------

ORDER = (
    *("name", "input", "output", "log", "benchmark", "cache", "priority", "threads", "localrule"),
    *("resources", "params", "message", "shell"),
)


def test_keys_of_rules_stand_in_one_order() -> None:
    found = 0
    for path in sorted((ROOT / "rules").glob("*.smk")):
        for body in re.split(r"(?m)^ *(?:rule \w+|rule):$", path.read_text())[1:]:
            indent = re.match(r"\n( +)", body)[1]
            keys = re.findall(rf"(?m)^{indent}(\w+):", body)
            assert keys == sorted(keys, key=ORDER.index), path.name
            found += 1
    assert found >= 11


def test_internals_of_snakemake_are_used_in_one_place() -> None:
    uses = {
        path.name: re.findall(r"\bworkflow\.(\w+)", path.read_text())
        for path in [ROOT / "Snakefile", *(ROOT / "rules").glob("*.smk")]
    }
    assert {name: used for name, used in uses.items() if used} == {"common.smk": ["basedir"]}
