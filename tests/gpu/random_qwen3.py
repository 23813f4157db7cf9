"""Make a Qwen3 model with random weights: the real sizes, for measuring without a download.

    python tests/gpu/random_qwen3.py --size 4B --tokenizer FOLDER --output models/random

The tokenizer is copied from a folder and gets the chat template of Qwen3-4B-Instruct-2507.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from importlib.resources import files
from pathlib import Path

import torch
from transformers import GenerationConfig, Qwen3Config, Qwen3ForCausalLM

# layers, hidden, ffn, heads, groups, channels, tied embeddings
SIZES = {
    "tiny": (8, 512, 1536, 8, 4, 64, True),
    "0.6B": (28, 1024, 3072, 16, 8, 128, True),
    "1.7B": (28, 2048, 6144, 16, 8, 128, True),
    "4B": (36, 2560, 9728, 32, 8, 128, True),
    "8B": (36, 4096, 12288, 32, 8, 128, False),
}
STOP, END, VOCABULARY = 151645, 151643, 151936  # <|im_end|>, <|endoftext|>


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--size", choices=SIZES, default="4B")
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder of Qwen3's tokenizer")
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--context-length", type=int, default=32768)
    args = parser.parse_args()

    layers, hidden, ffn, heads, groups, channels, tied = SIZES[args.size]
    config = Qwen3Config(
        vocab_size=VOCABULARY,
        hidden_size=hidden,
        intermediate_size=ffn,
        num_hidden_layers=layers,
        num_attention_heads=heads,
        num_key_value_heads=groups,
        head_dim=channels,
        max_position_embeddings=args.context_length,
        rope_parameters={"rope_type": "default", "rope_theta": 5000000.0},
        tie_word_embeddings=tied,
        attention_dropout=0.0,
        bos_token_id=END,
        eos_token_id=STOP,
        pad_token_id=END,
        dtype="bfloat16",
    )
    torch.manual_seed(0)
    torch.set_default_dtype(torch.bfloat16)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen3ForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=[STOP, END], pad_token_id=END)
    model.save_pretrained(args.output)
    for name in ("tokenizer.json", "tokenizer_config.json"):
        shutil.copy(args.tokenizer / name, args.output / name)
    path = args.output / "tokenizer_config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    template = files("trl").joinpath("chat_templates/qwen3_instruct_2507.jinja")
    settings["chat_template"] = template.read_text(encoding="utf-8")
    path.write_text(json.dumps(settings, indent=2), encoding="utf-8")
    count = sum(parameter.numel() for parameter in model.parameters())
    print(f"{args.output}: Qwen3 {args.size}, {count / 1e9:.3f} G parameters, random weights")
    return 0


if __name__ == "__main__":
    sys.exit(main())
