"""Tasks with sound: from a request, its model and perhaps a file to a legal stream of events."""

from __future__ import annotations

from typing import TYPE_CHECKING

from localai.domain.audio_rules import AudioRules
from localai.domain.batches import Batches, taken
from localai.domain.errors import LocalAIError
from localai.domain.events import Failed
from localai.domain.tasks import audio_task

if TYPE_CHECKING:
    from localai.catalog.spec import ModelSpec
    from localai.domain.audio import AudioEvent, AudioRequest, AudioSource
    from localai.domain.batches import Take
    from localai.inference.library import Library
    from localai.supervisor.pool import Pool


def hear_or_speak(
    request: AudioRequest,
    spec: ModelSpec,
    *,
    library: Library,
    pool: Pool,
    source: AudioSource | None = None,
    client: str = "",
) -> Batches[AudioEvent]:
    """Answer `request` with `spec` as a legal stream, in batches of events that came together.

    Never raises a domain error: the stream ends with Failed instead. Closing it cancels.
    """

    async def deliver(take: Take[AudioEvent]) -> None:
        rules = AudioRules(audio_task(request))
        feed = rules.feed
        try:
            complete = await library.prepare(spec)
            answer = pool.audio(complete, request, source, client=client)
            await answer.into(lambda batch: take([feed(event) for event in batch]))
            rules.close()
        except LocalAIError as error:
            if not rules.done:
                await taken(take, [Failed(error)])

    return Batches(deliver)
