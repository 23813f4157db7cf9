"""Supervised fine-tuning on traces, on the CPU, with TRL's SFTTrainer.

Traces are tokenised by the episode's own codec, so the model is trained on exactly the token stream
that it will see and write in an episode; those that a model sampled keep its tokens. The loss is on
what the agent wrote after the greeting.

Interrupted, it resumes from its last whole checkpoint when the same command runs again.
"""

from __future__ import annotations

import math
import time
from pathlib import Path

from tau2_agent import cli
from tau2_agent.config import program_options as settings
from tau2_agent.records.progress import Progress
from tau2_agent.source_code import code_digest
from tau2_agent.training import optimizer
from tau2_agent.training.fingerprint import fingerprint
from tau2_agent.training.resumable import Stage
from tau2_agent.training.trained_for import TrainedFor


def train(args, stage: Stage) -> None:
    from datasets import Dataset
    from trl import SFTConfig, SFTTrainer

    from tau2_agent.processes import compute_with_avx2, keep_freed_memory
    from tau2_agent.rollout.chat_template import ChatCodec
    from tau2_agent.rollout.loading import load_model, load_tokenizer
    from tau2_agent.rollout.model_folder import require_model, require_positions
    from tau2_agent.training.sft_data import labels, read_traces, token_records
    from tau2_agent.training.trl import cut_metrics, finish, last_checkpoint, run, silence_progress

    require_model(args.model)
    silence_progress()
    keep_freed_memory()
    compute_with_avx2()
    tokenizer = load_tokenizer(args.model)
    rows = read_traces(args.traces, args.prompt)
    records = token_records(rows, ChatCodec(tokenizer), args.max_length)
    require_positions(args.model, max(len(r.ids) for r in records), "a trace's length")
    trained = sum(sum(record.loss_mask) for record in records)
    total = sum(len(record.ids) for record in records)
    print(f"{len(records)} traces, {total} tokens, loss on {trained} of them")
    samples = [{"input_ids": record.ids, "labels": labels(record)} for record in records]

    steps = math.ceil(len(samples) / args.batch_size) * args.epochs
    config = SFTConfig(
        output_dir=str(stage.folder),
        max_steps=steps,
        per_device_train_batch_size=args.batch_size,
        **optimizer.trl_arguments(
            lr=args.lr,
            schedule="cosine",
            weight_decay=args.weight_decay,
            beta2=args.adam_beta2,
        ),
        warmup_steps=math.ceil(args.warmup_ratio * steps),
        max_length=None,  # checked above: nothing is cut silently
        packing=False,
        use_cpu=True,
        bf16=False,
        gradient_checkpointing=False,
        save_steps=args.save_steps,
        save_total_limit=args.keep_checkpoints,
        logging_steps=args.logging_steps,
        logging_nan_inf_filter=False,  # a NaN must be seen: StageCallback ends the training
        report_to=[],
        disable_tqdm=True,
        seed=args.seed,
    )
    trainer = SFTTrainer(
        model=load_model(args.model),
        args=config,
        train_dataset=Dataset.from_list(samples),
        processing_class=tokenizer,
    )
    checkpoint = last_checkpoint(stage.folder)
    step = int(checkpoint.name[11:]) if checkpoint else 0
    cut_metrics(stage.folder, step)
    print(f"{steps} steps; " + (f"resumed at step {step}" if checkpoint else f"from {args.model}"))
    began = time.time()
    progress = Progress(f"sft {args.output}", steps, step, "steps", says=False)
    result = run(stage, trainer, checkpoint, progress)
    if not stage.stop_requested:
        finish(
            stage,
            trainer,
            tokenizer,
            {
                "stage": "sft",
                "steps": steps,
                "resumed_at": step,
                "seconds": round(time.time() - began, 1),
                "train_loss": result.training_loss,
                "started_from": str(args.model),
            },
            TrainedFor(stage="sft", prompt=args.prompt, code=code_digest("train_sft_trl")),
        )


def main() -> int:
    parser = cli.parser(__doc__)
    parser.add_argument(
        "--model", type=Path, required=True, help="Hugging Face folder to start from"
    )
    parser.add_argument(
        "--traces", type=Path, nargs="+", required=True, help="trace files, learnt from together"
    )
    parser.add_argument("--output", type=Path, required=True, help="checkpoint to make")
    settings.add(parser, "prompt sft.max_length seed", "cpu")
    settings.add(
        parser.add_argument_group("optimisation"),
        "sft.lr sft.epochs sft.batch_size sft.warmup_ratio sft.weight_decay sft.adam_beta2",
        "cpu",
    )
    records = parser.add_argument_group("records")
    settings.add(records, "sft.save_steps resources.keep_checkpoints", "cpu")
    records.add_argument("--logging-steps", type=int, default=10)
    args = parser.parse_args()

    traces = {f"traces {number}": path for number, path in enumerate(args.traces)}
    mark = fingerprint(
        {"model": args.model, **traces},
        {
            "prompt": args.prompt,
            "max_length": args.max_length,
            "seed": args.seed,
            "lr": args.lr,
            "epochs": args.epochs,  # the cosine ends with them: another number is another run
            "batch_size": args.batch_size,
            "warmup_ratio": args.warmup_ratio,
            "weight_decay": args.weight_decay,
            "adam_beta2": args.adam_beta2,
        },
        code=code_digest("train_sft_trl"),
    )
    with Stage(args.output, mark) as stage:
        if not stage.finished:
            train(args, stage)
    return 0


if __name__ == "__main__":
    cli.run(main)
