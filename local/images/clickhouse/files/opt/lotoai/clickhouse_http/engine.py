"""The engine: one session on disk, one query at a time."""

import re
import threading

from chdb.session import Session

from . import access, sql, users
from .errors import EngineError, QueryError

WAIT_SECONDS = 60
# These make chdb return Python objects, or pass a path to it, instead of bytes.
PYTHON_FORMATS = {"dataframe", "arrowtable", "debug", "datastore"}


class Answer:
    """What comes back."""

    def __init__(self, body, output, written=0):
        self.body = body
        self.output = output
        self.written = written


class Engine:
    """The session. Everything that touches it holds its lock."""

    def __init__(self, path, accounts, memory):
        self._accounts = accounts
        self._lock = threading.Lock()
        self._session = Session(path)
        self._call("SET max_execution_time = 300")
        if memory:
            self._call(f"SET max_memory_usage = {memory}")

    def close(self):
        with self._lock:
            self._session.close()

    def answer(self, request):
        """Carries out a request."""
        insert = sql.INSERT.match(request.query)
        text = (insert.group("head") if insert else request.query).decode("utf-8", "replace")
        found = sql.tokens(text)
        if not found:
            raise QueryError(62, "Empty query", "SYNTAX_ERROR")
        if sql.has_many(found):
            raise QueryError(62, "Multi-statements are not allowed", "SYNTAX_ERROR")
        if request.readonly and not sql.reads(found):
            raise QueryError(164, "Cannot execute query in readonly mode.", "READONLY")
        change = users.statement(found)
        if change:
            self._accounts.change(request.user, change)
            return Answer(b"", None)
        if [word.upper() for _, word in found[:2]] == ["SHOW", "USERS"] and request.user["admin"]:
            return Answer("".join(f"{n}\n" for n in self._accounts.names()).encode(), "TabSeparated")
        if not self._lock.acquire(timeout=WAIT_SECONDS):
            raise QueryError(202, "Too many simultaneous queries.", "TOO_MANY_SIMULTANEOUS_QUERIES")
        try:
            if request.user["databases"] is not None:
                known = set(self._call("SHOW DATABASES").decode().splitlines())
                access.check(request.user, request.database, found, known)
            return self._run(request, insert, found, text)
        finally:
            self._lock.release()

    def _run(self, request, insert, found, text):
        database = request.database or access.home(request.user)
        self._call(f"USE `{_plain(database)}`")
        for name, value in request.settings.items():
            self._call(f"SET {_plain(name)} = {sql.literal(value)}")
        try:
            if insert:
                return self._insert(text, insert, request.query[insert.end():])
            output = _format(request.output or "TabSeparated")
            query = request.query.decode("utf-8")
            body = self._call(query, output, request.parameters)
            return Answer(body, sql.output_format(found) or output)
        finally:
            for name in request.settings:
                self._call(f"SET {_plain(name)} = DEFAULT")

    def _insert(self, head, insert, data):
        output = _format(insert.group("format").decode())
        try:
            with self._session._conn.send_insert(head, output) as stream:
                stream.append(data)
                written = stream.finish().rows_written
        except Exception as error:
            raise EngineError(str(error)) from error
        return Answer(b"", None, written)

    def _call(self, query, output="TabSeparated", parameters=None):
        try:
            return self._session.query(query, output, params=parameters or {}).bytes()
        except Exception as error:
            raise EngineError(str(error)) from error


def _plain(name):
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]*", name):
        raise QueryError(36, f"{name!r} is no name", "BAD_ARGUMENTS")
    return name


def _format(name):
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", name) or name.lower() in PYTHON_FORMATS:
        raise QueryError(73, f"Unknown format {name}", "UNKNOWN_FORMAT")
    return name
