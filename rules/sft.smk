# Supervised fine-tuning on the teacher traces. The backend decides the program and its flags; the
# files are the same. An interrupted job continues: see tau2_agent/training/resumable.py.
SFT = {
    "cpu": {
        "program": "train_sft_trl.py --model {input.model}",
        "keys": "lr epochs batch_size max_length warmup_ratio weight_decay adam_beta2",
        "converted": [],
    },
    "slime": {
        "program": "train_sft_slime.py --model {input.model} --base {input.converted}",
        "keys": "lr epochs steps batch_size max_length warmup_ratio weight_decay adam_beta2",
        "converted": CONVERTED,
    },
}[BACKEND]


rule sft:
    input:
        model=CHECKPOINTS["base"],
        converted=SFT["converted"],
        traces=TRACES,
        leaks=expand(LEAKS, split=config["tasks"]["held_out"]),
    output:
        directory(CHECKPOINTS["sft"]),
    log:
        "logs/sft.log",
    benchmark:
        "benchmarks/sft.tsv"
    threads: THREADS
    resources:
        **TRAINING_NODES,
        gpu=GPUS * NODES,
        mem_mb=memory_mb,
        runtime=runtime,
    params:
        flags=flags(only("sft", SFT["keys"]), prompt=config["prompt"], seed=config["seed"]),
        untracked_flags=untracked_flags(**only("sft", "save_steps"), **MACHINE),
    message:
        "SFT: {input.model} learns from {input.traces}"
    shell:
        f"python scripts/{SFT['program']} --traces {{input.traces}} --output {{output}}"
        " {params.flags} {params.untracked_flags} 2>&1 | tee {log}"
