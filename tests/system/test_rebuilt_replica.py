"""The replica of a service is rebuilt under its requests, by the command as an operator types it, also if it is killed."""

import asyncio
import signal
from pathlib import Path

import pytest

from deploy.local.postgres import EmbeddedPostgres
from tests.system.town import Town, town

POINTS = ("consumer.mid-apply", "consumer.before-commit", "rebuild.before-swap-commit")


class Writing:
    """Somebody who writes and reads all the while, which only members may, and is never refused."""

    def __init__(self, place: Town, person: str) -> None:
        self.written = 0
        self._place, self._person = place, person
        self._done = asyncio.Event()

    async def run(self) -> None:
        posts = f"/v1/communities/{self._place.community}/posts"
        while not self._done.is_set():
            await self._place.send("content", "POST", posts, self._person, {"body": f"post {self.written}"})
            await self._place.send("content", "GET", posts, self._person)
            self.written += 1

    def stop(self) -> None:
        self._done.set()


@pytest.mark.postgres
@pytest.mark.timeout(200)
async def test_requests_are_answered_alike_while_the_replica_is_rebuilt_and_replaced(
    postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    async with town(postgres, tmp_path, "rebuilt_replica") as place:
        await place.join(*(f"person-{number}" for number in range(30)))
        await place.quiet()
        connection = await place.connect("content")
        members = "select to_jsonb(members)::text from members order by community, person"
        before = await connection.fetch(members)
        assert len(before) == 32
        writing = Writing(place, "person-3")
        running = asyncio.create_task(writing.run())
        try:
            for point in POINTS:
                code, said = await place.operate(
                    "recover", service="membership", reader="content", QUNLI_FAILPOINTS=f"{point}=kill@1"
                )
                assert code in (-signal.SIGKILL, 128 + signal.SIGKILL), said
                assert await connection.fetch(members) == before
                await place.join(f"later than {point}")  # the live lanes go on
                async with asyncio.timeout(60):
                    while len(after := await connection.fetch(members)) == len(before):
                        await asyncio.sleep(0.1)
                before = after
            await connection.execute("update members set active = false, roles = '{}' where person = 'person-7'")
            said = await place.succeed("recover", service="membership", reader="content")
            assert "going on with an earlier rebuild" in said
            assert "members: 35 rows, 1 different" in said
            assert await connection.fetch(members) == before
            assert writing.written > 20
        finally:
            writing.stop()
            await running
        await connection.close()
        await place.join("the last one")
        await place.quiet()
        said = await place.succeed("recover", service="membership", reader="content")
        assert "members: 36 rows, 0 different" in said
