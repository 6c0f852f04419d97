"""A local AI server: every open model behind the APIs that programs already use.

Start with `ARCHITECTURE.md`. The command line is `localai.cli`, the objects are built in
`localai.assemble`, and the life of a request begins in `localai.http.routes`.
"""
