"""Convert a model between Hugging Face's format and Megatron's torch_dist.

    --to torch_dist   what slime trains; needs a GPU
    --to hf           what everything else loads; runs on the CPU

Megatron's model arguments come from the model's own config.json and are compared with slime's
script for that model, if it has one. The output is whole or absent.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from tau2_agent import cli
from tau2_agent.gpus import take_gpus
from tau2_agent.preflight.checks import require
from tau2_agent.preflight.requirements import Requirements
from tau2_agent.training.slime.conversion import to_huggingface, to_megatron
from tau2_agent.training.slime.install import find_install
from tau2_agent.training.slime.user_arguments import extra_arguments


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--to", choices=("torch_dist", "hf"), required=True)
    parser.add_argument("--input", type=Path, required=True, help="folder to convert")
    parser.add_argument("--output", type=Path, required=True, help="folder to make")
    parser.add_argument(
        "--model", type=Path, help="with --to hf: folder with configuration and tokenizer"
    )
    parser.add_argument("--source", help="hub id of the model, to find slime's script for it")
    parser.add_argument("--gpus", type=int, default=1, help="GPUs that share the layers")
    parser.add_argument("--extra-args", default="", help="further arguments for slime's tool")
    args = parser.parse_args()
    if args.to == "hf" and args.model is None:
        parser.error("--to hf needs --model, the Hugging Face folder of the same architecture")

    install = find_install()
    if args.to == "hf":
        to_huggingface(install, args.input, args.output, args.model)
    else:
        take_gpus(args.gpus)
        extra = extra_arguments(args)
        wanted = Requirements("slime", args.gpus, model=args.input, source=args.source)
        require(replace(wanted, convert_args=tuple(extra)), install)
        to_megatron(install, args.input, args.output, gpus=args.gpus, name=args.source, extra=extra)
    print(f"wrote {args.output}")
    return 0


if __name__ == "__main__":
    cli.run(main)
