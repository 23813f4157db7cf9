"""Tokens in, tokens out: prompts extend each other, masks cover what was sampled, nothing else."""

import asyncio
import copy
import hashlib
import json
from importlib.resources import files

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tau2.data_model.message import AssistantMessage, ToolMessage, UserMessage
from tokenizers.processors import TemplateProcessing

from tau2_agent.benchmark.environment import assistant_tools
from tau2_agent.rollout.call_formats import FORMATS, argument_types
from tau2_agent.rollout.chat_template import ChatCodec, TemplateError
from tau2_agent.rollout.model_agent import ModelAgent
from tau2_agent.rollout.policy import Sampling
from tau2_agent.rollout.rendering import Rendering, own_template
from tau2_agent.rollout.trajectory import EndReason, EpisodeEnd, Turn


@pytest.fixture(scope="module")
def codec(tokenizer):
    return ChatCodec(tokenizer)


def template(name):
    return files("trl").joinpath(f"chat_templates/{name}.jinja").read_text(encoding="utf-8")


# --- sampled tokens -> message: what tau2's agent would have got from its server


CALL = '<tool_call>\n{"name": "toggle_data", "arguments": {"a": 1}}\n</tool_call>'


@pytest.mark.parametrize(
    ("text", "content", "calls"),
    [
        ("Hello", "Hello", None),
        ("  Hello\nthere \n", "Hello\nthere", None),
        ("", "", None),
        (CALL, None, [("toggle_data", {"a": 1})]),
        (CALL + "\n" + CALL, None, [("toggle_data", {"a": 1})] * 2),
        ("Let me see.\n" + CALL, "Let me see.", [("toggle_data", {"a": 1})]),
        (CALL + " and text behind", None, [("toggle_data", {"a": 1})]),
        ('<tool_call>{"name": "f"}</tool_call>', None, [("f", {})]),
        ('<tool_call>{"name": "f", "parameters": {"b": 2}}</tool_call>', None, [("f", {"b": 2})]),
        # unreadable blocks: all of it is text, none of it ends the process
        ('<tool_call>\n{"name": "f", "arguments": {\n</tool_call>', ..., None),
        ('<tool_call>\n{"name": "f", "arguments": "x"}\n</tool_call>', ..., None),
        ('<tool_call>\n{"name": 3}\n</tool_call>', ..., None),
        ("<tool_call>\n[1, 2]\n</tool_call>", ..., None),
        ('<tool_call>\n{"name": "f", "arguments": {}}', ..., None),  # cut before its end
        ('</tool_call>{"name": "f"}<tool_call>', ..., None),
        ("<tool_call>" + '{"a":' * 5000 + "</tool_call>", ..., None),  # a model in a loop
        ('<tool_call>{"name": "f", "arguments": {"a": "\\ud83d"}}</tool_call>', ..., None),
        # a readable block beside an unreadable one is still called
        ("<tool_call>{</tool_call>" + CALL, None, [("toggle_data", {"a": 1})]),
    ],
)
def test_parse(codec, text, content, calls):
    ids = codec.tokenizer(text, add_special_tokens=False)["input_ids"]
    for ending in ([], [codec.stop_id], [codec.stop_ids[-1]]):
        message = codec.parse(ids + ending, first_call=4)
        assert message.content == (text.strip() if content is ... else content)
        found = [(call.name, call.arguments) for call in message.tool_calls or []]
        assert found == (calls or [])
        assert message.is_tool_call() == bool(calls)
        assert [call.id for call in message.tool_calls or []] == [
            f"call_{4 + i}" for i in range(len(found))
        ]


XML = "<tool_call>\n<function=refuel_data>\n{}</function>\n</tool_call>"
LLAMA = '{"name": "f", "parameters": {"a": 1}}'


def xml(**arguments):
    lines = [f"<parameter={k}>\n{v}\n</parameter>\n" for k, v in arguments.items()]
    return XML.format("".join(lines))


@pytest.mark.parametrize(
    ("form", "text", "content", "calls"),
    [
        # the schema says what is text and what is a number
        ("xml", xml(line_id="12", gb_amount="12"), "", [{"line_id": "12", "gb_amount": 12}]),
        ("xml", xml(gb_amount="two"), "", [{"gb_amount": "two"}]),
        ("xml", xml(customer_id=" C1\n\nC2 "), "", [{"customer_id": " C1\n\nC2 "}]),
        ("xml", xml(), "", [{}]),
        ("xml", "So. " + xml() + "\n" + xml(line_id="L"), "So.", [{}, {"line_id": "L"}]),
        ("xml", xml().replace("</function>", ""), ..., None),
        ("llama", LLAMA, "", [{"a": 1}]),
        ("llama", f"So. <|python_tag|>{LLAMA}; {LLAMA}", "So.", [{"a": 1}] * 2),
        ("llama", f"{LLAMA}; {LLAMA}", "", [{"a": 1}] * 2),
        ("llama", '<|python_tag|>{"name": "f"}', "", [{}]),
        ("llama", f"<|python_tag|>{LLAMA}; {{", "", [{"a": 1}]),
        # text is text, also when it begins like a call
        ("llama", '{"name": "f"}', ..., None),
        ("llama", f"{LLAMA} is what I would call.", ..., None),
        ("llama", f"I would call {LLAMA}", ..., None),
        ("llama", "<|python_tag|>[1]", ..., None),
        ("llama", "", ..., None),
        ("llama", "<|python_tag|>" + '{"a":' * 5000, ..., None),
        ("llama", '<|python_tag|>{"name": "f", "parameters": {"a": "\\ud83d"}}', ..., None),
        ("xml", xml(gb_amount='"\\ud83d"'), "", [{"gb_amount": '"\\ud83d"'}]),
        ("xml", xml(gb_amount="[" * 5000), "", [{"gb_amount": "[" * 5000}]),
    ],
)
def test_other_formats_of_calls(form, text, content, calls):
    form = next(one for one in FORMATS if one.name == form)
    reading = form.read(text, argument_types(assistant_tools()))
    if content is ...:
        assert reading is None
        return
    assert reading[0].strip() == content
    assert [arguments for _, arguments in reading[1]] == calls


def test_reasoning_is_nobodys_to_read_and_stays_in_the_stream(codec):
    def read(codec, text):
        return codec.parse(codec.encode(text), first_call=0)

    assert read(codec, "<think>\nHm.\n</think>\n\nHello").content == "Hello"
    assert read(codec, "<think>Hm.</think>" + CALL).tool_calls[0].name == "toggle_data"
    assert read(codec, "<think>" + CALL).tool_calls is None  # a thought of a call is none
    assert read(codec, "<think>\nHm.").content == ""
    assert read(codec, "A </think> b").content == "A </think> b"
    opened = copy.deepcopy(codec)
    opened._opened += "<think>\n"  # by the prompt
    assert read(opened, "Hm.\n</think>\n\nHello").content == "Hello"
    assert read(opened, "Hm.").content == ""


@given(st.text(max_size=80))
@settings(max_examples=200, deadline=None)
def test_no_text_breaks_the_parser(codec, text):
    codec.parse(codec.tokenizer(text, add_special_tokens=False)["input_ids"], first_call=0)


# --- conversations


GOLDEN = ["8c5229d3234722fa", "8c5c3c24fe5529cc"]
texts = st.text(alphabet="ab .!?\n{}é", max_size=12).map(lambda text: text.strip() or "x")


def call_message(name="f", text=""):
    function = {"name": name, "arguments": '{"a": "b"}'}
    call = {"id": "0", "type": "function", "function": function}
    return {"role": "assistant", "content": text, "tool_calls": [call]}


@st.composite
def conversations(draw):
    """System, greeting, user, then assistant turns with what each brought in."""
    messages = [
        {"role": "system", "content": draw(texts)},
        {"role": "assistant", "content": "Hi! How can I help you today?"},
        {"role": "user", "content": draw(texts)},
    ]
    for _ in range(draw(st.integers(1, 5))):
        if draw(st.booleans()):
            messages.append(call_message(text=draw(st.sampled_from(["", "Wait."]))))
            for _ in range(draw(st.integers(1, 3))):
                messages.append({"role": "tool", "content": draw(texts), "tool_call_id": "0"})
        else:
            messages.append({"role": "assistant", "content": draw(texts)})
            messages.append({"role": "user", "content": draw(texts)})
    return messages


@settings(max_examples=100, deadline=None)
@given(messages=conversations(), tools=st.booleans())
def test_a_trace_is_the_template_and_its_mask_is_trls(tokenizer, codec, messages, tools):
    schema = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    tools = [schema] if tools else []
    record = codec.trace(messages, tools)
    whole = tokenizer.apply_chat_template(messages, tools=tools or None, tokenize=False)
    last = max(i for i, m in enumerate(messages) if m["role"] == "assistant")
    shown = tokenizer.apply_chat_template(messages[: last + 1], tools=tools or None, tokenize=False)
    assert whole.startswith(shown)
    assert tokenizer.decode(record.ids) == shown.rstrip("\n")
    assert record.ids == tokenizer(shown.rstrip("\n"), add_special_tokens=False)["input_ids"]
    assert len(record.ids) == len(record.loss_mask) == len(record.log_probs)
    assert not any(record.loss_mask[: record.prompt_length])

    theirs = tokenizer.apply_chat_template(
        messages[: last + 1],
        tools=tools or None,
        chat_template=template("qwen3_instruct_2507_training"),
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    assert theirs["input_ids"][: len(record.ids)] == record.ids
    # TRL's mask has two things more, neither of which a policy ever samples: the greeting, which
    # is tau2's, and the new line that the template puts behind a stop token.
    theirs = theirs["assistant_masks"]
    assert any(theirs[: record.prompt_length])
    expected = [0] * record.prompt_length + [
        0 if record.ids[i - 1] == codec.stop_id else theirs[i]
        for i in range(record.prompt_length, len(record.ids))
    ]
    assert record.loss_mask == expected


class Sampled:
    """A policy that says given tokens, and notes what it was asked with."""

    def __init__(self, turns):
        self.turns = iter(turns)
        self.prompts = []
        self.limits = []

    async def generate(self, prompt, sampling, session):
        self.prompts.append(list(prompt))
        self.limits.append(sampling.max_new_tokens)
        ids, reason = next(self.turns)
        return Turn(ids, [-0.5] * len(ids), reason)


def agent(codec, turns, **settings):
    settings = {"context_length": 10_000, "sampling": Sampling(max_new_tokens=20)} | settings
    policy = Sampled(turns)
    made = ModelAgent(policy, codec, system_prompt="s", tools=[], session="0", **settings)
    return made, policy


OPENING = [
    AssistantMessage(role="assistant", content="Hi! How can I help you today?"),
    UserMessage(role="user", content="My data is slow."),
]
ids_of_turns = st.lists(
    st.tuples(st.lists(st.integers(3, 250), min_size=1, max_size=8), st.sampled_from([0, 1, 2])),
    min_size=1,
    max_size=6,
)


@settings(max_examples=100, deadline=None)
@given(turns=ids_of_turns, tools=st.lists(st.integers(0, 3), min_size=6, max_size=6))
def test_prompts_extend_each_other_and_keep_tokens_as_sampled(codec, turns, tools):
    """Whatever ids a policy draws, also ones that no tokenizer would make from their text."""
    endings = {0: [codec.stop_id], 1: [codec.stop_ids[-1]], 2: []}
    sampled = [(ids + endings[end], "length" if end == 2 else "stop") for ids, end in turns]
    made, policy = agent(codec, sampled)

    async def run():
        new = OPENING
        for count in tools[: len(turns)]:
            await made.act(new)
            new = [
                ToolMessage(id=str(i), role="tool", content=f"r{i}", requestor="assistant")
                for i in range(count)
            ] or [UserMessage(role="user", content="Yes.")]

    asyncio.run(run())
    for i, (prompt, (ids, _)) in enumerate(zip(policy.prompts, sampled, strict=True)):
        following = policy.prompts[i + 1] if i + 1 < len(policy.prompts) else made.tokens.ids
        assert following[: len(prompt) + len(ids)] == prompt + ids
    record = made.tokens
    spoken = [i for i, on in zip(record.ids, record.loss_mask, strict=True) if on]
    assert spoken == [i for ids, _ in sampled for i in ids]
    assert all(
        (log_prob == -0.5) == bool(on)
        for log_prob, on in zip(record.log_probs, record.loss_mask, strict=True)
    )
    assert record.cut_turns == sum(reason == "length" for _, reason in sampled)


def test_the_stream_is_what_the_template_would_render(tokenizer, codec):
    """For text the tokenizer would make itself, the stream is the whole conversation rendered."""
    answer = {"role": "assistant", "content": "Please check the status bar."}
    called = call_message()
    made, _ = agent(codec, [(codec.answer(called), "stop"), (codec.answer(answer), "stop")])
    results = [
        ToolMessage(id=str(i), role="tool", content=f"r{i}", requestor="assistant")
        for i in range(2)
    ]

    async def run():
        first = await made.act(OPENING)
        assert [call.name for call in first.tool_calls] == ["f"]
        assert (await made.act(results)).content == answer["content"]

    asyncio.run(run())
    talk = [
        {"role": "system", "content": "s"},
        {"role": "assistant", "content": OPENING[0].content},
        {"role": "user", "content": OPENING[1].content},
        called,
        {"role": "tool", "content": "r0"},
        {"role": "tool", "content": "r1"},
        answer,
    ]
    whole = tokenizer.apply_chat_template(talk, tokenize=False)
    assert tokenizer.decode(made.tokens.ids) == whole.rstrip("\n")


# --- bounds


def test_the_context_bounds_prompt_and_answer(codec):
    made, policy = agent(codec, [([5, 6, codec.stop_id], "stop"), ([5] * 4, "length")])
    asyncio.run(made.act(OPENING))
    increment = codec.increment([OPENING[1]], codec.stop_id)
    made.context_length = len(made.tokens.ids) + len(increment) + 4
    with pytest.raises(EpisodeEnd) as end:  # 4 tokens of 20 fit, and the turn needs more
        asyncio.run(made.act([OPENING[1]]))
    assert end.value.reason is EndReason.CONTEXT_LENGTH
    assert policy.limits == [20, 4]
    assert len(made.tokens.ids) == made.context_length


def test_no_turn_is_asked_for_when_none_fits(codec):
    made, policy = agent(codec, [([5, codec.stop_id], "stop")], response_length=3)
    asyncio.run(made.act(OPENING))
    before = copy.deepcopy(made.tokens)
    with pytest.raises(EpisodeEnd):
        asyncio.run(made.act([OPENING[1]]))
    assert made.tokens == before  # nothing behind the last sampled token
    assert len(policy.prompts) == 1


# --- templates


def test_a_template_that_rewrites_history_is_refused(tokenizer):
    other = copy.deepcopy(tokenizer)
    other.chat_template = template("qwen3")  # cuts the thinking out of earlier turns
    talk = [
        {"role": "user", "content": "x"},
        {"role": "assistant", "content": "<think>\nhm\n</think>\n\ny"},
        {"role": "user", "content": "x"},
    ]
    assert "hm" not in other.apply_chat_template(talk, tokenize=False)
    with pytest.raises(TemplateError, match="rewrites earlier turns"):
        ChatCodec(other)
    other.chat_template = None
    with pytest.raises(TemplateError, match="no chat template"):
        ChatCodec(other)


def test_tokens_are_those_of_checkpoints_made_before(codec):
    """Of this conversation, as tokenised when the demo's first checkpoints were made."""
    call = {"name": "refuel_data", "arguments": '{"customer_id": "C1", "gb_amount": 2.0}'}
    talk = [
        {"role": "system", "content": "You are a telecom support agent."},
        {"role": "assistant", "content": "Hi! How can I help you today?"},
        {"role": "user", "content": " My data is slow.\n"},
        {"role": "assistant", "content": "Wait.", "tool_calls": [{"function": call}] * 2},
        {"role": "tool", "content": '{"a": "é"}', "tool_call_id": "0"},
        {"role": "tool", "content": "Error: \\ no", "tool_call_id": "1"},
        {"role": "assistant", "content": "", "tool_calls": [{"function": call}]},
        {"role": "tool", "content": "", "tool_call_id": "0"},
        {"role": "assistant", "content": "Please check the status bar."},
        {"role": "user", "content": "Thank you."},
        {"role": "assistant", "content": "Bye."},
    ]
    schema = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    digests = []
    for tools in ([], [schema]):
        record = codec.trace(talk, tools)
        content = json.dumps([record.ids, record.loss_mask, record.prompt_length])
        digests.append(hashlib.sha256(content.encode()).hexdigest()[:16])
    assert digests == GOLDEN


# --- speed: what is the same is rendered and tokenised once


def test_the_head_of_a_prompt_is_made_once(tokenizer, monkeypatch):
    codec = ChatCodec(tokenizer)
    schema = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}

    def talk(text, system="s"):
        return [
            {"role": "system", "content": system},
            {"role": "assistant", "content": "Hi! How can I help you today?"},
            {"role": "user", "content": text},
        ]

    def expected(messages, tools):
        text = tokenizer.apply_chat_template(
            messages, tools=tools or None, tokenize=False, add_generation_prompt=True
        )
        return tokenizer(text, add_special_tokens=False)["input_ids"]

    assert codec.prompt(talk("a"), [schema]) == expected(talk("a"), [schema])
    with monkeypatch.context() as patch:
        patch.setattr(codec, "render", None)  # no more of it
        second = codec.prompt(talk("b\n"), copy.deepcopy([schema]))
        assert codec.increment_text([{"role": "user", "content": "c"}]).count("c<") == 1
    assert second == expected(talk("b\n"), [schema])
    # whatever changes in the head, it is made anew
    for messages, tools in ((talk("a", "t"), [schema]), (talk("a", "t"), []), (talk("a"), [])):
        assert codec.prompt(messages, tools) == expected(messages, tools)
        codec.prompt(messages, tools).append(-1)  # a caller's list is his own
        assert codec.prompt(messages, tools) == expected(messages, tools)
    without = talk("a")[::2]
    assert codec.prompt(without, [schema]) == expected(without, [schema])


def test_arguments_survive_a_trace(codec):
    arguments = {"gb_amount": 2.0, "name": 'Zoë "x"\n'}
    message = call_message()
    message["tool_calls"][0]["function"]["arguments"] = json.dumps(arguments, ensure_ascii=False)
    parsed = codec.parse(codec.answer(message), first_call=0)
    assert parsed.tool_calls[0].arguments == arguments


def test_a_tokenizer_that_knows_of_no_templates_is_one_of_a_base_model():
    with pytest.raises(TemplateError, match="there is no chat template: this is a base model"):
        own_template(object())


@pytest.mark.parametrize("before", [[], [{"role": "system", "content": "Help."}]])
def test_a_prompt_without_a_greeting_is_the_whole_rendered(tokenizer, before):
    codec = ChatCodec(tokenizer)
    messages = [*before, {"role": "user", "content": "Hello?"}]
    ids = codec.prompt(messages, [])
    assert codec.decode(ids) == codec.render(messages, [], generation_prompt=True)


def test_a_turn_that_did_not_end_as_the_template_does_is_closed(tokenizer):
    """One that was cut, and one that ended with another stop token; once each, and no other."""
    codec = ChatCodec(tokenizer)
    said = [UserMessage(role="user", content="Hello?")]
    closed = codec.increment(said, codec.stop_id)
    assert codec.stop_id != codec.stop_ids[-1] and codec.stop_id != closed[0]
    for last in (codec.stop_ids[-1], codec.encode("word")[-1]):
        assert codec.increment(said, last) == [codec.stop_id, *closed]


@pytest.mark.parametrize(
    ("error", "said"),
    [(ValueError("no such tool\n  line 3"), "no such tool"), (KeyError(), "KeyErr")],
)
def test_a_template_that_fails_says_on_what_and_why(tokenizer, error, said):
    class Fails:
        def apply_chat_template(self, *_, **__):
            raise error

    messages = [{"role": role, "content": "x"} for role in ("user", "assistant")]
    with pytest.raises(TemplateError, match=f"fails on messages of user, assistant: {said}") as one:
        Rendering(Fails(), "any")(messages)
    assert "\n" not in str(one.value)


def test_no_token_is_added_where_a_tokenizer_would_begin_each_text_with_one(tokenizer):
    """As Llama's does: each message would begin a new text in the midst of the episode."""
    begins = copy.deepcopy(tokenizer)
    token = ("<|im_start|>", begins.convert_tokens_to_ids("<|im_start|>"))
    begins.backend_tokenizer.post_processor = TemplateProcessing(
        single="<|im_start|> $A", special_tokens=[token]
    )
    assert begins("word")["input_ids"][0] == token[1]
    assert ChatCodec(begins).encode("word") == ChatCodec(tokenizer).encode("word")


def test_a_models_own_end_stops_a_turn_too(tokenizer):
    """Whatever its name: many base models write it where the template has another token."""
    other = copy.deepcopy(tokenizer)
    other.add_special_tokens({"eos_token": "<|the_end|>"})
    codec = ChatCodec(other)
    assert codec.stop_id != other.eos_token_id and other.eos_token_id in codec.stop_ids
    assert len(codec.stop_ids) == len(ChatCodec(tokenizer).stop_ids) + 1


STRICT = """{%- for message in messages %}
{%- set before = messages[loop.index0 - 1] %}
{%- if message.role == 'tool' and before.role != 'tool' and not before.tool_calls %}
{{- raise_exception('a result without a call') }}
{%- elif message.role == 'user' and loop.index0 and before.tool_calls %}
{{- raise_exception('a call without a result') }}
{%- endif %}
{%- endfor %}"""


def test_a_template_that_counts_calls_and_results_is_shown_them_in_order(tokenizer):
    """As Mistral's: a result follows a call, and a user's message does not."""
    strict = copy.deepcopy(tokenizer)
    strict.chat_template = STRICT + tokenizer.chat_template
    codec, plain = ChatCodec(strict), ChatCodec(tokenizer)
    result = {"role": "tool", "content": "Done.", "tool_call_id": "1"}
    said = {"role": "user", "content": "Hello?"}
    for new in ([result], [result, result], [said], [said, said], []):
        assert codec.increment_text(new) == plain.increment_text(new)
    both = codec.increment_text([result, said])
    assert both == plain.increment_text([result, said]) and "Done." in both and "Hello?" in both
