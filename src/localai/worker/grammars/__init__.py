"""Grammars in GBNF, llama.cpp's language for them, which other engines read as well.

`call_grammar` is the way in: what an answer may be when tools are offered. `schema_grammar` makes
rules of a JSON Schema, with `number_grammar` and `pattern_grammar` for what stands in it.
"""
