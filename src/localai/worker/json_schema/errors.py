"""What is wrong with a schema, as an error of the request."""

from __future__ import annotations

from localai.domain.errors import InvalidRequest, RequestError, Unsupported
from localai.worker.json_schema import SchemaProblem


def schema_error(problem: SchemaProblem, *, what: str, param: str) -> RequestError:
    """What is wrong with a schema, as an error that names the place in it."""
    where = f" at {problem.pointer}" if problem.pointer else ""
    if problem.is_wrong:
        message = f"{what} cannot be used{where}: {problem.message}."
        return InvalidRequest(message, param=param or None, hint=problem.hint)
    message = f"{what} cannot be obeyed{where}: {problem.message}."
    hint = problem.hint or "Leave it out, and check the answer yourself."
    return Unsupported(message, feature="json_schema", param=param or None, hint=hint)
