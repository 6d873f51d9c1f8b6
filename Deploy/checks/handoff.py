"""The samples of a ward, its store encrypted, leave the program in every format and by every road, and all hold the same.

    handoff.py

The program is $VIGIL. pyarrow, polars and DuckDB read what it writes; the tutorial of vigil-client runs from start to end.
"""

import csv
import io
import json
import subprocess
import sys
import urllib.request
from collections import Counter

import duckdb
import polars
import pyarrow as pa
from fhir.resources.R4B.observation import Observation

import stage
import vigil_client
from stage import CheckFailed, Stage, wait_until


def expect(condition, what):
    if not condition:
        raise CheckFailed(what)


def exported(ward, *more):
    return ward.run("export", "--store", ward.store, "--master-key", ward.key, *more)


def encrypt(ward):
    """The store of this ward is an encrypted one."""
    file = ward.folder / "master.key"
    ward.run("keys", "generate", file)
    ward.key = f"file:{file}"
    text = ward.configuration.read_text()
    plain = f'store: {{ path: "{ward.store}" }}'
    expect(plain in text, "the stage configures its store otherwise")
    ward.configuration.write_text(text.replace(plain, f'store: {{ path: "{ward.store}", master_key: "{ward.key}" }}'))


def keys(rows):
    """What must be the same however it was sent: whose, when, what, and the number digit for digit."""
    return Counter(rows)


def of_arrow(table):
    names = ["patient", "device", "code", "source", "unit", "letter"]
    columns = [table[name].cast("string").to_pylist() for name in names]
    times = [moment.isoformat(timespec="milliseconds").replace("+00:00", "Z") for moment in table["time"].to_pylist()]
    texts = [str(number) for number in vigil_client.exact(table)]
    return keys(
        (patient, device, code, source or "", unit, letter or text, time)
        for patient, device, code, source, unit, letter, text, time in zip(*columns, texts, times))


def of_csv(text):
    return keys(
        (row["patient"], row["device"], row["code"], row["source"], row["unit"], row["value"], row["time"])
        for row in csv.DictReader(io.StringIO(text)))


def check_readers(stream, table):
    """Nulls, dictionaries and numbers as three readers see them, none of them ours."""
    table.validate(full=True)
    expect(table.schema.equals(vigil_client.SCHEMA), "pyarrow: another schema than vigil-client's")
    nulls = {name: table[name].null_count for name in table.column_names}
    expect(nulls["quality"] > 0 and nulls["source"] > 0 and nulls["letter"] > 0, f"no nulls to look at: {nulls}")
    expect(nulls["patient"] == nulls["value"] == nulls["time"] == 0, f"nulls where none may be: {nulls}")
    frame = polars.read_ipc_stream(io.BytesIO(stream))
    expect({name: frame[name].null_count() for name in frame.columns} == nulls, "polars: other nulls")
    for name in ("patient", "code", "source", "letter"):
        expect(frame[name].cast(polars.String).to_list() == table[name].cast("string").to_pylist(), f"polars: {name}")
    expect(frame["mantissa"].to_list() == table["mantissa"].to_pylist(), "polars: numbers")
    reader = pa.ipc.open_stream(stream)
    found = duckdb.sql(
        "SELECT count(*), count(quality), count(source), sum(mantissa), min(time)::TIMESTAMP, count(DISTINCT code)"
        " FROM reader").fetchall()[0]
    expected = (
        table.num_rows, table.num_rows - nulls["quality"], table.num_rows - nulls["source"],
        sum(table["mantissa"].to_pylist()), min(table["time"].to_pylist()).replace(tzinfo=None),
        len(set(table["code"].cast("string").to_pylist())))
    expect(found == expected, f"DuckDB: {found}, not {expected}")


def check_fhir(text, table):
    """One resource a line, every one a vital sign of somebody at some time, with a value or a reason for none."""
    lines = [json.loads(line) for line in text.splitlines()]
    judged = Counter()
    for line in lines:
        shape = (line["code"]["text"], *line)
        judged[shape] += 1
        if judged[shape] <= 20:
            Observation.model_validate(line)
    for line in lines:
        expect(line["resourceType"] == "Observation" and line["status"] == "final", line)
        expect(line["category"][0]["coding"][0]["code"] == "vital-signs" and line["code"]["coding"], line)
        expect(line["subject"]["identifier"]["value"] and line["effectiveDateTime"].endswith("Z"), line)
        parts = line.get("component", [line])
        said = ("valueQuantity", "valueCodeableConcept", "dataAbsentReason")
        expect(all(any(key in part for key in said) for part in parts), line)
    names = {line["identifier"][0]["value"] for line in lines}
    expect(len(names) == len(lines), "FHIR: identifiers that are not unique")
    measured = sum(
        sum("dataAbsentReason" not in part for part in line.get("component", [line])) for line in lines)
    off = sum(status in vigil_client.SENSOR_OFF for status in table["status"].cast("string").to_pylist())
    expect(measured + off == table.num_rows, f"FHIR: {measured} values and {off} absent, not {table.num_rows}")


def check_empty(ward):
    stream = exported(ward, "--format", "arrow", "--from", "2100-01-01T00:00:00Z")
    expect(pa.ipc.open_stream(stream).read_all().num_rows == 0, "pyarrow: an empty export has rows")
    expect(polars.read_ipc_stream(io.BytesIO(stream)).height == 0, "polars: an empty export has rows")
    expect(exported(ward, "--format", "fhir-ndjson", "--from", "2100-01-01T00:00:00Z") == b"", "FHIR: not empty")


def check_unknown(ward):
    """A mistyped patient is an error; nothing would look like a patient without samples."""
    samples = vigil_client.open_store(ward.store, vigil=ward.vigil, master_key=ward.key, patients=["nobody"])
    try:
        samples.arrow()
    except vigil_client.VigilError as error:
        expect("no patient `nobody`" in str(error), f"a patient nobody knows: {error}")
    else:
        expect(False, "a patient nobody knows is exported")


def check_live(ward, whole):
    """The API gives what the export gives, in every format and in pages of any size."""
    url = f"http://127.0.0.1:{ward.http_port}"
    service = vigil_client.connect(url, purpose="check")
    patients = service.patients()
    expect(len(patients) == len({key[0] for key in whole}), f"{len(patients)} patients")
    found = Counter()
    for patient in patients:
        found += of_arrow(service.observations(patient.patient, tenant=patient.tenant).arrow())
    expect(found == whole, "the API holds something else: " + stage.first_difference(
        {repr(key).encode() for key in whole}, {repr(key).encode() for key in found}))
    one = patients[0].patient
    pages = of_arrow(service.observations(one, page=97).arrow())
    expect(pages == Counter({key: n for key, n in whole.items() if key[0] == one}), "pages hold something else")
    with urllib.request.urlopen(f"{url}/v1/observations?patient={one}&format=csv&limit=100000") as answer:
        expect(of_csv(answer.read().decode()) == pages, "CSV of the API holds something else")
    with urllib.request.urlopen(f"{url}/v1/observations?patient={one}&format=json&limit=100000") as answer:
        expect(len(json.load(answer)["observations"]) == pages.total(), "JSON of the API holds something else")
    return url


def check():
    with Stage("handoff") as ward:
        ward.start_broker()
        ward.start_sink()
        ward.configure("stream")
        encrypt(ward)
        vigil = ward.start_vigil()
        ward.wait_ready(vigil)
        sent = json.loads(ward.run(
            "simulate", "--mqtt", f"mqtt://127.0.0.1:{ward.broker_port}", "--speed", "max", "--for", "5m", "--patients",
            6, "--seed", 7, "--start", "2026-01-01T23:57:00Z", "--pace", 20, "--spot-pace", 20, "--json").splitlines()[-1])

        def is_stored():
            ward.expect_alive(vigil)
            stream = exported(ward, "--format", "arrow")
            table = pa.ipc.open_stream(stream).read_all()
            return (stream, table) if table.num_rows == sent["samples"] else None

        stream, table = wait_until(is_stored, 30, f"{sent['samples']} samples are stored")
        check_readers(stream, table)
        whole = of_arrow(table)
        expect(whole == of_csv(exported(ward, "--full").decode()), "Arrow and CSV hold different samples")
        check_fhir(exported(ward, "--format", "fhir-ndjson").decode(), table)
        check_empty(ward)
        check_unknown(ward)
        url = check_live(ward, whole)
        print(f"{table.num_rows} samples: export and API agree; pyarrow, polars and DuckDB read them", flush=True)
        tutorial = subprocess.run(
            [sys.executable, stage.ROOT / "Deploy/python/tutorial.py"], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
            env=dict(ward.environment, VIGIL_STORE=str(ward.store), VIGIL=ward.vigil, VIGIL_KEY=ward.key,
                     VIGIL_URL=url))
        if tutorial.returncode != 0:
            raise CheckFailed(f"tutorial: {tutorial.stdout.strip().splitlines()[-1]}")
        for line in tutorial.stdout.splitlines():
            if "equal" in line or "live as in the store" in line:
                print("tutorial:", line)
        ward.stop_vigil(vigil)


if __name__ == "__main__":
    stage.main(check)
