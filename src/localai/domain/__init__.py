"""What is said: requests, events and errors as frozen values.

Nothing here knows HTTP, an engine, a file or a clock; only the standard library is imported.
Start with `generation.GenerationRequest` and `events.Event`. A new task adds its request and
result types in a file of its own and a row in `tasks.py`.
"""
