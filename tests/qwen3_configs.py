"""config.json of the sizes of the Qwen3 family, for tests that need no weights."""

SIZES = {
    "Qwen3-0.6B": (28, 1024, 3072, 16, 8, True, 1_000_000, 0.596),
    "Qwen3-1.7B": (28, 2048, 6144, 16, 8, True, 1_000_000, 1.721),
    "Qwen3-4B": (36, 2560, 9728, 32, 8, True, 1_000_000, 4.022),
    "Qwen3-4B-Instruct-2507": (36, 2560, 9728, 32, 8, True, 5_000_000, 4.022),
    "Qwen3-8B": (36, 4096, 12288, 32, 8, False, 1_000_000, 8.191),
    "Qwen3-14B": (40, 5120, 17408, 40, 8, False, 1_000_000, 14.768),
    "Qwen3-32B": (64, 5120, 25600, 64, 8, False, 1_000_000, 32.762),
}


def config(name="Qwen3-4B-Instruct-2507", **changes):
    layers, hidden, ffn, heads, groups, tied, base, _ = SIZES[name]
    return {
        "model_type": "qwen3",
        "num_hidden_layers": layers,
        "hidden_size": hidden,
        "intermediate_size": ffn,
        "num_attention_heads": heads,
        "num_key_value_heads": groups,
        "head_dim": 128,
        "hidden_act": "silu",
        "rms_norm_eps": 1e-6,
        "rope_theta": base,
        "rope_scaling": None,
        "tie_word_embeddings": tied,
        "vocab_size": 151936,
        **changes,
    }
