"""Grammars in GBNF, llama.cpp's language for them, which other engines read as well.

`call_grammar` is the way in: what an answer may be when tools are offered. The rules of a JSON
Schema come from `worker.json_schema`.
"""
