"""A transformers model in this process as a policy: all live episodes in one batch.

Episodes wait until every other one that is ready has asked, then all turns are computed together
over one key-value cache. Rows of the cache live side by side in columns; where a row has nothing
to say in a column it has a hole, which the attention mask hides. Meant for models of a size that a
CPU can train; a server does better for everything else.
"""

from __future__ import annotations

import asyncio
import hashlib
from dataclasses import dataclass, field
from typing import Any

import torch
from transformers import DynamicCache, PreTrainedModel

from tau2_agent.errors import PipelineError
from tau2_agent.memory import OutOfMemory, is_out_of_memory
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import JobStop, PolicyFailure, Turn

# Passes of the event loop without a new request before a batch begins: more than an episode needs
# for its step. Counted, not timed: batches, and with them the last digits of every log prob, must
# not depend on how fast the machine is.
_GATHER_PASSES = 50


@dataclass
class _Request:
    prompt: list[int]
    sampling: Sampling
    session: str
    answer: asyncio.Future[Turn]


@dataclass
class _Row:
    """One session's place in the batch: the ids whose keys and values the cache holds."""

    ids: list[int] = field(default_factory=list)


class LocalPolicy:
    """Batched generation with a key-value cache per session.

    Sampling is reproducible: each turn draws from a generator of its own, seeded by `seed`, the
    session's name and the length of the prompt, whatever else is in the batch. Sessions absent from
    a batch are dropped from the cache and computed anew when they come back.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        stop_ids: tuple[int, ...],
        *,
        seed: int = 0,
        max_batch: int = 64,
    ) -> None:
        self.model = model
        self.stop_ids = frozenset(stop_ids)
        self.seed = seed
        self.max_batch = max_batch
        self._waiting: list[_Request] = []
        self._passes: int | None = None  # without a new request; None: nobody counts
        self._running = False
        self._batch: asyncio.Task[None] | None = None  # that runs: the loop keeps no task alive
        self._rows: dict[str, _Row] = {}
        self._order: list[str] = []
        self._layers: list[tuple[torch.Tensor, torch.Tensor]] = []
        self._mask = torch.zeros(0, 0, dtype=torch.long)

    async def generate(self, prompt: list[int], sampling: Sampling, session: str) -> Turn:
        loop = asyncio.get_running_loop()
        request = _Request(list(prompt), sampling, session, loop.create_future())
        self._waiting.append(request)
        self._schedule()
        return await request.answer

    def _schedule(self) -> None:
        counting = self._passes is not None
        self._passes = 0
        if not counting:
            asyncio.get_running_loop().call_soon(self._pass)

    def _pass(self) -> None:
        assert self._passes is not None
        self._passes += 1
        if self._passes < _GATHER_PASSES:
            asyncio.get_running_loop().call_soon(self._pass)
            return
        self._passes = None
        self._start()

    def _start(self) -> None:
        self._waiting = [r for r in self._waiting if not r.answer.done()]  # cancelled meanwhile
        if self._running or not self._waiting:
            return
        batch, self._waiting = self._waiting[: self.max_batch], self._waiting[self.max_batch :]
        self._running = True
        self._batch = asyncio.get_running_loop().create_task(self._run(batch))

    async def _run(self, batch: list[_Request]) -> None:
        try:
            turns = await asyncio.to_thread(self._generate, batch)
        except Exception as error:  # an episode must not wait for ever for a broken batch
            self._order, self._layers, self._rows = [], [], {}
            for request in batch:
                if not request.answer.done():
                    request.answer.set_exception(_failure(error))
        else:
            for request, turn in zip(batch, turns, strict=True):
                if not request.answer.done():
                    request.answer.set_result(turn)
        finally:
            self._running = False
            if self._waiting:
                self._schedule()

    @torch.inference_mode()
    def _generate(self, batch: list[_Request]) -> list[Turn]:
        deltas = self._select(batch)
        cache = _ColumnCache(self._layers)
        width = max(len(delta) for delta in deltas)
        ids = torch.zeros(len(batch), width, dtype=torch.long)
        new = torch.zeros(len(batch), width, dtype=torch.long)
        for i, delta in enumerate(deltas):  # left padding: the last column is everyone's last token
            ids[i, width - len(delta) :] = torch.tensor(delta)
            new[i, width - len(delta) :] = 1
        turns = [Turn([], [], "length") for _ in batch]
        draws = [self._generator(request) for request in batch]
        active = list(range(len(batch)))
        logits = self._forward(cache, ids, new, active)
        while True:
            tokens = self._sample(batch, turns, draws, active, logits)
            active = [i for i, token in zip(active, tokens, strict=True) if token is not None]
            if not active:
                break
            fed = torch.tensor([[token] for token in tokens if token is not None])
            logits = self._forward(cache, fed, torch.ones_like(fed), active)
        self._layers = cache.tensors()
        for i, request in enumerate(batch):
            # The last sampled token was never fed: its keys and values are not in the cache.
            self._rows[request.session].ids = request.prompt + turns[i].token_ids[:-1]
        return turns

    def _select(self, batch: list[_Request]) -> list[list[int]]:
        """Bring the cache's rows into the batch's order; return the ids each has yet to read."""
        sources, deltas, rows = [], [], {}
        for request in batch:
            row = self._rows.get(request.session)
            if row is None:
                row = _Row()
            known = len(row.ids)
            if request.session in self._order and request.prompt[:known] == row.ids:
                sources.append(self._order.index(request.session))
            else:
                row.ids, known = [], 0
                sources.append(-1)
            deltas.append(request.prompt[known:])
            rows[request.session] = row
        if all(source < 0 for source in sources):
            self._layers = []
            self._mask = torch.zeros(len(batch), 0, dtype=torch.long)
        else:
            pick = torch.tensor([max(source, 0) for source in sources])
            keep = torch.tensor([[source >= 0] for source in sources])
            self._mask = self._mask[pick] * keep
            self._layers = [(k[pick], v[pick]) for k, v in self._layers]
            self._close_holes()
        self._rows, self._order = rows, [request.session for request in batch]
        return deltas

    def _close_holes(self) -> None:
        """Move every row's columns to the right end, in order, and drop the columns left empty."""
        longest = int(self._mask.sum(1).max())
        if longest == self._mask.shape[1]:
            return
        # A stable sort by "is filled" puts the holes first and keeps the order of the rest.
        order = self._mask.argsort(dim=1, stable=True)[:, -longest:]
        self._mask = self._mask.gather(1, order)
        index = order[:, None, :, None]
        self._layers = [
            tuple(
                part.gather(2, index.expand(-1, part.shape[1], -1, part.shape[3])) for part in layer
            )
            for layer in self._layers
        ]

    def _forward(
        self, cache: _ColumnCache, ids: torch.Tensor, new: torch.Tensor, active: list[int]
    ) -> torch.Tensor:
        """Feed `ids` to the active rows; logits of the last column, shape (active, vocabulary)."""
        rows = torch.tensor(active)
        added = torch.zeros(len(self._mask), new.shape[1], dtype=torch.long)
        added[rows] = new
        seen = self._mask[rows].sum(1, keepdim=True)
        self._mask = torch.cat([self._mask, added], dim=1)
        cache.rows = rows if len(active) < len(self._mask) else None
        output = self.model(
            input_ids=ids,
            attention_mask=self._mask[rows],
            position_ids=(seen + new.cumsum(1) - 1).clamp(min=0),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return output.logits[:, -1].float()

    def _sample(
        self,
        batch: list[_Request],
        turns: list[Turn],
        draws: list[torch.Generator],
        active: list[int],
        logits: torch.Tensor,
    ) -> list[int | None]:
        """Draw a token for each active row; None where the turn ends with it."""
        scale = torch.tensor([batch[i].sampling.temperature or 1.0 for i in active])[:, None]
        log_probs = torch.log_softmax(logits / scale, dim=-1)
        best = log_probs.argmax(-1).tolist()
        tokens: list[int | None] = []
        for place, i in enumerate(active):
            request, turn = batch[i], turns[i]
            greedy = request.sampling.temperature == 0
            token = best[place] if greedy else self._draw(log_probs[place], request, draws[i])
            turn.token_ids.append(token)
            turn.log_probs.append(float(log_probs[place, token]))
            if token in self.stop_ids:
                turn.finish_reason = "stop"
            done = token in self.stop_ids or len(turn.token_ids) >= request.sampling.max_new_tokens
            tokens.append(None if done else token)
        return tokens

    def _draw(self, log_probs: torch.Tensor, request: _Request, generator: torch.Generator) -> int:
        if request.sampling.top_p < 1.0 or request.sampling.top_k > 0:
            raise PolicyFailure("the local policy samples from the whole distribution only")
        return int(torch.multinomial(log_probs.exp(), 1, generator=generator))

    def _generator(self, request: _Request) -> torch.Generator:
        name = f"{self.seed}:{request.session}:{len(request.prompt)}"
        digest = hashlib.sha256(name.encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:7]))


def _failure(error: Exception) -> PipelineError:
    """What each episode of a broken batch is told. Without memory the next batch fails, too."""
    if is_out_of_memory(error):
        return JobStop(str(OutOfMemory(error, "the policy's answers")))
    return PolicyFailure(f"{type(error).__name__}: {error}")


class _ColumnCache(DynamicCache):
    """A cache that writes into room reserved ahead, for all rows or for some.

    With `rows` set, keys and values belong to those rows only; the others get a hole.
    """

    def __init__(self, layers: list[tuple[torch.Tensor, torch.Tensor]]) -> None:
        super().__init__()
        self.rows: torch.Tensor | None = None
        self._buffers: list[list[Any]] = [[k, v, k.shape[2]] for k, v in layers]

    def update(self, key_states, value_states, layer_idx, *args, **kwargs):
        if layer_idx == len(self._buffers):
            self._buffers.append([key_states[:, :, :0], value_states[:, :, :0], 0])
        buffer = self._buffers[layer_idx]
        start, end = buffer[2], buffer[2] + key_states.shape[2]
        for part, states in enumerate((key_states, value_states)):
            if end > buffer[part].shape[2]:
                old = buffer[part]
                buffer[part] = old.new_zeros(*old.shape[:2], end + 64, old.shape[3])
                buffer[part][:, :, :start] = old[:, :, :start]
            if self.rows is None:
                buffer[part][:, :, start:end] = states
            else:
                buffer[part][self.rows, :, start:end] = states
        buffer[2] = end
        shown = (buffer[part][:, :, :end] for part in (0, 1))
        return tuple(part if self.rows is None else part[self.rows] for part in shown)

    def get_seq_length(self, layer_idx: int = 0, *args: Any) -> int:
        return self._buffers[layer_idx][2] if layer_idx < len(self._buffers) else 0

    def get_mask_sizes(self, query_length: int, layer_idx: int) -> tuple[int, int]:
        return self.get_seq_length(layer_idx) + query_length, 0

    def tensors(self) -> list[tuple[torch.Tensor, torch.Tensor]]:
        """Keys and values of each layer, shape (rows, heads, columns, head size)."""
        return [(k[:, :, :n], v[:, :, :n]) for k, v, n in self._buffers]
