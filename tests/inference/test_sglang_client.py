"""The SGLang policy against a server that misbehaves in every way a server can."""

import asyncio
import random
import time

import pytest
from fake_sglang import FakeSGLang

from tau2_agent.inference.sglang_client import SGLangPolicy
from tau2_agent.inference.sglang_server import ForeignPolicy
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.trajectory import JobStop, PolicyFailure

SAMPLING = Sampling(max_new_tokens=8)


def ask(fake, *, attempts=3, patience_s=0.0, timeout_s=5.0, sampling=SAMPLING):
    async def run():
        policy = SGLangPolicy(
            fake.url,
            (7, 8),
            attempts=attempts,
            patience_s=patience_s,
            timeout_s=timeout_s,
            max_wait_s=0.05,
        )
        try:
            return await policy.generate([1, 2, 3], sampling, "session-1")
        finally:
            await policy.close()

    return asyncio.run(run())


def test_tokens_in_tokens_out():
    with FakeSGLang([[4, 5, 7]]) as fake:
        turn = ask(fake, sampling=Sampling(temperature=0.7, top_p=0.9, top_k=20, max_new_tokens=9))
    assert (turn.token_ids, turn.log_probs, turn.finish_reason) == ([4, 5, 7], [-0.25] * 3, "stop")
    (request,) = fake.requests
    assert request["input_ids"] == [1, 2, 3]
    assert request["return_logprob"] is True
    assert "text" not in request
    parameters = request["sampling_params"]
    assert parameters["stop_token_ids"] == [7, 8]
    assert parameters["no_stop_trim"] is True and parameters["skip_special_tokens"] is False
    assert (parameters["temperature"], parameters["top_p"]) == (0.7, 0.9)
    assert (parameters["top_k"], parameters["max_new_tokens"]) == (20, 9)
    assert fake.headers[0]["X-SMG-Routing-Key"] == "session-1"


def test_a_cut_turn_says_so():
    with FakeSGLang([[4] * 20]) as fake:
        turn = ask(fake)
    assert turn.finish_reason == "length" and len(turn.token_ids) == 8


@pytest.mark.parametrize("trouble", ["500", "429", "drop", "half", "nonsense", ("slow", 1.0)])
def test_passing_trouble_is_retried(trouble):
    with FakeSGLang([trouble, trouble, [4, 7]]) as fake:
        turn = ask(fake, timeout_s=0.3)
    assert turn.token_ids == [4, 7]
    assert len(fake.requests) == 3
    assert fake.requests[0] == fake.requests[2]


def test_a_retry_leaves_the_generator_of_the_process_alone():
    random.seed(5)
    before = random.getstate()
    with FakeSGLang(["500", "500", [4, 7]]) as fake:
        ask(fake)
    assert random.getstate() == before


@pytest.mark.parametrize("trouble", ["500", "drop", ("slow", 1.0)])
def test_lasting_trouble_is_a_failure_that_names_the_server(trouble):
    with FakeSGLang([trouble]) as fake, pytest.raises(PolicyFailure) as failure:
        ask(fake, timeout_s=0.3)
    assert str(fake.port) in str(failure.value) and "3 attempts" in str(failure.value)
    assert len(fake.requests) == 3


@pytest.mark.parametrize(
    ("trouble", "said"), [("400", "scripted 400"), ("abort", "abort"), ("no_logprobs", "log probs")]
)
def test_hopeless_trouble_is_not_retried(trouble, said):
    with FakeSGLang([trouble]) as fake, pytest.raises(PolicyFailure, match=said):
        ask(fake)
    assert len(fake.requests) == 1


def test_no_server_at_all():
    with FakeSGLang([[7]]) as fake:
        pass
    with pytest.raises(PolicyFailure, match="still running"):
        ask(fake)


def test_a_dead_server_is_waited_for_as_long_as_was_asked():
    """Few attempts are not the end while an engine may come back."""
    with FakeSGLang(["500"] * 6 + [[4, 7]]) as fake:
        assert ask(fake, attempts=2, patience_s=30.0).token_ids == [4, 7]
    assert len(fake.requests) == 7
    with FakeSGLang(["500"]) as fake, pytest.raises(PolicyFailure, match=r"\([0-9]+ attempts\)"):
        ask(fake, attempts=2, patience_s=0.3)
    assert len(fake.requests) > 2


@pytest.mark.parametrize("seed", [None, 12])
def test_the_seed_of_a_draw_is_the_servers_unless_one_is_given(seed):
    with FakeSGLang([[4, 7]]) as fake:
        ask(fake, sampling=Sampling(max_new_tokens=8, seed=seed))
    assert fake.requests[0]["sampling_params"].get("sampling_seed") == seed


def check(fake, **more):
    async def run():
        policy = SGLangPolicy(fake.url, (7,))
        try:
            return await policy.check(**more)
        finally:
            await policy.close()

    return asyncio.run(run())


def test_a_server_that_warms_up_is_waited_for(capsys):
    with FakeSGLang([[7]], warm_up=2) as fake:
        assert check(fake) is True
        assert check(fake) is False
    assert capsys.readouterr().out.count("warming up") == 1
    with FakeSGLang([[7]], warm_up=100) as fake, pytest.raises(PolicyFailure, match="no SGLang"):
        check(fake, warm_up_s=0.1)


def test_a_proxy_in_the_environment_is_not_asked(monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    with FakeSGLang([[4, 7]]) as fake:
        assert ask(fake).token_ids == [4, 7]


def test_many_at_once():
    with FakeSGLang(["500", "drop", [4, 7]]) as fake:

        async def run():
            policy = SGLangPolicy(fake.url, (7,), attempts=6, timeout_s=10, max_wait_s=0.05)
            try:
                return await asyncio.gather(
                    *(policy.generate([i], Sampling(max_new_tokens=4), str(i)) for i in range(100))
                )
            finally:
                await policy.close()

        turns = asyncio.run(run())
    assert all(turn.token_ids == [4, 7] for turn in turns)


def cpu_of_a_turn(episodes, turns=3):
    """Milliseconds of CPU in the client's own thread, with so many episodes at once."""

    async def play(policy, session):
        for _ in range(turns):
            await policy.generate([1, 2, 3], SAMPLING, session)

    async def run():
        policy = SGLangPolicy(fake.url, (7,), max_wait_s=0.05)
        await policy.generate([1], SAMPLING, "first")  # imports
        began = time.thread_time()
        await asyncio.gather(*(play(policy, str(number)) for number in range(episodes)))
        used = time.thread_time() - began
        await policy.close()
        return 1000 * used / (episodes * turns)

    with FakeSGLang([("slow", 0.2)], keep_alive=True) as fake:
        return asyncio.run(run())


def test_a_turn_costs_the_same_with_many_episodes_at_once():
    """A pool that looks at each connection for each request makes all episodes wait in turn."""
    assert cpu_of_a_turn(200) < 3 * cpu_of_a_turn(8)


async def test_what_follows_an_answer_has_a_pass_of_the_event_loop_to_itself(monkeypatch):
    """Or a server that answers hundreds at once would hold up all else in the loop."""
    passes, ends = 0, []
    answered = asyncio.Event()
    pair = {"output_token_logprobs": [[-0.25, 7, None]], "finish_reason": {"type": "stop"}}

    async def count():
        nonlocal passes
        while True:
            passes += 1
            await asyncio.sleep(0)

    async def post(*_):
        await answered.wait()
        return {"meta_info": pair}

    async def ask_once(policy, session):
        await policy.generate([1], SAMPLING, session)
        ends.append(passes)

    policy = SGLangPolicy("http://127.0.0.1:9", (7,))
    monkeypatch.setattr(policy, "_post", post)
    tasks = [asyncio.create_task(ask_once(policy, str(number))) for number in range(20)]
    counting = asyncio.create_task(count())
    await asyncio.sleep(0)
    answered.set()
    await asyncio.gather(*tasks)
    counting.cancel()
    assert len(ends) == len(set(ends)) == 20
    assert ends[-1] < 200


def ask_foreign(fake):
    async def run():
        policy = SGLangPolicy(fake.url, (7, 8), attempts=2, timeout_s=5.0, max_wait_s=0.05)
        try:
            return await ForeignPolicy(policy).generate([1, 2, 3], SAMPLING, "session-1")
        finally:
            await policy.close()

    return asyncio.run(run())


def test_a_foreign_server_that_is_gone_ends_the_job_and_says_what_to_do():
    with FakeSGLang([[4, 7]]) as fake:
        assert ask_foreign(fake).token_ids == [4, 7]
    with pytest.raises(JobStop, match=r"no SGLang server answers .* same command resumes"):
        ask_foreign(fake)


def test_a_foreign_server_that_warms_up_again_costs_waiting_only():
    with FakeSGLang(["500", "500", [4, 7]], warm_up=1) as fake:
        assert ask_foreign(fake).token_ids == [4, 7]


def test_a_foreign_server_that_lives_and_fails_costs_the_episode_only():
    with FakeSGLang(["500"]) as fake, pytest.raises(PolicyFailure, match="500"):
        ask_foreign(fake)
