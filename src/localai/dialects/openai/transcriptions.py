"""POST /v1/audio/transcriptions and /v1/audio/translations: the endpoints."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from localai.dialects.contract import ErrorReply, Origin, Whole
from localai.dialects.fields import limits
from localai.dialects.form_body import Form, read_form
from localai.dialects.openai.errors import error_reply
from localai.dialects.openai.subtitles import lrc, srt, vtt
from localai.dialects.openai.transcript_answer import TranscriptFrames, brief, verbose
from localai.domain.audio import AudioEvent, TranscriptionRequest
from localai.domain.audio_rules import transcript
from localai.domain.errors import InvalidRequest, LocalAIError, Unsupported
from localai.domain.languages import language_code

FORMATS: Final = ("json", "text", "srt", "verbose_json", "vtt", "lrc")
_ALSO: Final = {"": "verbose_json", "txt": "text"}  # LocalAI's
_STREAMABLE: Final = ("json", "verbose_json", "text")
_GRANULARITIES: Final = ("segment", "word")
_PLAIN: Final = "text/plain; charset=utf-8"


class TranscriptionForm(msgspec.Struct, kw_only=True):
    """The fields beside the file of a transcription or a translation."""

    model: Annotated[str | None, Meta(description="Name of the model")] = None
    language: Annotated[
        str | None, Meta(description="Language of the speech: a code, or its English name")
    ] = None
    prompt: Annotated[
        str | None, Meta(description="Text in the style of the speech: names, spellings")
    ] = None
    response_format: Annotated[
        str | None,
        Meta(description="json, text, srt, verbose_json, vtt or lrc; default verbose_json"),
    ] = None
    temperature: Annotated[float | None, limits("Randomness of the decoding", 0, 1)] = None
    timestamp_granularities: Annotated[
        list[str] | None, Meta(description="segment, word or both, for verbose_json")
    ] = None
    stream: Annotated[bool | None, Meta(description="Send the text as it becomes known")] = None
    translate: Annotated[bool | None, Meta(description="Translate into English (LocalAI)")] = None
    diarize: Annotated[bool | None, Meta(description="Not supported")] = None
    include: Annotated[list[str] | None, Meta(description="No effect")] = None
    chunking_strategy: Annotated[
        str | None, Meta(description="No effect: long files are always cut where it is quiet")
    ] = None
    known_speaker_names: Annotated[list[str] | None, Meta(description="Not supported")] = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriptionCall:
    """A decoded call. `form` is one of FORMATS."""

    model: str
    request: TranscriptionRequest
    form: str
    streams: bool
    granularities: tuple[str, ...]
    backend: str = ""

    def stream_encoder(self) -> TranscriptFrames:
        """An encoder for events."""
        return TranscriptFrames(wants_words=self.request.wants_words)

    def encode(self, events: Sequence[AudioEvent]) -> Whole:
        """Spell the transcript in the form that was asked for."""
        whole = transcript(events)
        match self.form:
            case "text":
                return Whole(body=f"{whole.text}\n".encode(), media_type=_PLAIN)
            case "srt":
                return Whole(body=srt(whole.segments), media_type=_PLAIN)
            case "vtt":
                return Whole(body=vtt(whole.segments), media_type="text/vtt; charset=utf-8")
            case "lrc":
                return Whole(body=lrc(whole.segments), media_type=_PLAIN)
            case "json":
                return Whole(body=brief(whole))
            case _:
                task = "translate" if self.request.translate else "transcribe"
                return Whole(body=verbose(whole, task, self.granularities))


class TranscriptionEndpoint:
    """Transcriptions."""

    translates = False

    def decode(self, form: Form, origin: Origin) -> TranscriptionCall:  # noqa: ARG002 - nothing in it counts
        """Read the fields. Raises RequestError with `param`."""
        asked = read_form(TranscriptionForm, form)
        _refuse_speakers(asked)
        written = (asked.response_format or "").strip().lower()
        answer_form = _ALSO.get(written, written)
        streams = bool(asked.stream)
        allowed = _STREAMABLE if streams else FORMATS
        if answer_form not in allowed:
            why = " of a stream" if answer_form in FORMATS else ""
            message = f"response_format{why} is {written[:40]!r}; it must be {_listed(allowed)}."
            raise InvalidRequest(message, param="response_format")
        granularities = _granularities(asked.timestamp_granularities)
        return TranscriptionCall(
            model=(asked.model or "").strip(),
            request=TranscriptionRequest(
                language=language_code(asked.language or ""),
                translate=self.translates or bool(asked.translate),
                prompt=asked.prompt or "",
                temperature=asked.temperature,
                wants_words="word" in granularities,
            ),
            form=answer_form,
            streams=streams,
            granularities=granularities,
        )

    def error(self, error: LocalAIError) -> ErrorReply:
        """Spell an error."""
        return error_reply(error)


class TranslationEndpoint(TranscriptionEndpoint):
    """Translations into English."""

    translates = True


def _granularities(given: list[str] | None) -> tuple[str, ...]:
    """Those asked for; clients also send them as one text with commas."""
    names = [part.strip() for value in given or () for part in value.split(",") if part.strip()]
    for name in names:
        if name not in _GRANULARITIES:
            message = f"timestamp_granularities has {name[:40]!r}; it may have segment and word."
            raise InvalidRequest(message, param="timestamp_granularities")
    return tuple(dict.fromkeys(names))


def _refuse_speakers(asked: TranscriptionForm) -> None:
    wants = asked.response_format == "diarized_json" or asked.known_speaker_names
    if not (asked.diarize or wants):
        return
    names = {
        "diarize": asked.diarize,
        "known_speaker_names": asked.known_speaker_names,
        "response_format": wants,
    }
    param = next(name for name, value in names.items() if value)
    message = "No engine here tells speakers apart."
    hint = f"Leave {param} out to get the text of all speakers."
    raise Unsupported(message, feature="diarization", param=param, hint=hint)


def _listed(words: tuple[str, ...]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"
