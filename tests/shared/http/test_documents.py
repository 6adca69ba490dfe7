"""What a service publishes about itself."""

import json
import re
from pathlib import Path
from typing import Any

import httpx
import pytest
from fastapi import APIRouter
from openapi_spec_validator import OpenAPIV31SpecValidator

from shared.http.app import create_app
from shared.http.mounting import mounted
from shared.http.routes import service_router
from tests.shared.http.toy import SETTINGS, Client, toy_client


async def openapi(client: Client) -> dict[str, Any]:
    document: dict[str, Any] = (await client.http.get("/openapi.json")).json()
    return document


async def test_the_document_is_openapi_3_1(client: Client) -> None:
    document = await openapi(client)
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    assert document["servers"] == [{"url": "/toy"}]


async def test_every_operation_names_itself_and_its_refusals(client: Client) -> None:
    document = await openapi(client)
    operations = [operation for path in document["paths"].values() for operation in path.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(set(ids)) == len(ids) == 10
    for operation in operations:
        for status, response in operation["responses"].items():
            if int(status) >= 400:
                schema = response["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}
    assert "HTTPValidationError" not in json.dumps(document)


async def test_headers_and_refusals_of_the_edge_are_documented(client: Client) -> None:
    paths = (await openapi(client))["paths"]
    write = paths["/v1/notes"]["post"]
    assert set(write["responses"]) == {
        "201", "400", "401", "403", "404", "409", "413", "415", "422", "500", "503",
    }  # fmt: skip
    assert write["security"] == [{"bearer": []}]
    assert {(parameter["name"], parameter["required"]) for parameter in write["parameters"]} == {
        ("Idempotency-Key", True),
        ("Acting-Person", False),
    }
    replace = paths["/v1/notes/{note}"]["put"]
    assert {parameter["name"] for parameter in replace["parameters"]} == {"note", "If-Match", "Acting-Person"}
    assert {"412", "428"} <= set(replace["responses"])
    assert "Consistency-Token" in {parameter["name"] for parameter in paths["/v1/notes/{note}"]["get"]["parameters"]}
    assert "security" not in paths["/livez"]["get"]


async def test_the_pages_need_no_network(client: Client) -> None:
    page = await client.http.get("/docs")
    assert page.status_code == 200
    assert "http://" not in page.text and "https://" not in page.text
    for asset in re.findall(r'(?:src|href)="([^"]+)"', page.text):
        assert (await client.http.get(asset)).status_code == 200, asset
    assert (await client.http.get("/docs/swagger-ui-bundle.js")).headers["content-type"].startswith("text/javascript")


@pytest.mark.parametrize("path", ["/docs/redoc.standalone.js", "/docs/..%2F__init__.py", "/schemas/..%2Fsecret.txt"])
async def test_no_other_files_are_served(client: Client, path: str) -> None:
    assert (await client.http.get(path)).status_code == 404


async def test_message_schemas_are_served(tmp_path: Path) -> None:
    schemas = tmp_path / "schemas"
    schemas.mkdir()
    (schemas / "toy.note-written.v1.schema.json").write_text('{"type": "object"}')
    (schemas / "released.sha256").write_text("secret")
    async with toy_client(tmp_path, schemas=schemas) as client:
        found = await client.http.get("/schemas/toy.note-written.v1.schema.json")
        assert (found.json(), found.headers["content-type"]) == ({"type": "object"}, "application/schema+json")
        assert (await client.http.get("/schemas/released.sha256")).status_code == 404
        missing = await client.http.get("/schemas/toy.other.v1.schema.json")
        assert "toy.note-written.v1.schema.json" in missing.json()["detail"]


async def test_probes_tell_reasons(client: Client) -> None:
    assert (await client.http.get("/livez")).json() == {"status": "live"}
    assert (await client.http.get("/readyz")).json() == {"status": "ready"}
    client.service.reasons.append("migrations are missing")
    client.service.stuck.append("no progress for 60 s")
    ready = await client.http.get("/readyz")
    assert (ready.status_code, ready.json()["reasons"]) == (503, ["migrations are missing"])
    assert ready.headers["content-type"] == "application/problem+json"
    live = await client.http.get("/livez")
    assert (live.status_code, live.json()["reasons"]) == (503, ["no progress for 60 s"])


async def test_services_are_mounted_with_their_lives_and_names(tmp_path: Path) -> None:
    async with toy_client(tmp_path) as first, toy_client(tmp_path) as second:
        root = mounted({"toy": first.app, "other": second.app})
        first.app.state.service = second.app.state.service = None
        transport = httpx.ASGITransport(root)
        async with (
            root.router.lifespan_context(root),
            httpx.AsyncClient(transport=transport, base_url="http://root") as http,
        ):
            assert first.app.state.service is first.service
            assert second.app.state.service is second.service
            index = await http.get("/")
            assert 'href="/toy/docs"' in index.text and 'href="/other/openapi.json"' in index.text
            assert "/other/docs/swagger-ui.css" in (await http.get("/other/docs")).text
            assert (await http.get("/toy/openapi.json")).json()["servers"] == [{"url": "/toy"}]
            page = (await http.get("/toy/v1/notes", headers=first.bearer())).json()
            assert page["next"].startswith("/toy/v1/notes?limit=20&after=")
            assert (await http.get(page["next"], headers=first.bearer())).status_code == 200
            headers = {"idempotency-key": "k", **first.bearer()}
            assert (await http.post("/toy/v1/notes", json={"title": "a"}, headers=headers)).status_code == 201
            assert first.service.got[-1][2].route == "POST /toy/v1/notes"
            wrong = await http.delete("/toy/v1/notes")
            assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD, OPTIONS, POST")
            for path in ("/nothing", "/toy", "/toyx/v1/notes"):
                nothing = await http.get(path)
                assert (nothing.status_code, nothing.json()["type"]) == (404, "/problems/no-such-path")


async def test_what_a_service_serves_at_the_root_is_served_there_by_get_only(tmp_path: Path) -> None:
    async with toy_client(tmp_path, roots=("v1",)) as toy:
        root = mounted({"toy": toy.app})
        async with (
            root.router.lifespan_context(root),
            httpx.AsyncClient(transport=httpx.ASGITransport(root), base_url="http://root") as http,
        ):
            for path in ("/v1/notes", "/toy/v1/notes"):
                assert (await http.get(path, headers=toy.bearer())).status_code == 200
            for method in ("HEAD", "POST", "OPTIONS"):
                refused = await http.request(method, "/v1/notes", headers=toy.bearer())
                assert (refused.status_code, refused.headers["allow"]) == (405, "GET")
                assert refused.headers["x-request-id"]
            for path in ("/v1", "/v2/notes"):
                assert (await http.get(path)).status_code == 404


async def test_the_development_issuer_signs_for_a_service(client: Client) -> None:
    app = client.issuer.app()
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dev") as http,
    ):
        answer = await http.post("/tokens", json={"sub": "ana", "org": "acme", "scope": "import", "ttl": 60})
        assert answer.status_code == 201
        token = answer.json()
        assert (token["token_type"], token["expires_in"]) == ("Bearer", 60)
        headers = {"authorization": f"Bearer {token['access_token']}"}
        assert (await client.http.get("/v1/whoami", headers=headers)).json()["subject"] == "ana"
        assert [key["kid"] for key in (await http.get("/jwks.json")).json()["keys"]] == ["dev-1"]
        refusal = await http.post("/tokens", json={"sub": "", "org": "acme", "ttl": 10**9})
        assert [error["pointer"] for error in refusal.json()["errors"]] == ["/sub", "/ttl"]


def test_routes_are_async_and_routers_flat() -> None:
    router = service_router()
    with pytest.raises(TypeError, match="async def"):
        router.get("/v1/sync", operation_id="sync")(lambda: None)
    outer = APIRouter()
    outer.include_router(service_router())
    nested = service_router()
    nested.get("/v1/x", operation_id="x")(_nothing)
    outer.include_router(nested)
    with pytest.raises(TypeError, match="by itself"):
        create_app(
            name="toy", title="Toy", description="", settings=SETTINGS.model_copy(update={"auth_jwks_url": "https://x/"}),
            open_service=lambda: None, routers=[outer],  # type: ignore[arg-type, return-value]
        )  # fmt: skip


async def _nothing() -> None:
    pass
