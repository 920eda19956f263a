"""What leases and queued work have in common: an app of procrastinate, its jobs, their heartbeats, and the time."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from functools import wraps
from typing import Any, TypeVar

from fencepost.spec import U64_MAX, Alive, Backend, LeaseOwnerIdentity, LocalProcess
from fencepost.spec.operations import OPERATIONS
from fencepost.spec.wire import reader_of, to_wire
from fencepost.statemachines.environment import Environment
from postgres_server import conninfo
from procrastinate import App, PsycopgConnector, exceptions
from procrastinate.jobs import Job

T = TypeVar("T")

CENTURY_MS = 100 * 365 * 24 * 3600 * 1000
"""No heartbeat is waited for longer: PostgreSQL's timestamps do not reach back by the longest time to live."""

KEEP = "UPDATE procrastinate_jobs SET args = %(args)s WHERE id = %(id)s"

CLOCK = """
CREATE SCHEMA clock;
CREATE FUNCTION clock.now() RETURNS timestamptz LANGUAGE sql STABLE
    AS $$ SELECT to_timestamp(current_setting('clock.ms')::numeric / 1000) $$;
"""
"""What procrastinate takes for `now()`: it stands before that of PostgreSQL in the search path."""

TABLES = "procrastinate_jobs, procrastinate_events, procrastinate_periodic_defers, procrastinate_workers"


def call(method: Callable[..., Awaitable[T]]) -> Callable[..., Awaitable[T]]:
    """A call of the protocol: arguments are checked, the clock is set, and what PostgreSQL raises is `Backend`."""
    operation = OPERATIONS[method.__name__]

    @wraps(method)
    async def called(store: Jobs, *arguments: Any) -> T:
        operation.refuse_invalid(arguments)
        try:
            await store.set_clock()
            return await method(store, *arguments)
        except exceptions.ConnectorException as error:
            raise Backend(f"{method.__name__}: {error.__cause__ or error}") from error

    return called


class Jobs:
    """The jobs of an app that is open."""

    def __init__(self, app: App, environment: Environment, early_ms: int = 0) -> None:
        self._app = app
        self._early_ms = early_ms
        self._jobs = app.job_manager
        self._clock = environment.clock
        self._process_alive = environment.process_alive

    async def set_clock(self) -> None:
        """Let `now()` be the run's instant."""
        await self._app.connector.execute_query_async("SELECT set_config('clock.ms', %(now)s, false)", now=str(self._clock()))

    async def _has_stalled(self, job: Job) -> bool:
        ttl_ms = min(int(str(job.task_kwargs["ttl_ms"])), CENTURY_MS) - self._early_ms
        stalled = await self._jobs.get_stalled_jobs(queue=job.queue, seconds_since_heartbeat=ttl_ms / 1000)
        return job.id in [each.id for each in stalled]

    async def _beat(self, job: Job, ttl_ms: int, **changed: Any) -> None:
        """Send the heartbeat of the job's worker, and keep how long it holds."""
        assert job.worker_id is not None  # it is running
        await self._jobs.update_heartbeat(job.worker_id)
        await self._keep(job, ttl_ms=ttl_ms, **changed)

    async def _keep(self, job: Job, **changed: Any) -> None:
        await self._app.connector.execute_query_async(KEEP, id=job.id, args={**job.task_kwargs, **changed})

    def _is_dead(self, holder: LeaseOwnerIdentity, claimant: LeaseOwnerIdentity) -> bool:
        held, asking = holder.liveness, claimant.liveness
        return (
            isinstance(held, LocalProcess)
            and isinstance(asking, LocalProcess)
            and (held.host_id, held.boot_id) == (asking.host_id, asking.boot_id)
            and self._process_alive(held.pid, held.process_start) is Alive.no
        )


def queue(kind: str, session_id: str) -> str:
    """The queue of a session, for lanes or for work."""
    # a queue is the name of a channel too, of which PostgreSQL takes 63 bytes
    return f"{kind}-{hashlib.sha256(session_id.encode()).hexdigest()[:32]}"


def text(value: Any) -> str:
    """A record as an argument of a job."""
    # in ASCII: no text of PostgreSQL has the character 0
    return json.dumps(to_wire(value))


def after(now: int, ttl_ms: int) -> int:
    """The instant at which a time to live is over."""
    return min(now + ttl_ms, U64_MAX)


def kept(job: Job, kind: Any, name: str) -> Any:
    """The record that is an argument of the job."""
    return reader_of(kind)(json.loads(str(job.task_kwargs[name])), name)


def opened() -> AbstractAsyncContextManager[App]:
    """An app on the server."""
    # one connection, so that the clock is set where it is read
    options = {"options": "-c search_path=clock,public,pg_catalog"}
    app: App = App(connector=PsycopgConnector(conninfo=conninfo(), kwargs=options, min_size=1, max_size=1))
    return app.open_async()


async def emptied(app: App, now: int) -> None:
    """The tables of procrastinate, made if they are not there."""
    connector = app.connector
    there = await connector.execute_query_one_async("SELECT to_regclass('public.procrastinate_jobs') IS NOT NULL AS there")
    if not there["there"]:
        await connector.execute_query_async(CLOCK)
        await connector.execute_query_async("SELECT set_config('clock.ms', %(now)s, false)", now=str(now))
        await connector.execute_query_async("SET search_path = public, clock, pg_catalog")
        await app.schema_manager.apply_schema_async()
        await connector.execute_query_async("SET search_path = clock, public, pg_catalog")
    await connector.execute_query_async(f"TRUNCATE {TABLES} RESTART IDENTITY CASCADE")
