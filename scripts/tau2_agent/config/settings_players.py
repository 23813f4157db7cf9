"""Settings of the user simulator and the teacher: a part of settings.py."""

from typing import Any, Literal

from pydantic import Field

from tau2_agent.config.fields import (
    Address,
    AtLeast0,
    Count,
    Flag,
    Fraction,
    Mixture,
    Optional,
    Options,
    Positive,
    Section,
    Text,
    WholeAtLeast0,
    Words,
)

Phrasing = Literal["fixed", "train", "held_out"]
Teacher = Literal["scripted", "llm", "file", "hub"]


class Price(Section):
    """What a model costs."""

    input: AtLeast0 = Field(description="dollars per million tokens of prompts")
    output: AtLeast0 = Field(description="dollars per million tokens of answers")


class Served(Section):
    """A model that is served for the time of a job."""

    source: Text = Field(description="a hub id or a local folder")
    revision: Optional[Text] = Field(None, description="of a hub id: commit hash or tag")
    gpus: Count = Field(1, description="GPUs of the server alone")
    server_args: Words = Field(
        "--tool-call-parser qwen25", description="further arguments of SGLang's server"
    )


class LanguageModel(Section):
    """A model behind an API, which plays the user or the teacher. SAYS: what decides its words."""

    model: Optional[Text] = Field(
        None, description="llm: litellm's PROVIDER/MODEL, or openai/NAME with an api_base"
    )
    api_base: Optional[Address] = Field(
        None, description="llm: http://HOST:PORT/v1 of an OpenAI-compatible server"
    )
    temperature: AtLeast0 = Field(0.0, description="llm: of sampling; 0 is greedy")
    max_tokens: Optional[Count] = Field(
        None, description="llm: tokens of an answer; null: the model's own limit"
    )
    options: Options = Field(
        {}, description="llm: further options of litellm, such as {reasoning_effort: low}"
    )
    timeout_s: Positive = Field(60.0, description="llm: seconds for one call")
    budget_usd: Optional[Positive] = Field(
        None, description="llm: dollars of a job; it stops before that, a larger one resumes it"
    )
    budget_tokens: Optional[Count] = Field(
        None, description="llm: the same in tokens, prompts and answers together"
    )
    price: Optional[Price] = Field(
        None,
        description="llm: dollars per million tokens where litellm knows none: "
        "{input: 0.1, output: 0.4}; not taken from a lower layer that has another model",
    )


SAYS = ("model", "temperature", "max_tokens", "options")


def _other_default(key: str, value: Any) -> Any:
    """The field of a language model with another default."""
    return Field(value, description=LanguageModel.model_fields[key].description)


class _Simulator(Section):
    """What stands first in a user's section: a base class of its own, since bases come first."""

    simulator: Mixture = Field(
        "scripted", description="scripted | llm | by ratio: {scripted: 0.5, llm: 0.5}"
    )
    phrasing: Phrasing = Field(
        "fixed",
        description="scripted: one wording, or another each episode; held_out only to evaluate on",
    )
    one_action: Flag = Field(
        False, description="scripted: refuse every message that asks for more than one action"
    )


class User(LanguageModel, _Simulator):
    """Who plays the user, in traces, training and evaluation. scripted: code, free. llm: a language
    model with tau2's prompt, as in the published recipe: for Gemini, export GEMINI_API_KEY and set
    the simulator to llm. Keys are read from the environment only. The results say what it cost."""

    model: Text = _other_default("model", "gemini/gemini-2.5-flash-lite")
    concurrency: Count = Field(32, description="llm: calls at a time")
    retries: WholeAtLeast0 = Field(
        5, description="llm: further calls when one fails, after longer and longer pauses"
    )
    max_failure_share: Fraction = Field(
        0.1, description="of 20 episodes and more that its failures end; above it a job stops"
    )
    serve: Optional[Served] = Field(
        None,
        description="llm: a model of one's own, on GPUs beside resources.gpus: "
        "{source: HUB_ID_OR_FOLDER, revision: COMMIT, gpus: 1, "
        "server_args: --tool-call-parser qwen25}",
    )


class _Teacher(Section):
    """What stands first in the section on traces, as above."""

    teacher: Teacher = Field(
        "scripted", description="scripted | llm: solve tasks here | file | hub: from elsewhere"
    )
    wordings: Count = Field(
        1, description="scripted: traces of a task, each with other words of the user"
    )


class Traces(LanguageModel, _Teacher):
    """What SFT learns from. A teacher that is a language model reads its key from the environment;
    what it cost stands in data/teacher_traces.usage.json, and scripts/estimate_cost.py says it
    before."""

    temperature: AtLeast0 = _other_default("temperature", 0.7)
    timeout_s: Positive = _other_default("timeout_s", 120.0)
    attempts: Count = Field(
        4, description="llm, or a user that is one: a task; the first solved one is kept"
    )
    concurrency: Count = Field(16, description="llm, or a user that is one: episodes at a time")
    source: Optional[Text] = Field(
        None, description="file: JSON lines, or a folder of them | hub: id of a data set"
    )
    revision: Optional[Text] = Field(None, description="hub, required: commit hash or tag")
    replace_prompt: Flag = Field(
        False, description="file, hub: put our system prompt and tools where there are others"
    )
    max_rejected_share: Fraction = Field(
        0.1, description="file, hub: of the lines; more is an error"
    )
    max_length: Optional[Count] = Field(
        None, description="llm, file, hub: tokens of the trained model; longer traces are left out"
    )
