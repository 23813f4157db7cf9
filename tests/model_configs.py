"""config.json of published models, for tests that need no weights.

As on the hub, without what nobody here reads. Parameters are what the hub counts in the weights.
"""

# layers, hidden, ffn, heads, groups, tied; rotary base; parameters
QWEN3 = {
    "Qwen3-0.6B": (28, 1024, 3072, 16, 8, True, 1_000_000, 596_049_920),
    "Qwen3-1.7B": (28, 2048, 6144, 16, 8, True, 1_000_000, 1_720_574_976),
    "Qwen3-4B": (36, 2560, 9728, 32, 8, True, 1_000_000, 4_022_468_096),
    "Qwen3-4B-Instruct-2507": (36, 2560, 9728, 32, 8, True, 5_000_000, 4_022_468_096),
    "Qwen3-8B": (36, 4096, 12288, 32, 8, False, 1_000_000, 8_190_735_360),
    "Qwen3-14B": (40, 5120, 17408, 40, 8, False, 1_000_000, 14_768_307_200),
    "Qwen3-32B": (64, 5120, 25600, 64, 8, False, 1_000_000, 32_762_123_264),
}
QWEN2 = {
    "Qwen2.5-0.5B-Instruct": (24, 896, 4864, 14, 2, True, 1_000_000, 494_032_768),
    "Qwen2.5-1.5B-Instruct": (28, 1536, 8960, 12, 2, True, 1_000_000, 1_543_714_304),
    "Qwen2.5-3B-Instruct": (36, 2048, 11008, 16, 2, True, 1_000_000, 3_085_938_688),
    "Qwen2.5-7B-Instruct": (28, 3584, 18944, 28, 4, False, 1_000_000, 7_615_616_512),
    "Qwen2.5-14B-Instruct": (48, 5120, 13824, 40, 8, False, 1_000_000, 14_770_033_664),
    "Qwen2.5-32B-Instruct": (64, 5120, 27648, 40, 8, False, 1_000_000, 32_763_876_352),
}
LLAMA = {
    "SmolLM2-135M-Instruct": (30, 576, 1536, 9, 3, True, 100_000, 134_515_008),
    "SmolLM2-360M-Instruct": (32, 960, 2560, 15, 5, True, 100_000, 361_821_120),
    "SmolLM2-1.7B-Instruct": (24, 2048, 8192, 32, 32, True, 130_000, 1_711_376_384),
    "Llama-3.1-8B-Instruct": (32, 4096, 14336, 32, 8, False, 500_000, 8_030_261_248),
    "Llama-3.2-1B-Instruct": (16, 2048, 8192, 32, 8, True, 500_000, 1_235_814_400),
}
QWEN3_MOE = {
    "Qwen3-30B-A3B": (48, 2048, 6144, 32, 4, False, 1_000_000, 30_532_122_624),
    "Qwen3-30B-A3B-Instruct-2507": (48, 2048, 6144, 32, 4, False, 10_000_000, 30_532_122_624),
    "Qwen3-235B-A22B": (94, 4096, 12288, 64, 4, False, 1_000_000, 235_093_634_560),
}
SIZES = {**QWEN3, **QWEN2, **LLAMA, **QWEN3_MOE}


def config(name="Qwen3-4B-Instruct-2507", **changes):
    layers, hidden, ffn, heads, groups, tied, base, _ = SIZES[name]
    return {
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": base,
        "rope_scaling": None,
        "tie_word_embeddings": tied,
        **_of_family(name),
        **changes,
    }


def _of_family(name):
    if name in QWEN3:
        return {"model_type": "qwen3", "head_dim": 128, "vocab_size": 151936}
    if name in QWEN2:
        large = SIZES[name][1] > 2048
        return {"model_type": "qwen2", "vocab_size": 152064 if large else 151936}
    if name in QWEN3_MOE:
        return {
            "model_type": "qwen3_moe",
            "head_dim": 128,
            "vocab_size": 151936,
            "moe_intermediate_size": 1536 if "235B" in name else 768,
            "num_experts": 128,
            "num_experts_per_tok": 8,
            "norm_topk_prob": True,
            "decoder_sparse_step": 1,
            "mlp_only_layers": [],
        }
    if name.startswith("SmolLM2"):
        return {"model_type": "llama", "vocab_size": 49152, "rms_norm_eps": 1e-5}
    scaled = {
        "rope_type": "llama3",
        "factor": 32.0 if "3.2" in name else 8.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    return {
        "model_type": "llama",
        "vocab_size": 128256,
        "rms_norm_eps": 1e-5,
        "rope_scaling": scaled,
        **({"head_dim": 64} if "3.2-1B" in name else {}),
    }
