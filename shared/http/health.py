"""Probes and metrics: alive, ready, and in which numbers."""

import inspect
from typing import Any

from fastapi import APIRouter, Response
from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, generate_latest
from starlette.requests import Request

from shared.errors import Unavailable

REASONS = ("not-live", "not-ready")

router = APIRouter(tags=["operations"])


@router.get("/livez", operation_id="getLiveness", summary="Is the process worth keeping?")
async def live(request: Request) -> dict[str, str]:
    """503 if the service says that it is stuck; servers it depends on do not count."""
    await _no_reasons(request, "live", "not-live")
    return {"status": "live"}


@router.get("/readyz", operation_id="getReadiness", summary="Can it take requests?")
async def ready(request: Request) -> dict[str, str]:
    """503 with the reasons if it cannot serve now."""
    await _no_reasons(request, "ready", "not-ready")
    return {"status": "ready"}


@router.get("/metrics", operation_id="getMetrics", summary="Metrics of this process", response_class=Response)
async def metrics() -> Response:
    """Prometheus text format: all services of this process, told apart by the label `service`."""
    return Response(generate_latest(REGISTRY), headers={"content-type": CONTENT_TYPE_LATEST})


async def _no_reasons(request: Request, question: str, reason: str) -> None:
    ask: Any = getattr(request.scope["app"].state.service, question, None)
    reasons = ask() if ask is not None else []
    if inspect.isawaitable(reasons):
        reasons = await reasons
    if reasons:
        raise Unavailable(reason, "; ".join(reasons), reasons=list(reasons))
