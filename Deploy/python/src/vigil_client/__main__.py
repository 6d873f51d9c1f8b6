"""``python -m vigil_client``: a store, a stream or a running service into a data lake."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime

from . import Observations, VigilError, __version__, connect, open_store, read_stream


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command; the exit status: 0 done, 1 failed with one line, 2 used wrongly."""
    options = _parser().parse_args(arguments)
    try:
        source = _source(options)
        if options.command == "parquet":
            rows = source.write_parquet(options.path, partition=options.partition, replace=options.replace)
            print(f"{rows} rows written to {options.path}")
        elif options.command == "delta":
            counts = source.write_delta(options.path, mode=options.mode, partition=options.partition)
            print(f"{counts['inserted']} rows inserted, {counts['updated']} updated in {options.path}")
        else:
            _show(source)
    except VigilError as error:
        print(f"vigil-client: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 0
    return 0


def _show(source: Observations) -> None:
    """Samples, patients and times of each vital, as tab-separated lines."""
    table = source.arrow()
    counted = (
        table.select(["code", "patient", "time"])
        .set_column(1, "patient", table["patient"].cast("string"))
        .set_column(0, "code", table["code"].cast("string"))
        .group_by("code")
        .aggregate([("time", "count"), ("patient", "count_distinct"), ("time", "min"), ("time", "max")])
        .sort_by("code")
    )
    print("code\tsamples\tpatients\tfirst\tlast")
    for row in counted.to_pylist():
        first, last = (row[name].isoformat(timespec="milliseconds") for name in ("time_min", "time_max"))
        print(f"{row['code']}\t{row['time_count']}\t{row['patient_count_distinct']}\t{first}\t{last}")
    print(f"{table.num_rows} samples", file=sys.stderr)


def _source(options: argparse.Namespace) -> Observations:
    codes = [name for text in options.codes for name in text.split(",")]
    if options.tenant is not None and not options.url:
        raise VigilError("--tenant is for --url: a store or stream is read of all tenants, and `tenant` is a column")
    if options.store:
        return open_store(
            options.store, vigil=options.vigil, patients=options.patient, codes=codes, start=options.start,
            end=options.end, master_key=options.master_key)
    if options.stream:
        if options.patient or codes or options.start or options.end:
            raise VigilError("a stream is read whole: choose when it is exported")
        return read_stream(sys.stdin.buffer if options.stream == "-" else options.stream)
    if len(options.patient) != 1:
        raise VigilError("--url reads one patient: name one with --patient ID")
    token = os.environ.get(options.token_env) if options.token_env else None
    if options.token_env and not token:
        raise VigilError(f"the environment has no {options.token_env}")
    service = connect(options.url, token, purpose=options.purpose)
    return service.observations(
        options.patient[0], tenant=options.tenant, codes=codes, start=options.start, end=options.end)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vigil-client",
        description="Vital signs kept by Vigil into a data lake.",
        epilog="example: vigil-client parquet lake --store var/vigil --codes hr,spo2",
    )
    parser.add_argument("--version", action="version", version=__version__)
    commands = parser.add_subparsers(dest="command", required=True)
    show = commands.add_parser("show", help="samples, patients and times of each vital")
    parquet = commands.add_parser("parquet", help="a folder of hive-partitioned Parquet files")
    parquet.add_argument("path", help="the folder")
    parquet.add_argument(
        "--partition", type=_names, default=["tenant", "code", "date"], metavar="NAME,...",
        help="columns that become folders (default tenant,code,date)")
    parquet.add_argument("--replace", action="store_true", help="put the partitions written in place of earlier ones")
    delta = commands.add_parser("delta", help="a Delta table; the same rows again change nothing")
    delta.add_argument("path", help="the table's folder or address")
    delta.add_argument("--mode", choices=["append", "overwrite"], default="append")
    delta.add_argument(
        "--partition", type=_names, default=["date"], metavar="NAME,...", help="columns it is partitioned by")
    for command in (show, parquet, delta):
        _add_source(command)
    return parser


def _add_source(parser: argparse.ArgumentParser) -> None:
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--store", metavar="PATH", help="a store directory, read through the program vigil")
    source.add_argument("--stream", metavar="FILE", help="what `vigil export --format arrow` wrote; - is standard input")
    source.add_argument("--url", help="a running service; one patient")
    parser.add_argument("--vigil", default="vigil", metavar="PATH", help="the program (default: of the PATH)")
    parser.add_argument(
        "--master-key", metavar="REF", help="of an encrypted store: env:NAME, file:PATH or command:/PATH")
    parser.add_argument("--token-env", metavar="NAME", help="environment variable that holds api.token")
    parser.add_argument("--purpose", metavar="TEXT", help="why it is read, for the audit chain")
    parser.add_argument("--tenant", metavar="NAME", help="with --url: of this tenant, where several know such a patient")
    parser.add_argument("--patient", action="append", default=[], metavar="ID", help="only this patient; repeats")
    parser.add_argument("--codes", action="append", default=[], metavar="KEY,...", help="only these vitals; repeats")
    parser.add_argument("--start", type=_time, metavar="T", help="first event time, with time zone")
    parser.add_argument("--end", type=_time, metavar="T", help="end of event times, not included")


def _names(text: str) -> list[str]:
    return [name for name in text.split(",") if name]


def _time(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text} is no time; write it such as 2026-01-31T00:00:00Z") from error
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text} has no time zone; write {moment.isoformat()}Z")
    return moment


if __name__ == "__main__":
    sys.exit(main())
