"""The voices of a model that speaks, as the APIs list them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from localai.dialects import elevenlabs, openai
from localai.domain.audio import VoiceCard
from localai.domain.errors import BackendNotInstalled, InvalidRequest, LocalAIError
from localai.domain.tasks import Task
from localai.http.gate import bearer

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from localai.dialects.contract import ErrorReply
    from localai.http.services import Services

_JSON = "application/json"


class VoiceEndpoints:
    """Lists of voices. The model is loaded for it: only then it tells what it has."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def listed(self, request: Request) -> Response:
        """Id, name and language of each voice; `?model=` names the model."""
        try:
            cards = await self._cards(request)
        except LocalAIError as error:
            return self._refuse(request, error)
        return Response(openai.encode_voices(cards), media_type=_JSON)

    async def as_elevenlabs(self, request: Request) -> Response:
        """The same, as ElevenLabs spells it."""
        try:
            cards = await self._cards(request)
        except LocalAIError as error:
            return self._refuse(request, error, elevenlabs.error_reply)
        return Response(elevenlabs.encode_voices(cards), media_type=_JSON)

    async def one_as_elevenlabs(self, request: Request) -> Response:
        """One voice, as ElevenLabs spells it."""
        wanted = request.path_params["voice_id"]
        try:
            cards = await self._cards(request)
            card = next((card for card in cards if card.voice_id == wanted), None)
            if card is None:
                message = f"There is no voice {wanted[:80]!r}."
                raise InvalidRequest(message, param="voice", hint="GET /v1/voices lists them.")
        except LocalAIError as error:
            return self._refuse(request, error, elevenlabs.error_reply)
        return Response(elevenlabs.encode_voice(card), media_type=_JSON)

    async def _cards(self, request: Request) -> list[VoiceCard]:
        services = self._services
        named = request.query_params.get("model") or request.query_params.get("model_id") or ""
        hint = bearer(request.scope)
        spec = services.library.find(named, hint=hint, task=Task.SYNTHESIZE)
        try:
            facts = await services.pool.load(await services.library.prepare(spec))
        except BackendNotInstalled:
            if named:
                raise
            return []  # nothing here speaks
        return [
            VoiceCard(
                voice_id=voice.voice_id,
                name=voice.name or voice.voice_id,
                language=voice.language,
                model=spec.name,
            )
            for voice in facts.voices
        ]

    def _refuse(
        self,
        request: Request,
        error: LocalAIError,
        spell: Callable[[LocalAIError], ErrorReply] | None = None,
    ) -> Response:
        return self._services.error_response(request.scope, error, spell)
