"""Files of a data lake: hive-partitioned Parquet, and Delta tables."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute as pc

from .errors import VigilError, line
from .observations import SCHEMA, need

if TYPE_CHECKING:
    from .observations import Observations

#: Integers that grow steadily or lie close together: a few bits each as differences.
DELTA_PACKED = ("time", "ingest_time", "mantissa", "seq")
#: Rows of one merge into a Delta table: what is held in memory.
MERGE_ROWS = 1_000_000


def dated(batch: pa.RecordBatch) -> pa.RecordBatch:
    """With the column ``date``, the UTC day of ``time``, and texts as texts: dictionaries are Parquet's own business."""
    columns = [
        column.cast(pa.utf8()) if pa.types.is_dictionary(column.type) else column for column in batch.columns]
    day = pc.cast(pc.floor_temporal(batch["time"], unit="day"), pa.date32(), safe=False)
    return pa.RecordBatch.from_arrays([*columns, day], schema=DATED)


def _dated_schema() -> pa.Schema:
    fields = [
        pa.field(field.name, pa.utf8() if pa.types.is_dictionary(field.type) else field.type, field.nullable)
        for field in SCHEMA
    ]
    return pa.schema([*fields, pa.field("date", pa.date32(), nullable=False)])


DATED = _dated_schema()


def write_parquet(source: Observations, path: str, partition: tuple[str, ...], replace: bool) -> int:
    path = os.fspath(path)
    unknown = [name for name in partition if name not in DATED.names]
    if unknown:
        raise VigilError(f"no column `{unknown[0]}` to partition by; there are {', '.join(DATED.names)}")
    if "://" in path:
        raise VigilError(f"{path}: Parquet is written to a folder of this machine; copy it from there")
    # A link stays one: what it leads to is written.
    folder = os.path.realpath(path)
    try:
        if not replace and os.path.isdir(folder) and os.listdir(folder):
            raise VigilError(f"{path}: not empty; choose another folder, or replace its partitions with replace=True")
        with _beside(folder) as (made, old):
            rows = _write_files(source, made, partition)
            # Only what was read to its end comes here.
            for place in _leaves(made, len(partition)):
                _put(os.path.join(made, place), os.path.normpath(os.path.join(folder, place)), os.path.join(old, place))
            os.makedirs(folder, exist_ok=True)
    except (OSError, pa.ArrowException) as error:
        raise VigilError(f"{path}: {line(error)}") from error
    return rows


@contextmanager
def _beside(folder: str) -> Iterator[tuple[str, str]]:
    """A folder to write into and one for what it replaces, on the same disk; both are gone afterwards."""
    holder, name = os.path.split(folder)
    os.makedirs(holder, exist_ok=True)
    if os.path.ismount(folder) or not os.access(holder, os.W_OK):
        holder = folder
    # Readers of a lake pass over names that begin with a dot.
    scratch = os.path.join(holder, f".{name}-{uuid.uuid4().hex[:12]}.partial")
    made, old = os.path.join(scratch, "new"), os.path.join(scratch, "old")
    os.mkdir(scratch)
    try:
        os.mkdir(made)
        yield made, old
    finally:
        shutil.rmtree(scratch, ignore_errors=True)


def _write_files(source: Observations, folder: str, partition: tuple[str, ...]) -> int:
    import pyarrow.dataset as ds

    kept = [name for name in DATED.names if name not in partition]
    format = ds.ParquetFileFormat()
    texts = [name for name in kept if pa.types.is_string(DATED.field(name).type)]
    options = format.make_write_options(
        compression="zstd",
        compression_level=9,
        use_dictionary=texts,
        column_encoding={name: "DELTA_BINARY_PACKED" for name in DELTA_PACKED if name in kept},
    )
    rows = 0

    with source.reader() as reader:

        def batches() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in reader:
                rows += batch.num_rows
                yield dated(batch)

        ds.write_dataset(
            pa.RecordBatchReader.from_batches(DATED, batches()),
            folder,
            format=format,
            file_options=options,
            # A name of its own for each run: files of two lakes can be put together.
            basename_template=f"part-{uuid.uuid4().hex[:12]}-{{i}}.parquet",
            partitioning=ds.partitioning(pa.schema([DATED.field(name) for name in partition]), flavor="hive"),
            # Row groups of at least this many rows, or a batch over many vitals and days would be as many tiny ones.
            min_rows_per_group=32_768,
            max_rows_per_group=1 << 20,
            max_open_files=512,
            max_partitions=100_000,
        )
    return rows


def _leaves(folder: str, depth: int) -> list[str]:
    """The partitions in a folder, by their paths in it; of a folder without any it is the folder itself."""
    places = [""]
    for _ in range(depth):
        places = [os.path.join(place, name) for place in places for name in os.listdir(os.path.join(folder, place))]
    return [place for place in sorted(places) if os.listdir(os.path.join(folder, place))]


def _put(new: str, target: str, old: str) -> None:
    """Moves a partition to its place; what was there goes to ``old``, and comes back where that fails."""
    os.makedirs(os.path.dirname(target), exist_ok=True)
    is_there = os.path.lexists(target)
    if is_there:
        os.makedirs(os.path.dirname(old.rstrip(os.sep)), exist_ok=True)
        os.rename(target, old)
    try:
        os.rename(new, target)
    except OSError:
        if is_there:
            os.rename(old, target)
        raise


# Delta Lake has neither unsigned integers nor milliseconds.
_DELTA = pa.schema(
    [
        pa.field(
            field.name,
            pa.int32() if pa.types.is_uint16(field.type)
            else pa.timestamp("us", "UTC") if pa.types.is_timestamp(field.type)
            else field.type,
            field.nullable,
        )
        for field in DATED
    ]
)


def write_delta(
    source: Observations, path: str, mode: str, key: tuple[str, ...] | None, partition: tuple[str, ...]
) -> dict[str, int]:
    lake = need("deltalake")
    if mode not in ("append", "overwrite"):
        raise VigilError(f"mode is append or overwrite, not {mode}")
    for name in (*(key or ()), *partition):
        if name not in _DELTA.names:
            raise VigilError(f"no column `{name}`; there are {', '.join(_DELTA.names)}")
    counts = {"inserted": 0, "updated": 0}
    try:
        exists = lake.DeltaTable.is_deltatable(path)
        with source.reader() as reader:
            if mode == "append" and key and exists:
                for table in _pieces(_converted(reader)):
                    _merge(lake.DeltaTable(path), table, key, counts)
            else:
                batches = _converted(reader)
                if key:
                    batches = (_current(batch) for batch in batches)
                data = pa.RecordBatchReader.from_batches(_DELTA, _counted(batches, counts))
                lake.write_deltalake(path, data, mode=mode, partition_by=list(partition) or None)
    except lake.exceptions.DeltaError as error:
        raise VigilError(f"{path}: {line(error)}") from error
    return counts


def _converted(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    for batch in reader:
        yield dated(batch).cast(_DELTA)


def _counted(batches: Iterator[pa.RecordBatch], counts: dict[str, int]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        counts["inserted"] += batch.num_rows
        yield batch


def _current(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Without what was superseded: a key must name one row."""
    return batch.filter(pc.invert(batch["superseded"]))


def _pieces(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.Table]:
    held: list[pa.RecordBatch] = []
    for batch in batches:
        held.append(_current(batch))
        if sum(batch.num_rows for batch in held) >= MERGE_ROWS:
            yield pa.Table.from_batches(held, _DELTA)
            held = []
    if held:
        yield pa.Table.from_batches(held, _DELTA)


def _merge(target: Any, table: pa.Table, key: tuple[str, ...], counts: dict[str, int]) -> None:
    if table.num_rows == 0:
        return
    # `source` may be null, and null is equal to nothing in SQL.
    equal = [
        f"(target.{name} IS NOT DISTINCT FROM source.{name})" if _DELTA.field(name).nullable
        else f"target.{name} = source.{name}"
        for name in key
    ]
    # Only the files of these days are opened.
    days = pc.min_max(table["date"]).as_py()
    equal.append(f"(target.date BETWEEN DATE '{days['min']}' AND DATE '{days['max']}')")
    columns = {name: f"source.{name}" for name in _DELTA.names}
    # An equal row stays as it is, so that the same export again changes nothing; and so does one that was received after
    # ours: an export made before a correction and loaded after it must not bring the old value back.
    changed = " OR ".join(
        f"(target.{name} IS DISTINCT FROM source.{name})" for name in _DELTA.names if name not in key)
    done = (
        target.merge(table, " AND ".join(equal), source_alias="source", target_alias="target")
        .when_matched_update(columns, predicate=f"source.ingest_time >= target.ingest_time AND ({changed})")
        .when_not_matched_insert(columns)
        .execute()
    )
    counts["inserted"] += done["num_target_rows_inserted"]
    counts["updated"] += done["num_target_rows_updated"]
