"""Samples on their way from Vigil into tables.

Every table has one row a sample and the columns of ``SCHEMA`` (docs/formats/arrow.md):

=============  ===========================  =====================================================================
column         type                         meaning
=============  ===========================  =====================================================================
tenant         text                         organisation
patient        text                         opaque id, as the devices' assignments name it
device         text                         what sent it
code           text                         registry key of the vital sign: ``hr``, ``spo2``
source         text or null                 sensor or method: ``pleth``, ``cuff``
time           timestamp, ms, UTC           when the device measured
ingest_time    timestamp, ms, UTC           when Vigil received it
value          float64                      nearest double of the number as received
unit           text                         UCUM code or alias, as received: never converted
mantissa       int64                        with ``exponent`` the number exactly as received:
exponent       int8                         mantissa x 10 ** exponent
letter         text or null                 what ``value`` stands for where a vital is sent as letters: ``A`` ... ``U``
status         text                         ``ok``, ``lead-off``, ``artifact``, ``searching``, ``calibrating``,
                                            ``low-battery``
quality        float32 or null              0 to 1, as the device gave it
seq            int64 or null                the device's own number of the message
flags          uint16                       marks, see ``Flag``
superseded     bool                         a later value took its place; only there when asked for
=============  ===========================  =====================================================================

Texts are dictionary-encoded (pandas: category, polars: Categorical).
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from .errors import VigilError

if TYPE_CHECKING:
    import duckdb
    import pandas
    import polars

_NAME = pa.dictionary(pa.int32(), pa.utf8())
_TIME = pa.timestamp("ms", "UTC")

SCHEMA = pa.schema(
    [
        pa.field("tenant", _NAME, nullable=False),
        pa.field("patient", _NAME, nullable=False),
        pa.field("device", _NAME, nullable=False),
        pa.field("code", _NAME, nullable=False),
        pa.field("source", _NAME),
        pa.field("time", _TIME, nullable=False),
        pa.field("ingest_time", _TIME, nullable=False),
        pa.field("value", pa.float64(), nullable=False),
        pa.field("unit", _NAME, nullable=False),
        pa.field("mantissa", pa.int64(), nullable=False),
        pa.field("exponent", pa.int8(), nullable=False),
        pa.field("letter", _NAME),
        pa.field("status", _NAME, nullable=False),
        pa.field("quality", pa.float32()),
        pa.field("seq", pa.int64()),
        pa.field("flags", pa.uint16(), nullable=False),
        pa.field("superseded", pa.bool_(), nullable=False),
    ]
)

#: With these the device itself says that the number tells nothing about the patient.
SENSOR_OFF = ("lead-off", "searching", "calibrating")


class Flag(enum.IntFlag):
    """Bits of the ``flags`` column."""

    TIME_RECEIVED = 1
    UNCERTAIN = 2
    CORRECTED = 4
    CLOCK_CORRECTED = 8
    REDELIVERED = 16
    END_OF_MESSAGE = 32
    HAS_SEQUENCE = 64
    SIMULATED = 128
    DEVICE_RESTARTED = 256


Opener = Callable[[], AbstractContextManager[pa.RecordBatchReader]]


class Observations:
    """Samples that can be read, again each time one of the methods is called.

    Nothing is read before. What comes from a file object or another pipe can be read once.
    """

    def __init__(self, opener: Opener) -> None:
        self._opener = opener

    @contextmanager
    def reader(self) -> Iterator[pa.RecordBatchReader]:
        """Batch by batch, of up to 65,536 rows each: for what does not fit into memory.

        >>> with vigil.open_store("var/vigil").reader() as batches:
        ...     for batch in batches: ...
        """
        with self._opener() as reader:
            _check(reader.schema)
            yield reader

    def arrow(self) -> pa.Table:
        """All of it as one table."""
        with self.reader() as reader:
            table: pa.Table = reader.read_all().unify_dictionaries()
        return table

    def pandas(self) -> pandas.DataFrame:
        """As a DataFrame: texts are categories, times are ``datetime64[ms, UTC]``, ``seq`` is ``Int64`` with nulls."""
        module = need("pandas")
        frame: pandas.DataFrame = self.arrow().to_pandas(types_mapper={pa.int64(): module.Int64Dtype()}.get)
        # Only `seq` has nulls; a plain integer is what programs expect of the other.
        frame["mantissa"] = frame["mantissa"].astype("int64")
        return frame

    def polars(self) -> polars.DataFrame:
        """As a polars DataFrame: texts are Categorical, times ``Datetime("ms", "UTC")``."""
        frame: polars.DataFrame = need("polars").from_arrow(self.arrow())
        return frame

    def duckdb(self, connection: duckdb.DuckDBPyConnection | None = None) -> duckdb.DuckDBPyRelation:
        """As a relation to go on from in SQL or by its methods; of the connection, or of DuckDB's own."""
        module = need("duckdb")
        return (connection or module).from_arrow(self.arrow())

    def wide(
        self,
        *,
        index: Sequence[str] = ("tenant", "patient", "device", "time"),
        keep_sensor_off: bool = False,
    ) -> pa.Table:
        """One row for each ``index``, one float64 column a vital, in order of their codes; null where there is no value.

        Values that were superseded are left out, and so are those measured with the sensor off unless asked for. Of
        several values in one place (two sources at one time) the one received last stands. The unit of a column is in
        its field's metadata, ``unit``.

        Raises ``VigilError`` where one vital came in several units: a column has one.
        """
        table = self.arrow()
        chosen = pc.invert(table["superseded"])
        if not keep_sensor_off:
            off = pc.is_in(table["status"].cast(pa.utf8()), value_set=pa.array(SENSOR_OFF))
            chosen = pc.and_(chosen, pc.invert(off))
        table = table.filter(chosen)
        units = _units(table)
        names = [*index, "code"]
        rows = table.select([*names, "ingest_time", "value"]).sort_by("ingest_time")
        for number, field in enumerate(rows.schema):
            if pa.types.is_dictionary(field.type):
                rows = rows.set_column(number, field.name, rows[field.name].cast(pa.utf8()))
        # "last" is of the order just made, which threads would not keep.
        rows = rows.group_by(names, use_threads=False).aggregate([("value", "last")])
        options = pc.PivotWiderOptions(sorted(units), unexpected_key_behavior="raise")
        made = rows.group_by(list(index), use_threads=False).aggregate(
            [(["code", "value_last"], "pivot_wider", options)])
        made = _flattened(made, list(index), units)
        return made.sort_by([(name, "ascending") for name in index])

    def write_parquet(
        self, path: str, *, partition: Sequence[str] = ("tenant", "code", "date"), replace: bool = False
    ) -> int:
        """Writes a folder of Parquet files, hive-partitioned (``code=hr/date=2026-01-01/``), and returns the rows.

        ``date`` is the UTC day of ``time``. Numbers and times are DELTA_BINARY_PACKED, everything is zstd. It streams:
        memory holds batches, not the store. ``replace`` puts the partitions written in place of those of the same name
        and leaves others alone, so that a day can be exported again; without it a folder that is not empty is refused.
        Files are written beside the folder and moved in when the source was read to its end: what fails leaves the folder
        as it was.
        """
        from .lake import write_parquet

        return write_parquet(self, path, tuple(partition), replace)

    def write_delta(
        self,
        path: str,
        *,
        mode: str = "append",
        key: Sequence[str] | None = ("tenant", "patient", "device", "code", "source", "time"),
        partition: Sequence[str] = ("date",),
    ) -> dict[str, int]:
        """Writes a Delta table and returns the rows ``inserted`` and ``updated``.

        ``append`` with a ``key`` is idempotent: a row whose key the table has is updated unless that was received later, so
        that the same export twice changes nothing, a correction takes the place of what it corrects, and an older export
        does not undo it (superseded values are left out; the table's history has them). ``key=None`` appends without
        looking. ``overwrite`` makes the table anew.
        """
        from .lake import write_delta

        return write_delta(self, path, mode, tuple(key) if key else None, tuple(partition))


def exact(table: pa.Table) -> list[Decimal]:
    """The numbers exactly as received, trailing zeros kept: mantissa x 10 ** exponent."""
    # 18 digits, and as many zeros behind them, are never rounded.
    context = Context(prec=40)
    pairs = zip(table["mantissa"].to_pylist(), table["exponent"].to_pylist())
    return [Decimal(mantissa).scaleb(exponent, context) for mantissa, exponent in pairs]


def need(module: str) -> Any:
    """An optional package, or one line that says how to get it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        extra = "delta" if module == "deltalake" else module
        raise VigilError(f"{module} is not installed: pip install 'vigil-client[{extra}]'") from error


def _check(schema: pa.Schema) -> None:
    """A stream of another table or version is refused: its columns would be taken for ours."""
    notes = schema.metadata or {}
    table, version = notes.get(b"vigil.table"), notes.get(b"vigil.version")
    if table != b"observations":
        raise VigilError("this Arrow stream is not one of Vigil's observations")
    if version != b"1":
        raise VigilError(f"observations of version {(version or b'?').decode()}; this package reads 1: update vigil-client")


def _units(table: pa.Table) -> dict[str, str]:
    """The unit of each code."""
    pairs = table.select(["code", "unit"]).group_by(["code", "unit"]).aggregate([]).to_pylist()
    units: dict[str, str] = {}
    for pair in sorted(pairs, key=lambda pair: (pair["code"], pair["unit"])):
        first = units.setdefault(pair["code"], pair["unit"])
        if first != pair["unit"]:
            raise VigilError(
                f"{pair['code']} came in several units ({first}, {pair['unit']}): convert before pivoting, or choose codes")
    return units


def _flattened(table: pa.Table, index: list[str], units: dict[str, str]) -> pa.Table:
    columns = [table[name] for name in index]
    fields = [table.schema.field(name) for name in index]
    pivoted = table.column(table.num_columns - 1).combine_chunks() if units else None
    for code in sorted(units):
        assert pivoted is not None
        columns.append(pc.struct_field(pivoted, code))
        fields.append(pa.field(code, pa.float64(), metadata={"unit": units[code]}))
    return pa.Table.from_arrays(columns, schema=pa.schema(fields))
