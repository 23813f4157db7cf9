"""The scripted user: a free, deterministic simulation of tau2's telecom user.

It reads only the task's user scenario and the results of its own tools, and does only what the
agent asks for: `understanding.py` reads the agent's text, `benchmark/tool_outputs.py` the phone's
answers. Policies have an easier time with it than with a language model: always name it beside a
number.

Settings of tau2's scenario that it keeps: name, phone, location, refuel amount, plan change, bills,
persona, mild frustration, and when the issue counts as solved. Left out on purpose: small talk,
technical terms explained to the uneasy persona, any domain but telecom.
"""

from __future__ import annotations

from typing import Any

from tau2.data_model.message import (
    AssistantMessage,
    Message,
    ToolCall,
    ToolMessage,
    UserMessage,
)
from tau2.data_model.tasks import Task

from tau2_agent.benchmark import tool_outputs as handset
from tau2_agent.rollout.episode import OUT_OF_SCOPE, STOP, TRANSFER
from tau2_agent.rollout.trajectory import UserFailure
from tau2_agent.users.scripted.agreement import calms
from tau2_agent.users.scripted.deeds import SWITCHES, in_own_words
from tau2_agent.users.scripted.phone import SeenPhone
from tau2_agent.users.scripted.request import AGREES, Request
from tau2_agent.users.scripted.scenario import Scenario
from tau2_agent.users.scripted.understanding import Utterance, parse
from tau2_agent.users.scripted.voice import Voice

PATIENCE = 4  # messages in a row that ask for nothing, before the user gives up
REPORTED_TEXTS = 20  # texts kept in a report, the first ones


class ScriptedUser:
    """One episode's user. Make a new one for each episode."""

    def __init__(
        self,
        task: Task,
        patience: int = PATIENCE,
        phrasing: str = "fixed",
        draw: str = "",
        one_action: bool = False,
    ) -> None:
        self.scenario = Scenario.of(task.user_scenario)
        self.persona = self.scenario.persona
        self.voice = Voice(self.scenario, phrasing, draw)
        self.one_action = one_action
        self.max_actions = 1 if one_action else self.persona.max_actions
        self.patience = patience
        self.phone = SeenPhone(self.scenario)
        self._queue: list[Request] = []
        self._current: Request | None = None
        self._look: tuple[str, dict[str, Any]] | None = None  # that prepares `_current`
        self._said: list[str] = []  # the answer in the making
        self._results: list[tuple[str, str]] = []  # tool, result: of this answer
        self._offered: list[Request] = []  # what a question of the user's was about
        self._doubted: list[Request] = []  # of this message; the user asks whether it is meant
        self._asked_whether: list[Request] = []  # what he asked that about last
        self._topic = ""
        self._last_look: Request | None = None
        self._idle = self._calls = self._changes = self._reboots = 0
        self._annoyed = self._reassured = self._feared = False
        self._utterances = 0
        self._unknown: list[str] = []
        self._refused = self._asked_back = 0
        self._unclear: list[str] = []

    async def reply(self, new: list[Message]) -> UserMessage:
        """See `episode.User.reply`."""
        if isinstance(new[-1], ToolMessage):
            for result in new:
                self._take_result(result)
            return self._go_on()
        text = new[-1].content
        if not isinstance(new[-1], AssistantMessage) or not text:
            raise UserFailure("bad_message", f"expected text of the agent, got {new[-1]!r}")
        if self._utterances == 0:
            self._utterances = 1
            return _say(self.voice.opening())
        self._utterances += 1
        self._said, self._results = [], []
        return self._answer(text)

    def report(self) -> dict[str, Any]:
        """Counts over the episode: messages that got "what exactly?" (`unknown`), and ones that
        got "you want me to ..., right?" (`asked_back`)."""
        return {
            "simulator": "scripted",
            "utterances": self._utterances,
            "unknown": len(self._unknown),
            "asked_back": self._asked_back,
            "refused": self._refused,
            "tool_calls": self._calls,
            "unknown_texts": self._unknown[:REPORTED_TEXTS],
            "unclear_parts": self._unclear[:REPORTED_TEXTS],
        }

    # --- Understanding ---
    def _answer(self, text: str) -> UserMessage:
        self.phone.forget_the_agents_side()
        heard = parse(text, self._topic)
        offered, self._offered = self._offered, []
        feared, self._feared = self._feared, False
        self._topic = heard.topic
        if heard.transferred:
            return _say(TRANSFER)
        requests, self._doubted = list(heard.requests), list(heard.doubted)
        if offered and not (requests or self._doubted) and self._goes_for(feared, heard, text):
            requests, self._asked_whether = offered, []
        if self._too_many([*requests, *self._doubted]):
            self._refused += 1
            self._idle = 0
            return self._message(self.voice.say("one_thing"))
        if requests or heard.questions or heard.transferred:
            self._unclear += heard.unclear
        self._queue = self._with_look(requests, heard)
        self._said += self._answers(heard)
        repeats = self._doubted == self._asked_whether  # a question that got no yes
        if self._queue or self._said or (self._doubted and not repeats):
            self._idle = 0
            return self._go_on()
        return self._puzzled(heard, text)

    def _goes_for(self, feared: bool, heard: Utterance, text: str) -> bool:
        """Whether a message says yes to the user's question, or calms the fear in it."""
        return heard.agreed or (feared and calms(text))

    def _too_many(self, requests: list[Request]) -> bool:
        """Whether it is more at once than the user takes.

        A look at the end, after what was pressed, shows how that went: it is no further action.
        """
        pressed = any(not request.reads for request in requests)
        if pressed and requests[-1].reads and not self.one_action:
            requests = requests[:-1]
        things = {
            request.topic if request.topic != "data" else "mobile_data" for request in requests
        }
        return len(things) > self.max_actions

    def _with_look(self, requests: list[Request], heard: Utterance) -> list[Request]:
        """ "Does it work now?" and "try again" are answered by a look, unless one is asked for."""
        if any(request.reads for request in requests):
            return requests
        if "again" in heard.questions and not requests:
            return [self._last_look or self._proof()]
        if "resolved" in heard.questions and not self._too_many([*requests, self._proof()]):
            return [*requests, self._proof()]
        return requests

    def _proof(self) -> Request:
        """The look that shows whether the issue is solved."""
        tools = {"mms": "can_send_mms", "data": "run_speed_test", "service": "check_status_bar"}
        return Request(tools[self.scenario.issue], topic="proof")

    def _puzzled(self, heard: Utterance, text: str) -> UserMessage:
        self._idle += 1
        if not heard.understood:
            self._unknown.append(text)
        if self._idle >= self.patience:
            return _say(OUT_OF_SCOPE)
        if heard.understood and self.scenario.pays_bills and "payment request" in text.lower():
            self._offered = [Request("make_payment", topic="payment")]
            return self._message(self.voice.say("pay_now"))
        if self._doubted:
            return self._tell()
        if heard.understood:
            return self._message(self.voice.say("what_next"))
        return self._message(self.voice.say("riddle"))

    def _answers(self, heard: Utterance) -> list[str]:
        """What the user says to questions about himself."""
        asked, told, say = heard.questions, self.scenario, self.voice.say
        said = []
        if "name" in asked:
            said.append(say("name", name=told.name))
        if "phone_number" in asked:
            said.append(say("phone_number", number=told.phone_number))
        if "location" in asked:
            place = told.location
            said.append(say("location", location=place) if place else say("location_unknown"))
        if "issue" in asked:
            said.append(self.voice.reason())
        if "duration" in asked:
            said.append(say("since", since=told.since) if told.since else say("since_unknown"))
        if "unavailable" in asked and "phone_number" not in asked:
            said.append(say("unavailable"))
        if "plan" in asked:
            said.append(say("keep_plan" if told.refuses_plan_change else "no_plan"))
        if "refuel" in asked:
            amount = told.refuel_gb
            said.append(say("refuel", amount=amount) if amount else say("no_refuel"))
        due = [*self._queue, *self._doubted]
        if "pay" in asked and not any(r.tool == "make_payment" for r in due):
            said.append(say("will_pay" if told.pays_bills else "no_bill"))
        if any(r.guard == (AGREES, True) for r in self._queue) and told.pays_bills:
            said.append(say("agree_to_pay"))
        if "rebooted" in asked and not self._queue:
            said.append(say("rebooted" if self._reboots else "not_rebooted"))
        if "anything_else" in asked and not self._queue:
            said.append(say("unsolved"))
        if not said and not self._queue and ({"proceed", "offer"} & set(asked)):
            said.append(say("agree"))
        return self.voice.ordered(said)

    # --- Doing ---
    def _go_on(self) -> UserMessage:
        """Take the next step of what was asked, or say how it went."""
        while self._current or self._queue:
            request = self._current or self._queue.pop(0)
            self._current = request
            look = self.phone.look_before(request)
            if look and look != self._look:
                self._look = look
                return self._call(*look)
            self._look = None
            if look:  # it did not show what it should
                self._said.append(self.voice.result(self._results[-1][1], did=False))
            elif not self.phone.holds(request):
                self._said.append(self._unneeded(request))
            elif request.want is not None and self.phone.facts.get(request.fact) == request.want:
                state = "ON" if request.want else "OFF"
                self._said.append(
                    self.voice.say("already", switch=SWITCHES[request.fact], state=state)
                )
            elif request.tool == "make_payment" and not self.scenario.pays_bills:
                self._said.append(self.voice.say("not_my_bill"))
            elif request.tool == "reboot_device" and self._is_afraid():
                self._reassured = self._feared = True
                self._offered = [request]
                self._said.append(self.voice.say("photos"))
            else:
                return self._call(request.tool, dict(request.arguments))
            self._current = None
        return self._tell()

    def _is_afraid(self) -> bool:
        return self.persona.fears_reboot and not self._reassured

    def _unneeded(self, request: Request) -> str:
        if self._results:
            return self.voice.result(self._results[-1][1], did=False)
        return self.voice.say("not_the_case")

    def _call(self, tool: str, arguments: dict[str, Any] | None = None) -> UserMessage:
        self._calls += 1
        call = ToolCall(
            id=f"user_{self._calls}", name=tool, arguments=arguments or {}, requestor="user"
        )
        self._running = tool
        return UserMessage(role="user", content=None, tool_calls=[call])

    def _take_result(self, result: ToolMessage) -> None:
        text = result.content or ""
        self.phone.remember(self._running, text)
        self._results.append((self._running, text))
        request = self._current
        if self._look or request is None:
            return
        if request.reads:
            self._last_look = request
            self._said.append(self.voice.result(text, did=False))
        else:
            self._changes += 1
            self._reboots += request.tool == "reboot_device"
            self._said.append(self.voice.result(text, did=True))
        self._current = None

    def _tell(self) -> UserMessage:
        said = list(dict.fromkeys(self._said))
        if self._solved():
            return _say("\n".join([*said, f"{self.voice.say('works')} {STOP}"]))
        if self._changes and not self._annoyed and self._failed():
            self._annoyed = True
            said.append(self.voice.say("annoyed"))
        if self._doubted:
            self._asked_back += 1
            self._offered = self._asked_whether = self._doubted
            said.append(self.voice.say("whether", deed=in_own_words(self._doubted)))
        return self._message("\n".join(said))

    def _message(self, text: str) -> UserMessage:
        return _say(self.voice.dressed(text))

    def _solved(self) -> bool:
        """Whether a result of this answer proves it, as the scenario defines solved."""
        for tool, text in self._results:
            seen = handset.read(text)
            if {
                "service": bool(seen.get("signal")),
                "data": tool == "run_speed_test" and seen.get("speed") == "excellent",
                "mms": tool == "can_send_mms" and bool(seen.get("mms")),
            }[self.scenario.issue]:
                return True
        return False

    def _failed(self) -> bool:
        """Whether a result of this answer shows that the issue is still there."""
        return not self._solved() and any(
            tool in ("run_speed_test", "can_send_mms")
            or (self.scenario.issue == "service" and "signal" in handset.read(text))
            for tool, text in self._results
        )


def _say(text: str) -> UserMessage:
    return UserMessage(role="user", content=text)
