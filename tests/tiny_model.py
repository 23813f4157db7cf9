"""A Qwen3 of a few thousand random weights: how it computes is real, what it says is not."""

from __future__ import annotations


def tiny_qwen3(vocab_size: int, **sizes):
    """Return the model. `sizes` are values of Qwen3Config in place of the smallest ones."""
    import torch
    from transformers import Qwen3Config, Qwen3ForCausalLM

    smallest = {
        "hidden_size": 16,
        "intermediate_size": 16,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "head_dim": 8,
        "tie_word_embeddings": True,
    }
    torch.manual_seed(0)
    return Qwen3ForCausalLM(Qwen3Config(vocab_size=vocab_size, **smallest | sizes))
