"""The languages that speech models of Whisper's family know: code and English name.

Source: the list of Whisper's tokenizer (github.com/openai/whisper, tokenizer.py, MIT).
"""

from __future__ import annotations

from difflib import get_close_matches
from typing import Final

from localai.domain.errors import InvalidRequest

_NAMES: Final = """
en english, zh chinese, de german, es spanish, ru russian, ko korean, fr french, ja japanese,
pt portuguese, tr turkish, pl polish, ca catalan, nl dutch, ar arabic, sv swedish, it italian,
id indonesian, hi hindi, fi finnish, vi vietnamese, he hebrew, uk ukrainian, el greek, ms malay,
cs czech, ro romanian, da danish, hu hungarian, ta tamil, no norwegian, th thai, ur urdu,
hr croatian, bg bulgarian, lt lithuanian, la latin, mi maori, ml malayalam, cy welsh, sk slovak,
te telugu, fa persian, lv latvian, bn bengali, sr serbian, az azerbaijani, sl slovenian, kn kannada,
et estonian, mk macedonian, br breton, eu basque, is icelandic, hy armenian, ne nepali, mn mongolian,
bs bosnian, kk kazakh, sq albanian, sw swahili, gl galician, mr marathi, pa punjabi, si sinhala,
km khmer, sn shona, yo yoruba, so somali, af afrikaans, oc occitan, ka georgian, be belarusian,
tg tajik, sd sindhi, gu gujarati, am amharic, yi yiddish, lo lao, uz uzbek, fo faroese,
ht haitian creole, ps pashto, tk turkmen, nn nynorsk, mt maltese, sa sanskrit, lb luxembourgish,
my myanmar, bo tibetan, tl tagalog, mg malagasy, as assamese, tt tatar, haw hawaiian, ln lingala,
ha hausa, ba bashkir, jw javanese, su sundanese, yue cantonese
"""

LANGUAGES: Final[dict[str, str]] = {
    code: name for code, _, name in (item.strip().partition(" ") for item in _NAMES.split(","))
}
"""Code -> name, both in small letters, in the order of the models' own numbers."""

_OTHER_NAMES: Final = {
    "burmese": "my", "castilian": "es", "flemish": "nl", "haitian": "ht", "iw": "he", "jv": "jw",
    "letzeburgesch": "lb", "mandarin": "zh", "moldavian": "ro", "moldovan": "ro", "nb": "no",
    "panjabi": "pa", "pushto": "ps", "sinhalese": "si", "valencian": "ca",
}  # fmt: skip
_MOST_SHOWN = 40


def language_code(written: str, *, param: str = "language") -> str | None:
    """The code that a code (`de`), a locale (`de-AT`) or a name (`German`) means; None for auto.

    Raises InvalidRequest for any other text.
    """
    word = written.strip().lower()
    if word in {"", "auto"}:
        return None
    for known in (word, word.replace("_", "-").partition("-")[0]):
        if known in LANGUAGES:
            return known
        if known in _OTHER_NAMES:
            return _OTHER_NAMES[known]
    codes = {name: code for code, name in LANGUAGES.items()}
    if word in codes:
        return codes[word]
    near = get_close_matches(word[:_MOST_SHOWN], codes, n=1)
    hint = (
        f"Did you mean {near[0]} ({codes[near[0]]})?" if near else "Send a code such as en or de."
    )
    message = f"{param} is {written[:_MOST_SHOWN]!r}, which is no language that speech models know."
    raise InvalidRequest(message, param=param, hint=hint)
