"""The baseline of the row `commands`: plain FastAPI that checks the same token, headers and model, and stores nothing."""

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated
from uuid import UUID

import uvicorn
from fastapi import Depends, FastAPI, Header, HTTPException
from pydantic import SecretStr

from services.content.api.posts import NewPost
from shared.errors import Refusal
from shared.http.tokens import Identity, Tokens
from shared.settings import Settings


def application(settings: Settings) -> FastAPI:
    tokens = Tokens(settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        await tokens.close()

    async def identity(authorization: Annotated[str, Header()]) -> Identity:
        try:
            return await tokens.identity(authorization.encode())
        except Refusal as refusal:
            raise HTTPException(401, refusal.reason) from refusal

    app = FastAPI(lifespan=lifespan)

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        return {"status": "ready"}

    @app.post("/v1/communities/{community}/posts", status_code=201)
    async def publish_post(
        community: UUID,
        body: NewPost,
        caller: Annotated[Identity, Depends(identity)],
        idempotency_key: Annotated[str, Header(min_length=1, max_length=255)],
    ) -> NewPost:
        assert caller.subject and idempotency_key and community.version == 7
        return body

    return app


def main() -> int:
    settings = Settings(database_url=SecretStr("postgresql://nowhere"))
    uvicorn.run(application(settings), host=settings.host, port=settings.port, log_config=None, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
