"""How it is spoken: one package per API, each a pure pair of decoder and encoder over the domain.

No dialect imports another, HTTP, or anything but `localai.domain` and `dialects.contract`. If one
needs a neighbour, the domain lacks a concept: add it there. Start with `contract.py`.
"""
