"""Which model is meant: model files, their defaults, and the choice among them.

`spec.ModelSpec` is what one model file says. `folder` finds the files, `read` parses YAML,
`gguf` looks into weights, `defaults` fills gaps, `resolve` picks one by name. Nothing here loads a
model or knows a request's dialect.
"""
