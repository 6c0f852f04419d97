"""Jobs, so that they go on after the server was restarted."""

from __future__ import annotations

import sqlite3
from typing import Final

import msgspec

from localai.domain.error_fields import error_from_fields
from localai.domain.jobs import Job, JobState
from localai.state.database import Database

_KEPT: Final = 200  # jobs that are over
_COLUMNS: Final = "job_id, kind, subject, is_removal, state, step, created, request, error"
_RUNNING: Final = str(JobState.RUNNING)


class JobStore:
    """Keeps jobs with what they were asked for."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def put(self, job: Job) -> None:
        """Keep a job as it is now. The oldest that are over are forgotten."""
        row = (*_row_of(job), self._database.presence.server_id)

        def write(connection: sqlite3.Connection) -> None:
            marks = ", ".join("?" * len(row))
            connection.execute(
                f"INSERT OR REPLACE INTO jobs ({_COLUMNS}, server) VALUES ({marks})",  # noqa: S608 - names of columns
                row,
            )
            connection.execute(
                "DELETE FROM jobs WHERE state NOT IN ('running', 'paused') AND job_id NOT IN "
                "(SELECT job_id FROM jobs ORDER BY created DESC, rowid DESC LIMIT ?)",
                (_KEPT,),
            )

        await self._database.write(write)

    async def take_over(self) -> tuple[Job, ...]:
        """Every job that is kept, the oldest first, but those that another server works on.

        Those that run are this server's from now on, and no other's that starts as well.
        """
        if not await self._database.exists():
            return ()
        presence = self._database.presence

        def work(connection: sqlite3.Connection) -> list[tuple[object, ...]]:
            rows = connection.execute(
                f"SELECT server, state, {_COLUMNS} FROM jobs ORDER BY created, rowid"  # noqa: S608 - names of columns
            ).fetchall()
            others = {server for server, state, *_ in rows if state == _RUNNING}
            alive = [server for server in others if presence.is_alive(server)]
            ours = [row for row in rows if not (row[0] in alive and row[1] == _RUNNING)]
            connection.executemany(
                "UPDATE jobs SET server = ? WHERE job_id = ?",
                [(presence.server_id, row[2]) for row in ours if row[1] == _RUNNING],
            )
            return [row[2:] for row in ours]

        return tuple(_job_of(row) for row in await self._database.write(work))


def _row_of(job: Job) -> tuple[object, ...]:
    error = None
    if job.error is not None:
        error = msgspec.json.encode([job.error.kind, job.error.message, job.error.hint])
    return (
        job.job_id,
        job.kind,
        job.subject,
        job.is_removal,
        str(job.state),
        job.step,
        job.created_unix_s,
        msgspec.json.encode(job.request),
        error,
    )


def _job_of(row: tuple[object, ...]) -> Job:
    job_id, kind, subject, is_removal, state, step, created, request, error = row
    found = None
    if error is not None:
        what, message, hint = msgspec.json.decode(_bytes(error), type=tuple[str, str, str])
        found = error_from_fields(what, message, hint, {})
    return Job(
        job_id=str(job_id),
        kind=str(kind),
        subject=str(subject),
        is_removal=bool(is_removal),
        state=JobState(str(state)),
        step=str(step),
        created_unix_s=int(str(created)),
        request=msgspec.json.decode(_bytes(request)),
        error=found,
    )


def _bytes(value: object) -> bytes:
    assert isinstance(value, bytes)
    return value
