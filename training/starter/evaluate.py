"""Measure a GGUF file on held-out prompts, through llama.cpp as the server runs it.

usage: evaluate.py MODEL.gguf [--write PAGE.md] [--show N] [--only WORD] [--part F]

Temperature 0 and the whole reply exact, unless a row says something else.  ``--write`` puts the
table between the two marker comments of a Markdown page.
"""

from __future__ import annotations

import argparse
import re
import time
from pathlib import Path
from random import Random

import xllamacpp
from cases import ROWS, Case, Reply, Row, user

SEED = 424242
MARKERS = ("<!-- accuracy:begin -->", "<!-- accuracy:end -->")
GALAXY = "A long time ago in a galaxy far, far away"
DOCUMENTED = [
    Case([user("How are you?")], bool, temperature=0.7),
    Case([user("Say this is a test!")], bool, temperature=0.7),
    Case([user("rephrase\n\nBlack cat jumped out of the window")], bool, temperature=0.1),
    Case([], bool, prompt=GALAXY, temperature=0.7),
]


def serve(model: Path) -> xllamacpp.Server:
    """llama.cpp in this process, one thread, no network needed."""
    p = xllamacpp.CommonParams()
    p.model.path = str(model)
    p.n_ctx, p.n_parallel, p.n_gpu_layers = 2048, 1, 0
    p.cpuparams.n_threads = 1
    p.warmup, p.verbosity = False, 0
    return xllamacpp.Server(p)


def ask(server: xllamacpp.Server, case: Case, seed: int = 0) -> Reply:
    """Send one case -> the message of the reply, with its finish reason."""
    body = {"max_tokens": 320, "temperature": case.temperature, "seed": seed}
    if case.prompt:
        choice = server.handle_completions(body | {"prompt": case.prompt})["choices"][0]
        return {"content": choice["text"], "finish_reason": choice["finish_reason"]}
    body["messages"] = case.messages
    if case.tools:
        body["tools"] = [t.as_json() for t in case.tools]
    reply = server.handle_chat_completions(body)
    if "choices" not in reply:
        return {"content": f"ERROR {reply}"}
    choice = reply["choices"][0]
    return choice["message"] | {"finish_reason": choice["finish_reason"]}


def measure(server: xllamacpp.Server, row: Row, show: int, part: float) -> tuple[int, int]:
    """-> cases passed, cases in all."""
    passed = total = shown = 0
    for i, case in enumerate(row.cases(Random(SEED))):
        if i % max(1, round(1 / part)):
            continue
        reply = ask(server, case, seed=i)
        good = case.check(reply)
        passed, total = passed + good, total + 1
        if not good and shown < show:
            shown += 1
            asked = case.prompt or case.messages[-1]["content"]
            got = reply.get("tool_calls") or reply.get("content")
            print(f"    {asked!r}\n       want {case.want!r}\n       got  {got!r}")
    return passed, total


def table(results: list[tuple[Row, int, int]]) -> str:
    """The results in Markdown."""
    out = ["| Skill | Cases | Right | Aim |", "| --- | ---: | ---: | ---: |"]
    for row, passed, total in results:
        aim = f"{row.target} %" if row.target else ""
        out.append(f"| {row.title} | {total} | {100 * passed / total:.1f} % | {aim} |")
    return "\n".join(out)


def samples(server: xllamacpp.Server, count: int) -> str:
    """The requests of the documentation, each some times."""
    out = []
    for case in DOCUMENTED:
        asked = case.prompt or case.messages[0]["content"]
        out.append(f"{asked!r} (temperature {case.temperature})")
        out += [
            f"  {content!r}"
            for content in (ask(server, case, seed)["content"] for seed in range(1, count + 1))
        ]
    return "\n".join(out)


def write(page: Path, text: str) -> None:
    """Replace what stands between the markers."""
    begin, end = MARKERS
    old = page.read_text()
    block = f"{begin}\n{text}\n{end}"
    page.write_text(re.sub(f"{begin}.*{end}", lambda _: block, old, flags=re.DOTALL))


def main() -> None:
    """Measure all rows, print them, write them down if asked to."""
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=Path)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--show", type=int, default=0)
    parser.add_argument("--only", default="")
    parser.add_argument("--part", type=float, default=1.0)
    args = parser.parse_args()
    server, begin, results = serve(args.model), time.time(), []
    for row in ROWS:
        if args.only.lower() not in row.title.lower():
            continue
        passed, total = measure(server, row, args.show, args.part)
        print(f"{row.title:60s} {passed:4d}/{total:<4d} {100 * passed / total:5.1f} %", flush=True)
        results.append((row, passed, total))
    print(samples(server, 3 if args.part < 1 else 5))
    print(f"{time.time() - begin:.0f} seconds")
    if args.write:
        write(args.write, table(results))


if __name__ == "__main__":
    main()
