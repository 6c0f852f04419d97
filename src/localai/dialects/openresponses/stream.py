"""The encoder of a stream: every event numbered from 0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, assert_never

from localai.dialects.contract import Frame
from localai.dialects.openresponses.errors import error_event, failure
from localai.dialects.openresponses.items import Item
from localai.dialects.openresponses.response import (
    COMPLETED,
    IN_PROGRESS,
    INCOMPLETE,
    INCOMPLETE_REASONS,
    QUEUED,
    Spelling,
    spelled_logprobs,
    text_part,
    to_json,
)
from localai.domain.errors import LocalAIError
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
    Progress,
    Started,
    TokenLogprob,
)
from localai.domain.parts import Media, Reasoning, Text, ToolCall

DONE = Frame(b"[DONE]")


class ResponseStream:
    """Spells one checked stream as the events of a response.

    The last event of an item waits until it is known whether a limit cut the item. `response` is
    the Response object as the last event showed it.
    """

    def __init__(self, spelled: Spelling, model: str) -> None:
        self._spelled = spelled
        self._model = model
        self._number = 0
        self._created = False
        self._output: list[Item] = []
        self._waiting: Item | None = None
        self._tokens: list[TokenLogprob] = []
        self._reason = FinishReason.STOP
        self._call = ("", "", "")
        self._delta_event = ""
        self._before_delta = b""  # empty while nothing is open that has deltas
        self.response = b""

    def queued(self) -> Sequence[Frame]:
        """The events of a background response that has not begun."""
        return [self._state("response.created", QUEUED), self._state("response.queued", QUEUED)]

    def stop(self, error: LocalAIError | None) -> Sequence[Frame]:
        """The end of an answer that does not come to its end: it failed, or was cancelled (None).

        The API has no event for a cancelled response: it is shown by `response.incomplete`.
        """
        frames = [] if self._created else [self._state("response.created", IN_PROGRESS)]
        frames += self._item_done(COMPLETED)
        if error is None:
            whole = self._spelled.response(self._model, "cancelled", self._output)
            return [*frames, self._show("response.incomplete", whole), DONE]
        spelled = error_event(error)
        frames.append(self._event(spelled.pop("type"), **spelled))
        whole = self._spelled.response(self._model, "failed", self._output, error=failure(error))
        return [*frames, self._show("response.failed", whole), DONE]

    def feed(self, event: Event) -> Sequence[Frame]:
        """The frames for `event`, which may be none."""
        if type(event) is Delta and not event.logprobs:  # the token path: one escape, one format
            if not event.text or not self._before_delta:
                return ()
            number = self._number
            self._number = number + 1
            data = b'%b%b,"sequence_number":%d}' % (self._before_delta, to_json(event.text), number)
            return (Frame(data, self._delta_event),)
        match event:
            case Started():
                return self._begin()
            case BlockStarted():
                return self._open(event)
            case Delta():
                return self._delta_with_logprobs(event)
            case BlockEnded():
                return self._close(event)
            case ChoiceEnded():
                self._reason = event.reason
                cut = event.reason in INCOMPLETE_REASONS
                return self._item_done(INCOMPLETE if cut else COMPLETED)
            case Finished():
                return self._finish(event)
            case Failed():
                return self.stop(event.error)
            case Progress():
                return ()
            case _:
                assert_never(event)

    def _begin(self) -> list[Frame]:
        frames = [] if self._created else [self._state("response.created", IN_PROGRESS)]
        return [*frames, self._state("response.in_progress", IN_PROGRESS)]

    def _open(self, event: BlockStarted) -> Sequence[Frame]:
        frames = self._item_done(COMPLETED)
        self._before_delta = b""
        if event.kind is BlockKind.MEDIA:
            return frames
        place = len(self._output)
        self._tokens = []
        match event.kind:
            case BlockKind.TEXT:
                item = self._spelled.message(place, [], IN_PROGRESS)
                where = self._where(item["id"])
                frames = [
                    *frames,
                    self._item_added(item),
                    self._event("response.content_part.added", **where, part=text_part("")),
                ]
                self._expect("response.output_text.delta", where, logprobs=[])
            case BlockKind.REASONING:
                thoughts = self._spelled.thoughts
                item = self._spelled.reasoning(place, [], IN_PROGRESS)
                where = self._where(item["id"], thoughts.index_name)
                frames = [
                    *frames,
                    self._item_added(item),
                    self._event(thoughts.part_added, **where, part=thoughts.part("")),
                ]
                self._expect(thoughts.delta, where)
            case BlockKind.TOOL_CALL:
                self._call = (event.call_id or "", event.call_name or "", "")
                item = self._spelled.call(place, self._call, IN_PROGRESS)
                frames = [*frames, self._item_added(item)]
                where = {"item_id": item["id"], "output_index": place}
                self._expect("response.function_call_arguments.delta", where)
            case _:
                assert_never(event.kind)
        return frames

    def _item_added(self, item: Item) -> Frame:
        place = len(self._output)
        return self._event("response.output_item.added", output_index=place, item=item)

    def _expect(self, name: str, where: dict[str, Any], **more: Any) -> None:
        """From now on deltas are events `name`, all of which begin the same."""
        self._delta_event = name
        named = {"type": name} | where | more
        self._before_delta = to_json(named)[:-1] + b',"delta":'

    def _delta_with_logprobs(self, event: Delta) -> Sequence[Frame]:
        if event.kind is not BlockKind.TEXT:  # only texts have a place for them
            plain = Delta(event.choice, event.block, event.kind, event.text)
            return self.feed(plain)
        self._tokens += event.logprobs
        where = self._where(f"msg_{self._spelled.answer_id}_{len(self._output)}")
        logprobs = spelled_logprobs(event.logprobs)
        return (self._event(self._delta_event, **where, delta=event.text, logprobs=logprobs),)

    def _close(self, event: BlockEnded) -> Sequence[Frame]:
        place = len(self._output)
        self._before_delta = b""
        match event.part:
            case Text(text=text):
                part = text_part(text, self._tokens)
                item = self._spelled.message(place, [part], COMPLETED)
                where, part_done = self._where(item["id"]), "response.content_part.done"
                logprobs = part["logprobs"]
                done = self._event(
                    "response.output_text.done", **where, text=text, logprobs=logprobs
                )
            case Reasoning(text=text):
                thoughts = self._spelled.thoughts
                part = thoughts.part(text)
                item = self._spelled.reasoning(place, [part], COMPLETED)
                where, part_done = self._where(item["id"], thoughts.index_name), thoughts.part_done
                done = self._event(thoughts.done, **where, text=text)
            case ToolCall(arguments=arguments):
                call_id, name, _ = self._call
                item = self._spelled.call(place, (call_id, name, arguments), COMPLETED)
                self._waiting = item
                return [
                    self._event(
                        "response.function_call_arguments.done",
                        item_id=item["id"], output_index=place, name=name, arguments=arguments,
                    )
                ]  # fmt: skip
            case Media():
                return ()
            case _:
                assert_never(event.part)
        self._waiting = item
        return [done, self._event(part_done, **where, part=part)]

    def _item_done(self, status: str) -> Sequence[Frame]:
        item = self._waiting
        if item is None:
            return ()
        self._waiting = None
        item["status"] = status
        place = len(self._output)
        self._output.append(item)
        return [self._event("response.output_item.done", output_index=place, item=item)]

    def _finish(self, event: Finished) -> Sequence[Frame]:
        whole = self._spelled.ended(
            self._model, self._reason, self._output, event.usage, event.timings
        )
        return [self._show(f"response.{whole['status']}", whole), DONE]

    def _state(self, name: str, status: str) -> Frame:
        self._created = True
        return self._show(name, self._spelled.response(self._model, status, self._output))

    def _show(self, name: str, response: dict[str, Any]) -> Frame:
        self.response = to_json(response)
        return self._event(name, response=response)

    def _where(self, item_id: str, index_name: str = "content_index") -> dict[str, Any]:
        return {"item_id": item_id, "output_index": len(self._output), index_name: 0}

    def _event(self, name: str, /, **fields: Any) -> Frame:
        number = self._number
        self._number = number + 1
        return Frame(to_json({"type": name, "sequence_number": number} | fields), name)
