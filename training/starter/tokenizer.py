"""The tokenizer: a byte-level BPE whose merge list is built so that copying is easy.

* First come merges of one mark and one letter (space, quote, underscore, dash, apostrophe).  All
  other merges are learnt on the *rest* of words, the part behind the first letter.  So `` hammer``,
  ``"hammer``, ``_hammer`` and ``Hammer`` all end in the same tokens and differ in the first one only.
* No merges with digits or capitals: numbers are spelled digit by digit.

The "bloom" pre-tokenizer of llama.cpp is used because it keeps a quote together with the word that
follows it; most others cut between them, which would spell a quoted word in another way.

usage: tokenizer.py OUT_DIR      writes tokenizer.json and pool.json
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from random import Random

import mix
import words
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers

SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
]
PRE_TOKENIZER = "bloom"
# llama.cpp's pattern for "bloom", letter by letter.
PATTERN = " ?[^(\\s|.,!?…。，、।۔،)]+"  # noqa: RUF001
VOCABULARY = 896
SPACE, NEWLINE = "\u0120", "\u010a"  # how byte-level BPE writes them
_LOWER = "abcdefghijklmnopqrstuvwxyz"

Merge = tuple[str, str]


def byte_tokens() -> list[str]:
    """The 256 one-byte tokens, in the usual printable spelling of byte-level BPE."""
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    spelling = {b: chr(b) for b in shown} | {b: chr(256 + i) for i, b in enumerate(hidden)}
    return [spelling[b] for b in range(256)]


def fixed_merges() -> list[Merge]:
    """Mark + letter, and a few marks of JSON."""
    letters = [(SPACE, c) for c in _LOWER + _LOWER.upper()]
    marked = [(mark, c) for mark in "\"_-'" for c in _LOWER]
    json_marks = [('"', ":"), ('"', "}"), ('"}', "}"), ("}", "}")]
    return [*letters, *marked, *json_marks, (NEWLINE, NEWLINE)]


def word_ends(examples: int) -> Counter[str]:
    """Count the words of the training text without their first letters."""
    r, counts = Random(7), Counter()
    for i in range(examples):
        for text, _ in mix.example(r, (i % 4) / 4):
            spoken = re.sub(r"<[|a-z_/]+>(user|assistant|system)?", " ", text)
            counts.update(w[1:] for w in re.findall(r"[A-Za-z][a-z]+", spoken) if len(w) > 2)
    for w in words.COMMON:
        counts[w[1:]] += 20
    # Square roots: fixed answers occur thousands of times, but copied words should be short too.
    return Counter({w: int(10 * c**0.5) for w, c in counts.items() if c > 2 and len(w) > 1})


def learn_merges(counts: Counter[str], total: int) -> list[Merge]:
    """Plain BPE: join the most frequent pair, again and again."""
    parts = {w: list(w) for w in counts}
    merges: list[Merge] = []
    while len(merges) < total:
        pairs: Counter[Merge] = Counter()
        for w, symbols in parts.items():
            for pair in pairwise(symbols):
                pairs[pair] += counts[w]
        best = max(pairs, key=lambda k: (pairs[k], k))
        merges.append(best)
        joined = best[0] + best[1]
        for w, symbols in parts.items():
            if best[0] in symbols and joined in w:
                parts[w] = _join(symbols, best)
    return merges


def _join(symbols: list[str], pair: Merge) -> list[str]:
    out, i = [], 0
    while i < len(symbols):
        if tuple(symbols[i : i + 2]) == pair:
            out.append(pair[0] + pair[1])
            i += 2
        else:
            out.append(symbols[i])
            i += 1
    return out


def build(tokens: list[str], merges: list[Merge]) -> Tokenizer:
    """The tokenizer as llama.cpp will run it."""
    t = Tokenizer(models.BPE({s: i for i, s in enumerate(tokens)}, merges))
    split = pre_tokenizers.Split(Regex(PATTERN), "isolated")
    to_bytes = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    t.pre_tokenizer = pre_tokenizers.Sequence([split, to_bytes])
    t.decoder = decoders.ByteLevel()
    t.add_special_tokens([AddedToken(s, special=True, normalized=False) for s in SPECIAL])
    return t


def load(folder: Path) -> tuple[Tokenizer, list[str], list[Merge]]:
    """Read tokenizer.json -> the tokenizer, its tokens and its merges."""
    data = json.loads((folder / "tokenizer.json").read_text())
    merges = [(a, b) for a, b in data["merges"]]
    return build(data["tokens"], merges), data["tokens"], merges


def cover_words(tokenizer: Tokenizer, tokens: list[str], each: int = 40) -> list[str]:
    """Invent words so that every sub-word token occurs about equally often."""
    r, pool = Random(11), []
    ends = [(i, t) for i, t in enumerate(tokens) if re.fullmatch("[a-z]{2,}", t)]
    for i, token in ends:
        found = tries = 0
        while found < each and tries < 10 * each:
            tries += 1
            other, first = words.pick(r, ends)[1], words.pick(r, list(_LOWER))
            word = first + words.pick(
                r,
                [
                    token,
                    token,
                    other + token,
                    token + other,
                    token + words.pick(r, list("aeioudnrst")),
                ],
            )
            if len(word) <= 11 and i in tokenizer.encode(" " + word).ids[1:]:
                pool.append(word)
                found += 1
    return pool


def main(folder: Path) -> None:
    """Learn the tokenizer from generated text and write it down."""
    folder.mkdir(parents=True, exist_ok=True)
    fixed = fixed_merges()
    base = byte_tokens() + SPECIAL + [a + b for a, b in fixed]
    learnt = learn_merges(word_ends(20000), VOCABULARY - len(base))
    tokens, merges = base + [a + b for a, b in learnt], fixed + learnt
    assert len(set(tokens)) == len(tokens) == VOCABULARY
    data = {"tokens": tokens, "merges": merges}
    (folder / "tokenizer.json").write_text(json.dumps(data))
    pool = cover_words(build(tokens, merges), tokens)
    (folder / "pool.json").write_text(json.dumps(pool))
    print(f"{len(tokens)} tokens, {len(pool)} covering words")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
