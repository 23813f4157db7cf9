"""Ask in seconds what would stop a run after hours: GPUs, versions, disk, proxies, keys, files.

`snakemake preflight` runs it with the configuration's numbers; each GPU job asks the same for
itself before it touches a GPU. Every failure is printed with its remedy, and the exit status is 1.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from tau2_agent import cli
from tau2_agent.preflight import host as machine
from tau2_agent.preflight.checks import findings
from tau2_agent.preflight.requirements import Finding, Requirements, hardware

SIGNS = {"ok": "ok     ", "warning": "warning", "failure": "FAILURE"}

QUESTION = [{"role": "user", "content": "Answer with the one word: ready"}]
TIMEOUT_S = 30.0


def model_findings(models: Mapping[str, Any]) -> Iterator[Finding]:
    """Ask each model once for one word: key, address, model name, quota.

    models: section of the configuration -> how it is asked. A single attempt tells what is wrong.
    """
    from tau2_agent.llm.client import LLMFailure  # litellm takes seconds to import

    for section, settings in models.items():
        try:
            answer = asyncio.run(_ask(replace(settings, retries=0, timeout_s=TIMEOUT_S)))
        except LLMFailure as failure:
            text = f"{section}.model {settings.model} does not answer: {failure.detail}"
            yield Finding("failure", "language model", text)
        else:
            text = f"{section}.model {settings.model} answers in {answer.seconds:.1f} s"
            yield Finding("ok", "language model", text)


async def _ask(settings: Any):
    from tau2_agent.llm.client import LLM

    model = LLM(settings)
    try:
        return await model.complete(QUESTION)
    finally:
        await model.close()


def open_store(target: Path) -> Path | None:
    """Return the store that a training of this target will fill, None if it is done.

    Several unfinished ones may be there, of other hyperparameters; the newest is taken.
    """
    if target.exists():
        return None
    stores = target.parent.joinpath(".store").glob(f"{target.name}-*")
    unfinished = [path for path in stores if not (path / "done.json").exists()]
    return max(unfinished, key=lambda path: path.stat().st_mtime, default=target)


def requirements(args) -> Requirements:
    stores = map(open_store, args.checkpoints)
    return Requirements(
        backend=args.backend,
        **hardware(args),
        stores=tuple(store for store in stores if store is not None),
        model=args.model,
        source=args.source,
        context_length=args.context_length,
        sample_length=args.sample_length,
        convert_args=tuple(shlex.split(args.convert_args)),
        server_args=tuple(shlex.split(args.server_args)),
        data=tuple(args.data),
        port=args.port,
    )


def show(found: list[Finding]) -> None:
    width = max(len(finding.check) for finding in found)
    for finding in sorted(found, key=lambda finding: list(SIGNS).index(finding.level)):
        print(f"{SIGNS[finding.level]}  {finding.check:{width}}  {finding.text}")


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument("--backend", choices=["slime", "cpu"], required=True)
    parser.add_argument("--model", type=Path, required=True, help="Hugging Face folder")
    parser.add_argument("--source", help="its hub id: tells its size while it is not there")
    parser.add_argument(
        "--checkpoints", type=Path, nargs="*", default=[], help="trainings to come, or done"
    )
    parser.add_argument("--data", type=Path, nargs="*", default=[], help="JSON-lines files")
    parser.add_argument("--port", type=int, help="of an SGLang server that runs already")
    parser.add_argument(
        "--ask",
        nargs="*",
        default=[],
        metavar="SECTION=JSON",
        help="language models that get one real request; keys come from the environment",
    )
    hardware = parser.add_argument_group("the machine")
    hardware.add_argument("--gpus", type=int, default=0, help="on each node")
    hardware.add_argument("--nodes", type=int, default=1)
    hardware.add_argument("--tensor-parallel", type=int, default=1)
    hardware.add_argument("--pipeline-parallel", type=int, default=1)
    hardware.add_argument("--context-parallel", type=int, default=1)
    hardware.add_argument("--expert-parallel", type=int, default=1)
    hardware.add_argument("--max-tokens-per-gpu", type=int, default=0, help="of a micro batch")
    hardware.add_argument("--keep-checkpoints", type=int, default=2, help="of each training")
    hardware.add_argument(
        "--optimizer-offload", action=argparse.BooleanOptionalAction, default=False
    )
    hardware.add_argument("--context-length", type=int, default=0, help="longest text, in tokens")
    hardware.add_argument("--sample-length", type=int, default=0, help="longest one trained on")
    hardware.add_argument("--extra-args", default="", help="of both trainings, one string")
    hardware.add_argument("--convert-args", default="", help="of the conversion, one string")
    hardware.add_argument("--server-args", default="", help="of SGLang's server, one string")
    args = parser.parse_args()

    found = list(findings(requirements(args), machine.look()))
    if args.ask:
        from tau2_agent.llm.client import LLMSettings

        asked = (word.split("=", 1) for word in args.ask)
        models = {section: LLMSettings(**json.loads(values)) for section, values in asked}
        found += model_findings(models)
    show(found)
    failed = sum(finding.level == "failure" for finding in found)
    print(f"{len(found)} checks, {failed} failed" + ("" if failed else ": the run may begin"))
    return 1 if failed else 0


if __name__ == "__main__":
    cli.run(main)
