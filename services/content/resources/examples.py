"""Ids and times of examples."""

from typing import Any

from pydantic import ConfigDict

COMMUNITY = "0193a5b0-7f6e-7c3a-9d53-2c7c1a1f6a10"
POST = "0193a5b1-0c11-7d0e-8a55-5a0b6a3a9c01"
COMMENT = "0193a5b2-0c11-7d0e-8a55-5a0b6a3a9c02"
AT = "2026-03-01T17:30:00.123456Z"


def example(**fields: Any) -> ConfigDict:
    """The configuration of a model with this example in its schema."""
    return ConfigDict(json_schema_extra={"examples": [fields]})
