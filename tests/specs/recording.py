"""Checks every answer that a test gets from a running server, whatever the test itself looks at.

What is wrong is collected, and fails the test at its end: an error raised inside of an official
client would come out as something else.
"""

from __future__ import annotations

VIOLATIONS: list[str] = []
PATHS: set[str] = set()
"""Where answers came from, since somebody last looked."""


def get_ready() -> None:
    """Do beforehand what takes seconds, so that a test's first request is as quick as the others."""
    from tests.specs.replies import Reply, check_reply

    check_reply(Reply("GET", "/healthz", 200, "text/plain", b""))


def record(method: str, path: str, status: int, content_type: str, body: bytes) -> None:
    """Note what is wrong with an answer."""
    from tests.specs.replies import Reply, check_reply  # takes seconds, which few tests need

    PATHS.add(path)
    kind = content_type.partition(";")[0]
    try:
        check_reply(Reply(method, path.partition("?")[0], status, kind, body))
    except (AssertionError, ValueError) as error:
        VIOLATIONS.append(f"{method} {path} answered {status}: {error}")
