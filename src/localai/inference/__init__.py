"""Use cases: resolve -> run -> checked stream.

`generate` is the one path of every text answer; `library` says which model is meant and completes
what its file leaves open.
"""
