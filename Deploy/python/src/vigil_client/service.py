"""A running service, through its HTTP API."""

from __future__ import annotations

import io
import ipaddress
import json
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from http.client import HTTPException, HTTPResponse

import pyarrow as pa

from .errors import VigilError
from .observations import Observations
from .streams import Handing, checked, rfc3339

_ARROW = "application/vnd.apache.arrow.stream"
#: How often a service that says it is busy, and when to come back, is asked.
_ATTEMPTS = 10


@dataclass(frozen=True)
class Patient:
    """A patient the service knows; ``unit`` and ``bed`` are where the roster says they lie."""

    tenant: str
    patient: str
    unit: str | None
    bed: str | None


def connect(
    url: str, token: str | None = None, *, purpose: str | None = None, timeout: float = 60
) -> Service:
    """A running service. Nothing is sent before something is asked.

    ``token`` is ``api.token`` of its configuration, sent only over https or to this machine; ``purpose`` says why the
    data is read and stands in the audit chain; ``timeout`` is of one answer, in seconds.
    """
    return Service(url, token, purpose, timeout)


class Service:
    """What a running service answers."""

    def __init__(self, url: str, token: str | None, purpose: str | None, timeout: float) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise VigilError(f"{url}: give the service's address such as https://vigil.example")
        if token and parts.scheme == "http" and not _is_here(parts.hostname):
            raise VigilError(f"{url}: a token is sent over https only")
        self._url = url.rstrip("/")
        self._headers = {"Accept": _ARROW}
        if token:
            self._headers["Authorization"] = f"Bearer {token}"
        if purpose:
            self._headers["X-Purpose"] = purpose.encode("ascii", "replace").decode()
        self._timeout = timeout
        # A redirect would carry the token to wherever it points.
        self._opener = urllib.request.build_opener(_NoRedirects)

    def patients(self, *, tenant: str | None = None) -> list[Patient]:
        """Everybody the service knows."""
        found: list[Patient] = []
        target: str | None = self._target("/v1/patients", {"tenant": tenant, "limit": "10000"})
        while target:
            with self._answer(target) as answer:
                try:
                    page = json.load(answer)["patients"]
                    found += [Patient(p["tenant"], p["patient"], p["unit"], p["bed"]) for p in page]
                except (ValueError, KeyError, TypeError) as error:
                    raise VigilError(
                        f"{self._url}: the answer is no list of patients: is this a Vigil service?") from error
                target = self._next(answer, target)
        return found

    def observations(
        self,
        patient: str,
        *,
        tenant: str | None = None,
        codes: Sequence[str] = (),
        start: datetime | None = None,
        end: datetime | None = None,
        superseded: bool = False,
        page: int = 100_000,
    ) -> Observations:
        """One patient's samples by event time, page after page, with everything received until each page is asked for.

        ``codes`` chooses, none is all; event times lie in ``start`` <= time < ``end`` and must have a time zone;
        ``superseded`` adds the values that corrections replaced; ``page`` is the samples of one request.
        """
        if isinstance(codes, str):
            raise VigilError(f"codes is a list of names, not one text: [{codes!r}]")
        target = self._target(
            "/v1/observations",
            {
                "patient": patient,
                "tenant": tenant,
                "code": ",".join(codes) or None,
                "from": rfc3339(start) if start else None,
                "to": rfc3339(end) if end else None,
                "superseded": "true" if superseded else None,
                "limit": str(page),
            },
        )
        return Observations(lambda: self._pages(target))

    @contextmanager
    def _pages(self, target: str) -> Iterator[pa.RecordBatchReader]:
        first, following = self._page(target)
        # Every page has dictionaries of its own; their types are the same.
        def batches() -> Iterator[pa.RecordBatch]:
            table, target = first, following
            while True:
                yield from table.to_batches()
                if target is None:
                    return
                table, target = self._page(target)

        with Handing(first.schema, batches()).reader() as reader:
            yield reader

    def _page(self, target: str) -> tuple[pa.Table, str | None]:
        with self._answer(target) as answer:
            if answer.headers.get_content_type() != _ARROW:
                raise VigilError(f"{self._url}: the answer is no Arrow stream: is this a Vigil service?")
            with checked(io.BytesIO(answer.read()), self._url) as reader:
                table = reader.read_all()
            return table, self._next(answer, target)

    def _target(self, path: str, fields: Mapping[str, str | None]) -> str:
        given = {name: value for name, value in fields.items() if value is not None}
        return f"{self._url}{path}?{urllib.parse.urlencode(given, quote_via=urllib.parse.quote)}"

    def _next(self, answer: HTTPResponse, target: str) -> str | None:
        """The page after this one, of the same path only (RFC 8288)."""
        link = answer.headers.get("Link")
        if not link:
            return None
        reference = link[link.find("<") + 1 : link.find(">")]
        query = urllib.parse.urlsplit(reference).query
        if not query or f"?{query}" == target[target.find("?") :]:
            raise VigilError(f"{self._url}: the service names no next page: {link}")
        return f"{target[: target.find('?')]}?{query}"

    def _asked(self, target: str) -> HTTPResponse:
        """Asks, and asks again as often as a busy service may be busy."""
        request = urllib.request.Request(target, headers=self._headers)
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                answer: HTTPResponse = self._opener.open(request, timeout=self._timeout)
                return answer
            except urllib.error.HTTPError as error:
                wait = error.headers.get("Retry-After", "")
                if error.code != 503 or not wait.isdecimal() or attempt == _ATTEMPTS:
                    raise
                error.close()
                time.sleep(min(int(wait), 10))
        raise AssertionError("unreachable")

    @contextmanager
    def _answer(self, target: str) -> Iterator[HTTPResponse]:
        try:
            with self._asked(target) as answer:
                yield answer
        except urllib.error.HTTPError as error:
            raise VigilError(f"{self._url}: {_problem(error)}") from error
        except urllib.error.URLError as error:
            raise VigilError(f"{self._url}: {error.reason}; does `vigil run` listen there?") from error
        except (HTTPException, TimeoutError, ConnectionError) as error:
            raise VigilError(f"{self._url}: the answer broke off ({type(error).__name__}); ask again") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: object) -> None:
        return None


def _problem(error: urllib.error.HTTPError) -> str:
    """A problem document (RFC 9457) as one line."""
    try:
        problem = json.loads(error.read())
        return f"{error.code} {problem['title']}" + (f": {problem['detail']}" if "detail" in problem else "")
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
