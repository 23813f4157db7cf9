"""Calls to a language model through real sockets: retries, budgets, keys, cost."""

import asyncio
import json
import logging
import os
import random
import time
import traceback
from types import SimpleNamespace

import pytest
from fake_openai import FakeOpenAI, calls, says

from tau2_agent.llm.client import LLM, LLMFailure, LLMSettings, check_model
from tau2_agent.llm.failures import classify, without_secrets
from tau2_agent.llm.ledger import BudgetSpent, Cost, Ledger, dollars, spending, tokens
from tau2_agent.llm.prices import LONGEST_ANSWER, at_price, longest_answer, price_of
from tau2_agent.llm.quiet import quiet_litellm

litellm = quiet_litellm()
ASK = [{"role": "user", "content": "Hi."}]
KEY = "sk-planted-0123456789abcdef"
TOOL = {
    "type": "function",
    "function": {"name": "look", "parameters": {"type": "object", "properties": {}}},
}


@pytest.fixture(autouse=True)
def no_keys(monkeypatch):
    for name in ("OPENAI_API_KEY", "GEMINI_API_KEY", "GOOGLE_API_KEY", "OPENAI_API_BASE"):
        monkeypatch.delenv(name, raising=False)


def settings(server, **more):
    values = {"model": "openai/stand-in", "backoff_s": 0.01, "timeout_s": 10} | more
    return LLMSettings(api_base=server.url, **values)


def ask(server, ledger=None, messages=ASK, tools=None, **more):
    async def one():
        llm = LLM(settings(server, **more), ledger)
        try:
            return await llm.complete(messages, tools)
        finally:
            await llm.close()

    return asyncio.run(one())


def failure(server, **more):
    with pytest.raises(LLMFailure) as caught:
        ask(server, **more)
    return caught.value


def test_text_tools_and_counts():
    with FakeOpenAI(behaviours=["Hello.", calls(("look", {"at": "sky"}), text="So.")]) as server:
        answer = ask(server)
        assert answer.message == {"role": "assistant", "content": "Hello."}
        assert answer.prompt_tokens > 0 and answer.completion_tokens > 0
        assert answer.dollars is None  # nobody knows the price: that is not nothing
        assert (answer.retries, answer.cached_tokens) == (0, 0)
        answer = ask(server, tools=[TOOL], max_tokens=99, options={"top_p": 0.5})
    assert answer.message["content"] == "So."
    (call,) = answer.message["tool_calls"]
    assert call["function"] == {"name": "look", "arguments": '{"at": "sky"}'}
    first, second = server.requests
    assert first["temperature"] == 0.0 and "tools" not in first and "max_tokens" not in first
    assert second["tools"] == [TOOL] and second["max_tokens"] == 99 and second["top_p"] == 0.5


def test_pauses_draw_from_no_generator_that_a_training_has_seeded():
    random.seed(0)
    before = random.getstate()
    with FakeOpenAI(behaviours=[500, 500, "Hello."]) as server:
        assert ask(server).retries == 2
    assert random.getstate() == before


def test_an_empty_answer_is_an_answer():
    with FakeOpenAI(behaviours=[says(None), says("")]) as server:
        assert not ask(server).message["content"]
        assert not ask(server).message["content"]


@pytest.mark.parametrize("fault", [429, 500, 503, "drop", "half", "nonsense", "no_choices"])
def test_what_passes_is_retried(fault):
    with FakeOpenAI(behaviours=[fault, fault, "Hello."]) as server:
        answer = ask(server)
    assert answer.message["content"] == "Hello." and answer.retries == 2
    assert len(server.requests) == 3


def test_an_answer_without_usage_is_counted_all_the_same():
    with FakeOpenAI(behaviours=["no_usage"] * 3) as server:
        answers = [ask(server), ask(server, messages=ASK * 9), ask(server, tools=[TOOL])]
    least, longer, with_tools = (answer.prompt_tokens for answer in answers)
    assert 0 < least < min(longer, with_tools) and len(server.requests) == 3


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (429, "rate_limited"),
        (500, "server_error"),
        ("drop", "server_error"),
        ("half", "bad_answer"),  # litellm hands on what came, which is no JSON
        ("nonsense", "bad_answer"),
        ("no_choices", "bad_answer"),
    ],
)
def test_what_does_not_pass_is_named(fault, kind):
    with FakeOpenAI(behaviours=[fault] * 3) as server:
        failed = failure(server, retries=2)
    assert (failed.kind, failed.fatal, failed.retries) == (kind, False, 2)
    assert len(server.requests) == 3


def test_a_time_out():
    with FakeOpenAI(behaviours=[("slow", 20), "Hello."]) as server:
        assert failure(server, retries=0, timeout_s=0.3).kind == "timeout"
        assert ask(server).message["content"] == "Hello."


def test_an_answer_that_only_trickles_is_a_time_out_too(monkeypatch):
    async def trickle(**_):
        await asyncio.sleep(5)

    monkeypatch.setattr(litellm, "acompletion", trickle)
    with FakeOpenAI() as server:
        assert failure(server, retries=0, timeout_s=0.05).kind == "timeout"


def test_nobody_there():
    with FakeOpenAI() as server:
        pass
    failed = failure(server, retries=1)
    assert failed.kind == "server_error" and failed.retries == 1


def test_the_provider_says_how_long_to_wait():
    with FakeOpenAI(behaviours=[(429, {"Retry-After": "1"}), "Hello."]) as server:
        began = time.monotonic()
        assert ask(server).retries == 1
    assert time.monotonic() - began >= 1.0


def test_a_wait_of_an_hour_is_not_waited_for():
    with FakeOpenAI(behaviours=[(429, {"Retry-After": "3600"}), "Hello."]) as server:
        assert failure(server).kind == "rate_limited"
    assert len(server.requests) == 1


@pytest.mark.parametrize(("status", "fatal"), [(400, False), (401, True), (403, True), (404, True)])
def test_a_refusal_is_not_asked_again(status, fatal):
    with FakeOpenAI(behaviours=[status] * 3) as server:
        failed = failure(server)
    assert (failed.kind, failed.fatal) == ("refused", fatal)
    assert len(server.requests) == 1


def test_a_wrong_key_is_told_by_name_never_by_value(monkeypatch, capfd, caplog):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeOpenAI(authorize="another") as server:
        failed = failure(server)
    assert failed.fatal and "OPENAI_API_KEY" in str(failed)
    seen = "".join(map(str, [failed, repr(failed), failed.__cause__, *capfd.readouterr()]))
    assert KEY not in seen + caplog.text
    assert failed.__suppress_context__


def test_the_key_of_the_environment_is_sent(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    with FakeOpenAI(authorize=KEY) as server:
        assert ask(server).message["content"] == "Hello."


def test_a_missing_key_is_named_before_anything_is_sent():
    either = "needs (GOOGLE_API_KEY or GEMINI_API_KEY|GEMINI_API_KEY or GOOGLE_API_KEY) in the"
    with pytest.raises(LLMFailure, match=either):
        check_model(LLMSettings("gemini/gemini-2.5-flash-lite"))
    with pytest.raises(LLMFailure, match="OPENAI_API_KEY"):
        LLM(LLMSettings("openai/gpt-4o-mini"))
    with pytest.raises(LLMFailure, match="needs CLOUDFLARE_API_BASE, CLOUDFLARE_API_KEY in the"):
        check_model(LLMSettings("cloudflare/x"))
    with pytest.raises(LLMFailure, match="openai/NAME"):
        check_model(LLMSettings("no-such-provider-model"))


@pytest.mark.parametrize(
    ("address", "says"),
    [
        *((wrong, "is no address") for wrong in ("localhost:8000/v1", "127.0.0.1:8000", "http://")),
        *((wrong, "is no address") for wrong in ("https:///", "http://h:1x/v1", "http://[::1/v1")),
        *((wrong, "is no address") for wrong in (KEY, f"user:{KEY}@host/v1", f"ftp://{KEY}@host")),
        (f"https://user:{KEY}@host/v1", "holds more than an address"),
        (f"https://{KEY}@host/v1", "holds more than an address"),
        (f"http://host/v1?api-key={KEY}", "holds more than an address"),
        (f"http://host/v1#{KEY}", "holds more than an address"),
    ],
)
def test_an_api_base_that_is_no_address_is_refused_and_not_repeated(address, says):
    with pytest.raises(LLMFailure, match=f"api_base {says}.*; write http://HOST:PORT/v1") as caught:
        check_model(LLMSettings("openai/x", api_base=address))
    assert caught.value.fatal and KEY not in repr(caught.value) + str(caught.value)
    for right in ("http://localhost:8000/v1", "https://host", "http://[::1]:80/v1"):
        check_model(LLMSettings("openai/x", api_base=right))


GEMINI = "gemini/gemini-2.5-flash-lite"


def test_gemini_text_tools_and_dollars(monkeypatch):
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with FakeOpenAI(behaviours=["Hello.", calls(("look", {"at": "sky"})), 503, "Hi."]) as server:
        gemini = LLMSettings(GEMINI, api_base=server.gemini_url, backoff_s=0.01)

        async def three():
            llm = LLM(gemini)
            try:
                return [await llm.complete(ASK, [TOOL]) for _ in range(3)]
            finally:
                await llm.close()

        text, call, late = asyncio.run(three())
    assert text.message["content"] == "Hello." and late.retries == 1
    assert call.message["tool_calls"][0]["function"]["name"] == "look"
    assert text.dollars == pytest.approx(
        text.prompt_tokens * 0.1e-6 + text.completion_tokens * 0.4e-6
    )


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (400, "refused"),
        (403, "refused"),
        (429, "rate_limited"),
        (500, "server_error"),
        ("drop", "server_error"),
        ("half", "server_error"),
        ("nonsense", "server_error"),  # what litellm makes of it
        (("slow", 20), "timeout"),
    ],
)
def test_gemini_fails_without_showing_its_key(monkeypatch, capfd, caplog, fault, kind):
    caplog.set_level(logging.DEBUG)
    monkeypatch.setenv("GEMINI_API_KEY", KEY)
    with FakeOpenAI(behaviours=[fault] * 2) as server:
        gemini = {"model": GEMINI, "retries": 1, "timeout_s": 1}

        async def one():
            llm = LLM(LLMSettings(api_base=server.gemini_url, backoff_s=0.01, **gemini))
            try:
                await llm.complete(ASK)
            finally:
                await llm.close()

        with pytest.raises(LLMFailure) as caught:
            asyncio.run(one())
    assert caught.value.kind == kind
    told = "".join(traceback.format_exception(caught.value))
    assert KEY not in told + "".join(capfd.readouterr()) + caplog.text


def test_keys_in_addresses_are_hidden(monkeypatch):
    monkeypatch.setenv("SOME_TOKEN", KEY)
    text = without_secrets(f"500 for url 'https://x/y?alt=sse&key=AIzaUnknown' with {KEY}")
    assert text == "500 for url 'https://x/y?alt=sse&key=[hidden]' with [SOME_TOKEN]"
    text = without_secrets(
        "no http://me:pass@h:1/v1?X-Amz-Signature=abc&n=1, nor me@h; http://h/a@b"
    )
    assert text == (
        "no http://[hidden]@h:1/v1?X-Amz-Signature=[hidden]&n=1, nor me@h; http://h/a@b"
    )
    assert "pass" not in str(LLMFailure("refused", "http://me:pass@h"))


def test_a_key_in_the_options_is_refused():
    with pytest.raises(LLMFailure, match="api_key"):
        check_model(LLMSettings("openai/x", api_base="http://x", options={"api_key": KEY}))


def test_no_more_at_once_than_allowed():
    with FakeOpenAI(faults=lambda number: ("slow", 0.05)) as server:

        async def many():
            llm = LLM(settings(server, concurrency=5))
            await asyncio.gather(*(llm.complete(ASK) for _ in range(30)))
            await llm.close()

        asyncio.run(many())
    assert len(server.requests) == 30 and server.most_at_once == 5


def test_clients_are_forgotten_with_their_event_loop(monkeypatch):
    """litellm finds them by the loop's id, which another loop may have later."""
    forgotten = []
    cache = litellm.in_memory_llm_clients_cache
    flush = cache.flush_cache
    monkeypatch.setattr(cache, "flush_cache", lambda: (forgotten.append(1), flush()))
    with FakeOpenAI() as server:
        models = [LLM(settings(server)), LLM(settings(server))]

        async def several():
            for llm in [*models, *models]:
                await llm.complete(ASK)
            assert len(forgotten) == 1
            await llm.close()

        for _ in range(3):
            forgotten.clear()
            asyncio.run(several())


def test_one_model_for_many_event_loops():
    with FakeOpenAI() as server:
        llm = LLM(settings(server, concurrency=1))  # of which the second call waits

        async def twice():
            answers = await asyncio.gather(llm.complete(ASK), llm.complete(ASK))
            assert [answer.message["content"] for answer in answers] == ["Hello."] * 2
            await llm.close()

        for _ in range(6):
            asyncio.run(twice())


# --- money -
def test_dollars_by_the_list_and_by_the_settings():
    with FakeOpenAI() as server:
        known = ask(server, model="openai/gpt-4o-mini")
        assert known.dollars == pytest.approx(
            known.prompt_tokens * 0.15e-6 + known.completion_tokens * 0.6e-6
        )
        own = ask(server, price={"input": 10.0, "output": 20.0})
    assert own.dollars == pytest.approx(own.prompt_tokens * 10e-6 + own.completion_tokens * 20e-6)


def test_a_budget_in_dollars_needs_a_price():
    with FakeOpenAI() as server:
        failed = failure(server, budget_usd=1.0)
    assert failed.fatal and "price" in str(failed) and not server.requests


def test_the_ledger_is_a_file(tmp_path):
    path = tmp_path / "usage.jsonl"
    with FakeOpenAI(behaviours=[500, "Hello.", 400]) as server:
        answer = ask(server, Ledger(path), price={"input": 1.0, "output": 1.0})
        with pytest.raises(LLMFailure):
            ask(server, Ledger(path))
    ledger = Ledger(path)
    assert (ledger.calls, ledger.retries, ledger.failed) == (
        1,
        1,
        {"server_error": 1, "refused": 1},
    )
    assert ledger.prompt_tokens == answer.prompt_tokens
    assert ledger.dollars == pytest.approx(answer.dollars)
    assert ledger.total()["calls"] == 1


def test_unknown_dollars_are_not_nothing(tmp_path):
    with FakeOpenAI() as server:
        ledger = Ledger(tmp_path / "usage.jsonl")
        ask(server, ledger, price={"input": 0.0, "output": 0.0})
        assert ledger.dollars == 0.0
        ask(server, ledger, price={"input": 1.0, "output": 1.0})
        assert 0.0 < ledger.dollars < 0.01
        ask(server, ledger)
    assert ledger.dollars is None and ledger.total()["dollars"] is None


@pytest.mark.slow
@pytest.mark.parametrize("concurrency", [1, 20])
def test_a_budget_is_never_passed(tmp_path, concurrency):
    path = tmp_path / "usage.jsonl"
    budget = 3000
    with FakeOpenAI(faults=lambda number: ("slow", 0.01)) as server:

        async def many():
            llm = LLM(
                settings(server, concurrency=concurrency, budget_tokens=budget, max_tokens=100),
                Ledger(path),
            )
            answers = await asyncio.gather(
                *(llm.complete(ASK) for _ in range(400)), return_exceptions=True
            )
            await llm.close()
            return answers

        answers = asyncio.run(many())
        failed = [answer for answer in answers if isinstance(answer, LLMFailure)]
        assert failed and {failure.kind for failure in failed} == {"budget_spent"}
        assert all(failure.fatal for failure in failed)
        ledger = Ledger(path)
        assert ledger.tokens <= budget
        # ... and used up, but for one call's worth of caution
        assert ledger.tokens > budget - 300
        asked = len(server.requests)
        assert failure(server, ledger=ledger, budget_tokens=budget, max_tokens=100).kind == (
            "budget_spent"
        )
        assert len(server.requests) == asked  # a continued job pays for nothing more
        assert ask(server, Ledger(path), budget_tokens=2 * budget, max_tokens=100)


@pytest.mark.parametrize("letter", ["a", "ä", "語"])
def test_an_answer_costs_at_most_its_bytes(letter):
    """A token may be as short as a byte, and such letters have several."""
    messages = [{"role": "user", "content": 50 * letter}]
    longest = len(json.dumps([messages, None], ensure_ascii=False).encode()) + 100
    with FakeOpenAI() as server:
        told = {"messages": messages, "max_tokens": 100}
        ask(server, budget_tokens=longest, **told)
        assert failure(server, budget_tokens=longest - 1, **told).kind == "budget_spent"
        price = {"input": 3.0, "output": 7.0}
        dollars = ((longest - 100) * 3 + 100 * 7) / 1e6
        ask(server, budget_usd=dollars, price=price, **told)
        less = {"budget_usd": 0.999 * dollars, "price": price}
        assert failure(server, **less, **told).kind == "budget_spent"
        assert len(server.requests) == 2  # what may be too much is not asked


def test_a_budget_in_dollars_is_kept(tmp_path):
    with FakeOpenAI() as server:
        ledger = Ledger(tmp_path / "usage.jsonl")

        async def many():
            llm = LLM(
                settings(server, model="openai/gpt-4o-mini", budget_usd=0.001, max_tokens=100),
                ledger,
            )
            try:
                while True:
                    await llm.complete(ASK)
            finally:
                await llm.close()

        with pytest.raises(LLMFailure, match="dollars"):
            asyncio.run(many())
    assert 0.0008 < ledger.dollars <= 0.001


def test_a_call_that_was_never_answered_counts_in_full(tmp_path):
    path = tmp_path / "usage.jsonl"
    with FakeOpenAI(behaviours=[("slow", 30), "half"]) as server:
        for _ in range(2):
            limits = {"budget_tokens": 1000, "max_tokens": 400, "retries": 0, "timeout_s": 0.5}
            assert failure(server, ledger=Ledger(path), **limits).kind in ("timeout", "bad_answer")
        # Two answers of up to 400 tokens may have been charged: a third could pass 1000.
        assert failure(server, ledger=Ledger(path), **limits).kind == "budget_spent"
    assert len(server.requests) == 2


def test_tools_are_part_of_what_a_call_can_cost():
    big = [{**TOOL, "function": {**TOOL["function"], "description": "x" * 2000}}]
    with FakeOpenAI() as server:
        limits = {"budget_tokens": 1000, "max_tokens": 10}
        assert ask(server, **limits)
        assert failure(server, tools=big, **limits).kind == "budget_spent"


def test_what_is_no_failure_of_the_model_is_not_asked_again(tmp_path):
    """Such as a ledger that cannot be written."""
    with FakeOpenAI() as server, pytest.raises(IsADirectoryError):
        ask(server, ledger_at(tmp_path))
    assert len(server.requests) == 1


def ledger_at(folder):
    ledger = Ledger()
    ledger.path = folder
    return ledger


def test_a_killed_call_counts_in_full(tmp_path):
    path = tmp_path / "usage.jsonl"
    begun = {"call": "a", "model": "m", "most": {"tokens": 700, "dollars": None}}
    path.write_text(json.dumps(begun) + "\n" + '{"call": "b", "mod')
    with FakeOpenAI() as server:
        failed = failure(server, ledger=Ledger(path), budget_tokens=1000, max_tokens=400)
        assert failed.kind == "budget_spent"
        assert ask(server, Ledger(path), budget_tokens=2000, max_tokens=400)
    assert Ledger(path).calls == 1  # written on a line of its own, after the cut one


def test_what_may_have_been_charged_counts_in_each_unit(tmp_path):
    """A line may know tokens without dollars (under a budget in tokens), and the reverse."""
    path = tmp_path / "usage.jsonl"
    lines = [{"tokens": 700, "dollars": None}, {"tokens": None, "dollars": 0.25}]
    lines += [{"tokens": 40, "dollars": 0.5}, None]
    text = [
        json.dumps({"call": str(n), "model": "m", "most": most}) for n, most in enumerate(lines)
    ]
    path.write_text("".join(f"{line}\n" for line in text))

    async def fits(most, budget):
        try:
            async with Ledger(path).call("m", 1, most, budget) as call:
                call.free("not sent")
        except BudgetSpent:
            return False
        return True

    for room, fitting in ((10, True), (9, False)):
        assert asyncio.run(fits(Cost(10, None), Cost(tokens=740 + room))) is fitting
    for room, fitting in ((0.125, True), (0.12, False)):
        assert asyncio.run(fits(Cost(1, 0.125), Cost(dollars=0.75 + room))) is fitting


# --- clouds without a static key -----------------------------------------------------------------

CLOUD_MODELS = [
    "bedrock/anthropic.claude-3-haiku-20240307-v1:0",
    "bedrock/converse/amazon.nova-lite-v1:0",
    "sagemaker/an-endpoint",
    "vertex_ai/gemini-2.5-flash",
    "azure/gpt-4o",
]


@pytest.fixture
def no_cloud(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("AWS_", "AZURE_", "VERTEX", "GOOGLE_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_API_BASE", "http://127.0.0.1:9")
    monkeypatch.setattr(litellm, "enable_azure_ad_token_refresh", False)


@pytest.mark.parametrize("model", CLOUD_MODELS)
def test_an_identity_needs_no_variable(no_cloud, model):
    check_model(LLMSettings(model))
    own = LLM(LLMSettings(model, api_base="http://127.0.0.1:9"))
    assert "api_key" not in own._request([], None)  # a made-up key would shut the identity out
    assert litellm.enable_azure_ad_token_refresh is model.startswith("azure")


def test_what_an_identity_does_not_replace_is_named(no_cloud, monkeypatch):
    monkeypatch.delenv("AZURE_API_BASE")
    with pytest.raises(LLMFailure, match="needs AZURE_API_BASE in the environment"):
        check_model(LLMSettings("azure/gpt-4o"))
    monkeypatch.setenv("AZURE_API_KEY", KEY)
    monkeypatch.setenv("AZURE_API_BASE", "http://127.0.0.1:9")
    LLM(LLMSettings("azure/gpt-4o"))
    assert litellm.enable_azure_ad_token_refresh is False  # the key is taken


# What boto3, google-auth and azure-identity say through litellm.
@pytest.mark.parametrize(
    ("provider", "said", "remedy"),
    [
        ("bedrock", "BedrockException - Unable to locate credentials", "a profile or a role"),
        ("bedrock", "An error occurred (ExpiredTokenException): it expired", "AWS credentials"),
        ("sagemaker", "Missing boto3 to call bedrock. Run 'pip install boto3'.", "Install it,"),
        ("bedrock", "No module named 'boto3'\nTraceback (most recent call last):\n x", "boto3"),
        ("vertex_ai", "Your default credentials were not found. To set up", "gcloud auth"),
        ("vertex_ai", "No module named 'google.auth'", "pip install google-auth"),
        ("azure", "DefaultAzureCredential failed to retrieve a token", "managed identity"),
        ("azure", "No module named 'azure'", "pip install azure-identity"),
    ],
)
def test_no_identity_ends_the_job_in_one_line(provider, said, remedy):
    failed = classify(RuntimeError(said), timeout_s=1, provider=provider)
    assert failed.fatal and failed.kind == "refused" and not failed.passing
    assert remedy in failed.detail and "\n" not in failed.detail
    assert "Traceback" not in failed.detail


# --- answers that are no answers ------------------------------------------------------------------


@pytest.mark.parametrize(
    "choice",
    [
        {"logprobs": {"content": [{"token": "Hi", "logprob": None, "top_logprobs": []}]}},
        {"message": None},
        {"message": {"role": "assistant", "content": 5}},
        {"message": {"role": "assistant", "content": [{"type": "text", "text": "Hi"}]}},
    ],
)
def test_an_answer_in_another_form_is_asked_again(choice):
    odd = says("Hi.", _choice=choice)
    with FakeOpenAI(behaviours=[odd, "Hello."]) as server:
        assert ask(server).message["content"] == "Hello."
    with FakeOpenAI(lambda request: dict(odd)) as server:
        failed = failure(server, retries=1)
        assert len(server.requests) == 2
    assert failed.kind == "broke_protocol"
    assert failed.detail == "the answer is no chat completion as OpenAI defines it"


@pytest.mark.parametrize("given", [7, None, "call_7"])
def test_ids_of_calls_are_text(given):
    message = calls(("look", {}))
    message["tool_calls"][0]["id"] = given
    with FakeOpenAI(behaviours=[message]) as server:
        (call,) = ask(server, tools=[TOOL]).message["tool_calls"]
    assert isinstance(call["id"], str) and (given is None or call["id"] == str(given))


def test_log_probs_cannot_be_asked_for():
    with pytest.raises(LLMFailure, match="logprobs cannot be set"):
        check_model(LLMSettings("openai/x", api_base="http://x", options={"logprobs": True}))


def test_the_last_words_name_the_budget_that_there_is():
    with FakeOpenAI() as server:
        spent = failure(server, budget_tokens=10, max_tokens=400)
        priced = {"budget_usd": 1e-6, "price": {"input": 1.0, "output": 1.0}, "max_tokens": 400}
        unpaid = failure(server, **priced)
    assert "0 tokens are spent; " in spent.detail and "budget of 10 tokens." in spent.detail
    assert "0 tokens and 0.0000 dollars are spent; " in unpaid.detail
    assert "budget of 1e-06 dollars." in unpaid.detail


def test_litellm_tells_nobody(monkeypatch):
    for name in ("success_callback", "failure_callback", "callbacks", "input_callback"):
        monkeypatch.setattr(litellm, name, ["somebody"])
    for name in ("suppress_debug_info", "drop_params"):
        monkeypatch.setattr(litellm, name, False)
    for name in ("telemetry", "set_verbose"):
        monkeypatch.setattr(litellm, name, True)
    monkeypatch.delenv("LITELLM_LOCAL_MODEL_COST_MAP", raising=False)
    talkers = [
        logging.getLogger(name)
        for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy", "httpx", "openai")
    ]
    for logger in talkers:
        logger.setLevel(logging.DEBUG)
    quiet = quiet_litellm()
    assert os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] == "True"
    assert {logger.level for logger in talkers} == {logging.CRITICAL} and not quiet.set_verbose
    assert quiet.success_callback == quiet.failure_callback == []
    assert quiet.callbacks == quiet.input_callback == []
    assert quiet.suppress_debug_info and quiet.drop_params and not quiet.telemetry


def test_cached_tokens_and_prices_of_a_list():
    with FakeOpenAI() as server:
        llm = LLM(settings(server, price={"input": 1.0, "output": 2.0}))
    usage = litellm.Usage(
        prompt_tokens=100,
        completion_tokens=10,
        prompt_tokens_details={"cached_tokens": 40},
    )
    said = {"role": "assistant", "content": "Hi."}
    response = litellm.ModelResponse(choices=[{"message": said, "finish_reason": "stop"}])
    response.usage = usage
    answer = llm._read(response, ASK, None, 1.5, 2)
    counts = (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
    assert counts == (100, 10, 40) and (answer.seconds, answer.retries) == (1.5, 2)
    assert answer.dollars == pytest.approx(120e-6)
    listed = litellm.get_model_info("gpt-4o-mini")
    price = price_of("gpt-4o-mini")
    for side in ("input", "output"):
        per_token = listed[f"{side}_cost_per_token"]
        assert price[side] == pytest.approx(per_token * 1e6, rel=1e-9) and per_token < 1e-5
    assert price_of("nobody/knows") is None and price_of("gpt-4o-mini", {"input": 1}) == {
        "input": 1
    }


def read(message, usage, tools=None, **more):
    """What `LLM` reads of a response with that message and usage."""
    llm = LLM(LLMSettings(**{"model": "openai/x", "api_base": "http://127.0.0.1:9"} | more))
    given = SimpleNamespace(**{"content": None, "tool_calls": None} | message)
    response = SimpleNamespace(choices=[SimpleNamespace(message=given)], usage=usage)
    return llm._read(response, ASK, tools, 1.0, 0)


@pytest.mark.parametrize(("given", "kept"), [(7, "7"), (None, None), ("call_7", "call_7")])
def test_calls_are_as_openai_writes_them(given, kept):
    asked = {"name": "look", "arguments": '{"at": "sky"}'}
    call = SimpleNamespace(id=given, function=SimpleNamespace(**asked))
    usage = SimpleNamespace(prompt_tokens=5, completion_tokens=2)
    answer = read({"content": "Só.", "tool_calls": [call]}, usage)
    calls = [{"id": kept, "type": "function", "function": asked}]
    assert answer.message == {"role": "assistant", "content": "Só.", "tool_calls": calls}
    counts = (answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens)
    assert counts == (5, 2, 0) and answer.dollars is None
    with pytest.raises(UnicodeEncodeError):  # half a character
        read({"content": "\ud83d"}, usage)


def test_what_a_server_does_not_count_is_estimated_from_all_that_was_said():
    def counted(content, tools):
        usage = SimpleNamespace(prompt_tokens=0, completion_tokens=None)
        answer = read({"content": content}, usage, tools, price={"input": 1e6, "output": 1e6})
        assert answer.dollars == answer.prompt_tokens + answer.completion_tokens
        return answer.prompt_tokens, answer.completion_tokens

    count = litellm.token_counter
    asked, offered = (count("x", messages=ASK, tools=tools) for tools in (None, [TOOL]))
    assert asked < offered
    assert counted("Some words.", None) == (asked, count("x", text="Some words."))
    assert counted(None, [TOOL]) == (offered, 0)


def test_dollars_are_of_the_model_that_was_asked(monkeypatch):
    """Under whatever name a server has it. The list knows of cached tokens; its prices do not."""
    llm = LLM(LLMSettings("openai/gpt-4o-mini", api_base="http://127.0.0.1:9"))
    said = {"role": "assistant", "content": "Hi."}
    choices = [{"message": said, "finish_reason": "stop"}]
    response = litellm.ModelResponse(choices=choices, model="of-nobody")
    cached = {"cached_tokens": 400}
    response.usage = litellm.Usage(
        prompt_tokens=1000, completion_tokens=300, prompt_tokens_details=cached
    )
    listed = litellm.get_model_info("gpt-4o-mini")
    names = ("input_cost_per_token", "cache_read_input_token_cost", "output_cost_per_token")
    new, again, out = (listed[name] for name in names)
    assert llm._dollars(response) == pytest.approx(600 * new + 400 * again + 300 * out)
    monkeypatch.setattr(litellm, "completion_cost", lambda *_, **__: 1 / 0)
    assert llm._dollars(response) == pytest.approx(1000 * new + 300 * out)


def test_a_request_has_what_was_set_and_tries_nothing_by_itself():
    plain = {"temperature": 0.5, "timeout_s": 9, "options": {"top_p": 0.9}}
    told = {
        **{"model": "openai/x", "messages": ASK, "temperature": 0.5, "timeout": 9, "top_p": 0.9},
        **{"max_retries": 0, "num_retries": 0, "api_base": "http://127.0.0.1:9/v1"},
    }
    llm = LLM(LLMSettings("openai/x", api_base=told["api_base"], **plain))
    request = llm._request(ASK, None)
    request.pop("api_key", None)
    assert request == told
    llm = LLM(LLMSettings("openai/x", api_base=told["api_base"], max_tokens=7, **plain))
    request = llm._request(ASK, ["a tool"])
    request.pop("api_key", None)
    assert request == told | {"max_tokens": 7, "tools": ["a tool"], "tool_choice": "auto"}


def test_lines_of_calls(tmp_path):
    """What a call cost; the most that it could only where there is a budget, one without answer."""
    path = tmp_path / "calls.jsonl"
    with FakeOpenAI() as server:
        ask(server, Ledger(path))
        path.write_bytes(path.read_bytes()[:-1])  # a kill took the end of the line
        ask(server, Ledger(path), budget_tokens=10_000, max_tokens=50)
    first, begun, second = [json.loads(line) for line in path.read_text().splitlines()]
    assert {first["model"], begun["model"], second["model"]} == {"openai/stand-in"}
    assert begun["call"] == second["call"] != first["call"]
    assert begun["most"]["tokens"] > 50 and begun["most"]["dollars"] is None
    assert "most" not in first and "attempt" not in begun
    assert (first["attempt"], second["attempt"]) == (1, 1)
    assert 0 < first["seconds"] == round(first["seconds"], 3) < 60
    known = Ledger(path)
    assert known.calls == 2
    assert known.tokens == sum(
        row[f"{kind}_tokens"] for row in (first, second) for kind in ("prompt", "completion")
    )


def test_lines_of_another_job_do_not_count(tmp_path):
    path = tmp_path / "calls.jsonl"
    with FakeOpenAI() as server:
        ask(server, Ledger(path, "one"))
        ask(server, Ledger(path, "two"))
        ask(server, Ledger(path))
    marks = [json.loads(line).get("fingerprint") for line in path.read_text().splitlines()]
    assert marks == ["one", "two", None]
    assert [Ledger(path, mark).calls for mark in ("one", "two", "", "three")] == [1, 1, 1, 0]
    path.write_text(path.read_text().replace('"fingerprint"', '"run"'))  # of an earlier version
    assert [Ledger(path, mark).calls for mark in ("one", "two", "", "three")] == [1, 1, 1, 0]


def test_what_was_cached_adds_up_and_a_file_gets_its_folder(tmp_path):
    path = tmp_path / "of" / "another" / "run" / "calls.jsonl"

    async def calls() -> None:
        ledger = Ledger(path)
        for cached in (3, 4):
            async with ledger.call("m", 1, Cost(10, None)) as call:
                call.settle(
                    prompt_tokens=9,
                    completion_tokens=1,
                    cached_tokens=cached,
                    dollars=0.5,
                    seconds=1.0,
                )

    asyncio.run(calls())
    total = Ledger(path).total()
    assert (total["calls"], total["cached_tokens"], total["dollars"]) == (2, 7, 1.0)
    assert (total["prompt_tokens"], total["completion_tokens"]) == (18, 2)


def test_a_failed_call_that_may_be_charged_names_the_most_only_under_a_budget(tmp_path):
    for budget in ({}, {"budget_tokens": 10_000}):
        path = tmp_path / f"{len(budget)}.jsonl"
        with FakeOpenAI(behaviours=["drop"]) as server:
            failure(server, ledger=Ledger(path), retries=0, **budget)
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        assert rows[-1]["failed"] == "no_answer" and ("most" in rows[-1]) == bool(budget)
        assert rows[-1].get("most") == rows[0].get("most") and len(rows) == 1 + len(budget)


@pytest.mark.parametrize(
    ("amount", "text"),
    [(None, "unknown price"), (0, "$0.00"), (0.00421, "$0.0042"), (0.01, "$0.01"),
     (0.5, "$0.50"), (5, "$5.00"), (1234.567, "$1,234.57")],
)  # fmt: skip
def test_dollars_have_as_many_digits_as_they_need(amount, text):
    assert dollars(amount) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(999, "999"), (1000, "1 k"), (1_234_567, "1.23 M"), (1e6, "1 M"), (1e9, "1 G")],
)
def test_tokens_are_told_to_three_digits(count, text):
    assert tokens(count) == text


def test_connections_are_closed_where_they_can_be(monkeypatch):
    closed = []

    class Client:
        async def close(self):
            closed.append(self)

    cache = litellm.in_memory_llm_clients_cache
    monkeypatch.setattr(cache, "cache_dict", {"a": object(), "b": (client := Client())})
    llm = LLM(LLMSettings("openai/x", api_base="http://127.0.0.1:9"))
    asyncio.run(llm.close())
    assert closed == [client] and not cache.cache_dict


def test_a_line_on_what_was_spent():
    total = {"calls": 3, "prompt_tokens": 1500, "cached_tokens": 500, "completion_tokens": 20}
    line = "teacher m: 3 calls, 1.5 k prompt tokens (500 cached), 20 completion tokens, $0.50"
    assert spending("teacher m", {**total, "dollars": 0.5, "failed_calls": {}}) == line
    failed = {"refused": 1, "timeout": 2}
    said = spending("teacher m", {**total, "dollars": 0.5, "failed_calls": failed})
    assert said == f"{line}; failed calls: refused 1, timeout 2"


def test_a_model_is_known_by_its_name_or_by_its_address(monkeypatch):
    """Under a budget an answer may be as long as the model's list says."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    llm = LLM(LLMSettings("gpt-4o-mini", budget_tokens=100_000))
    assert llm._max_tokens == litellm.get_model_info("gpt-4o-mini")["max_output_tokens"]
    assert LLM(LLMSettings("gpt-4o-mini"))._max_tokens is None
    address = "https://api.groq.com/openai/v1"
    assert LLM(LLMSettings("a-model-of-nobody", api_base=address))._provider == "groq"


def test_what_the_list_says_of_a_model():
    known = litellm.get_model_info("gpt-4o-mini")["max_output_tokens"]
    assert longest_answer("gpt-4o-mini") == known != LONGEST_ANSWER
    assert longest_answer("openai/of-nobody") == LONGEST_ANSWER
    assert at_price({"input": 1.0, "output": 3.0}, 500_000, 2_000_000) == 6.5


def test_pauses_double(monkeypatch):
    most = []
    llm = LLM(LLMSettings("openai/x", api_base="http://127.0.0.1:9", backoff_s=0.5))
    failed = SimpleNamespace(exception=lambda: SimpleNamespace(wait_s=2.0))
    monkeypatch.setattr(llm._random, "uniform", lambda low, high: most.append((low, high)) or 0.25)
    for number in (1, 2, 3, 9):
        assert llm._pause(SimpleNamespace(outcome=failed, attempt_number=number)) == 2.25
    assert most == [(0, 1.0), (0, 2.0), (0, 4.0), (0, 30.0)]


@pytest.mark.parametrize("model", ["ollama/llama3", "ollama_chat/qwen3"])
def test_a_server_at_home_needs_no_address(model, monkeypatch):
    monkeypatch.delenv("OLLAMA_API_BASE", raising=False)
    check_model(LLMSettings(model))
