"""Arrow streams: of a store, through the program ``vigil``, and of files."""

from __future__ import annotations

import os
import subprocess
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from typing import IO

import pyarrow as pa

from .errors import VigilError, line
from .observations import Observations

#: What every whole stream ends with; without it the rest of it is missing.
END = b"\xff\xff\xff\xff\0\0\0\0"


def open_store(
    path: str | os.PathLike[str],
    *,
    vigil: str = "vigil",
    patients: Sequence[str] = (),
    codes: Sequence[str] = (),
    start: datetime | None = None,
    end: datetime | None = None,
    superseded: bool = False,
    master_key: str | None = None,
) -> Observations:
    """The samples of a store directory, beside a running service or none: as of the moment they are read.

    Runs ``vigil export --format arrow`` and reads its pipe, so that nothing is written in between.

    ``vigil`` is the program; ``patients`` and ``codes`` choose, none is all; event times lie in ``start`` <= time <
    ``end`` and must have a time zone; ``superseded`` adds the values that corrections replaced; ``master_key`` says
    where the key of an encrypted store is, never the key itself: ``env:NAME``, ``file:PATH`` or ``command:/PATH``.

    None of ``patients`` known is a ``VigilError``, one of several not known a Python warning.
    """
    command = [vigil, "export", "--store", os.fspath(path), "--format", "arrow"]
    for flag, names in (("--patients", patients), ("--codes", codes)):
        if isinstance(names, str):
            raise VigilError(f"{flag[2:]} is a list of names, not one text: [{names!r}]")
        for name in names:
            if "," in name:
                raise VigilError(f"{flag[2:]}: `{name}` holds a comma, which separates names")
            command += [flag, name]
    for flag, moment in (("--from", start), ("--to", end)):
        if moment is not None:
            command += [flag, rfc3339(moment)]
    if superseded:
        command.append("--superseded")
    if master_key is not None:
        # Anything else may be the key, and words of a command can be read by everybody on the machine.
        if not master_key.startswith(("env:", "file:", "command:")):
            raise VigilError("master_key says where the key is: env:NAME, file:PATH or command:/PATH")
        command += ["--master-key", master_key]
    return Observations(lambda: _piped(command))


def read_stream(source: str | os.PathLike[str] | IO[bytes]) -> Observations:
    """The samples of an Arrow stream: a file by name, or an open binary file, which can be read once (``sys.stdin.buffer``).

    A stream without its end is an error: a copy that broke off would look like less data.
    """
    return Observations(lambda: _opened(source))


def rfc3339(moment: datetime) -> str:
    """In UTC with milliseconds; what lies between two is the later one, so that ranges stay half-open."""
    if moment.tzinfo is None:
        raise VigilError(f"{moment} has no time zone: say which, such as tzinfo=timezone.utc")
    moment = moment.astimezone(timezone.utc)
    rest = -moment.microsecond % 1000
    if rest:
        moment += timedelta(microseconds=rest)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Tail:
    """A binary file that remembers how it ended."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.last = b""
        self.closed = False

    def read(self, size: int = -1) -> bytes:
        found = self._file.read(size)
        if found:
            self.last = (self.last + found[-8:])[-8:]
        return found

    def readable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def close(self) -> None:
        self.closed = True


class Handing:
    """Batches handed on through other libraries, which would bury what went wrong in an error of their own."""

    def __init__(self, schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> None:
        self.is_read = False
        self._error: VigilError | None = None
        self._reader = pa.RecordBatchReader.from_batches(schema, self._watched(batches))

    def _watched(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        try:
            yield from batches
            self.is_read = True
        except VigilError as error:
            self._error = error
            raise
        except (pa.ArrowException, OSError) as error:
            self._error = VigilError(f"the stream breaks off or is damaged: {line(error)}")
            raise self._error from error

    @contextmanager
    def reader(self) -> Iterator[pa.RecordBatchReader]:
        """Lends the reader; what went wrong while it was read is raised as it was."""
        try:
            yield self._reader
        except Exception as error:
            if self._error is None or error is self._error:
                raise
            raise self._error from error


@contextmanager
def checked(file: IO[bytes], name: str) -> Iterator[pa.RecordBatchReader]:
    """Reads a stream; when it was read to its end, that must have been one."""
    tail = Tail(file)
    try:
        stream = pa.ipc.open_stream(pa.PythonFile(tail, mode="r"))
    except pa.ArrowInvalid as error:
        raise VigilError(f"{name}: no Arrow stream: {line(error)}") from error
    handing = Handing(stream.schema, iter(stream))
    with handing.reader() as reader:
        yield reader
    if handing.is_read and tail.last != END:
        raise VigilError(f"{name}: the stream breaks off before its end; get it again")


@contextmanager
def _opened(source: str | os.PathLike[str] | IO[bytes]) -> Iterator[pa.RecordBatchReader]:
    if isinstance(source, (str, os.PathLike)):
        name = os.fspath(source)
        try:
            file = open(name, "rb")
        except OSError as error:
            raise VigilError(f"{name}: {error.strerror}") from error
        with file, checked(file, name) as reader:
            yield reader
    else:
        with checked(source, getattr(source, "name", None) or "the stream") as reader:
            yield reader


@contextmanager
def _piped(command: list[str]) -> Iterator[pa.RecordBatchReader]:
    with tempfile.TemporaryFile() as said:
        try:
            process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=said, bufsize=1 << 20)
        except OSError as error:
            raise VigilError(f"{command[0]}: {error.strerror}; give the program as vigil=PATH") from error
        assert process.stdout is not None
        try:
            # A program that failed says why better than the stream it did not write.
            try:
                stream = pa.ipc.open_stream(process.stdout)
            except pa.ArrowInvalid as error:
                raise VigilError(_why(process, said) or f"{command[0]} export wrote no Arrow stream") from error
            handing = Handing(stream.schema, _until_done(stream, process, said))
            with handing.reader() as reader:
                yield reader
        finally:
            process.stdout.close()
            if process.poll() is None:
                process.kill()
            process.wait()


def _until_done(
    stream: pa.RecordBatchReader, process: subprocess.Popen[bytes], said: IO[bytes]
) -> Iterator[pa.RecordBatch]:
    """The batches of a program that must then end well: one that was killed leaves a stream that looks whole."""
    try:
        yield from stream
    except (pa.ArrowException, OSError) as error:
        raise VigilError(_why(process, said) or f"the stream is damaged: {line(error)}") from error
    why = _why(process, said)
    if why:
        raise VigilError(why)
    # What it stepped over: a patient it does not know beside others, a damaged record.
    said.seek(0)
    for text in said.read().decode(errors="replace").splitlines():
        if text.startswith("vigil: "):
            warnings.warn(text, stacklevel=2)


def _why(process: subprocess.Popen[bytes], said: IO[bytes]) -> str | None:
    """Waits for the end; the last line a failed program said, None for one that did not fail."""
    status = process.wait()
    if status == 0:
        return None
    said.seek(0)
    lines = said.read().decode(errors="replace").strip().splitlines()
    return lines[-1] if lines else f"vigil export ended with status {status}"
