"""Responses that go on from one another, run in the background, and are shown again.

The engine is a script; the dialect and the store are the real ones.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings

from localai.catalog.spec import ModelSpec
from localai.dialects.contract import Origin
from localai.dialects.openresponses import ResponsesCall, ResponsesEndpoint, ResponsesSpelling
from localai.domain.batches import Batches, batches_of
from localai.domain.errors import EngineFailed, InvalidRequest, QueueFull, ShuttingDown
from localai.domain.events import (
    BlockEnded,
    BlockKind,
    BlockStarted,
    ChoiceEnded,
    Delta,
    Event,
    Failed,
    Finished,
    FinishReason,
    Started,
    Usage,
)
from localai.domain.generation import Chat, GenerationRequest
from localai.domain.stream_rules import StreamRules
from localai.inference.responses import Responses
from localai.inference.responses_conversations import Conversations
from localai.inference.responses_jobs import Limits
from localai.state import Database, EventsDropped, NotStored, PageQuery, SqliteStore
from tests.domain.streams import UNKNOWN, Wanted, answers
from tests.live import clean_environment

ME, YOU = "me", "you"
SPEC = ModelSpec(name="llama")
ENDPOINT = ResponsesEndpoint(clock=lambda: 1700000009.0)


class Script:
    """An engine: it says the conversation back; `gate` holds it before its last word."""

    def __init__(self, events: Sequence[Event] = ()) -> None:
        self.events = events
        self.asked: list[GenerationRequest] = []
        self.gate: asyncio.Event | None = None
        self.closed = 0

    def __call__(self, request: GenerationRequest, spec: ModelSpec, /) -> Batches[Event]:
        return batches_of(self.said(request, spec))

    async def said(
        self, request: GenerationRequest, spec: ModelSpec
    ) -> AsyncGenerator[Sequence[Event], None]:
        assert request.model == spec.name == "llama"
        self.asked.append(request)
        rules = StreamRules()
        try:
            for event in self.events or said(" ".join(["said:", *heard(request)])):
                if isinstance(event, BlockEnded | Failed) and self.gate is not None:
                    await self.gate.wait()
                await asyncio.sleep(0)
                yield [rules.feed(event)]
        finally:
            self.closed += 1


def heard(request: GenerationRequest) -> list[str]:
    assert isinstance(request.prompt, Chat)
    return [f"{message.role.value}={message.text}" for message in request.prompt.messages]


def said(text: str) -> list[Event]:
    return [
        Started(1),
        BlockStarted(0, 0, BlockKind.TEXT),
        *(Delta(0, 0, BlockKind.TEXT, piece) for piece in text.partition(" ")),
        BlockEnded(0, 0, UNKNOWN),
        ChoiceEnded(0, FinishReason.STOP),
        Finished(Usage(1, 1)),
    ]


class Desk:
    """What an HTTP door does with the use cases."""

    def __init__(self, script: Script, path: Path | None = None, **more: Any) -> None:
        self.script = script
        self.store = SqliteStore(Database(path))
        self.responses = Responses(self.store, script, ResponsesSpelling(), **more)
        self.conversations = Conversations(self.store, lambda: "c1", lambda: 5.0)
        self.count = 0

    async def call(self, owner: str = ME, **body: Any) -> ResponsesCall:
        self.count += 1
        origin = Origin(answer_id=f"{self.count}", created_unix_s=5)
        call = ENDPOINT.decode(json.dumps(body).encode(), origin)
        return await self.responses.expand(call, owner)

    async def create(self, owner: str = ME, **body: Any) -> str:
        """Answer in the foreground, and give the id."""
        call = await self.call(owner, **body)
        async for _ in self.responses.answer(call, SPEC, model="shown", owner=owner):
            pass
        return call.response_id

    async def start(self, owner: str = ME, **body: Any) -> str:
        """Answer in the background, and give the id."""
        call = await self.call(owner, background=True, **body)
        queued = await self.responses.start(call, SPEC, model="shown", owner=owner)
        assert json.loads(queued)["status"] == "queued"
        return call.response_id

    async def shown(self, response_id: str, owner: str = ME) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(await self.responses.get(response_id, owner))
        return found

    async def ended(self, response_id: str) -> dict[str, Any]:
        while (shown := await self.shown(response_id))["status"] in {"queued", "in_progress"}:  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.001)
        return shown

    async def followed(self, response_id: str, after: int | None = None) -> list[tuple[bytes, str]]:
        frames: list[tuple[bytes, str]] = []
        async for batch in await self.responses.follow(response_id, ME, after):
            frames += batch
        return frames


def run(use: Callable[[Desk], Awaitable[None]], script: Script | None = None, **more: Any) -> None:
    async def work() -> None:
        desk = Desk(script or Script(), **more)
        try:
            async with asyncio.timeout(30):
                await use(desk)
        finally:
            await desk.responses.close()

    asyncio.run(work())


def numbers(frames: Sequence[tuple[bytes, str]]) -> list[int]:
    assert frames[-1] == (b"[DONE]", "")
    return [json.loads(data)["sequence_number"] for data, _ in frames[:-1]]


def test_a_conversation_of_many_turns() -> None:
    async def use(desk: Desk) -> None:
        last = await desk.create(input="1", instructions="Be brief.")
        for turn in ("2", "3", "4"):
            last = await desk.create(input=turn, previous_response_id=last)
        first = ["user=1", "assistant=said: system=Be brief. user=1"]
        assert heard(desk.script.asked[1]) == [*first, "user=2"]
        asked = heard(desk.script.asked[3])
        assert asked[:2] == first
        assert asked[::2] == ["user=1", "user=2", "user=3", "user=4"]
        shown = await desk.shown(last)
        assert (shown["model"], shown["previous_response_id"]) == ("shown", "resp_3")
        page = await desk.responses.input_items(last, ME, PageQuery())
        assert [json.loads(data)["content"][0]["text"] for _, data in page.items] == ["4"]
        await desk.responses.delete("resp_2", ME)
        with pytest.raises(NotStored) as caught:
            await desk.create(input="5", previous_response_id=last)
        assert caught.value.fields["param"] == "previous_response_id"

    run(use)


def test_what_is_given_is_what_is_kept() -> None:
    async def use(desk: Desk) -> None:
        call = await desk.call(input="Hi")
        events: list[Event] = []
        kept = None
        async for batch in desk.responses.answer(call, SPEC, model="shown", owner=ME):
            events += batch
            if isinstance(batch[-1], Finished):
                kept = await desk.shown(call.response_id)  # before the client can know of its end
        encoder = call.stream_encoder("shown")
        for event in events:
            encoder.feed(event)
        assert kept == json.loads(encoder.response)

    run(use)


def test_items_are_referred_to() -> None:
    async def use(desk: Desk) -> None:
        await desk.create(input="1")
        await desk.create(
            input=[{"type": "item_reference", "id": "msg_1_0"}, {"role": "user", "content": "2"}]
        )
        assert heard(desk.script.asked[1]) == ["assistant=said: user=1", "user=2"]
        page = await desk.responses.input_items("resp_2", ME, PageQuery(is_ascending=True))
        assert [item_id for item_id, _ in page.items] == ["msg_1_0", "msg_2_in1"]
        for owner, item_id in ((ME, "msg_9"), (YOU, "msg_1_0")):
            with pytest.raises(NotStored) as caught:
                await desk.call(owner, input=[{"role": "user", "content": ""}, {"id": item_id}])
            assert caught.value.fields["param"] == "input[1].id"

    run(use)


def test_what_is_not_to_be_stored_is_not() -> None:
    async def use(desk: Desk) -> None:
        with pytest.raises(NotStored):
            await desk.shown(await desk.create(input="1", store=False))
        desk.script.events = [Started(1), Failed(EngineFailed("It broke."))]
        with pytest.raises(NotStored):
            await desk.shown(await desk.create(input="1"))
        with pytest.raises(NotStored) as caught:
            await desk.call(input="2", previous_response_id="resp_1")
        assert caught.value.fields["param"] == "previous_response_id"

    run(use)


def test_an_answer_that_is_given_up_is_not_kept_and_ends_its_engine() -> None:
    async def use(desk: Desk) -> None:
        call = await desk.call(input="1")
        batches = desk.responses.answer(call, SPEC, model="shown", owner=ME)
        await anext(batches)
        await batches.aclose()
        assert desk.script.closed == 1
        with pytest.raises(NotStored):
            await desk.shown(call.response_id)

    run(use)


def test_a_store_that_fails_does_not_take_the_answer_away() -> None:
    async def use(desk: Desk) -> None:
        await desk.store.close()
        call = await desk.call(input="1")
        last: Any = None
        async for batch in desk.responses.answer(call, SPEC, model="shown", owner=ME):
            last = batch[-1]
        assert isinstance(last, Finished)

    run(use)


def test_a_conversation_remembers() -> None:
    async def use(desk: Desk) -> None:
        item = ("msg_a", b'{"id":"msg_a","type":"message","role":"user","content":[]}')
        made = await desk.conversations.create(ME, {"a": "b"}, [item])
        assert (made.conversation_id, made.created_unix_s) == ("conv_c1", 5)
        await desk.conversations.delete_item("conv_c1", "msg_a", ME)
        await desk.create(input="1", conversation="conv_c1")
        await desk.create(input="2", conversation={"id": "conv_c1"}, store=False)
        last = await desk.start(input="3", conversation="conv_c1")
        assert (await desk.ended(last))["conversation"] == {"id": "conv_c1"}
        assert heard(desk.script.asked[2])[::2] == ["user=1", "user=2", "user=3"]
        page = await desk.conversations.items("conv_c1", ME, PageQuery(is_ascending=True))
        assert [item_id for item_id, _ in page.items] == [
            "msg_1_in0", "msg_1_0", "msg_2_in0", "msg_2_0", "msg_3_in0", "msg_3_0",
        ]  # fmt: skip
        assert json.loads(await desk.conversations.item("conv_c1", "msg_1_0", ME))["role"] == (
            "assistant"
        )
        assert (await desk.conversations.update("conv_c1", ME, {})).metadata == {}
        await desk.conversations.add_items("conv_c1", ME, [item])
        for owner, name in ((YOU, "conv_c1"), (ME, "conv_c2")):
            with pytest.raises(NotStored) as caught:
                await desk.call(owner, input="4", conversation=name)
            assert caught.value.fields["param"] == "conversation"
        await desk.conversations.delete("conv_c1", ME)
        with pytest.raises(NotStored):
            await desk.conversations.get("conv_c1", ME)

    run(use)


def test_a_background_response() -> None:
    async def use(desk: Desk) -> None:
        desk.script.gate = asyncio.Event()
        name = await desk.start(input="1")
        while (await desk.shown(name))["status"] == "queued":  # noqa: ASYNC110 - as clients do
            await asyncio.sleep(0.001)
        assert (await desk.shown(name))["status"] == "in_progress"
        with pytest.raises(InvalidRequest) as caught:
            await desk.call(input="2", previous_response_id=name)
        assert caught.value.fields["param"] == "previous_response_id"
        with pytest.raises(InvalidRequest) as caught:
            await desk.responses.follow(name, ME)
        assert caught.value.fields["param"] == "stream"
        desk.script.gate.set()
        shown = await desk.ended(name)
        assert (shown["status"], shown["background"]) == ("completed", True)
        assert shown["output"][0]["content"][0]["text"] == "said: user=1"
        await desk.create(input="2", previous_response_id=name)
        assert heard(desk.script.asked[1])[-1] == "user=2"

    run(use)


def test_the_events_of_a_background_response() -> None:
    async def use(desk: Desk) -> None:
        desk.script.gate = asyncio.Event()
        name = await desk.start(input="1", stream=True)
        early = asyncio.create_task(desk.followed(name))
        resumed = asyncio.create_task(desk.followed(name, 3))
        await asyncio.sleep(0.05)
        desk.script.gate.set()
        whole = await early
        assert [kind for _, kind in whole[:3]] == [
            "response.created", "response.queued", "response.in_progress",
        ]  # fmt: skip
        assert whole[-2][1] == "response.completed"
        assert numbers(whole) == list(range(len(whole) - 1))
        assert await resumed == whole[4:]
        for after in (None, -1, -5):
            assert await desk.followed(name, after) == whole, "it can be read again"
        for after in range(len(whole)):
            assert await desk.followed(name, after) == whole[after + 1 :]
        with pytest.raises(NotStored):
            await desk.responses.follow(name, YOU)

    run(use)


@settings(max_examples=30, deadline=None)
@given(answers(n_choices=1))
def test_the_events_are_those_of_a_stream(wanted: Wanted) -> None:
    async def use(desk: Desk) -> None:
        name = await desk.start(input="1", stream=True)
        frames = await desk.followed(name)
        assert numbers(frames) == list(range(len(frames) - 1))
        last = json.loads(frames[-2][0])["response"]
        assert await desk.shown(name) == last
        assert await desk.followed(name) == frames

    run(use, Script(wanted.events))


def test_cancelling() -> None:
    async def use(desk: Desk) -> None:
        desk.script.gate = asyncio.Event()
        name = await desk.start(input="1", stream=True)
        following = asyncio.create_task(desk.followed(name))
        await asyncio.sleep(0.05)
        with pytest.raises(NotStored):
            await desk.responses.cancel(name, YOU)
        shown = json.loads(await desk.responses.cancel(name, ME))
        assert (shown["status"], shown["error"]) == ("cancelled", None)
        assert desk.script.closed == 1
        assert json.loads(await desk.responses.cancel(name, ME)) == shown
        frames = await following
        assert numbers(frames) == list(range(len(frames) - 1))
        assert json.loads(frames[-2][0])["response"]["status"] == "cancelled"
        assert await desk.followed(name) == frames
        desk.script.gate.set()
        name = await desk.create(input="1")
        assert json.loads(await desk.responses.cancel(name, ME))["status"] == "completed"

    run(use)


def test_deleting_stops_what_runs() -> None:
    async def use(desk: Desk) -> None:
        desk.script.gate = asyncio.Event()
        name = await desk.start(input="1", stream=True)
        following = asyncio.create_task(desk.followed(name))
        await asyncio.sleep(0.05)
        with pytest.raises(NotStored):
            await desk.responses.delete(name, YOU)
        await desk.responses.delete(name, ME)
        assert desk.script.closed == 1
        await following
        for _ in range(2):
            with pytest.raises(NotStored):
                await desk.responses.delete(name, ME)

    run(use)


def test_a_failure_is_kept() -> None:
    async def use(desk: Desk) -> None:
        name = await desk.start(input="1", stream=True)
        shown = await desk.ended(name)
        assert shown["status"] == "failed"
        assert shown["error"] == {"code": "server_error", "message": "It broke."}
        frames = await desk.followed(name)
        assert [kind for _, kind in frames[-3:-1]] == ["error", "response.failed"]

    run(use, Script([Failed(EngineFailed("It broke."))]))


def test_no_more_jobs_than_allowed() -> None:
    async def use(desk: Desk) -> None:
        desk.script.gate = asyncio.Event()
        names = [await desk.start(input="1") for _ in range(2)]
        with pytest.raises(QueueFull):
            await desk.start(input="1")
        desk.script.gate.set()
        for name in names:
            await desk.ended(name)
        await asyncio.sleep(0.01)
        await desk.start(input="1")

    run(use, limits=Limits(jobs=2))


def test_the_oldest_events_are_dropped() -> None:
    deltas = [Delta(0, 0, BlockKind.TEXT, str(n)) for n in range(50)]
    events = [*said("")[:2], *deltas, *said("")[-3:]]

    async def use(desk: Desk) -> None:
        name = await desk.start(input="1", stream=True)
        await desk.ended(name)
        with pytest.raises(EventsDropped) as caught:
            await desk.responses.follow(name, ME)
        first = caught.value.fields["first"]
        assert first > 20
        frames = await desk.followed(name, first - 1)
        assert numbers(frames)[0] == first
        assert frames[-2][1] == "response.completed"
        assert len(frames) <= 16 + 4

    run(use, Script(events), limits=Limits(events=16))
    run(use, Script(events), limits=Limits(event_bytes=3000))


def test_a_client_that_hangs_up_at_once_leaves_a_job_that_ends() -> None:
    async def use(desk: Desk) -> None:
        call = await desk.call(input="1", background=True)
        starting = asyncio.create_task(desk.responses.start(call, SPEC, model="shown", owner=ME))
        await asyncio.sleep(0)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await asyncio.sleep(0.05)
        assert (await desk.ended(call.response_id))["status"] == "completed"

    run(use)


def test_cancelling_at_any_moment() -> None:
    deltas = [Delta(0, 0, BlockKind.TEXT, f"{n} ") for n in range(20)]
    events = [*said("")[:2], *deltas, *said("")[-3:]]
    ends = set()

    async def one(desk: Desk, wait_s: float) -> None:
        name = await desk.start(input="1", stream=True)
        following = asyncio.create_task(desk.followed(name))
        await asyncio.sleep(wait_s)
        shown = json.loads(await desk.responses.cancel(name, ME))
        frames = await following
        assert numbers(frames) == list(range(len(frames) - 1))
        assert json.loads(frames[-2][0])["response"] == shown
        assert await desk.followed(name) == frames
        assert shown["status"] in {"completed", "cancelled"}
        ends.add(shown["status"])

    async def use(desk: Desk) -> None:
        await asyncio.gather(*(one(desk, n / 1000) for n in range(0, 60, 2)))
        await one(desk, 1.0)
        assert desk.script.closed == len(desk.script.asked)

    run(use, Script(events))
    assert ends == {"completed", "cancelled"}


def test_a_store_that_fails_ends_the_job() -> None:
    async def use(desk: Desk) -> None:
        desk.script.gate = asyncio.Event()
        name = await desk.start(input="1", stream=True)
        following = asyncio.create_task(desk.followed(name))
        await asyncio.sleep(0.05)
        await desk.store.close()
        desk.script.gate.set()
        with pytest.raises(ShuttingDown):
            await following
        assert desk.script.closed == 1

    run(use)


def test_a_server_that_stops_says_why(tmp_path: Path) -> None:
    path = tmp_path / "state.db"

    async def use(desk: Desk) -> None:
        desk.script.gate = asyncio.Event()
        name = await desk.start(input="1", stream=True)
        following = asyncio.create_task(desk.followed(name))
        await asyncio.sleep(0.05)
        await desk.responses.close()
        with pytest.raises(ShuttingDown):
            await following

    async def look(desk: Desk) -> None:
        assert await desk.responses.recover() == 0
        assert (await desk.shown("resp_1"))["error"]["message"] == ShuttingDown().sentence
        assert (await desk.followed("resp_1"))[-2][1] == "response.failed"
        call = await desk.call(input="2", previous_response_id="resp_1")
        assert heard(call.requests[0])[0] == "user=1"

    run(use, path=path)
    run(look, path=path)


DYING = """
import asyncio, pathlib, sys
from localai.catalog.spec import ModelSpec
from localai.dialects.contract import Origin
from localai.dialects.openresponses import ResponsesEndpoint, ResponsesSpelling
from localai.domain.events import BlockKind, BlockStarted, Delta, Started
from localai.inference.responses import Responses
from localai.state import Database, SqliteStore

async def generate(request, spec, /):
    yield [Started(1), BlockStarted(0, 0, BlockKind.TEXT), Delta(0, 0, BlockKind.TEXT, "Hel")]
    print("running", flush=True)
    await asyncio.sleep(60)

async def main():
    store = SqliteStore(Database(pathlib.Path(sys.argv[1])))
    body = b'{"input": "1", "background": true, "stream": true}'
    call = ResponsesEndpoint().decode(body, Origin(answer_id="1", created_unix_s=5))
    responses = Responses(store, generate, ResponsesSpelling())
    await responses.start(call, ModelSpec(name="llama"), model="shown", owner="me")
    await asyncio.sleep(60)

asyncio.run(main())
"""


def test_a_killed_server_leaves_a_failure(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    with subprocess.Popen(
        [sys.executable, "-c", DYING, str(path)],
        stdout=subprocess.PIPE,
        env=clean_environment(),
    ) as dying:
        assert dying.stdout is not None
        assert dying.stdout.readline() == b"running\n"
        dying.kill()

    async def look(desk: Desk) -> None:
        assert await desk.responses.recover() == 1
        shown = await desk.shown("resp_1")
        assert shown["status"] == "failed"
        assert "stopped" in shown["error"]["message"]
        frames = await desk.followed("resp_1")
        assert numbers(frames) == list(range(len(frames) - 1))
        assert [kind for _, kind in frames[-3:-1]] == ["error", "response.failed"]
        assert any(kind == "response.output_text.delta" for _, kind in frames)

    run(look, path=path)
