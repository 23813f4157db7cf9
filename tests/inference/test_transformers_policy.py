"""The batched policy computes what the model computes alone, one sequence at a time."""

import asyncio
import random
import time

import pytest
from tiny_model import tiny_qwen3

from tau2_agent.rollout.policy import Sampling

STOP = 7


@pytest.fixture(scope="module")
def model():
    return tiny_qwen3(
        vocab_size=40,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=4,
        initializer_range=0.6,  # far from uniform, so that greedy choices are not ties
    ).eval()


def local_policy(*arguments, **more):
    from tau2_agent.inference.transformers_policy import (
        LocalPolicy,  # seconds, which collecting tests must not cost
    )

    return LocalPolicy(*arguments, **more)


def reference_log_probs(model, prompt, sampled, temperature=1.0):
    import torch

    with torch.inference_mode():
        logits = model(torch.tensor([prompt + sampled])).logits[0, len(prompt) - 1 : -1].float()
    return torch.log_softmax(logits / temperature, -1)


async def conversation(policy, name, turns, sampling, rng, length_of):
    """Several turns that extend each other; returns (prompt, turn) of each."""
    prompt = [rng.randrange(8, 40) for _ in range(length_of())]
    seen = []
    for _ in range(turns):
        turn = await policy.generate(prompt, sampling, name)
        seen.append((list(prompt), turn))
        prompt = prompt + turn.token_ids + [rng.randrange(8, 40) for _ in range(length_of())]
    return seen


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_ragged_batches_equal_single_forwards(model, temperature):
    rng = random.Random(1)
    policy = local_policy(model, (STOP,), seed=3, max_batch=5)
    sampling = Sampling(temperature=temperature, max_new_tokens=6)

    async def run():
        return await asyncio.gather(
            *(
                conversation(policy, f"s{i}", 1 + i % 4, sampling, rng, lambda: rng.randrange(1, 9))
                for i in range(8)  # more than max_batch: rows come, go and come back
            )
        )

    checked = 0
    for seen in asyncio.run(run()):
        for prompt, turn in seen:
            log_probs = reference_log_probs(model, prompt, turn.token_ids, temperature or 1.0)
            for i, (token, log_prob) in enumerate(zip(turn.token_ids, turn.log_probs, strict=True)):
                assert log_probs[i, token].item() == pytest.approx(log_prob, abs=1e-4)
                if temperature == 0:
                    assert token == log_probs[i].argmax().item()
                checked += 1
            stopped = turn.token_ids[-1] == STOP
            assert turn.finish_reason == ("stop" if stopped else "length")
            assert STOP not in turn.token_ids[:-1]
            assert stopped or len(turn.token_ids) == 6
    assert checked > 40


def test_a_session_draws_the_same_whatever_else_is_in_the_batch(model):
    sampling = Sampling(temperature=1.0, max_new_tokens=8)

    async def run(names):
        policy = local_policy(model, (STOP,), seed=5)
        turns = await asyncio.gather(
            *(policy.generate([9, 10 + i, 11], sampling, f"s{i}") for i in names)
        )
        return dict(zip(names, (turn.token_ids for turn in turns), strict=True))

    assert asyncio.run(run([0, 1, 2, 3]))[2] == asyncio.run(run([2]))[2]


def test_a_session_that_misses_batches_goes_on_as_if_it_had_not(model):
    """Its random stream must not begin again: the same draws would be made twice."""
    sampling = Sampling(temperature=1.0, max_new_tokens=8)

    async def talk(policy, name, absences):
        prompt, said = [9, 10, 11], []
        for turn in range(5):
            if turn in absences:  # others play on; its place in the cache is lost
                for i in range(2):
                    await policy.generate([12 + i, 13], sampling, f"other {turn} {i}")
            answer = await policy.generate(prompt, sampling, name)
            said.append(answer.token_ids)
            prompt = prompt + answer.token_ids + [14]
        return said

    def run(absences, seed=5):
        return asyncio.run(talk(local_policy(model, (STOP,), seed=seed), "s", absences))

    always = run(())
    for absences in [(1,), (2, 3), (1, 2, 3, 4)]:
        assert run(absences) == always
    assert run((), seed=6) != always
    assert len({tuple(turn) for turn in always}) == 5  # no turn repeats another's draws


def test_sessions_that_wait_for_each_other_draw_what_they_would_draw_alone(model):
    """More of them than a batch holds, and users that let theirs wait: all miss batches."""
    sampling = Sampling(temperature=1.0, max_new_tokens=6)

    async def talk(policy, number, slow):
        rng = random.Random(number)
        prompt, said = [9, 10, 11 + number], []
        for turn in range(4):
            answer = await policy.generate(prompt, sampling, f"s{number}")
            said.append(answer.token_ids)
            prompt = prompt + answer.token_ids + [14 + rng.randrange(20)]
            if slow and (number + turn) % 3 == 0:
                await asyncio.sleep(0.01 * (1 + number % 4))
        return said

    async def all_at_once():
        policy = local_policy(model, (STOP,), seed=5, max_batch=5)
        return await asyncio.gather(*(talk(policy, number, True) for number in range(13)))

    together = asyncio.run(all_at_once())
    for number, said in enumerate(together):
        alone = local_policy(model, (STOP,), seed=5, max_batch=5)
        assert said == asyncio.run(talk(alone, number, False))
        assert len({tuple(turn) for turn in said}) > 1


def test_no_turn_draws_with_another_turns_numbers():
    """With a model that finds all tokens equally likely, draws are all that differs."""
    uniform = tiny_qwen3(vocab_size=40, initializer_range=0.0).eval()
    sampling = Sampling(temperature=1.0, max_new_tokens=8)
    rng = random.Random(1)

    async def run(seed):
        policy = local_policy(uniform, (), seed=seed)
        names = ["a", "b"]
        talks = [conversation(policy, name, 6, sampling, rng, lambda: 2) for name in names]
        return [turn.token_ids for seen in await asyncio.gather(*talks) for _, turn in seen]

    turns = asyncio.run(run(5)) + asyncio.run(run(6))
    assert len({tuple(turn) for turn in turns}) == 24


def test_batches_do_not_depend_on_how_long_an_episode_takes(model):
    """What is computed together decides the last digits, so only the order of things may."""
    sampling = Sampling(temperature=1.0, max_new_tokens=3)

    async def talk(policy, name, pause):
        prompt = [9, 10, len(name) + 11]
        for _ in range(4):
            prompt = prompt + (await policy.generate(prompt, sampling, name)).token_ids + [14]
            for _ in name:  # some need more passes of the loop than others …
                await asyncio.sleep(0)
                time.sleep(pause)  # … and a slow machine more time for each

    def batches(pause):
        policy = local_policy(model, (STOP,), seed=5)
        sizes, generate = [], policy._generate

        def seen(batch):
            sizes.append([request.session for request in batch])
            return generate(batch)

        policy._generate = seen

        async def run():
            await asyncio.gather(*(talk(policy, "s" * (3 * i + 1), pause) for i in range(6)))

        asyncio.run(run())
        return sizes

    assert batches(0.0) == batches(0.02)
    assert {len(batch) for batch in batches(0.0)} == {6}


def test_sampling_follows_the_distribution(model):
    import torch

    policy = local_policy(model, (STOP,), seed=0, max_batch=2000)
    sampling = Sampling(temperature=1.0, max_new_tokens=1)

    async def run():
        return await asyncio.gather(
            *(policy.generate([9, 12, 13], sampling, f"s{i}") for i in range(2000))
        )

    counts = torch.zeros(40)
    for turn in asyncio.run(run()):
        counts[turn.token_ids[0]] += 1
    with torch.inference_mode():
        expected = torch.softmax(model(torch.tensor([[9, 12, 13]])).logits[0, -1].float(), -1)
    assert (counts / 2000 - expected).abs().max() < 0.04


@pytest.mark.parametrize("more", [{"top_p": 0.9}, {"top_k": 1}])
def test_what_it_cannot_draw_from_is_refused(model, more):
    from tau2_agent.rollout.trajectory import PolicyFailure

    sampling = Sampling(temperature=1.0, max_new_tokens=1, **more)
    with pytest.raises(PolicyFailure, match="samples from the whole distribution only"):
        asyncio.run(local_policy(model, (STOP,)).generate([9, 10], sampling, "s"))


def test_a_top_k_of_nothing_leaves_everything_to_draw_from(model):
    sampling = Sampling(temperature=1.0, max_new_tokens=1, top_k=0)
    turn = asyncio.run(local_policy(model, (STOP,)).generate([9, 10], sampling, "s"))
    assert len(turn.token_ids) == 1


@pytest.fixture
def fed(model):
    """What the model is given, pass by pass: ids, places, and the width of what it looks at."""
    seen = []

    def note(module, arguments, given):
        if "attention_mask" in given:  # else the test asks it itself
            width = given["attention_mask"].shape[1]
            seen.append((given["input_ids"].tolist(), given["position_ids"].tolist(), width))

    handle = model.register_forward_pre_hook(note, with_kwargs=True)
    yield seen
    handle.remove()


def test_a_turn_reads_only_what_is_new(model, fed):
    policy, sampling = local_policy(model, ()), Sampling(temperature=0.0, max_new_tokens=2)

    async def run():
        first = await policy.generate([9, 10, 11], sampling, "s")
        longer = [9, 10, 11, *first.token_ids, 12]
        return longer, await policy.generate(longer, sampling, "s")

    longer, _ = asyncio.run(run())
    assert [ids for ids, _, _ in fed[:2]] == [[[9, 10, 11]], [[longer[3]]]]
    # the last token of a turn was sampled, and never read
    assert fed[2][:2] == ([[longer[4], 12]], [[4, 5]])
    assert [places for _, places, _ in fed[:2]] == [[[0, 1, 2]], [[3]]]


def test_a_prompt_that_does_not_go_on_is_read_anew(model, fed):
    """A cache of other tokens than its own would make every log prob wrong."""
    policy, sampling = local_policy(model, ()), Sampling(temperature=0.0, max_new_tokens=2)

    async def run():
        await policy.generate([9, 10, 11], sampling, "s")
        del fed[:]
        turn = await policy.generate([9, 20, 11, 12, 13, 14], sampling, "s")
        return turn, fed[0][:2]

    turn, first = asyncio.run(run())
    assert first == ([[9, 20, 11, 12, 13, 14]], [[0, 1, 2, 3, 4, 5]])
    log_probs = reference_log_probs(model, [9, 20, 11, 12, 13, 14], turn.token_ids)
    assert turn.token_ids == log_probs.argmax(-1).tolist()


def test_no_more_are_computed_together_than_is_said(model, fed):
    policy = local_policy(model, (), max_batch=2)

    async def run():
        names = [f"s{number}" for number in range(5)]
        asked = (policy.generate([9, 10], Sampling(1.0, max_new_tokens=1), name) for name in names)
        assert len(await asyncio.gather(*asked)) == 5

    asyncio.run(run())
    assert [len(ids) for ids, _, _ in fed] == [2, 2, 1]


def test_holes_between_turns_are_closed(model, fed):
    """Two sessions of unlike turns leave holes: what is looked at is as wide as the longer one."""
    policy = local_policy(model, ())

    async def run():
        prompts, known = {"a": [9] * 3, "b": [9] * 30}, {"a": 0, "b": 0}
        for number in range(6):
            del fed[:]
            most = {"a": 1 + 6 * (number % 2), "b": 7 - 6 * (number % 2)}
            asked = ((prompts[n], Sampling(1.0, max_new_tokens=most[n]), n) for n in prompts)
            turns = await asyncio.gather(*(policy.generate(*one) for one in asked))
            new = max(len(prompts[name]) - known[name] for name in prompts)
            assert fed[0][2] == max(known.values()) + new
            for name, turn in zip(prompts, turns, strict=True):
                known[name] = len(prompts[name]) + len(turn.token_ids) - 1
                prompts[name] = prompts[name] + turn.token_ids + [10, 11]

    asyncio.run(run())


def test_a_broken_batch_is_a_policy_failure_not_a_hang(model):
    from tau2_agent.rollout.trajectory import PolicyFailure

    policy = local_policy(model, (STOP,))

    async def run():
        with pytest.raises(PolicyFailure, match="IndexError: index out of range"):
            await asyncio.wait_for(policy.generate([99999], Sampling(), "bad"), timeout=20)
        turn = await asyncio.wait_for(
            policy.generate([9, 10], Sampling(max_new_tokens=2), "good"), timeout=20
        )
        assert len(turn.token_ids) in (1, 2)

    asyncio.run(run())


def test_without_memory_the_job_stops_and_says_so(model, monkeypatch):
    import torch

    from tau2_agent.rollout.trajectory import JobStop

    policy = local_policy(model, (STOP,))
    monkeypatch.setattr(policy, "_select", lambda batch: torch.empty(2**55))
    with pytest.raises(JobStop, match=r"^the policy's answers: not enough memory .*can't allocate"):
        asyncio.run(policy.generate([9, 10], Sampling(), "one"))
