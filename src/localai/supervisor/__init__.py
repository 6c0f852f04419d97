"""Where it runs: worker processes over time.

`pool.Pool` is the way in: `run(spec, request)` gives events. It keeps one `lane.Lane` per model;
a lane starts and replaces the worker, queues requests and remembers failures. `launcher` is the
only file that knows a worker is a process on this host; another launcher may place it elsewhere.
`manifest` says which backends exist, `policy` decides (pure) who must leave.
"""
