"""Which model is meant: model files, their defaults, and the choice among them.

`spec.ModelSpec` is what one model file says. `folder` finds the files, `read` parses YAML,
`gguf` looks into weights, `defaults` fills gaps, `resolve` picks one by name. Nothing here loads a
model or knows a request's dialect.

To let model files say something new, add a row to a table of `compat` (the only file that knows
LocalAI's spellings) and a line to docs/reference/model_files.md.
"""
