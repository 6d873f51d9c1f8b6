# %% [markdown]
# # From a store to a data lake
#
# A notebook as a script: open it in an editor that knows `# %%` cells, or run it from start to end:
#
#     vigil run -c vigil.yaml &                                  # with a broker, see the README
#     vigil simulate --mqtt mqtt://127.0.0.1 --speed max --for 10m --start 2026-01-01T00:00:00Z
#     pip install "Deploy/python[pandas,polars,duckdb,delta]"
#     VIGIL_STORE=var/vigil python Deploy/python/tutorial.py
#
# | variable | what | default |
# | --- | --- | --- |
# | `VIGIL_STORE` | the store directory | `var/vigil` |
# | `VIGIL` | the program | `vigil` |
# | `VIGIL_KEY` | where the master key of an encrypted store is: `file:PATH` | none: the store is not encrypted |
# | `VIGIL_URL` | a running service, for the last cell | none: that cell is skipped |
# | `VIGIL_LAKE` | where to write | a temporary folder |
#
# The ward of `simulate` is synthetic; nobody in it exists.

# %%
import os
import tempfile

import pyarrow.compute as pc

import vigil_client as vigil

store = os.environ.get("VIGIL_STORE", "var/vigil")
program = os.environ.get("VIGIL", "vigil")
key = os.environ.get("VIGIL_KEY")
scratch = tempfile.TemporaryDirectory(prefix="vigil-tutorial-")
lake = os.environ.get("VIGIL_LAKE", scratch.name)

samples = vigil.open_store(store, vigil=program, master_key=key)

# %% [markdown]
# ## What is there
#
# Nothing is read before it is asked for, and each question reads the store anew: beside a running service you see what has
# come in since. One row is one sample; `help(vigil_client.observations)` explains the columns.

# %%
table = samples.arrow()
print(f"{table.num_rows} samples, {table.nbytes / table.num_rows:.0f} bytes each in memory")
print(table.slice(0, 3).to_pandas().T)

# %% [markdown]
# ## Exact numbers
#
# `value` is the nearest double. Whoever must not lose a digit takes `mantissa` and `exponent`: 36.60 stays 36.60.

# %%
numbers = vigil.exact(table)
assert all(float(number) == value for number, value in zip(numbers, table["value"].to_pylist()))
print("first numbers as received:", [str(number) for number in numbers[:5]])

# %% [markdown]
# ## pandas, polars, DuckDB
#
# Times are UTC; texts are categories. Ask for the vitals you need: less is read.

# %%
heart = vigil.open_store(store, vigil=program, master_key=key, codes=["hr"]).pandas()
print(heart.groupby("patient", observed=True)["value"].describe().round(1))

# %%
import polars as pl

by_minute = (
    vigil.open_store(store, vigil=program, master_key=key, codes=["spo2"])
    .polars()
    .filter(pl.col("status") == "ok")
    .group_by("patient", pl.col("time").dt.truncate("1m"))
    .agg(pl.col("value").min().alias("lowest"), pl.len().alias("samples"))
    .sort("patient", "time")
)
print(by_minute.head(5))

# %%
counts = samples.duckdb().aggregate("code, unit, count(*) AS samples, min(value), max(value)").order("code")
print(counts)

# %% [markdown]
# ## One column a vital
#
# For models that want a row for each moment. Superseded values, and those sent with the sensor off, are left out; the unit
# of each column is in its metadata.

# %%
wide = samples.wide()
print({field.name: field.metadata[b"unit"].decode() for field in wide.schema if field.metadata})
assert sum(len(wide) - wide[field.name].null_count for field in wide.schema if field.metadata) <= table.num_rows

# %% [markdown]
# ## Parquet
#
# Hive-partitioned by tenant, vital and UTC day: what Spark, Athena, DuckDB, Snowflake and Databricks read as it is. The
# stream goes straight through; memory holds batches.

# %%
parquet = os.path.join(lake, "parquet")
rows = samples.write_parquet(parquet)
assert rows == table.num_rows

import duckdb

found = duckdb.sql(
    f"SELECT count(*), sum(mantissa::HUGEINT * exponent) FROM read_parquet('{parquet}/**/*.parquet', hive_partitioning = true)"
).fetchall()[0]
expected = sum(m * e for m, e in zip(table["mantissa"].to_pylist(), table["exponent"].to_pylist()))
assert found == (table.num_rows, expected), (found, expected)
size = sum(os.path.getsize(os.path.join(top, name)) for top, _, names in os.walk(parquet) for name in names)
print(f"{rows} rows in Parquet, {size / rows:.1f} bytes each, read back equal")

# %% [markdown]
# ## Delta
#
# The same rows twice change nothing: they are merged by tenant, patient, device, vital, source and time. A correction takes
# the place of what it corrects, and the table's history keeps both.

# %%
from deltalake import DeltaTable

delta = os.path.join(lake, "delta")
first = samples.write_delta(delta)
again = samples.write_delta(delta)
assert first == {"inserted": table.num_rows, "updated": 0}, first
assert again == {"inserted": 0, "updated": 0}, again

# %% [markdown]
# Every value that comes back is the one that was received, digit for digit.

# %%
def keyed(rows):
    names = ["patient", "device", "code", "source", "time", "mantissa", "exponent", "unit", "letter"]
    texts = {"patient", "device", "code", "source", "unit", "letter"}
    columns = [
        rows[name].cast("string") if name in texts else rows[name].cast("int64") if name == "time" else rows[name]
        for name in names
    ]
    return sorted(zip(*(column.to_pylist() for column in columns)), key=repr)


back = DeltaTable(delta).to_pyarrow_dataset().to_table()
back = back.set_column(back.column_names.index("time"), "time", back["time"].cast(table["time"].type))
assert keyed(back) == keyed(table)
print(f"{back.num_rows} rows in Delta, every number equal")

# %% [markdown]
# ## A running service
#
# The same of one patient, from the service's API. Every access is written into its audit chain, with the purpose.

# %%
if url := os.environ.get("VIGIL_URL"):
    service = vigil.connect(url, os.environ.get("VIGIL_TOKEN"), purpose="tutorial")
    everybody = service.patients()
    patient = everybody[0]
    live = service.observations(patient.patient, tenant=patient.tenant).arrow()
    stored = table.filter(pc.equal(table["patient"].cast("string"), patient.patient))
    assert keyed(live) == keyed(stored)
    print(f"{len(everybody)} patients; {live.num_rows} samples of the first, live as in the store")

# %%
scratch.cleanup()
