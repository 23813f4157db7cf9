"""Put the base model into a local Hugging Face folder.

`--source demo` makes one here: a Qwen3 configuration of under a million parameters with random
weights, a byte-level BPE tokenizer trained on the telecom text, and the chat template of
Qwen3-4B-Instruct-2507. Its tokenizer splits text at sentence marks and new lines only, so a whole
phrase can become one token: an episode is then some 600 tokens instead of 9,000, which is what
makes minutes on a CPU possible, and which no real model's tokenizer does.

Any other source is a hub id (with `--revision`, a commit hash or tag) or a local folder. Its chat
template, or the one of `--chat-template`, is tried before anything is trained: see
`tau2_agent/rollout/template_trial.py`. What passed is written into the folder, thinking switched
off where the template can do that, so that all stages, and servers, read the same.

The output folder is whole or absent.
"""

from __future__ import annotations

import json
import os
import shutil
from importlib.resources import files
from pathlib import Path

from tau2_agent import cli
from tau2_agent.config.program_options import add
from tau2_agent.errors import InputError
from tau2_agent.rollout.model_folder import prepare_chat, widen_positions
from tau2_agent.rollout.template_files import shipped_templates, template_text
from tau2_agent.teachers.trace_schema import read_trace_lines
from tau2_agent.weights import require_readable

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MARKS = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>"]
# What a download needs: no weights in other formats, no images.
HUB_FILES = ["*.json", "*.safetensors", "*.txt", "*.jinja", "*.model", "LICENSE*", "README.md"]


def demo_tokenizer(texts: list[str], vocab_size: int):
    """A byte-level BPE tokenizer with Qwen3's special tokens, trained on `texts`."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(r"[^.!?\n]*[.!?\n]+|[^.!?\n]+"), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size - len(MARKS),
        min_frequency=2,
        special_tokens=SPECIAL,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_tokens([AddedToken(mark, special=False, normalized=False) for mark in MARKS])
    template = files("trl").joinpath("chat_templates/qwen3_instruct_2507.jinja")
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
        chat_template=template.read_text(encoding="utf-8"),
        clean_up_tokenization_spaces=False,
    )


def training_texts(traces: Path, prompt_text: str) -> list[str]:
    """What the demo tokenizer is trained on: the traces' messages and the system prompt."""
    texts = [prompt_text]
    for row in read_trace_lines(traces):
        for message in row["messages"]:
            if message["role"] == "system":
                continue
            texts.append(message["content"])
            for call in message.get("tool_calls", []):
                function = call["function"]
                name = json.dumps(function["name"])
                texts.append(f'\n{{"name": {name}, "arguments": {function["arguments"]}}}\n')
    return [text for text in texts if text]


def make_demo(folder: Path, args) -> None:
    """A small random Qwen3 model with its tokenizer."""
    import torch
    from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

    from tau2_agent.benchmark.environment import SHORT_SYSTEM_PROMPT

    texts = training_texts(args.traces, SHORT_SYSTEM_PROMPT)
    tokenizer = demo_tokenizer(texts, args.vocab_size)
    stop, end = tokenizer.eos_token_id, tokenizer.pad_token_id
    config = Qwen3Config(
        vocab_size=len(tokenizer),
        hidden_size=args.hidden_size,
        intermediate_size=3 * args.hidden_size,
        num_hidden_layers=args.layers,
        num_attention_heads=args.heads,
        num_key_value_heads=args.heads,
        head_dim=args.hidden_size // args.heads,
        max_position_embeddings=args.context_length,
        rope_parameters={"rope_type": "default", "rope_theta": 10000.0},
        tie_word_embeddings=True,
        attention_dropout=0.0,
        bos_token_id=None,
        eos_token_id=stop,
        pad_token_id=end,
    )
    torch.manual_seed(args.seed)
    model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=[stop, end], pad_token_id=end)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"demo model: {count / 1e6:.2f} M parameters, vocabulary {len(tokenizer)}")


def fetch(folder: Path, source: str, revision: str | None) -> None:
    """Copy a local folder, or download a hub model at a revision."""
    if Path(source).is_dir():
        shutil.copytree(source, folder, dirs_exist_ok=True)
        return
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError

    if not revision:
        raise InputError(
            f"{source} has no revision; pin one (model.revision: a commit hash or tag), so that "
            "two runs train the same model"
        )
    try:
        snapshot_download(source, revision=revision, local_dir=folder, allow_patterns=HUB_FILES)
    except (HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk, not the hub
        reason = " ".join(str(error).split())
        raise InputError(
            f"{source}@{revision} could not be downloaded ({type(error).__name__}: {reason}). "
            "Check the id, the revision, the network and HF_TOKEN, or give a local folder as source"
        ) from error
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def check(folder: Path, source: str) -> None:
    """The files that every later stage needs are there. Raises InputError, WeightsError."""
    missing = [
        name for name in ("config.json", "tokenizer_config.json") if not (folder / name).exists()
    ]
    if missing:
        raise InputError(f"{source} lacks {', '.join(missing)}: not a Hugging Face model")
    require_readable(folder)


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--output", type=Path, required=True, help="folder to write")
    parser.add_argument("--source", default="demo", help="demo, a hub id, or a local folder")
    parser.add_argument("--revision", help="of a hub id: commit hash or tag")
    parser.add_argument(
        "--only-served", action="store_true", help="not to be trained: any chat template will do"
    )
    parser.add_argument(
        "--chat-template",
        metavar="FILE_OR_NAME",
        help=f"in place of the model's own: a file, or one of {', '.join(shipped_templates())}",
    )
    parser.add_argument(
        "--max-positions",
        type=int,
        help="tokens that the model can read, more than it was made for",
    )
    demo = parser.add_argument_group("the demo model")
    demo.add_argument("--traces", type=Path, help="teacher traces to train the tokenizer on")
    add(
        demo,
        "seed model.layers model.hidden_size model.heads model.vocab_size model.context_length",
        "cpu",
    )
    args = parser.parse_args()
    if args.source == "demo" and args.traces is None:
        parser.error("--source demo needs --traces, the text for its tokenizer")
    if args.hidden_size % (2 * args.heads):
        parser.error(
            "--hidden-size must be a multiple of twice --heads (rotary embeddings are pairs)"
        )

    if args.chat_template is not None:
        template_text(args.chat_template)  # a wrong name is said before anything is downloaded

    partial = args.output.with_name(args.output.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    if args.source == "demo":
        make_demo(partial, args)
    else:
        fetch(partial, args.source, args.revision)
    check(partial, args.source)
    if args.max_positions is not None:
        widen_positions(partial, args.source, args.max_positions)
    if not args.only_served:
        prepare_chat(partial, args.source, args.chat_template)
    if args.output.is_dir():
        shutil.rmtree(args.output)
    os.rename(partial, args.output)
    print(f"wrote {args.output}")
    return 0


if __name__ == "__main__":
    cli.run(main)
