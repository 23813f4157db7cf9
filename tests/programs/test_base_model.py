"""A model is tried when it is fetched: taken as it is, made fit aloud, or refused in one line."""

import json
import shutil
import subprocess
import sys

import pytest
from fake_hub import COMMIT, FakeHub
from program_runs import SCRIPTS, run_here
from transformers import AutoTokenizer

from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.template_files import shipped_templates

PLAIN = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
THINKS = """{% set opening = '<|im_start|>assistant\n<think>\n\n</think>\n\n' %}
{%- if enable_thinking is undefined or enable_thinking %}
{%- set opening = '<|im_start|>assistant\n' %}{{ 1 / 0 }}{% endif %}"""


@pytest.fixture
def source(tmp_path, random_model):
    """A copy of the small random model, to be made different."""
    return shutil.copytree(random_model, tmp_path / "source")


@pytest.fixture
def fetch(tmp_path, source, monkeypatch, capfd):
    """Run the program on it: exit status, text, output folder."""

    def run(*words):
        output = tmp_path / "output"
        status, said = run_here(
            monkeypatch, capfd, "base_model.py", "--source", source, "--output", output, *words
        )
        return status, said, output

    return run


def refused(outcome, *reasons):
    status, said, output = outcome
    assert status == 2
    assert not output.exists()
    errors = [line for line in said.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and "Traceback" not in said
    for reason in reasons:
        assert reason in errors[0]


def test_a_model_that_fits_is_copied_as_it_is(source, fetch):
    status, said, output = fetch()
    assert (status, said) == (0, f"wrote {output}\n")
    for file in source.iterdir():
        assert (output / file.name).read_bytes() == file.read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\n", "Git LFS pointer"),
        (None, "damaged or cut"),
    ],
)
def test_weights_are_opened_when_they_are_fetched(source, fetch, content, reason):
    file = source / "model.safetensors"
    file.write_bytes(file.read_bytes()[:-100] if content is None else content)
    refused(fetch(), reason, file.name)


def test_plain_chatml_is_refused_unless_a_template_is_given(source, fetch, tmp_path):
    (source / "chat_template.jinja").write_text(PLAIN, encoding="utf-8")
    refused(fetch(), str(source), "leaves out the tools", "model.chat_template to hermes")
    refused(fetch("--chat-template", "nonsense"), "nonsense is no template file", "llama3")
    hermes = shipped_templates()["hermes"].read_text(encoding="utf-8")
    (tmp_path / "own.jinja").write_text("{#- é -#}\n" + hermes, encoding="utf-8-sig")
    for wanted, text in (("hermes", hermes), (tmp_path / "own.jinja", "{#- é -#}\n" + hermes)):
        status, said, output = fetch("--chat-template", wanted)
        assert status == 0
        assert f"chat template: {wanted}, not the model's own" in said
        assert AutoTokenizer.from_pretrained(output).chat_template == text


def test_a_model_that_is_only_served_may_do_as_it_likes(source, fetch):
    (source / "chat_template.jinja").write_text(PLAIN, encoding="utf-8")
    assert fetch("--only-served")[0] == 0


def test_thinking_is_switched_off_in_the_folder(source, fetch):
    text = shipped_templates()["qwen3_nothink"].read_text(encoding="utf-8")
    start = text.index("{%- set opening")
    text = THINKS + text[text.index("\n", start) :]
    (source / "chat_template.jinja").write_text(text, encoding="utf-8")
    status, said, output = fetch()
    assert status == 0
    assert "chat template: written with enable_thinking = false" in said
    codec = ChatCodec(AutoTokenizer.from_pretrained(output))  # needs no switch any more
    assert codec.decode(codec.prompt([{"role": "user", "content": "a"}], [])).endswith(
        "</think>\n\n"
    )


def test_named_templates_become_one(source, fetch):
    hermes = (source / "chat_template.jinja").read_text(encoding="utf-8")
    named = source / "additional_chat_templates"
    named.mkdir()
    (named / "tool_use.jinja").write_text(hermes, encoding="utf-8")
    (source / "chat_template.jinja").write_text(PLAIN, encoding="utf-8")
    assert isinstance(AutoTokenizer.from_pretrained(source).chat_template, dict)
    status, _, output = fetch()
    assert status == 0
    assert AutoTokenizer.from_pretrained(output).chat_template == hermes


def test_a_template_inside_the_tokenizers_configuration_is_replaced(source, fetch):
    (source / "chat_template.jinja").unlink()
    file = source / "tokenizer_config.json"
    values = json.loads(file.read_text()) | {"chat_template": PLAIN}
    file.write_text(json.dumps(values))
    refused(fetch(), "leaves out the tools")
    _, _, output = fetch("--chat-template", "hermes")
    assert "chat_template" not in json.loads((output / "tokenizer_config.json").read_text())
    assert "<tool_call>" in AutoTokenizer.from_pretrained(output).chat_template


def test_a_base_model_learns_where_its_new_template_stops(source, fetch):
    (source / "chat_template.jinja").unlink()
    stop, end = AutoTokenizer.from_pretrained(source).convert_tokens_to_ids(
        ["<|im_end|>", "<|endoftext|>"]
    )
    file = source / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"eos_token": "<|endoftext|>"}))
    file = source / "generation_config.json"
    file.write_text(json.dumps({"eos_token_id": end}))
    refused(fetch(), "there is no chat template", "set model.chat_template to hermes")
    status, said, output = fetch("--chat-template", "hermes")
    assert status == 0
    assert "<|im_end|> ends an answer, too" in said
    generation = json.loads((output / "generation_config.json").read_text())
    assert generation == {"eos_token_id": [stop, end]}
    assert ChatCodec(AutoTokenizer.from_pretrained(output)).stop_ids == (stop, end)


@pytest.mark.parametrize("token", ["<|im_start|>", "<|im_end|>", "</tool_call>"])
def test_a_token_that_only_the_tokenizer_has_is_named(source, fetch, token):
    """ChatML's tokens were added to a tokenizer, and the embeddings left as they were."""
    number = AutoTokenizer.from_pretrained(source).convert_tokens_to_ids(token)
    above = AutoTokenizer.from_pretrained(source).decode([number])
    config_of(source, vocab_size=number)
    _, said, _ = outcome = fetch()
    refused(outcome, f"a vocab_size of {number}", "no embedding")
    assert above in said or "<|im_end|>" in said or "tool_call" in said


def test_files_that_cannot_be_read(source, fetch, tmp_path):
    (tmp_path / "latin.jinja").write_bytes("é".encode("latin-1"))
    refused(fetch("--chat-template", tmp_path / "latin.jinja"), "latin.jinja is no UTF-8 text")
    (source / "config.json").write_text("{")
    refused(fetch("--max-positions", 99999), "config.json is no JSON")
    (source / "config.json").write_text("[]")
    refused(fetch("--max-positions", 99999), "config.json holds no JSON object")


def test_a_tokenizer_that_cannot_be_loaded(source, fetch):
    (source / "tokenizer.json").write_text("{}")
    refused(fetch(), str(source), "its tokenizer cannot be loaded")


def config_of(source, **values):
    file = source / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def test_positions_are_widened_and_said_so(source, fetch):
    config_of(source, max_position_embeddings=1000)
    status, said, output = fetch("--max-positions", 3000)
    assert status == 0
    assert "positions: 3000 instead of 1000" in said
    assert json.loads((output / "config.json").read_text())["max_position_embeddings"] == 3000
    assert AutoTokenizer.from_pretrained(output).model_max_length == 3000


@pytest.mark.parametrize(
    ("values", "positions", "reason"),
    [
        ({"max_position_embeddings": 1000}, 999, "has 1000 positions"),
        ({"rope_scaling": {"rope_type": "yarn", "rope_theta": 1e4}}, 99999, "(yarn)"),
        ({"rope_scaling": {"type": "linear"}, "rope_theta": 1e4}, 99999, "(linear)"),
        ({"rope_scaling": "linear", "rope_theta": 1e4}, 99999, "(linear)"),
        ({"rope_parameters": None, "rope_theta": None}, 99999, "has no rotary positions"),
        ({"max_position_embeddings": None}, 99999, "has no rotary positions"),
    ],
)
def test_positions_that_cannot_be_widened(source, fetch, values, positions, reason):
    config_of(source, **values)
    refused(fetch("--max-positions", positions), reason, "model.max_positions")


@pytest.mark.slow
@pytest.mark.parametrize("revision", [COMMIT, "v1"])
def test_a_model_of_the_hub_at_its_revision(source, tmp_path, revision):
    files = {path.name: path.read_bytes() for path in source.iterdir()}
    output = tmp_path / "output"
    with FakeHub("someone/model", {**files, "weights.gguf": b"x"}, "models") as hub:
        done = from_hub(hub, tmp_path, "--source", "someone/model", "--revision", revision)
    assert done.returncode == 0, done.stderr
    assert {path.name: path.read_bytes() for path in output.iterdir()} == files
    assert not any("gguf" in path.split("/")[-1] for path in hub.paths)


@pytest.mark.slow
def test_a_model_of_the_hub_without_a_revision_or_with_a_wrong_one(tmp_path):
    with FakeHub("someone/model", {}, "models") as hub:
        done = from_hub(hub, tmp_path, "--source", "someone/model")
        assert done.returncode == 2 and hub.paths == []
        assert "someone/model has no revision; pin one (model.revision" in done.stderr
        done = from_hub(hub, tmp_path, "--source", "someone/model", "--revision", "v2")
    assert done.returncode == 2 and "Traceback" not in done.stderr
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error: ")]
    assert "someone/model@v2 could not be downloaded" in line and "Check the id" in line
    assert not (tmp_path / "output").exists()


def from_hub(hub, tmp_path, *words):
    command = [sys.executable, str(SCRIPTS / "base_model.py"), *words]
    command += ["--output", str(tmp_path / "output")]
    environment = hub.environment(tmp_path / "hf")
    return subprocess.run(command, env=environment, capture_output=True, text=True)
