"""Content over HTTP, by aggregate."""

from collections.abc import Sequence

from fastapi import APIRouter

from services.content.api import comments, links, posts, reactions, shares

ROUTERS: Sequence[APIRouter] = (posts.router, comments.router, reactions.router, shares.router, links.router)
