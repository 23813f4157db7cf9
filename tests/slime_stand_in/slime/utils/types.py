"""A Sample with the fields and the checks of slime 624b824a8's, written anew."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import torch


@dataclass
class PrefixCacheInfo:
    cached_tokens: int = 0
    total_prompt_tokens: int = 0

    def add(self, meta_info: dict) -> None:
        self.cached_tokens += meta_info.get("cached_tokens", 0)
        self.total_prompt_tokens += meta_info.get("prompt_tokens", 0)


@dataclass
class Sample:
    group_index: int | None = None
    index: int | None = None
    rollout_id: int | None = None
    prompt: str | list[dict[str, str]] = ""
    tokens: list[int] = field(default_factory=list)
    multimodal_inputs: dict[str, Any] | None = None
    multimodal_train_inputs: dict[str, Any] | None = None
    multimodal_train_input_id: str | None = None
    apply_chat_template_kwargs: dict = field(default_factory=dict)
    response: str = ""
    response_length: int = 0
    label: str | None = None
    reward: float | dict[str, Any] | None = None
    loss_mask: list[int] | None = None
    weight_versions: list[str] = field(default_factory=list)
    rollout_log_probs: list[float] | None = None
    rollout_top_p_token_ids: list[int] | None = None
    rollout_top_p_token_offsets: list[int] | None = None
    rollout_routed_experts: list | None = None
    remove_sample: bool = False
    teacher_log_probs: list[float] | None = None

    class Status(Enum):
        PENDING = "pending"
        COMPLETED = "completed"
        TRUNCATED = "truncated"
        ABORTED = "aborted"
        FAILED = "failed"

    status: Status = Status.PENDING
    metadata: dict = field(default_factory=dict)
    generate_function_path: str | None = None
    custom_rm_path: str | None = None
    train_metadata: dict | None = None
    session_id: str | None = None
    non_generation_time: float = 0.0
    prefix_cache_info: PrefixCacheInfo = field(default_factory=PrefixCacheInfo)

    def get_reward_value(self, args) -> float:
        return self.reward if not args.reward_key else self.reward[args.reward_key]

    def append_response_tokens(
        self, args=None, *, tokens=None, log_probs=None, trainable=True, meta_info=None, text=None
    ) -> None:
        tokens = list(tokens or [])
        if log_probs is not None and len(log_probs) != len(tokens):
            raise ValueError("log probs and tokens differ in length")
        if tokens and trainable and log_probs is None:
            raise ValueError("trainable tokens need log probs")
        if tokens and not trainable:
            if log_probs is not None:
                raise ValueError("other tokens must not have log probs")
            log_probs = [0.0] * len(tokens)
        before = self.response_length
        if tokens:
            self.tokens += tokens
            self.response_length += len(tokens)
            self.loss_mask = [1] * before if self.loss_mask is None else self.loss_mask
            self.loss_mask += [int(trainable)] * len(tokens)
            if self.rollout_log_probs is None:
                self.rollout_log_probs = [0.0] * before
            self.rollout_log_probs += log_probs
        if experts := (meta_info or {}).get("routed_experts"):
            shape = (len(self.tokens) - 1, args.num_layers, args.moe_router_topk)
            numbers = torch.frombuffer(bytearray(experts), dtype=torch.int32)
            if numbers.numel() != shape[0] * shape[1] * shape[2]:
                raise ValueError("experts and tokens differ in length")
            self.rollout_routed_experts = numbers.reshape(shape)
