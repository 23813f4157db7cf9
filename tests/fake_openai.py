"""A stand-in for an OpenAI-compatible server on loopback: real sockets, scripted misbehaviour.

Answers come from `answer`, a function of the request. `behaviours` are taken first, one a request;
`faults` is a function from the request's number (from 0) to a behaviour or None. `Simulator` is an
`answer` that plays tau2's user: the scripted one, behind a language model's protocol.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterable
from typing import Any

from aiohttp import web

Message = dict[str, Any]


def says(text: str | None, **more: Any) -> Message:
    """A message with text."""
    return {"role": "assistant", "content": text, **more}


def calls(*pairs: tuple[str, dict[str, Any] | str], text: str | None = None) -> Message:
    """A message with tool calls: (name, arguments), arguments as they are or as a raw text."""
    return says(
        text,
        tool_calls=[
            {
                "id": f"call_{index}",
                "type": "function",
                "function": {
                    "name": name,
                    "arguments": given if isinstance(given, str) else json.dumps(given),
                },
            }
            for index, (name, given) in enumerate(pairs)
        ],
    )


class FakeOpenAI:
    """Behaviours: a message; a text; a status code (int); (status code, headers); ("slow", seconds)
    and then as usual; "drop" (closed without an answer), "half" (closed in the middle of one),
    "nonsense" (no JSON), "no_choices", "no_usage". `authorize`: the key that is asked for.

    `requests`, `headers`: what came in. `answered`: how many got a whole answer with a message.
    `most_at_once`: requests that were open together.
    """

    def __init__(
        self,
        answer: Callable[[dict[str, Any]], Any] | None = None,
        behaviours: Iterable[Any] = (),
        faults: Callable[[int], Any] | None = None,
        authorize: str | None = None,
        port: int = 0,
    ) -> None:
        self.answer = answer or (lambda request: "Hello.")
        self.behaviours = list(behaviours)
        self.faults = faults
        self.authorize = authorize
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answered = self.open = self.most_at_once = 0
        self.port = port
        self.failure: Exception | None = None
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._done: asyncio.Event
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def url(self) -> str:
        """The api_base."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def gemini_url(self) -> str:
        """The api_base for Gemini's own protocol: text and calls of tools, no more."""
        return f"http://127.0.0.1:{self.port}/gemini"

    def __enter__(self) -> FakeOpenAI:
        self._thread.start()
        assert self._ready.wait(30), "the stand-in did not start"
        return self

    def __exit__(self, *error: object) -> None:
        self._loop.call_soon_threadsafe(self._done.set)
        self._thread.join(30)
        if self.failure is not None and error[0] is None:
            raise AssertionError("the stand-in itself failed") from self.failure

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._main())
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()

    async def _main(self) -> None:
        self._done = asyncio.Event()
        app = web.Application(client_max_size=2**26)
        app.router.add_post("/v1/chat/completions", self._handle)
        app.router.add_post("/gemini/models/{model}", self._handle)
        app.router.add_get("/health_generate", self._health)
        app.router.add_get("/health", self._health)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", self.port, backlog=1024)
        await site.start()
        self.port = runner.addresses[0][1]
        self._ready.set()
        await self._done.wait()
        await runner.cleanup()

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({})

    async def _handle(self, http: web.Request) -> web.StreamResponse:
        request = await http.json()
        number = len(self.requests)
        self.requests.append(request)
        self.headers.append(dict(http.headers))
        self.open += 1
        self.most_at_once = max(self.most_at_once, self.open)
        try:
            return await self._respond(http, request, number)
        except (asyncio.CancelledError, ConnectionError):
            raise
        except Exception as error:  # a mistake of the tests: told at the end
            self.failure = error
            raise
        finally:
            self.open -= 1

    async def _respond(self, http, request, number) -> web.StreamResponse:
        if self.authorize and http.headers.get("Authorization") != f"Bearer {self.authorize}":
            given = http.headers.get("Authorization", "")
            error = {"message": f"Incorrect API key provided: {given[7:]}", "code": "invalid"}
            return web.json_response({"error": error}, status=401)
        behaviour: Any = None
        if self.behaviours:
            behaviour = self.behaviours.pop(0)
        elif self.faults is not None:
            behaviour = self.faults(number)
        if isinstance(behaviour, tuple) and behaviour[0] == "slow":
            await asyncio.sleep(behaviour[1])
            behaviour = None
        if behaviour is None:
            behaviour = self.answer(request)
        headers: dict[str, str] = {}
        if isinstance(behaviour, tuple):
            behaviour, headers = behaviour
        if isinstance(behaviour, int):
            error = {"error": {"message": f"scripted {behaviour}", "type": "scripted"}}
            return web.json_response(error, status=behaviour, headers=headers)
        if behaviour == "nonsense":
            return web.Response(text="<html>proxy error</html>", content_type="text/html")
        if behaviour == "no_choices":
            return web.json_response({"id": "x", "object": "chat.completion", "choices": []})
        if behaviour in ("drop", "half"):
            if behaviour == "half":
                half = web.StreamResponse(headers={"Content-Length": "100000"})
                await half.prepare(http)
                await half.write(b'{"id": "x", "choices": [{"message"')
            assert http.transport is not None
            http.transport.close()
            raise ConnectionResetError
        message = behaviour
        if behaviour == "no_usage":
            message = "Hello."
        self.answered += 1
        message = says(message) if isinstance(message, str) else message
        if http.path.startswith("/gemini/"):
            return web.json_response(gemini_completion(request, message))
        whole = completion(request, message)
        if behaviour == "no_usage":
            del whole["usage"]
        return web.json_response(whole)


def completion(request: dict[str, Any], message: Message) -> dict[str, Any]:
    """The whole answer; a token is four bytes here. message["_choice"] changes its choice."""
    message = dict(message)
    change = message.pop("_choice", {})
    prompt = len(json.dumps([request["messages"], request.get("tools")])) // 4
    written = len(json.dumps(message)) // 4
    return {
        "id": "chatcmpl-stand-in",
        "object": "chat.completion",
        "created": 0,
        "model": request["model"],
        "choices": [
            {
                "index": 0,
                "message": message,
                "finish_reason": "tool_calls" if message.get("tool_calls") else "stop",
                **change,
            }
        ],
        "usage": {
            "prompt_tokens": prompt,
            "completion_tokens": written,
            "total_tokens": prompt + written,
        },
    }


def gemini_completion(request: dict[str, Any], message: Message) -> dict[str, Any]:
    """The same in Gemini's words."""
    parts: list[dict[str, Any]] = [{"text": message["content"]}] if message["content"] else []
    for call in message.get("tool_calls", []):
        function = call["function"]
        arguments = json.loads(function["arguments"])
        parts.append({"functionCall": {"name": function["name"], "args": arguments}})
    prompt, written = len(json.dumps(request)) // 4, len(json.dumps(message)) // 4
    return {
        "candidates": [{"content": {"role": "model", "parts": parts}, "finishReason": "STOP"}],
        "usageMetadata": {
            "promptTokenCount": prompt,
            "candidatesTokenCount": written,
            "totalTokenCount": prompt + written,
        },
    }


class Simulator:
    """Plays the scripted user of `tasks`, each known by its scenario in the system prompt.

    The protocol has no memory, so the conversation is played again up to its last message.
    """

    def __init__(self, tasks: Iterable[Any]) -> None:
        self.tasks = {str(task.user_scenario): task for task in tasks}

    def __call__(self, request: dict[str, Any]) -> Message:
        from tau2.data_model.message import AssistantMessage, ToolMessage

        from tau2_agent.users.scripted.user import ScriptedUser

        system, *talk = request["messages"]
        text = system["content"]
        scenario = text[text.index("<scenario>\n") + 11 : text.rindex("\n</scenario>")]
        user = ScriptedUser(self.tasks[scenario])
        new: list[Any] = []
        for message in [*talk, None]:
            if message is None or message["role"] == "assistant":
                reply = now(user.reply(new))
                new = []
            elif message["role"] == "tool":
                call = message["tool_call_id"]
                new.append(
                    ToolMessage(id=call, role="tool", content=message["content"], requestor="user")
                )
            else:
                new.append(AssistantMessage(role="assistant", content=message["content"]))
        if not reply.is_tool_call():
            return says(reply.content)
        return calls(*((call.name, call.arguments) for call in reply.tool_calls))


def now(coroutine: Any) -> Any:
    """The result of a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("it waits")
