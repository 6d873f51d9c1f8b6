"""Vital signs kept by Vigil, as Arrow, pandas, polars, DuckDB, Parquet and Delta.

>>> import vigil_client as vigil
>>> vigil.open_store("var/vigil", codes=["hr", "spo2"]).polars()        # a store, beside a running service or none
>>> vigil.connect("http://127.0.0.1:8080").observations("p-017").pandas()  # a running service
>>> vigil.read_stream("vitals.arrows").write_parquet("lake")            # what `vigil export --format arrow` wrote

Columns, units and time zones: ``help(vigil_client.observations)``. What goes wrong is a ``VigilError`` of one line.
"""

from .errors import VigilError
from .observations import SCHEMA, SENSOR_OFF, Flag, Observations, exact
from .service import Patient, Service, connect
from .streams import open_store, read_stream

__all__ = [
    "SCHEMA",
    "SENSOR_OFF",
    "Flag",
    "Observations",
    "Patient",
    "Service",
    "VigilError",
    "connect",
    "exact",
    "open_store",
    "read_stream",
]
__version__ = "0.1.0"
