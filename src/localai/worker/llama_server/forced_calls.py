"""Making sure that a model calls a tool when it must.

With `tool_choice: required`, llama.cpp's grammar still allows any text before the call, so a model
that prefers to chat never calls. The grammar itself says how a call begins in this model's format
(`<tool_call>`, `[TOOL_CALLS]`, ...). That beginning is put into the model's mouth as the start of
its answer, after which the grammar leaves nothing but a call.
"""

from __future__ import annotations

import re

from localai.worker.llama_server.gbnf import Gbnf

_FREE_TEXT = re.compile(r"until-\d+\??$")


def call_opening(grammar: str, generation_prompt: str) -> str:
    """How a call must begin, by the grammar of a request that requires one.

    Empty when the grammar leaves no free text before the call (nothing is to be done), or when
    the calls it allows begin in no common way.
    """
    gbnf = Gbnf(grammar)
    parts = gbnf.sequence("root")
    free = [position for position, part in enumerate(parts) if _FREE_TEXT.match(part)]
    if not free:
        return ""
    opening = "".join(
        beginning.text
        for beginning in _until_open(gbnf, parts[free[-1] + 1 :])
    )
    return opening.removeprefix(generation_prompt)


def _until_open(gbnf: Gbnf, parts: list[str]) -> list:
    found = []
    for part in parts:
        beginning = gbnf.beginning(part)
        found.append(beginning)
        if not beginning.is_whole:
            break
    return found
