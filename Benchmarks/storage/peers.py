#!/usr/bin/env python3
"""What other stores make of one exported set: a JSON line of bytes a sample for each that is installed.

usage: peers.py SET.json WORK_FOLDER

The set comes from `VigilBenchmarks storage --export`. Servers listen on a free loopback port, are told to flush and merge, and
are measured by their data files; their indexes are not counted. Every series carries its patient as a label.
"""
import json
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request

import numpy as np

MISSING = np.iinfo(np.int64).min


class Group:
    """What one device sent: stamps in ms, and for each column its decimals and whole numbers."""

    def __init__(self, described, numbers):
        rows = described["rows"]
        self.patient = described["patient"]
        self.times = numbers[:rows]
        self.columns = [
            (column["name"], column["decimals"], numbers[rows * (place + 1) : rows * (place + 2)])
            for place, column in enumerate(described["columns"])
        ]


def load(path):
    with open(path) as file:
        described = json.load(file)
    numbers = np.fromfile(path[: -len(".json")] + ".bin", dtype="<i8")
    groups, at = [], 0
    for group in described["groups"]:
        count = group["rows"] * (1 + len(group["columns"]))
        groups.append(Group(group, numbers[at : at + count]))
        at += count
    return described["set"], described["stamping"], groups


def sample_count(groups):
    return sum(int((values != MISSING).sum()) for group in groups for _, _, values in group.columns)


def series(groups):
    """Patient, name, decimals, stamps and values of every series, without what is missing."""
    for group in groups:
        for name, decimals, values in group.columns:
            present = values != MISSING
            yield group.patient, name, decimals, group.times[present], values[present]


def texts(values, decimals):
    if decimals == 0:
        return [str(value) for value in values.tolist()]
    return [f"{value / 10**decimals:.{decimals}f}" for value in values.tolist()]


def bytes_below(folder, wanted=lambda path: True):
    return sum(
        os.path.getsize(os.path.join(top, name))
        for top, _, names in os.walk(folder)
        for name in names
        if wanted(os.path.join(top, name))
    )


# Files ---------------------------------------------------------------------------------------------------------------


def parquet(groups, work):
    """The smallest of several layouts: whole numbers, one column a vital or one row a sample, zstd-19."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    path = os.path.join(work, "samples.parquet")

    def size(table, **options):
        pq.write_table(table, path, compression="zstd", compression_level=19, **options)
        return os.path.getsize(path)

    sizes = {"wide, delta": 0, "wide, dictionary": 0}
    shapes = {}
    for group in groups:
        shapes.setdefault(tuple(name for name, _, _ in group.columns), []).append(group)
    for names, alike in shapes.items():
        columns = {
            "patient": pa.array([g.patient for g in alike for _ in range(len(g.times))]).dictionary_encode(),
            "time": np.concatenate([g.times for g in alike]),
        }
        for place, name in enumerate(names):
            values = np.concatenate([g.columns[place][2] for g in alike])
            gaps = values == MISSING
            columns[name] = pa.array(np.where(gaps, 0, values).astype(np.int32), mask=gaps)
        table = pa.table(columns)
        stamps = {"time": "DELTA_BINARY_PACKED"}
        sizes["wide, delta"] += size(
            table, use_dictionary=["patient"], column_encoding={**stamps, **{n: "DELTA_BINARY_PACKED" for n in names}}
        )
        sizes["wide, dictionary"] += size(table, use_dictionary=["patient", *names], column_encoding=stamps)
    rows = list(series(groups))
    table = pa.table(
        {
            "patient": pa.array([row[0] for row in rows for _ in range(len(row[3]))]).dictionary_encode(),
            "vital": pa.array([row[1] for row in rows for _ in range(len(row[3]))]).dictionary_encode(),
            "time": np.concatenate([row[3] for row in rows]),
            "value": np.concatenate([row[4] / 10.0 ** row[2] for row in rows]),
        }
    )
    for label, encoding in (("long, split", "BYTE_STREAM_SPLIT"), ("long, dictionary", None)):
        dictionary = ["patient", "vital"] + ([] if encoding else ["value"])
        encodings = {"time": "DELTA_BINARY_PACKED"} | ({"value": encoding} if encoding else {})
        sizes[label] = size(table, use_dictionary=dictionary, column_encoding=encodings)
    best = min(sizes, key=sizes.get)
    return {"bytes": sizes[best], "layout": best}


def pcodec(groups, rows):
    """Chunks of so many rows, level 8, with one column of stamps for all values, which a store of single series has not."""
    from pcodec import ChunkConfig, standalone

    config = ChunkConfig(compression_level=8)
    total = 0
    for group in groups:
        for start in range(0, len(group.times), rows):
            part = slice(start, start + rows)
            total += len(standalone.simple_compress(np.ascontiguousarray(group.times[part]), config))
            for _, _, values in group.columns:
                present = values[part][values[part] != MISSING]
                if present.size == 0:
                    continue
                narrow = np.int16 if present.min() > -32768 and present.max() < 32767 else np.int64
                total += len(standalone.simple_compress(np.ascontiguousarray(present, dtype=narrow), config))
                if present.size < values[part].size:
                    total += (values[part].size + 7) // 8
    return {"bytes": total}


# Servers -------------------------------------------------------------------------------------------------------------


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def victoria_metrics(groups, work, program):
    data, port = os.path.join(work, "victoria"), free_port()
    log = open(os.path.join(work, "victoria.log"), "w")
    server = subprocess.Popen(
        [program, f"-storageDataPath={data}", f"-httpListenAddr=127.0.0.1:{port}", "-retentionPeriod=100y"],
        stdout=log,
        stderr=subprocess.STDOUT,
    )

    def call(path, body=None):
        return urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", data=body, timeout=120).read()

    try:
        for attempt in range(100):
            try:
                call("/health")
                break
            except OSError:
                if attempt == 99:
                    raise
                time.sleep(0.1)
        for patient, name, decimals, times, values in series(groups):
            for start in range(0, len(times), 100_000):
                part = slice(start, start + 100_000)
                line = '{"metric":{"__name__":"%s","patient":"%s"},"values":[%s],"timestamps":[%s]}\n' % (
                    name,
                    patient,
                    ",".join(texts(values[part], decimals)),
                    ",".join(map(str, times[part].tolist())),
                )
                call("/api/v1/import", line.encode())
        call("/internal/force_flush")
        call("/internal/force_merge")
        # The merge runs on by itself: it is over when nothing has changed for two seconds.
        last, still = None, 0
        while still < 4:
            time.sleep(0.5)
            now = bytes_below(os.path.join(data, "data"))
            still = still + 1 if now == last else 0
            last = now
    finally:
        server.terminate()
        server.wait()
        log.close()
    return {"bytes": bytes_below(os.path.join(data, "data"))}


def prometheus(groups, work, program):
    """Blocks as `promtool` makes them: the server's own chunks, 24 hours a block."""
    text, data = os.path.join(work, "samples.om"), os.path.join(work, "prometheus")
    by_name = {}
    for patient, name, decimals, times, values in series(groups):
        by_name.setdefault(name, []).append((patient, decimals, times, values))
    with open(text, "w") as file:
        for name, rows in by_name.items():
            file.write(f"# TYPE {name} gauge\n")
            for patient, decimals, times, values in rows:
                for value, stamp in zip(texts(values, decimals), times.tolist()):
                    file.write(f'{name}{{patient="{patient}"}} {value} {stamp / 1000:.3f}\n')
        file.write("# EOF\n")
    subprocess.run(
        [program, "tsdb", "create-blocks-from", "openmetrics", "--max-block-duration=24h", text, data],
        check=True,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    return {"bytes": bytes_below(data, lambda path: "/chunks/" in path)}


# All of them ---------------------------------------------------------------------------------------------------------


def program(variable, name):
    return shutil.which(os.environ.get(variable) or name)


def main():
    path, work = sys.argv[1:3]
    name, stamping, groups = load(path)
    count = sample_count(groups)

    def measure(peer, run, **more):
        shutil.rmtree(work, ignore_errors=True)
        os.makedirs(work)
        try:
            found = run()
        except ImportError as error:
            print(f"skipped: {peer}: {error.name} is not installed", file=sys.stderr)
            return
        except (OSError, subprocess.CalledProcessError) as error:
            print(f"skipped: {peer} on {name} {stamping}: {error}", file=sys.stderr)
            return
        finally:
            shutil.rmtree(work, ignore_errors=True)
        figures = {"set": name, "stamping": stamping, "peer": peer, "samples": count, **more}
        figures["chunk"] = found.pop("bytes") / count
        print(json.dumps({**figures, **found}), flush=True)

    measure("Parquet, zstd-19", lambda: parquet(groups, work))
    for rows in (60, 600, 3600):
        measure("pcodec", lambda: pcodec(groups, rows), rows=rows)
    for peer, variable, command, run in (
        ("VictoriaMetrics", "VICTORIA_METRICS", "victoria-metrics", victoria_metrics),
        ("Prometheus", "PROMTOOL", "promtool", prometheus),
    ):
        found = program(variable, command)
        if found:
            measure(peer, lambda: run(groups, work, found))
        else:
            print(f"skipped: {peer}: no `{command}` here ({variable} names one)", file=sys.stderr)


main()
