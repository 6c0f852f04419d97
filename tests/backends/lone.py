"""One backend in a worker process of its own, the way the server runs it, without the server."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

from localai.domain.events import Delta, Event
from localai.domain.generation import Chat, Completion, GenerationRequest, Sampling
from localai.domain.parts import Message, Role, Text
from localai.engines.manifest import BackendEntry
from localai.supervisor.launcher import LocalLauncher, LocalProcess
from localai.supervisor.worker_client import WorkerClient
from localai.wire.messages import LoadRequest, ModelFacts
from tests.engines.installed import ENVIRONMENTS
from tests.live import PATIENCE_S, clean_environment, is_alive

LOADING_S = 5 * PATIENCE_S  # importing an engine reads thousands of files


class Lone:
    """A loaded backend."""

    def __init__(self, process: LocalProcess, client: WorkerClient, facts: ModelFacts) -> None:
        self.process = process
        self.client = client
        self.facts = facts

    @property
    def pid(self) -> int:
        """The worker's process."""
        return int(self.process.description.removeprefix("pid "))

    @property
    def is_alive(self) -> bool:
        """Whether its process runs."""
        return is_alive(self.pid)

    async def events(self, request: GenerationRequest) -> list[Event]:
        """Every event of one call."""
        return [event async for batch in self.client.generate(request) for event in batch]

    async def say(self, request: GenerationRequest) -> str:
        """The text of the first choice."""
        events = await self.events(request)
        return "".join(
            event.text for event in events if isinstance(event, Delta) and event.choice == 0
        )


@contextlib.asynccontextmanager
async def loaded(
    entry: BackendEntry,
    path: Path | str,
    *,
    options: tuple[str, ...] = (),
    model_id: str = "",
    **settings: Any,
) -> AsyncIterator[Lone]:
    """A worker of `entry` with its model loaded; it ends with the block."""
    launcher = LocalLauncher(clean_environment(), ENVIRONMENTS)
    process = await launcher.launch(entry, "m")
    client = WorkerClient(process.endpoint)
    order = LoadRequest(
        model="m",
        model_path=str(path),
        model_id=model_id,
        settings=settings,
        options=list(options),
    )
    try:
        loading = asyncio.ensure_future(client.load(order))
        dying = asyncio.ensure_future(process.exited())
        await asyncio.wait({loading, dying}, timeout=LOADING_S, return_when="FIRST_COMPLETED")
        assert loading.done(), f"the worker died or hangs:\n{process.log_tail()}"
        dying.cancel()
        yield Lone(process, client, loading.result())
    finally:
        loading.cancel()
        await client.close()
        await process.stop(grace_s=5.0)
        await launcher.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run an asynchronous test to its end."""
    asyncio.run(asyncio.wait_for(test, 2 * PATIENCE_S))


def complete(text: str | tuple[int, ...], **fields: Any) -> GenerationRequest:
    """A completion at temperature 0."""
    prompt = Completion(text=text) if isinstance(text, str) else Completion(token_ids=text)
    return GenerationRequest(model="m", prompt=prompt, **_sampled(fields))


def chat(text: str, **fields: Any) -> GenerationRequest:
    """A chat of one message, at temperature 0."""
    message = Message(role=Role.USER, parts=(Text(text=text),))
    return GenerationRequest(model="m", prompt=Chat(messages=(message,)), **_sampled(fields))


def _sampled(fields: dict[str, Any]) -> dict[str, Any]:
    names = ("seed", "ignore_eos", "logit_bias", "top_k")
    sampling = {name: fields.pop(name) for name in names if name in fields}
    sampling["temperature"] = fields.pop("temperature", 0.0)
    return {"sampling": Sampling(**sampling), **fields}
