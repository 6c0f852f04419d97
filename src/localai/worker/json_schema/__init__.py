"""From JSON Schema to GBNF: a grammar that allows nothing but what the schema does.

`compile_schema` is the way in, and `lenient` for tools, whose schemas need not be obeyed as a whole.
What the grammar cannot say is a SchemaProblem, never left out; it
may allow less than the schema where that costs nothing: properties come in their order, and an
object has no others unless the schema speaks of them.

`regex` reads patterns, `read` makes a tree of `nodes` from a schema, `write` makes rules of it,
with `numbers` and `strings` for what stands between delimiters. Sources: JSON Schema 2020-12, with
the spellings of drafts 4 to 2019-09; llama.cpp, grammars/README.md.
"""

from localai.worker.json_schema.problems import SchemaProblem
from localai.worker.json_schema.write import compile_schema

__all__ = ["SchemaProblem", "compile_schema"]
