"""Sound in a worker: files to samples, samples to files, long things to short ones.

`sound` gives a backend the file of a request as samples, in windows cut where it is quiet;
`encoding` writes what a voice says in the format that was asked for. FFmpeg, through PyAV, and
numpy come with the environment of an engine that hears or speaks: they are imported when needed.
"""

from localai.worker.audio.sound import RATE_HZ, Sound, Window, by_windows

__all__ = ["RATE_HZ", "Sound", "Window", "by_windows"]
