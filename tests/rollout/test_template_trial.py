"""A template is taken when everything that training relies on comes out right, else refused."""

import json
from functools import cache

import pytest
from chat_tokenizers import byte_tokenizer, special_tokens, trl_templates
from tokenizers import AddedToken, normalizers

from tau2_agent.benchmark.environment import assistant_tools
from tau2_agent.rollout.chat_template import ChatCodec
from tau2_agent.rollout.rendering import TemplateError, TokenizerError
from tau2_agent.rollout.template_choice import choose_template
from tau2_agent.rollout.template_files import shipped_templates
from tau2_agent.rollout.trajectory import as_chat

TABLE = "trl_templates.md"
TRL = trl_templates()


@cache
def know_all():
    """A tokenizer that has the special tokens of all templates here."""
    shipped = [file.read_text(encoding="utf-8") for file in shipped_templates().values()]
    return byte_tokenizer([*special_tokens([*TRL.values(), *shipped]), "<s>", "</s>"])


def shipped(name):
    return shipped_templates()[name].read_text(encoding="utf-8")


def with_template(template, tokenizer=None):
    tokenizer = tokenizer or know_all()
    tokenizer.chat_template = template
    return tokenizer


def verdict(tokenizer):
    """The row of the table for the tokenizer's template."""
    try:
        chosen = choose_template(tokenizer)
    except TemplateError as error:
        assert "\n" not in str(error)
        return "refused", str(error.__cause__)
    return "taken", ", ".join([f"{chosen.codec.call_format.name} calls", *chosen.switches])


# --- TRL's templates


def pinned(request):
    text = request.path.with_name(TABLE).read_text(encoding="utf-8")
    rows = [line.strip("| ").split(" | ") for line in text.splitlines() if line.startswith("| ")]
    return {name: (word, why.replace("\\|", "|")) for name, word, why in rows[2:]}


@pytest.mark.slow
def test_every_template_of_trl_has_the_verdict_of_the_table(request):
    table = pinned(request)
    assert table == {name: verdict(with_template(text)) for name, text in TRL.items()}


CONVERSATION = [
    {"role": "system", "content": "You are a telecom support agent."},
    {"role": "assistant", "content": "Hi! How can I help you today?"},
    {"role": "user", "content": 'My phone is "dead".\nNumber: 555-123-2002'},
    {
        "role": "assistant",
        "content": "One moment.",
        "tool_calls": [
            {
                "id": "0",
                "type": "function",
                "function": {
                    "name": "get_customer_by_phone",
                    "arguments": '{"phone_number": "555-123-2002"}',
                },
            },
            {
                "id": "1",
                "type": "function",
                "function": {
                    "name": "refuel_data",
                    "arguments": '{"customer_id": "C1", "line_id": "L1", "gb_amount": 2.0}',
                },
            },
        ],
    },
    {"role": "tool", "content": '{"name": "Zoë", "bills": []}', "tool_call_id": "0"},
    {"role": "tool", "content": "Error: no line", "tool_call_id": "1"},
    {"role": "assistant", "content": "Please check:\n1. Wi-Fi 📶\n2. {data}"},
    {"role": "user", "content": " on "},
    {"role": "assistant", "content": "Thank you."},
]


def taken(request):
    chosen = [name for name, (word, _) in pinned(request).items() if word == "taken"]
    return {name: TRL[name] for name in chosen} | {n: shipped(n) for n in shipped_templates()}


def test_streams_of_all_taken_templates_are_the_whole_rendered(request):
    """Tokens as the template writes them at once, trained calls as an episode would read them."""
    for name, text in taken(request).items():
        chosen = choose_template(with_template(text))
        codec = chosen.codec
        record = codec.trace(CONVERSATION, assistant_tools())
        objects = json.loads(json.dumps(CONVERSATION))
        for call in objects[3]["tool_calls"]:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
        whole = codec.tokenizer.apply_chat_template(
            objects, tools=assistant_tools(), chat_template=chosen.text, tokenize=False
        )
        ids = codec.encode(whole)
        assert record.ids == ids[: len(record.ids)], name
        assert codec.stop_id not in ids[len(record.ids) :], name
        turns, turn = [], []
        for i, trained in zip(record.ids, record.loss_mask, strict=True):
            if trained:
                turn.append(i)
            elif turn:
                turns, turn = [*turns, turn], []
        read = [as_chat(codec.parse(turn, first_call=0)) for turn in [*turns, turn]]
        said = [message for message in CONVERSATION[2:] if message["role"] == "assistant"]
        assert [message["content"] for message in read] == [m["content"] for m in said], name
        assert [
            (call["function"]["name"], call["function"]["arguments"])
            for call in read[0]["tool_calls"]
        ] == [(c["function"]["name"], c["function"]["arguments"]) for c in said[0]["tool_calls"]]


# --- one defect at a time, in a template that is right otherwise


CALL = "call.arguments if call.arguments is string else call.arguments | tojson"
CONTENT = "{%- set content = message.content if message.content is string else '' %}"
RESULT = "'\\n<tool_response>\\n' + content + '\\n</tool_response>'"
DEFECTS = [
    ("{{- '\\n' + (tool | tojson) }}", "", "leaves out the tools"),
    ("(tool | tojson)", "tool.function.name", "leaves out the tools"),
    ("(tool | tojson)", "tool.function.name + tool.function.description", "without the schemas"),
    ("{{- system + '\\n\\n' if system else '' }}", "", "leaves out the system prompt"),
    (CALL, "call.arguments | tojson | tojson", "a format that is not read here"),
    (CALL, "(call.arguments | tojson) | replace('\\\\', '')", "a backslash does not come back"),
    (CALL, "(call.arguments | tojson) | replace('2.0', '2')", "numbers does not come back"),
    (CALL, "(call.arguments | tojson) | replace('false', '0')", "truth values does not"),
    (CALL, "(call.arguments | tojson) | replace('{}', 'null')", "an empty object does not"),
    (CALL, "(call.arguments | tojson) | replace('\\\\\"', '_')", "quotes and new lines does"),
    (CALL, "(call.arguments | tojson) | replace('東', '?')", "unicode does not come back"),
    (CALL, "call.arguments | items | map('first') | list | tojson", "a format that is not read"),
    ("message.tool_calls or []", "[]", "leaves out an assistant's tool calls"),
    ("message.tool_calls or []", "(message.tool_calls or [])[:1]", "two calls in one turn"),
    ("assistant\\n' + content", "assistant\\n' + ('' if message.tool_calls else content)", "text"),
    ("'\\n<tool_response>\\n' + content + '", "'\\n<tool_response>\\n", "results of tools"),
    (
        "'\\n<tool_response>\\n' + content + '",
        "'\\n<tool_response>\\n' + (content if loop.last else '') + '",
        "results of tools",
    ),
    (
        "'<|im_start|>assistant\\n' + content",
        "'<|im_start|>' + ('user' if loop.index0 == 1 and messages[0].role == 'system' else "
        "'assistant') + '\\n' + content",
        "does not show the greeting as the assistant's own",
    ),
    (
        "'<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n'",
        "'<|im_start|>' + message.role + '\\n' + ('First: ' if loop.index == 3 and system else '')"
        " + content + '<|im_end|>\\n'",
        "the user's first message otherwise than later ones",
    ),
    (
        "'<|im_start|>' + message.role + '\\n' + content + '<|im_end|>\\n'",
        "'<|im_start|>' + message.role + '\\n' + content + ('!' if loop.index > 9 else '') + "
        "'<|im_end|>\\n'",
        "role user otherwise by what stands before it",
    ),
    (
        "'<|im_start|>assistant\\n' + content",
        "'<|im_start|>assistant\\n' + content + ('.' if loop.last and loop.index > 9 else '')",
        "rewrites the last answer",
    ),
    (
        "'<|im_start|>assistant\\n' + content",
        "'<|im_start|>assistant\\n' + (content if loop.last else content ~ ' ')",
        "rewrites earlier turns",
    ),
    (
        "{{- '<|im_start|>assistant\\n' if add_generation_prompt else '' }}",
        "{{- '<|im_start|>assistant\\n<think>\\n\\n</think>\\n\\n' if add_generation_prompt }}",
        "rewrites earlier turns",
    ),
    ("{{- '<|im_end|>\\n' }}", "{{- '\\n' }}", "no stop token"),
    ("{{- '<|im_end|>\\n' }}", "{{- '<|stop_here|>\\n' }}", "no single token"),
    (
        "{{- '<|im_end|>\\n' }}",
        "{{- '<|eot_id|>' if message.tool_calls else '<|im_end|>\\n' }}",
        "does not end a tool call",
    ),
    (
        CONTENT,
        "{%- if message.role == messages[loop.index0 - 1].role %}{{ raise_exception('No!') }}"
        "{% endif %}" + CONTENT,
        "fails on messages of .*: No!",
    ),
    (CONTENT, CONTENT + "{{ content / 2 }}", "fails on messages of"),
    (CONTENT, CONTENT + "{% if %}", "fails on messages of"),
    ("'# Tools", "strftime_now('%d %b') + '# Tools", "today's date"),
    ("'# Tools", "(strftime_now('%d %b') | upper)[:2] + '# Tools", "today's date"),
    ("'# Tools", "'JanFeb'[(strftime_now('%m') | int - 1) * 3:] + '# Tools", "today's date"),
    ("'<|im_start|>system\\n' + system", "strftime_now('%Y') + system", "today's date"),
    (RESULT, f"strftime_now('%H') + {RESULT}", "today's date"),
    ("(tool | tojson)", "(tool | tojson)[:900]", "leaves out the tools|without the schemas"),
    ("for tool in tools", "for tool in tools[:9]", "leaves out the tools"),
    (
        "(tool | tojson)",
        "[tool.function.name, tool.function.description, tool.function.parameters.properties]"
        " | tojson",
        "without the schemas",
    ),
    (
        "(tool | tojson)",
        "(tool.function | tojson) | replace('\"type\": \"string\"', '')"
        " | replace('\"type\": \"boolean\"', '')",
        "without the schemas",
    ),
    ("set system = messages[0].content", "set system = messages[0].content[:999]", "system prompt"),
    ("for message in messages %", "for message in messages[-40:] %", "rewrites earlier turns"),
    (RESULT, RESULT.replace("content", "content[:999]"), "result of a tool as it is: 'word 0"),
    (RESULT, RESULT.replace("content", "content | striptags"), "result of a tool as it is"),
    (
        RESULT,
        RESULT.replace("content", "('' if content.startswith('Error') else content)"),
        "result of a tool as it is: 'Error",
    ),
    (
        RESULT,
        RESULT.replace(
            "content", "('' if messages[loop.index0 - 1].content == content else content)"
        ),
        "result of a tool as it is: 'Error",
    ),
    ("message.tool_calls or []", "(message.tool_calls or [])[:4]", "several calls in one turn"),
    ("' + call.name", '\' + call.name + \'", "id": "\' + message.tool_calls[0].id', "the ids of"),
    (CALL, "(call.arguments | tojson) | replace('  ', ' ')", "a string with blanks does not"),
]


def test_the_template_without_defects_is_taken():
    assert verdict(with_template(shipped("hermes"))) == ("taken", "hermes calls")


@pytest.mark.parametrize(("old", "new", "reason"), DEFECTS)
def test_a_defect_is_refused_with_its_reason(old, new, reason):
    text = shipped("hermes")
    assert old in text
    ends = old.startswith("{{- '<|im_end|>")  # of an answer, not of results
    position = text.index("assistant\\n' + content") if ends else 0
    defective = text[:position] + text[position:].replace(old, new, 1)
    tokenizer = with_template(defective)
    with pytest.raises(TemplateError, match=reason) as error:
        ChatCodec(tokenizer)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("whose", ["tool_calls[0]", "tool_calls[-1]"])
def test_results_that_are_written_with_the_call_before_them_are_refused(whose):
    """An increment is rendered behind a call of one's own, whatever was called."""
    text = shipped("hermes").replace(
        "{%- for message in messages %}",
        "{%- set last = namespace(call='') %}{%- for message in messages %}"
        "{%- if message.tool_calls %}"
        f"{{%- set last.call = message.{whose}.function.name %}}{{%- endif %}}",
    )
    text = text.replace(RESULT, f"last.call + {RESULT}")
    with pytest.raises(TemplateError, match="role tool otherwise by what stands before it"):
        ChatCodec(with_template(text))


@pytest.mark.parametrize(
    "way", ["content | tojson", "content | e", "message.tool_call_id + content"]
)
def test_results_may_be_written_in_a_templates_own_way(way):
    text = shipped("hermes").replace(RESULT, RESULT.replace("content", f"({way})"))
    assert verdict(with_template(text)) == ("taken", "hermes calls")


def test_plain_chatml_is_refused_and_the_way_out_is_named():
    plain = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
        "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
    )
    with pytest.raises(TemplateError, match=r"leaves out the tools.*model.chat_template to hermes"):
        choose_template(with_template(plain))


# --- tokenizers


def chatml(*more, **options):
    return byte_tokenizer(["<|im_start|>", "<|im_end|>", "<|endoftext|>", *more], **options)


def test_a_tokenizer_that_changes_text_is_refused_and_no_template_is_offered():
    with pytest.raises(TokenizerError, match="does not give back what it was given") as error:
        choose_template(chatml(lower=True), "hermes")
    assert "model.chat_template" not in str(error.value)
    assert "take another model" in str(error.value)


def test_a_tokenizer_that_tokenises_a_whole_otherwise_than_its_parts_is_refused():
    tokenizer = chatml()
    # It swallows the new line that the template puts behind it.
    tokenizer.add_tokens([AddedToken("<|im_end|>", rstrip=True, special=True)], special_tokens=True)
    with pytest.raises(TokenizerError, match="other tokens for a conversation"):
        choose_template(tokenizer, "hermes")
    tokenizer = chatml()
    # The new line before it, in whole and part.
    tokenizer.add_tokens([AddedToken("<|im_start|>", lstrip=True, special=True)], True)
    with pytest.raises(TokenizerError, match="does not give back a conversation as it was"):
        choose_template(tokenizer, "hermes")


@pytest.mark.parametrize(
    "added",
    [
        AddedToken("<tool_call>", rstrip=True),
        AddedToken("</tool_call>", lstrip=True),
        AddedToken("customer", lstrip=True),
    ],
    ids=str,
)
def test_a_tokenizer_with_tokens_that_swallow_blanks_is_refused(added):
    tokenizer = chatml()
    tokenizer.add_tokens([added])
    with pytest.raises(TokenizerError, match="does not give back what it was given: ' "):
        choose_template(tokenizer, "hermes")


@pytest.mark.parametrize(
    "normalizer",
    [
        normalizers.NFKC(),
        normalizers.NFD(),
        normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(), normalizers.NFC()]),
        normalizers.Strip(left=False),
        normalizers.Strip(right=False),
        normalizers.Replace("\r\n", "\n"),
        normalizers.Replace("…", "..."),
        normalizers.BertNormalizer(lowercase=False),
        normalizers.Prepend(" "),
    ],
    ids=lambda one: repr(one)[:20],
)
def test_a_tokenizer_that_normalises_is_refused(normalizer):
    tokenizer = chatml()
    tokenizer.backend_tokenizer.normalizer = normalizer
    with pytest.raises(TokenizerError, match="does not give back"):
        choose_template(tokenizer, "hermes")
    tokenizer.backend_tokenizer.normalizer = normalizers.NFC()  # Qwen's
    choose_template(tokenizer, "hermes")


@pytest.mark.parametrize("byte", [0x23, 0x41, 0x9F, 0xB1, 0xC2, 0xD7, 0xE4, 0xF0])
def test_a_vocabulary_without_a_byte_is_refused(byte):
    with pytest.raises(TokenizerError, match="does not give back"):
        choose_template(chatml(without=byte), "hermes")


def test_a_stop_token_that_stands_within_answers_is_refused():
    template = shipped("hermes").replace("<|im_end|>", "")
    tokenizer = chatml()
    tokenizer.add_tokens([AddedToken("\n", normalized=False)])
    with pytest.raises(TemplateError, match=r"has '\\n' in the middle, at which a model stops"):
        ChatCodec(tokenizer, template)


@pytest.mark.parametrize("eos", [None, "<|endoftext|>", "<|im_end|>"])
def test_the_stop_token_is_the_templates(eos):
    codec = choose_template(chatml(eos=eos), "hermes").codec
    vocabulary = codec.tokenizer.get_vocab()
    assert codec.stop_ids == (vocabulary["<|im_end|>"], vocabulary["<|endoftext|>"])
    assert codec.stop_text == "<|im_end|>"


def test_what_ends_a_text_or_a_call_in_other_models_ends_a_turn():
    codec = choose_template(chatml("<|end_of_text|>", "<|eom_id|>", eos=None), "hermes").codec
    ends = ["<|im_end|>", "<|endoftext|>", "<|end_of_text|>", "<|eom_id|>"]
    assert codec.tokenizer.convert_ids_to_tokens(codec.stop_ids) == ends


def test_a_template_for_other_tokens_is_refused_and_one_that_fits_is_named():
    with pytest.raises(TemplateError, match=r"no single token.*to hermes or qwen3_nothink,"):
        choose_template(chatml(), "llama3")


def test_no_template_and_none_that_fits():
    with pytest.raises(TemplateError, match=r"no chat template.*no template shipped here fits"):
        choose_template(byte_tokenizer(["<s>", "</s>"]))


def test_a_wrong_name_lists_the_right_ones(tmp_path):
    with pytest.raises(TemplateError, match=r"hermse is no template file.*hermes, llama3, qwen3"):
        choose_template(chatml(), "hermse")
    (tmp_path / "own.jinja").write_text(shipped("hermes"), encoding="utf-8")
    assert choose_template(chatml(), str(tmp_path / "own.jinja")).text == shipped("hermes")


@pytest.mark.parametrize(
    "form", [dict, lambda d: [{"name": n, "template": t} for n, t in d.items()]]
)
def test_of_named_templates_the_one_for_tools_is_taken(form):
    tokenizer = chatml()
    tokenizer.chat_template = form({"default": "{{ 1 / 0 }}", "tool_use": shipped("hermes")})
    assert choose_template(tokenizer).text == shipped("hermes")
    tokenizer.chat_template = form({"default": shipped("hermes"), "rag": "{{ 1 / 0 }}"})
    assert choose_template(tokenizer).text == shipped("hermes")
    tokenizer.chat_template = form({"rag": "x"})
    with pytest.raises(TemplateError, match="rag none is named tool_use or default"):
        choose_template(tokenizer)


# --- the templates that are shipped


def rendered(text, **switches):
    return know_all().apply_chat_template(
        CONVERSATION,
        tools=assistant_tools(),
        chat_template=text,
        tokenize=False,
        add_generation_prompt=True,
        **switches,
    )


def test_shipped_templates_write_what_the_models_were_trained_on():
    assert rendered(shipped("hermes")) == rendered(TRL["qwen3_instruct_2507"])
    nothink = rendered(TRL["qwen3_training"], enable_thinking=False)
    assert rendered(shipped("qwen3_nothink")) == nothink
    # Llama 3.1's own headers, stop tokens and keys of calls; what it cannot write is left out.
    simple = [CONVERSATION[0], CONVERSATION[2], CONVERSATION[6], CONVERSATION[7]]
    ours, theirs = (
        know_all().apply_chat_template(simple, chat_template=text, tokenize=False)
        for text in (shipped("llama3"), TRL["llama3"])
    )
    assert ours == theirs.replace("\n\non<|eot_id|>", "\n\n on <|eot_id|>")
    assert '<|python_tag|>{"name": "refuel_data"' not in rendered(shipped("llama3"))
    assert '; {"name": "refuel_data", "parameters": {"customer' in rendered(shipped("llama3"))


def test_arguments_are_objects_for_templates_whatever_the_trace_holds():
    codec = choose_template(with_template(TRL["qwen2_5"])).codec
    objects = json.loads(json.dumps(CONVERSATION[3]))
    for call in objects["tool_calls"]:
        call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    assert codec.answer(objects) == codec.answer(CONVERSATION[3])
    assert '"arguments": {"phone_number": "555' in codec.answer_text(CONVERSATION[3])
    for wrong in ("[1]", "{", '"{}"'):
        objects["tool_calls"][0]["function"]["arguments"] = wrong
        with pytest.raises(TemplateError, match="get_customer_by_phone has arguments that are no"):
            codec.answer(objects)
