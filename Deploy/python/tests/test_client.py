"""Unit tests of vigil-client: no service, no store. ``python -m unittest discover -s tests`` with ``src`` on the path."""

import contextlib
import io
import json
import os
import stat
import tempfile
import threading
import unittest
import unittest.mock
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import vigil_client as vigil
from vigil_client.__main__ import main
from vigil_client.streams import rfc3339

START = datetime(2026, 1, 1, 23, 59, 58, tzinfo=timezone.utc)
#: What something else than Vigil answers.
NO_LISTS = {"html": b"<html>\n", "empty": b"", "list": b"[]", "word": b'{"patients":"x"}', "bytes": b"\xff", "null": b"null"}
NOTES = {"vigil.table": "observations", "vigil.version": "1"}


def row(number, code="hr", **other):
    """One sample a second."""
    made = {
        "tenant": "demo", "patient": "p-1", "device": "d-1", "code": code, "source": None,
        "time": START + timedelta(seconds=number), "ingest_time": START + timedelta(seconds=number + 1),
        "value": 70.0 + number, "unit": "/min", "mantissa": 70 + number, "exponent": 0, "letter": None, "status": "ok",
        "quality": None, "seq": None, "flags": 0, "superseded": False,
    }
    return {**made, **other}


def stream(rows, notes=NOTES, batch=3):
    """An Arrow stream of these rows, as another writer than Vigil's makes it."""
    schema = vigil.SCHEMA.with_metadata(notes)
    plain = pa.schema([
        pa.field(f.name, pa.utf8() if pa.types.is_dictionary(f.type) else f.type, f.nullable) for f in schema])
    table = pa.Table.from_pylist(rows, plain).cast(schema)
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, schema) as writer:
        for piece in table.unify_dictionaries().to_batches(max_chunksize=batch):
            writer.write_batch(piece)
    return sink.getvalue()


def read(rows):
    return vigil.Observations(lambda: vigil.read_stream(io.BytesIO(stream(rows))).reader())


class Case(unittest.TestCase):
    def setUp(self):
        holder = tempfile.TemporaryDirectory(prefix="vigil-client-")
        self.addCleanup(holder.cleanup)
        self.folder = Path(holder.name)

    def fails(self, text):
        """An error of one line that holds the text."""
        case = self

        class Fails(contextlib.AbstractContextManager):
            def __exit__(self, kind, error, trace):
                case.assertIsInstance(error, vigil.VigilError)
                case.assertIn(text, str(error))
                case.assertNotIn("\n", str(error))
                return True

        return Fails()


class Streams(Case):
    def test_what_vigil_writes_is_read_with_its_nulls(self):
        golden = Path(__file__).resolve().parents[3] / "Tests/TabularFormatsTests/Golden/few.arrows.bin"
        table = vigil.read_stream(golden).arrow()
        self.assertTrue(table.schema.equals(vigil.SCHEMA))
        table.validate(full=True)
        rows = table.to_pylist()
        self.assertEqual([r["code"] for r in rows], ["spo2", "consciousness", "temp"])
        self.assertEqual([r["patient"] for r in rows], ["p 2/ü", "p-1", "p-1"])
        self.assertEqual([r["source"] for r in rows], ["pleth", None, None])
        self.assertEqual([r["letter"] for r in rows], [None, "P", None])
        self.assertEqual([r["seq"] for r in rows], [4711, None, None])
        self.assertEqual([r["superseded"] for r in rows], [False, False, True])
        self.assertEqual(rows[0]["time"], datetime(2026, 1, 1, 0, 0, 0, 123000, timezone.utc))
        self.assertEqual(vigil.Flag(rows[0]["flags"]), vigil.Flag.HAS_SEQUENCE | vigil.Flag.SIMULATED)
        self.assertEqual([str(n) for n in vigil.exact(table)], ["0.930", "3", "-0.5"])

    def test_no_exact_number_is_rounded(self):
        digits = 999_999_999_999_999_999
        rows = [row(0, mantissa=digits, exponent=e) for e in (-18, 0, 18)]
        found = vigil.exact(read(rows).arrow())
        self.assertEqual(found, [Decimal("0.999999999999999999"), Decimal(digits), Decimal(digits) * 10**18])

    def test_every_cut_of_a_stream_is_an_error(self):
        whole = stream([row(n) for n in range(7)])
        self.assertEqual(vigil.read_stream(io.BytesIO(whole)).arrow().num_rows, 7)
        for length in range(0, len(whole), 8):
            with self.subTest(length), self.assertRaises(vigil.VigilError) as caught:
                vigil.read_stream(io.BytesIO(whole[:length])).arrow()
            self.assertNotIn("\n", str(caught.exception))

    def test_another_table_or_version_is_refused(self):
        for notes, text in (({}, "not one of Vigil's"), ({**NOTES, "vigil.version": "2"}, "of version 2")):
            with self.fails(text):
                vigil.read_stream(io.BytesIO(stream([row(0)], notes))).arrow()

    def test_a_reader_left_early_is_no_error(self):
        with read([row(n) for n in range(7)]).reader() as batches:
            self.assertEqual(batches.read_next_batch().num_rows, 3)

    def test_times_need_a_zone_and_ranges_stay_half_open(self):
        self.assertEqual(rfc3339(START), "2026-01-01T23:59:58.000Z")
        self.assertEqual(rfc3339(START + timedelta(microseconds=1)), "2026-01-01T23:59:58.001Z")
        east = timezone(timedelta(hours=2))
        self.assertEqual(rfc3339(datetime(2026, 1, 1, 1, tzinfo=east)), "2025-12-31T23:00:00.000Z")
        with self.fails("no time zone"):
            vigil.open_store("x", start=datetime(2026, 1, 1))


class Store(Case):
    def program(self, text):
        """A stand-in for vigil: a shell script that gets its words as $@."""
        path = self.folder / "vigil"
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return str(path)

    def test_the_program_is_asked_for_what_is_chosen(self):
        (self.folder / "out").write_bytes(stream([row(0)]))
        program = self.program(f'echo "$@" > {self.folder}/words; cat {self.folder}/out')
        samples = vigil.open_store(
            "a store", vigil=program, patients=["p 1", "p-2"], codes=["hr"], start=START, superseded=True,
            master_key="file:key")
        self.assertEqual(samples.arrow().num_rows, 1)
        self.assertEqual(samples.arrow().num_rows, 1)
        self.assertEqual(
            (self.folder / "words").read_text().strip(),
            "export --store a store --format arrow --patients p 1 --patients p-2 --codes hr "
            "--from 2026-01-01T23:59:58.000Z --superseded --master-key file:key")

    def test_what_the_program_says_last_is_the_error(self):
        with self.fails("vigil: x: no store here"):
            vigil.open_store("x", vigil=self.program("echo first >&2; echo 'vigil: x: no store here' >&2; exit 2")).arrow()

    def test_a_program_that_breaks_off_is_an_error_even_after_a_whole_stream(self):
        (self.folder / "out").write_bytes(stream([row(0)]))
        for end, text in (("exit 1", "status 1"), ("kill -9 $$", "status -9")):
            with self.fails(text):
                vigil.open_store("x", vigil=self.program(f"cat {self.folder}/out; {end}")).arrow()

    def test_what_a_program_warns_of_is_passed_on(self):
        (self.folder / "out").write_bytes(stream([row(0)]))
        said = "echo 'vigil: the store knows no patient `x`' >&2; echo 'exported 1 samples' >&2"
        with self.assertWarnsRegex(UserWarning, "no patient `x`") as caught:
            samples = vigil.open_store("x", vigil=self.program(f"{said}; cat {self.folder}/out"), patients=["p-1", "x"])
            self.assertEqual(samples.arrow().num_rows, 1)
        self.assertEqual(len(caught.warnings), 1)

    def test_no_program_is_an_error(self):
        with self.fails("vigil=PATH"):
            vigil.open_store("x", vigil=str(self.folder / "none")).arrow()

    def test_a_key_is_not_passed_on(self):
        with self.fails("where the key is"):
            vigil.open_store("x", master_key="0123456789abcdef")

    def test_one_text_is_no_list(self):
        with self.fails("is a list"):
            vigil.open_store("x", codes="hr")


class Tables(Case):
    def test_one_column_a_vital(self):
        rows = [
            row(0), row(0, "spo2", unit="%", value=97.0, source="pleth"), row(1),
            row(2, value=10.0, superseded=True), row(2, status="lead-off"), row(2, "spo2", unit="%", value=90.0),
            # Two sources at one time: the one received last stands, wherever it comes in the stream.
            row(1, "spo2", unit="%", value=50.0, source="b", ingest_time=START + timedelta(hours=1)),
            row(1, "spo2", unit="%", value=40.0, source="a"),
        ]
        wide = read(rows).wide()
        self.assertEqual(wide.column_names, ["tenant", "patient", "device", "time", "hr", "spo2"])
        self.assertEqual(wide["hr"].to_pylist(), [70.0, 71.0, None])
        self.assertEqual(wide["spo2"].to_pylist(), [97.0, 50.0, 90.0])
        self.assertEqual(wide.schema.field("spo2").metadata, {b"unit": b"%"})
        kept = read(rows).wide(index=("time",), keep_sensor_off=True)
        self.assertEqual(kept["hr"].to_pylist(), [70.0, 71.0, 72.0])
        self.assertEqual(read([]).wide().num_rows, 0)

    def test_two_units_in_one_column_are_refused(self):
        with self.fails("temp came in several units (Cel, [degF])"):
            read([row(0, "temp", unit="[degF]"), row(1, "temp", unit="Cel")]).wide()

    def test_pandas_polars_and_duckdb_hold_the_same(self):
        samples = read([row(n, seq=n if n else None, quality=0.5) for n in range(7)])
        pandas = samples.pandas()
        self.assertEqual(str(pandas["time"].dtype), "datetime64[ms, UTC]")
        self.assertEqual(str(pandas["seq"].dtype), "Int64")
        self.assertEqual(int(pandas["seq"].isna().sum()), 1)
        polars = samples.polars()
        self.assertEqual(polars["mantissa"].to_list(), pandas["mantissa"].tolist())
        self.assertEqual(polars["seq"].null_count(), 1)
        found = samples.duckdb().aggregate("code, sum(mantissa), count(seq)").fetchall()
        self.assertEqual(found, [("hr", 511, 6)])


class Lake(Case):
    def test_parquet_reads_back_equal_and_packed(self):
        rows = [row(n, code, tenant="a/b c") for n in range(5) for code in ("hr", "spo2")]
        path = str(self.folder / "lake")
        self.assertEqual(read(rows).write_parquet(path), 10)
        days = sorted(p.name for p in Path(path).rglob("date=*"))
        self.assertEqual(days, ["date=2026-01-01"] * 2 + ["date=2026-01-02"] * 2)
        found = ds.dataset(path, partitioning="hive").to_table().to_pylist()
        # Names of folders are encoded; who reads them decodes.
        self.assertEqual({r["tenant"] for r in found}, {"a/b c"})
        key = ["code", "time", "mantissa"]
        self.assertEqual(sorted([r[k] for k in key] for r in found), sorted([r[k] for k in key] for r in rows))
        file = pq.ParquetFile(next(Path(path).rglob("*.parquet"))).metadata.row_group(0)
        columns = {file.column(n).path_in_schema: file.column(n) for n in range(file.num_columns)}
        self.assertIn("DELTA_BINARY_PACKED", columns["time"].encodings)
        self.assertEqual({c.compression for c in columns.values()}, {"ZSTD"})

    def test_a_day_is_replaced_and_others_stay(self):
        path = str(self.folder / "lake")
        read([row(n) for n in range(5)]).write_parquet(path)
        with self.fails("not empty"):
            read([row(0)]).write_parquet(path)
        read([row(1, mantissa=5), row(1, "spo2")]).write_parquet(path, replace=True)
        found = ds.dataset(path, partitioning="hive").to_table().to_pylist()
        self.assertEqual(
            sorted((r["code"], r["mantissa"]) for r in found), [("hr", 5), ("hr", 72), ("hr", 73), ("hr", 74), ("spo2", 71)])

    def test_a_run_that_fails_changes_nothing(self):
        path = self.folder / "lake"
        read([row(n) for n in range(5)]).write_parquet(str(path))
        before = sorted(path.rglob("*"))
        whole = stream([row(n, code) for code in ("hr", "spo2") for n in range(5)])
        # Every batch is there, only the end is not; or the last batch breaks off.
        for cut in (8, 40):
            torn = vigil.Observations(lambda: vigil.read_stream(io.BytesIO(whole[:-cut])).reader())
            for name, replace in (("lake", True), ("new", False), ("new", True)):
                with self.subTest(cut=cut, name=name, replace=replace), self.fails("breaks off"):
                    torn.write_parquet(str(self.folder / name), replace=replace)
                self.assertEqual(os.listdir(self.folder), ["lake"])
                self.assertEqual(sorted(path.rglob("*")), before)

    def test_a_lake_without_partitions_is_replaced_whole(self):
        path = str(self.folder / "a" / "lake")
        for number in range(2):
            read([row(number)]).write_parquet(path, partition=(), replace=number > 0)
            self.assertEqual(os.listdir(self.folder / "a"), ["lake"])
            self.assertEqual(pq.read_table(path)["mantissa"].to_pylist(), [70 + number])
        self.assertEqual(read([]).write_parquet(str(self.folder / "none")), 0)
        self.assertEqual(ds.dataset(str(self.folder / "none")).count_rows(), 0)
        link = self.folder / "link"
        link.symlink_to("a/lake")
        read([row(7)]).write_parquet(str(link), partition=(), replace=True)
        self.assertTrue(link.is_symlink())
        self.assertEqual(pq.read_table(path)["mantissa"].to_pylist(), [77])

    def test_a_partition_that_cannot_be_moved_in_leaves_the_old_one(self):
        path = str(self.folder / "lake")
        read([row(0)]).write_parquet(path, partition=("code",))
        rename = os.rename

        def failing(old, new):
            if new.endswith("code=hr") and ".partial" not in new and f"{os.sep}new{os.sep}" in old:
                raise OSError(28, "No space left on device")
            rename(old, new)

        with unittest.mock.patch("os.rename", failing), self.fails("No space left"):
            read([row(5)]).write_parquet(path, partition=("code",), replace=True)
        self.assertEqual(ds.dataset(path, partitioning="hive").to_table()["mantissa"].to_pylist(), [70])
        self.assertEqual(os.listdir(self.folder), ["lake"])

    def test_only_folders_are_written(self):
        with self.fails("a folder of this machine"):
            read([row(0)]).write_parquet("s3://bucket/lake")
        (self.folder / "file").write_text("")
        with self.fails("file"):
            read([row(0)]).write_parquet(str(self.folder / "file" / "lake"))

    def test_no_such_partition(self):
        with self.fails("no column `day`"):
            read([row(0)]).write_parquet(str(self.folder / "lake"), partition=("day",))

    def test_delta_takes_the_same_rows_once_and_corrections_in_place(self):
        from deltalake import DeltaTable

        path = str(self.folder / "table")
        rows = [row(n, source=source) for n in range(4) for source in (None, "ecg")]
        self.assertEqual(read(rows).write_delta(path), {"inserted": 8, "updated": 0})
        self.assertEqual(read(rows).write_delta(path), {"inserted": 0, "updated": 0})
        corrected = [
            {**rows[0], "superseded": True},
            {**rows[0], "mantissa": 99, "value": 99.0, "flags": int(vigil.Flag.CORRECTED)}, row(9),
        ]
        self.assertEqual(read(corrected).write_delta(path), {"inserted": 1, "updated": 1})
        found = pa.table(DeltaTable(path).to_pyarrow_dataset().to_table()).to_pylist()
        self.assertEqual(len(found), 9)
        self.assertEqual([r["mantissa"] for r in found if r["time"] == START and r["source"] is None], [99])
        # An older version of the table has the old value.
        old = DeltaTable(path, version=0).to_pyarrow_dataset().to_table().to_pylist()
        self.assertEqual([r["mantissa"] for r in old if r["time"] == START], [70, 70])
        self.assertEqual(read(rows).write_delta(path, key=None), {"inserted": 8, "updated": 0})
        self.assertEqual(read(rows[:2]).write_delta(path, mode="overwrite")["inserted"], 2)
        with self.fails("mode is append or overwrite"):
            read(rows).write_delta(path, mode="merge")

    def test_an_older_export_does_not_undo_a_correction(self):
        from deltalake import DeltaTable

        path = str(self.folder / "table")
        old = row(0)
        new = {**old, "mantissa": 99, "ingest_time": old["ingest_time"] + timedelta(minutes=1)}
        self.assertEqual(read([new]).write_delta(path), {"inserted": 1, "updated": 0})
        self.assertEqual(read([old, row(1)]).write_delta(path), {"inserted": 1, "updated": 0})
        found = pa.table(DeltaTable(path).to_pyarrow_dataset().to_table()).to_pylist()
        self.assertEqual(sorted(r["mantissa"] for r in found), [71, 99])
        newer = {**new, "mantissa": 98, "ingest_time": new["ingest_time"] + timedelta(milliseconds=1)}
        self.assertEqual(read([newer]).write_delta(path), {"inserted": 0, "updated": 1})


class Live(Case):
    """Against a server that answers as the API's page says."""

    def setUp(self):
        super().setUp()
        self.rows = [row(n) for n in range(8)]
        self.asked = []
        case = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                target = urlsplit(self.path)
                query = {name: values[0] for name, values in parse_qs(target.query).items()}
                case.asked.append((target.path, query, dict(self.headers.items())))
                case.answer(self, target.path, query)

            def reply(self, status, body, kind="application/json", **headers):
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", headers.pop("length", str(len(body))))
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        self.url = f"http://127.0.0.1:{server.server_address[1]}"

    def answer(self, handler, path, query):
        if path == "/v1/patients" and query.get("tenant") in NO_LISTS:
            return handler.reply(200, NO_LISTS[query["tenant"]], "text/html")
        if path == "/v1/patients":
            first = int(query.get("cursor", 0))
            page = {"patients": [{"tenant": "demo", "patient": f"p-{first}", "unit": None, "bed": "1"}]}
            link = {"Link": f'</v1/patients?limit=1&cursor={first + 1}>; rel="next"'} if first < 2 else {}
            return handler.reply(200, json.dumps(page).encode(), **link)
        mode = query["patient"]
        if mode == "nobody":
            return handler.reply(404, b'{"title":"no such patient","detail":"GET /v1/patients lists them"}')
        if mode == "elsewhere":
            return handler.reply(302, b"", Location="https://evil.example/")
        if mode == "html":
            return handler.reply(200, b"<html>", "text/html")
        if mode == "busy" and len(self.asked) < 4:
            return handler.reply(503, b'{"title":"busy"}', **{"Retry-After": "0"})
        if mode == "always busy":
            return handler.reply(503, b'{"title":"busy"}', **{"Retry-After": "0"})
        first, limit = int(query.get("cursor", 0)), int(query["limit"])
        body = stream(self.rows[first : first + limit])
        link = {}
        if first + limit < len(self.rows):
            link["Link"] = f'</v1/observations?patient={quote(mode)}&limit={limit}&cursor={first + limit}>; rel="next"'
        if mode == "short":
            return handler.reply(200, body[:-40], "application/vnd.apache.arrow.stream", length=str(len(body)))
        if mode == "broken" and first:
            return handler.reply(503, b'{"title":"starting"}')
        return handler.reply(200, body, "application/vnd.apache.arrow.stream", **link)

    def test_pages_become_one_table(self):
        service = vigil.connect(self.url, "secret", purpose="round")
        samples = service.observations("p 1", codes=["hr", "spo2"], start=START, page=3)
        self.assertEqual(samples.arrow()["mantissa"].to_pylist(), [70 + n for n in range(8)])
        self.assertEqual(len(self.asked), 3)
        path, query, headers = self.asked[0]
        self.assertEqual(
            query, {"patient": "p 1", "code": "hr,spo2", "from": "2026-01-01T23:59:58.000Z", "limit": "3"})
        self.assertEqual((headers["Authorization"], headers["X-Purpose"]), ("Bearer secret", "round"))
        self.assertEqual(samples.polars().height, 8)

    def test_a_busy_service_is_asked_again(self):
        service = vigil.connect(self.url)
        self.assertEqual(service.observations("busy").arrow().num_rows, 8)
        self.assertEqual(len(self.asked), 4)
        with self.fails("503 busy"):
            service.observations("always busy").arrow()
        self.assertEqual(len(self.asked), 14)

    def test_everybody_is_listed(self):
        self.assertEqual([p.patient for p in vigil.connect(self.url).patients()], ["p-0", "p-1", "p-2"])

    def test_what_is_no_list_of_patients_is_one_line(self):
        for tenant in NO_LISTS:
            with self.subTest(tenant), self.fails("no list of patients"):
                vigil.connect(self.url).patients(tenant=tenant)

    def test_what_goes_wrong_is_one_line(self):
        service = vigil.connect(self.url)
        for patient, text in (
            ("nobody", "404 no such patient: GET /v1/patients"), ("elsewhere", "302"), ("html", "no Arrow stream"),
            ("short", "broke off"), ("broken", "503 starting"),
        ):
            with self.subTest(patient), self.fails(text):
                service.observations(patient, page=3).arrow()
            with self.subTest(patient), self.fails(text):
                service.observations(patient, page=3).write_parquet(str(self.folder / patient))
        with self.fails("does `vigil run` listen there?"):
            vigil.connect("http://127.0.0.1:1").patients()

    def test_a_token_is_not_sent_in_clear(self):
        with self.fails("over https only"):
            vigil.connect("http://vigil.example", "secret")
        vigil.connect("http://[::1]:8080", "secret")
        with self.fails("give the service's address"):
            vigil.connect("file:///etc/passwd")


class CommandLine(Case):
    def run_main(self, *words):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            try:
                status = main(words)
            except SystemExit as end:
                status = end.code
        return status, out.getvalue(), err.getvalue()

    def test_a_stream_into_parquet_and_delta(self):
        file = self.folder / "in.arrows"
        file.write_bytes(stream([row(n) for n in range(5)]))
        for words, text in (
            (["parquet", str(self.folder / "p"), "--partition", "code"], "5 rows written"),
            (["delta", str(self.folder / "d")], "5 rows inserted, 0 updated"),
            (["delta", str(self.folder / "d")], "0 rows inserted, 0 updated"),
            (["show"], "hr\t5\t1\t2026-01-01T23:59:58.000+00:00\t2026-01-02T00:00:02.000+00:00"),
        ):
            status, out, err = self.run_main(*words, "--stream", str(file))
            self.assertEqual(status, 0, err)
            self.assertIn(text, out)

    def test_help_has_an_example_and_errors_are_one_line(self):
        status, out, _ = self.run_main("--help")
        self.assertEqual(status, 0)
        self.assertIn("example: vigil-client", out)
        status, _, err = self.run_main("show", "--stream", str(self.folder / "none"))
        self.assertEqual((status, err.count("\n")), (1, 1))
        self.assertEqual(self.run_main("show")[0], 2)
        self.assertEqual(self.run_main("show", "--url", "http://127.0.0.1:1")[0], 1)
        for text, advice in (("2026-01-01", "write 2026-01-01T00:00:00Z"), ("2026-01-01Z", "such as 2026-01-31T00:00:00Z")):
            status, _, err = self.run_main("show", "--store", "x", "--start", text)
            self.assertEqual(status, 2)
            self.assertIn(advice, err)
            # What is advised is taken: what fails is the program that is not there.
            self.assertEqual(
                self.run_main("show", "--store", "x", "--vigil", "/none", "--start", advice.split()[-1])[0], 1)

    def test_a_tenant_is_asked_of_a_service_only(self):
        asked = []

        class Asked(vigil.Service):
            def observations(self, patient, **words):
                asked.append((patient, words["tenant"]))
                return read([row(0)])

        with unittest.mock.patch("vigil_client.__main__.connect", lambda url, token, purpose: Asked(url, token, purpose, 1)):
            self.assertEqual(
                self.run_main("show", "--url", "http://127.0.0.1:1", "--patient", "p-1", "--tenant", "demo")[0], 0)
        self.assertEqual(asked, [("p-1", "demo")])
        status, _, err = self.run_main("show", "--store", "x", "--tenant", "demo")
        self.assertEqual((status, err.count("\n")), (1, 1))
        self.assertIn("--tenant is for --url", err)


if __name__ == "__main__":
    unittest.main()
