"""Models of the Hugging Face kind: what the backends over `transformers` share.

`choosing` picks each token, `running` drives one `generate` call in a thread, `prompts` renders
conversations with the tokenizer's template, and `text_model` puts them together; `encoder` makes
vectors. A backend brings the loaded model. Nothing here is imported outside an engine's environment.
"""
