"""Whether the tables a service declares for reading are the tables its migrations make."""

from typing import Any

import asyncpg
from sqlalchemy import MetaData
from sqlalchemy.dialects import postgresql

_COLUMNS = """
select column_name, format_type(attribute.atttypid, null) as type, is_nullable = 'YES' as nullable
  from information_schema.columns
  join pg_attribute as attribute
    on attribute.attrelid = to_regclass(table_name) and attribute.attname = column_name
 where table_schema = 'public' and table_name = $1
"""

_DIALECT: Any = postgresql.dialect
_NAMES = {"VARCHAR": "text", "TIMESTAMP WITH TIME ZONE": "timestamp with time zone", "VARCHAR[]": "text[]"}


async def check_tables(dsn: str, metadata: MetaData) -> None:
    """Every declared table has the same columns, types and nulls in the database."""
    connection: Any = await asyncpg.connect(dsn)
    try:
        for name, table in metadata.tables.items():
            found = {
                row["column_name"]: (row["type"], row["nullable"]) for row in await connection.fetch(_COLUMNS, name)
            }
            declared = {column.name: (_type(column.type), bool(column.nullable)) for column in table.columns}
            assert declared == found, name
    finally:
        await connection.close()


def _type(type: Any) -> str:
    text: str = type.compile(dialect=_DIALECT())
    return _NAMES.get(text, text.lower())
