"""Hot statements: SQL text compiled once by SQLAlchemy Core, run on the DBAPI cursor.

Twice as cheap as executing Core objects (spine-performance, point 5), and still one definition of tables.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Table
from sqlalchemy.dialects.sqlite import dialect
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

_DIALECT = dialect(paramstyle="qmark")


class Insert:
    """`insert(cursor, *values)`: one row, values in the order of the columns named."""

    def __init__(self, table: Table, *columns: str, ignore: bool = False) -> None:
        statement = sqlite_insert(table)
        if ignore:
            statement = statement.on_conflict_do_nothing()
        compiled = statement.compile(dialect=_DIALECT, column_keys=list(columns))
        self.sql = str(compiled)
        order: list[str] = list(compiled.positiontup or ())
        self._order = [columns.index(name) for name in order]
        self._in_order = self._order == list(range(len(columns)))

    def __call__(self, cursor: Any, *values: object) -> bool:
        """True when the row was written, False when an equal key was there already."""
        row = values if self._in_order else tuple(values[index] for index in self._order)
        cursor.execute(self.sql, row)
        return bool(cursor.rowcount)
