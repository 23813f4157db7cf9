"""Arguments of SGLang's server: which change no answer, and so stand in no key.

Everything else counts. To lower a memory share after a crash must not begin a training anew;
`--quantization fp8` is another model. The names are those of SGLang 0.5.15 (`server_args.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

# Name -> why it changes no answer, apart from the last digits that batches decide: which requests
# share a batch depends on time anyway.
NEUTRAL = {
    "base-gpu-id": "where it runs",
    "chunked-prefill-size": "how many tokens at once",
    "crash-dump-folder": "a record",
    "cuda-graph-bs": "how launches are batched",
    "cuda-graph-max-bs": "how launches are batched",
    "decode-log-interval": "a log",
    "disable-cuda-graph": "how kernels are launched",
    "disable-radix-cache": "what is computed again",
    "dist-init-addr": "where it listens",
    "dist-timeout": "how long it waits",
    "download-dir": "where files lie",
    "enable-memory-saver": "where memory comes from",
    "enable-metrics": "a record",
    "host": "where it listens",
    "log-level": "a log",
    "log-level-http": "a log",
    "log-requests": "a log",
    "log-requests-level": "a log",
    "max-prefill-tokens": "how many tokens at once",
    "max-queued-requests": "how many wait",
    "max-running-requests": "how many at once",
    "max-total-tokens": "size of the cache",
    "mem-fraction-static": "share of memory",
    "nccl-port": "where it listens",
    "port": "where it listens",
    "router-ip": "where it listens",
    "router-port": "where it listens",
    "router-request-timeout-secs": "how long it waits",
    "schedule-conservativeness": "which request is next",
    "schedule-policy": "which request is next",
    "served-model-name": "a name",
    "server-concurrency": "how many at once",
    "show-time-cost": "a log",
    "soft-watchdog-timeout": "how long it waits",
    "watchdog-timeout": "how long it waits",
}
# What of a running server's own account tells its answers from another's. Not all that it says:
# ports, free memory and the like are others after each start.
TELLING = (
    *("model_path", "revision", "tokenizer_path", "version", "weight_version", "model_impl"),
    *("load_format", "model_loader_extra_config", "json_model_override_args", "lora_paths"),
    *("dtype", "quantization", "quantization_param_path", "modelopt_quant", "torchao_config"),
    *("rl_quant_profile", "kv_cache_dtype", "mamba_ssm_dtype", "enable_fp32_lm_head"),
    *("enable_tf32_matmul", "enable_deterministic_inference", "rl_on_policy_target"),
    *("context_length", "allow_auto_truncate", "preferred_sampling_params", "sampling_backend"),
    *("attention_backend", "prefill_attention_backend", "decode_attention_backend"),
    *("triton_attention_reduce_in_fp32", "tp_size", "dp_size", "pp_size", "ep_size"),
    *("speculative_algorithm", "speculative_draft_model_path", "dllm_algorithm"),
    *("speculative_accept_threshold_single", "speculative_accept_threshold_acc"),
)


def deciding(words: Iterable[str], prefix: str = "--") -> list[str]:
    """The arguments, values included, without the neutral ones. prefix: slime's is `--sglang-`.

    Arguments with another prefix are kept.
    """
    kept, dropping = [], False
    for word in words:
        if word.startswith("--"):
            name = word.partition("=")[0].removeprefix(prefix)
            dropping = name.replace("_", "-") in NEUTRAL
        if not dropping:
            kept.append(word)
    return kept


def account(info: Mapping[str, Any]) -> dict[str, Any]:
    """What a running server says of itself (`/get_server_info`), without what is not set."""
    return {name: info[name] for name in TELLING if info.get(name) is not None}
