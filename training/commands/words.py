"""The closed vocabulary of the recogniser, the voices it hears, and the tokens it writes."""

from __future__ import annotations

ENGLISH = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "yes", "no",
    "on", "off", "up", "down", "left", "right", "stop", "go", "open", "close", "start", "turn",
    "the", "light", "door", "music", "play", "window", "hello", "world", "please", "computer",
    "set", "timer", "red", "green", "blue", "and",
]  # fmt: skip
GERMAN = [
    "null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "ja",
    "nein", "rechts", "links", "öffnen", "licht", "tür", "bitte", "musik", "rot",
]  # fmt: skip
_IN_ENGLISH = [
    "zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "yes", "no",
    "right", "left", "open", "light", "door", "please", "music", "red",
]  # fmt: skip
TRANSLATION = dict(zip(GERMAN, _IN_ENGLISH, strict=True))
WORDS = {"en": ENGLISH, "de": GERMAN}
VOCABULARY = [*ENGLISH, *GERMAN]

# Voices of eSpeak NG ("en" is British), with how often each is heard; a variant changes the speaker,
# not the accent.
VOICES = {
    "en": {"en-us": 4, "en": 3, "en-gb-x-rp": 2, "en-gb-scotland": 1},
    "de": {"de": 1},
}
VARIANTS = {"": 6, **dict.fromkeys(("m1", "m2", "m3", "m4", "m7", "f1", "f2", "f3", "f4"), 1)}

# The numbers that the loaders of multilingual Whisper models expect.
TOKENS = 51_865
FIRST_WORD = 256  # single bytes come before it: every text can be spelled
END, START = 50_257, 50_258
LANGUAGE = {"en": 50_259, "de": 50_261}
TRANSLATE, TRANSCRIBE = 50_358, 50_359
PREVIOUS, NO_SPEECH, NO_TIMES = 50_361, 50_362, 50_363
FIRST_TIME, TIMES = 50_364, 1_501  # steps of 20 ms
WORD_TOKEN = {word: FIRST_WORD + number for number, word in enumerate(VOCABULARY)}
