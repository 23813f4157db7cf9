"""Writes what slime's CPU converter writes."""

import argparse
import json
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
import marked_weights

parser = argparse.ArgumentParser()
parser.add_argument("--input-dir", type=Path)
parser.add_argument("--output-dir", type=Path)
parser.add_argument("--origin-hf-dir", type=Path)
parser.add_argument("--vocab-size", type=int)
args = parser.parse_args()
assert (args.input_dir / "common.pt").exists()
args.output_dir.mkdir(parents=True)
for item in args.origin_hf_dir.iterdir():
    if item.is_file() and item.suffix != ".safetensors":
        shutil.copy(item, args.output_dir / item.name)
marked_weights.write(
    args.output_dir / "model-00000-of-1.safetensors", f"converted {args.input_dir.name}"
)
index = {"weight_map": {"w": "model-00000-of-1.safetensors"}}
(args.output_dir / "model.safetensors.index.json").write_text(json.dumps(index))
