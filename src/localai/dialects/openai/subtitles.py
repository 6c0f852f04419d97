"""A transcript as subtitles.

Sources: SubRip and LRC as players read them; WebVTT (W3C), section 4.
"""

from __future__ import annotations

from collections.abc import Sequence

from localai.domain.audio import Segment

_HOUR_S = 3600
_MINUTE_S = 60


def srt(segments: Sequence[Segment]) -> bytes:
    """SubRip: numbered cues, a comma before the milliseconds."""
    cues = [
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{_line(cue)}\n"
        for number, cue in enumerate(segments, 1)
    ]
    return "\n".join(cues).encode()


def vtt(segments: Sequence[Segment]) -> bytes:
    """WebVTT. What would be markup in it is escaped."""
    cues = [
        f"{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n{_escaped(_line(cue))}\n"
        for cue in segments
    ]
    return "\n".join(["WEBVTT\n", *cues]).encode()


def lrc(segments: Sequence[Segment]) -> bytes:
    """LRC: one line a segment, minutes count on beyond the hour."""
    lines = []
    for cue in segments:
        hundredths = round(cue.start_s * 100)
        minutes, rest = divmod(hundredths, _MINUTE_S * 100)
        lines.append(f"[{minutes:02}:{rest // 100:02}.{rest % 100:02}]{_line(cue)}\n")
    return "".join(["[re:local-ai]\n", *lines]).encode()


def _clock(seconds: float, mark: str) -> str:
    milliseconds = round(seconds * 1000)
    whole_s, rest = divmod(milliseconds, 1000)
    hours, within = divmod(whole_s, _HOUR_S)
    return f"{hours:02}:{within // _MINUTE_S:02}:{within % _MINUTE_S:02}{mark}{rest:03}"


def _line(cue: Segment) -> str:
    """The text on one line: an empty line would end a cue."""
    return " ".join(cue.text.split())


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
