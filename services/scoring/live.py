"""Leaderboards as they change: a process looks at a board once for all who watch it, and only after something was folded.

A page is told apart from others by a digest of what it shows. So its id means the same in every process, and after a
restart: a reader who comes back with the id of the page that stands gets nothing new, wherever it was before.
"""

import asyncio
import contextlib
import hashlib
import time
from collections import OrderedDict, deque
from collections.abc import Coroutine
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import structlog

from services.scoring import boardreads
from services.scoring.boardresources import BoardChange, BoardItem, BoardPlace, BoardSnapshot
from services.scoring.boards import Metric
from services.scoring.leaderboards import Leaderboards, not_a_member
from services.scoring.reader import Reader
from shared.errors import NotFound
from shared.http.problems import refusal_of
from shared.http.sse import Event, Events

log = structlog.get_logger()

T = TypeVar("T")

SHOWN = 20
"""Members of a page."""

LOOK_SECONDS = 0.4
"""Between two looks, and so between two changes that a reader is told of."""

AT_LEAST_EVERY_SECONDS = 60
"""Looks that depend on nothing: values of activity halve with the days."""

PAGES_KNOWN = 64
BOARDS_KNOWN = 256
"""Remembered while nobody watches them, for those who come back."""


class Board(NamedTuple):
    """One leaderboard."""

    organization: str
    community: str
    metric: Metric


class Page(NamedTuple):
    """What a board shows.

    Attributes:
        number: counts the changes that this process has seen.
        id: what readers call it; equal for equal pages.
    """

    number: int
    id: str
    items: tuple[BoardItem, ...]
    change: str
    """As JSON, for all who are told of it."""


@dataclass(eq=False)
class Watcher:
    """A reader who watches. Whatever it misses while it is slow, only the page that stands waits for it."""

    person: str | None
    news: asyncio.Event = field(default_factory=asyncio.Event)
    still_member: bool = True


class Watched:
    """A board, who watches it, and the ids of the last pages that it showed."""

    def __init__(self, board: Board, boards: Leaderboards) -> None:
        self.watchers: set[Watcher] = set()
        self.known: deque[str] = deque(maxlen=PAGES_KNOWN)
        self._board = board
        self._boards = boards
        self._page: Page | None = None
        self._looking = asyncio.Lock()

    @property
    def page(self) -> Page:
        """As it stood at the last look."""
        assert self._page is not None
        return self._page

    async def look(self) -> Page:
        """Read the page, and wake those who watch if it is another one."""
        organization, community, metric = self._board
        async with self._looking:  # of two looks, the later one must not show the older page
            anybody = Reader(organization, None, all_scores=True)
            found = await self._boards.page(anybody, community, metric, day=None, after=None, limit=SHOWN)
            items = tuple(BoardItem.of(one) for one in found)
            change = BoardChange(items=list(items)).model_dump_json()
            id = hashlib.sha256(change.encode()).hexdigest()[:16]
            if self._page is None or id != self._page.id:
                self._page = Page(0 if self._page is None else self._page.number + 1, id, items, change)
                self.known.append(id)
                for watcher in self.watchers:
                    watcher.news.set()
            return self._page

    async def look_again(self) -> bool:
        """For all who watch."""
        await self.look()
        await self._dismiss()
        return True

    async def _dismiss(self) -> None:
        """Wake those who are no active members any longer."""
        persons = {watcher.person for watcher in self.watchers if watcher.person is not None}
        if not persons:
            return
        community = await self._boards.community(Reader(self._board.organization, None, True), self._board.community)
        gone = persons.difference(await self._boards.active(community, persons))
        for watcher in self.watchers:
            if watcher.person in gone:
                watcher.still_member = False
                watcher.news.set()


class Live:
    """All boards that are watched in this process."""

    def __init__(self, boards: Leaderboards) -> None:
        self._boards = boards
        self._watched: OrderedDict[Board, Watched] = OrderedDict()
        self._nobody = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def events(self, asking: Reader, community: str, metric: Metric, last_id: str | None) -> Events:
        """A snapshot, or what a reader has missed that has seen the page `last_id`; then each change.

        Raises:
            NotFound, Forbidden: as `Leaderboards.page`, also later.
        """
        await self._boards.community(asking, community)
        board = Board(asking.organization, community, metric)
        watcher = Watcher(None if asking.all_scores else asking.person)
        watched = self._watch(board, watcher)
        try:
            page = await watched.look()
            await self._boards.readable(asking, community)  # not before: whoever leaves from now on is dismissed
            if last_id == page.id:
                yield None
            elif last_id in watched.known:
                yield _change(page)
            else:
                yield await self._snapshot(asking, board, page)
            while True:
                await watcher.news.wait()
                watcher.news.clear()
                if not watcher.still_member:
                    raise not_a_member()
                before, page = page, watched.page
                if page.number == before.number + 1:
                    yield _change(page)
                elif page is not before:
                    yield await self._snapshot(asking, board, page)
        finally:
            self._leave(watched, watcher)

    async def _snapshot(self, asking: Reader, board: Board, page: Page) -> Event:
        me = None
        if asking.person is not None:
            with contextlib.suppress(NotFound):  # who may read all scores need not be a member
                place = await self._boards.place(asking, board.community, board.metric, asking.person, day=None)
                me = BoardPlace.of(asking.person, place)
        return Event("snapshot", page.id, BoardSnapshot(items=list(page.items), me=me).model_dump_json())

    def _watch(self, board: Board, watcher: Watcher) -> Watched:
        watched = self._watched.get(board)
        if watched is None:
            watched = self._watched[board] = Watched(board, self._boards)
        self._watched.move_to_end(board)
        watched.watchers.add(watcher)
        for old in [board for board, one in self._watched.items() if not one.watchers][:-BOARDS_KNOWN]:
            del self._watched[old]
        self._nobody.clear()
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._look_on())
        return watched

    def _leave(self, watched: Watched, watcher: Watcher) -> None:
        watched.watchers.discard(watcher)
        if not any(one.watchers for one in self._watched.values()):
            self._nobody.set()

    async def _look_on(self) -> None:
        """Look at the boards that somebody watches, one after the other, until nobody does."""
        seen: object = None
        while not self._nobody.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._nobody.wait(), LOOK_SECONDS)
            now = await _if_possible(self._marker())
            if now is None or now == seen:
                continue
            watched = [one for one in self._watched.values() if one.watchers]
            looked = [await _if_possible(one.look_again()) for one in watched]
            seen = now if all(looked) else None

    async def _marker(self) -> object:
        """Another one whenever a page may be."""
        return await boardreads.folded(self._boards.reader), time.time() // AT_LEAST_EVERY_SECONDS


async def _if_possible(look: Coroutine[Any, Any, T]) -> T | None:
    """What it answers. None if it cannot: whoever watches waits on, and the next look may do."""
    try:
        return await look
    except Exception as error:
        if refusal_of(error) is None:
            log.exception("live.failed")
        return None


def _change(page: Page) -> Event:
    return Event("change", page.id, page.change)
