"""Group commit: commands that arrive together are committed together, and each is answered only after the commit."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import structlog

from shared.commands.batch import Batch, CommitUnknown, Outcome
from shared.commands.cache import HeadCache
from shared.commands.command import Command, Done
from shared.commands.groups import Held, names
from shared.commands.writing import Writing
from shared.database import ACQUIRE_SECONDS, Pool
from shared.errors import Refusal, Unavailable
from shared.failpoints import failpoint
from shared.observability import metrics
from shared.outages import outage_of

BATCH_COMMANDS = 256
BATCH_LOCKS = 1_000
"""A default PostgreSQL has room for some 12,000 locks in all."""

IN_FLIGHT = 2
"""Batches in their transactions at a time: while PostgreSQL works for one, this process works for the other."""

HALVED_FROM = 16
"""From so many commands on, a batch is worth the cost of a second one."""

ROUNDS = 20
"""How often a command is decided anew because somebody who takes no stream locks was faster."""

QUEUE_COMMANDS = 10_000
"""More waiting commands than this are answered 503 at once."""

BUSY = "Others are writing to the same thing. Try again."
OUTCOME_UNKNOWN = (
    "The answer of the database was lost; the request may have been carried out. "
    "Repeat it with the same Idempotency-Key, or read what is there."
)

log = structlog.get_logger()


@dataclass(eq=False)
class _Waiting:
    command: Command
    answer: "asyncio.Future[Done]"
    rounds: int = 0
    names: Sequence[tuple[str, bool]] = field(init=False)

    def __post_init__(self) -> None:
        self.names = tuple(names(self.command))


@dataclass
class Gateway:
    """Runs the commands of one service in this process.

    Few batches of commands are in their transactions at a time, what arrives meanwhile makes up the next: a lone command
    commits at once, a crowd shares a commit. What would conflict with a batch under way waits for its end, in order. A
    group that met a lock held elsewhere waits for it in a batch of its own, beside the others.

    Args:
        pool: writes to the service's database.
        writing: how the service publishes and projects.
        committed: called after every commit that wrote facts (wakes the relay in the same process).
    """

    pool: Pool
    writing: Writing
    committed: Callable[[], None] = lambda: None
    cache: HeadCache = field(default_factory=HeadCache)
    _queue: "deque[_Waiting]" = field(default_factory=deque, init=False)
    _held: Held = field(default_factory=Held, init=False)
    _under_way: int = field(default=0, init=False)
    _workers: "set[asyncio.Task[None]]" = field(default_factory=set, init=False)
    _tasks: "set[asyncio.Task[None]]" = field(default_factory=set, init=False)

    async def run(self, command: Command) -> Done:
        """Decide, write and commit one command.

        Raises:
            Refusal: what the decider says, a conflict over the idempotency key, or Unavailable while the database is away,
                the command's streams stay locked, or the answer of COMMIT was lost (repeat it with its key).
        """
        if len(self._queue) >= QUEUE_COMMANDS:
            raise Unavailable("overloaded", "Too many requests are waiting. Try again.")
        waiting = _Waiting(command, asyncio.get_running_loop().create_future())
        self._queue.append(waiting)
        self._wake()
        return await waiting.answer

    async def close(self) -> None:
        """Finish what is under way."""
        while self._workers or self._tasks:
            await asyncio.gather(*self._workers, *self._tasks, return_exceptions=True)

    def _wake(self) -> None:
        if self._queue and len(self._workers) < IN_FLIGHT:
            worker = asyncio.create_task(self._work())
            self._workers.add(worker)
            worker.add_done_callback(self._rest)

    def _rest(self, worker: "asyncio.Task[None]") -> None:
        self._workers.discard(worker)
        if not self._workers:
            self._wake()

    async def _work(self) -> None:
        """Run batches until nothing waits, or nothing that may go beside the batches of others; they take it then."""
        while self._queue:
            await asyncio.sleep(0)  # requests that arrived in the same turn of the loop join the batch
            batch = self._take()
            if not batch:
                return
            held = [name for waiting in batch for name in waiting.names]
            self._held.add(held)
            self._under_way += 1
            self._wake()
            try:
                await self._run_batch(batch, wait=False)
            finally:
                self._under_way -= 1
                self._held.remove(held)

    def _take(self) -> list[_Waiting]:
        """The oldest waiting commands that conflict with no batch under way, as many as fit in one batch."""
        batch: list[_Waiting] = []
        passed: list[_Waiting] = []
        passed_names: set[str] = set()
        locks: set[str] = set()
        while self._queue and len(batch) < BATCH_COMMANDS and len(passed) < BATCH_COMMANDS:
            waiting = self._queue.popleft()
            if waiting.answer.done():  # the caller has gone
                continue
            wanted = {name for name, _ in waiting.names}
            if self._held.conflicts(waiting.names) or not passed_names.isdisjoint(wanted):
                passed.append(waiting)
                passed_names |= wanted
                continue
            if batch and len(locks | wanted) > BATCH_LOCKS:
                passed.append(waiting)
                break
            locks |= wanted
            batch.append(waiting)
        self._queue.extendleft(reversed(passed))
        return self._halved(batch) if self._under_way + 1 < IN_FLIGHT else batch

    def _halved(self, batch: list[_Waiting]) -> list[_Waiting]:
        """The half to run now, where the other can run beside it; clients that were answered together ask together again,
        and one batch of them all would leave this process idle meanwhile.
        """
        if len(batch) < HALVED_FROM:
            return batch
        middle = len(batch) // 2
        first, second = batch[:middle], batch[middle:]
        held = Held()
        held.add(name for waiting in first for name in waiting.names)
        if any(held.conflicts(waiting.names) for waiting in second):
            return batch
        self._queue.extendleft(reversed(second))
        return first

    async def _run_batch(self, batch: Sequence[_Waiting], *, wait: bool) -> None:
        if not batch:
            return
        metrics.BATCH_COMMANDS.labels(self.writing.service).observe(len(batch))
        try:
            outcome = await self._transaction([waiting.command for waiting in batch], wait=wait)
            await failpoint("gateway.before-answers")
            self._settle(batch, outcome)
        except CommitUnknown as error:
            cause = repr(error.__cause__)
            log.warning(
                "gateway.commit-unknown",
                service=self.writing.service,
                commands=len(batch),
                error=cause,
            )
            self._fail(batch, Unavailable("outcome-unknown", OUTCOME_UNKNOWN))
        except asyncpg.LockNotAvailableError:
            self._fail(batch, Unavailable("busy", BUSY))
        except Exception as error:
            await self._failed(batch, error, wait=wait)

    async def _transaction(self, commands: Sequence[Command], *, wait: bool) -> Outcome:
        async with self.pool.acquire(timeout=ACQUIRE_SECONDS) as connection:
            return await Batch(self.writing, self.cache, commands, wait=wait).run(connection)

    async def _failed(self, batch: Sequence[_Waiting], error: Exception, *, wait: bool) -> None:
        """Nothing is written. If one command is to blame, the others must not suffer: run them one by one."""
        if (outage := outage_of(error)) is not None:
            self._fail(batch, outage)
        elif len(batch) == 1:
            log.error("gateway.command-failed", service=self.writing.service, exc_info=error)
            self._fail(batch, error)
        else:
            log.warning(
                "gateway.batch-failed",
                service=self.writing.service,
                commands=len(batch),
                error=repr(error),
            )
            for waiting in batch:
                await self._run_batch([waiting], wait=wait)

    def _settle(self, batch: Sequence[_Waiting], outcome: Outcome) -> None:
        for number, done in outcome.done.items():
            _answer(batch[number].answer, done)
            self._count("repeated" if done.repeated else "committed")
        for number, refusal in outcome.refused.items():
            _refuse(batch[number].answer, refusal)
            self._count("refused" if isinstance(refusal, Refusal) else "failed")
        if outcome.done:
            self.committed()
        self._again([batch[number] for number in outcome.again])
        for group in outcome.elsewhere:
            self._start_waiting([batch[number] for number in group])

    def _again(self, batch: Sequence[_Waiting]) -> None:
        for waiting in reversed(batch):
            waiting.rounds += 1
            if waiting.rounds > ROUNDS:
                self._fail([waiting], Unavailable("busy", BUSY))
            else:
                self._queue.appendleft(waiting)
        if batch:
            self._wake()

    def _start_waiting(self, batch: Sequence[_Waiting]) -> None:
        task = asyncio.create_task(self._run_batch(batch, wait=True))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _fail(self, batch: Sequence[_Waiting], error: Exception) -> None:
        for waiting in batch:
            _refuse(waiting.answer, error)
            self._count("unavailable" if isinstance(error, Unavailable) else "failed")

    def _count(self, outcome: str) -> None:
        metrics.commands(self.writing.service, outcome).inc()


def _answer(future: "asyncio.Future[Any]", done: Done) -> None:
    if not future.done():
        future.set_result(done)


def _refuse(future: "asyncio.Future[Any]", error: Exception) -> None:
    if not future.done():
        future.set_exception(error)
