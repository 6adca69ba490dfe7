"""A service served to a test: its real application over its real database, called through ASGI."""

import json
import uuid
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import jsonschema
import openapi_spec_validator
from pydantic import SecretStr

from shared.contracts import file_name
from shared.http.app import create_app
from shared.http.issuer import DevelopmentIssuer
from shared.messaging.epochs import RAISED
from shared.service import Definition, Kernel, open_kernel
from shared.settings import Settings


@dataclass(frozen=True)
class Client:
    """One caller: requests with its token. Every POST gets an Idempotency-Key of its own unless one is given."""

    http: httpx.AsyncClient
    headers: dict[str, str]

    async def get(self, path: str, **headers: str) -> httpx.Response:
        return await self._send("GET", path, headers)

    async def post(self, path: str, body: Any = None, *, key: str | None = None, **headers: str) -> httpx.Response:
        return await self._send("POST", path, {"Idempotency-Key": key or str(uuid.uuid4()), **headers}, body)

    async def patch(self, path: str, body: Any, **headers: str) -> httpx.Response:
        return await self._send("PATCH", path, headers, body)

    async def delete(self, path: str, **headers: str) -> httpx.Response:
        return await self._send("DELETE", path, headers)

    async def _send(self, method: str, path: str, headers: dict[str, str], body: Any = None) -> httpx.Response:
        content = None if body is None else json.dumps(body)
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        typed = {} if content is None else {"Content-Type": "application/json"}
        return await self.http.request(method, path, content=content, headers={**self.headers, **typed, **sent})


@dataclass(frozen=True)
class Served:
    """A service under test.

    Attributes:
        dsn: of its database.
        kernel: what its use cases work with.
    """

    dsn: str
    kernel: Kernel
    http: httpx.AsyncClient
    issuer: DevelopmentIssuer

    def person(self, person: str, organization: str = "acme") -> Client:
        return self._client(self.issuer.sign(sub=person, org=organization))

    def machine(self, scope: str, organization: str = "acme", acting: str | None = None) -> Client:
        token = self.issuer.sign(sub="machine", org=organization, scope=scope)
        return self._client(token, **({"Acting-Person": acting} if acting is not None else {}))

    def _client(self, token: str, **headers: str) -> Client:
        return Client(self.http, {"Authorization": f"Bearer {token}", **headers})


@asynccontextmanager
async def serving(definition: Definition[Any], dsn: str, folder: Path) -> AsyncIterator[Served]:
    """Serve `definition` over the database at `dsn`, which has its tables; paths begin with the service's prefix."""
    settings = Settings(mode="local", log="local", database_url=SecretStr(dsn))
    issuer = DevelopmentIssuer(settings, folder)
    async with open_kernel(definition, settings) as kernel:

        @asynccontextmanager
        async def open_service() -> AsyncIterator[Any]:
            yield definition.open(kernel)

        app = create_app(
            name=definition.name,
            title=definition.title,
            description=definition.description,
            settings=settings,
            open_service=open_service,
            routers=definition.routers(),
            schemas=definition.folder / "contracts",
            asyncapi=lambda: definition.asyncapi(partitions=settings.partitions),
            keys=issuer.keys(),
        )
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://test/") as http,
        ):
            yield Served(dsn, kernel, http, issuer)


async def check_documents(served: Served, types: Collection[str]) -> None:
    """The service's OpenAPI document is one a client can be generated from; the schemas of its messages are served."""
    document = (await served.http.get("/openapi.json")).json()
    assert document["openapi"].startswith("3.1.")
    openapi_spec_validator.validate(document)
    operations = [
        operation
        for path, methods in document["paths"].items()
        if path.startswith("/v1/")
        for operation in methods.values()
    ]
    names = [operation["operationId"] for operation in operations]
    assert names and len(names) == len(set(names))
    for operation in operations:
        assert operation["summary"] and {"401", "503"} <= operation["responses"].keys()
    for schema in document["components"]["schemas"].values():
        for example in schema.get("examples", []):
            resolved = {**schema, "components": document["components"]}
            jsonschema.Draft202012Validator(resolved).validate(example)
    events = (await served.http.get("/asyncapi.json")).json()
    service = next(iter(types)).partition(".")[0]
    published = {*types, f"{service}.{RAISED}"}
    assert {message["name"] for message in events["components"]["messages"].values()} == {*published, "watermark"}
    for type_name in published:
        answer = await served.http.get(f"/schemas/{file_name(type_name)}")
        assert answer.status_code == 200
        assert answer.json()["title"] == type_name
