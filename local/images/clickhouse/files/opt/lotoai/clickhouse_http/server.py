"""The HTTP interface."""

import base64
import http.server
import json
import socket
import socketserver
import sys
import threading
import time
import urllib.parse
import uuid

from .errors import QueryError
from .request import Request

BODY_LIMIT = 64 * 1024 * 1024
CONNECTIONS = 128
IDLE_SECONDS = 60
HANDSHAKE_SECONDS = 10
# Parameters of a request that are no settings of the engine.
RESERVED = {
    "query", "database", "default_format", "user", "password", "query_id", "session_id",
    "session_timeout", "session_check", "quota_key", "compress", "decompress", "role",
    "enable_http_compression", "http_zlib_compression_level", "wait_end_of_query", "buffer_size",
    "stacktrace", "log_comment", "send_progress_in_http_headers", "client_protocol_version",
    "http_write_exception_in_output_format", "async_insert", "wait_for_async_insert",
}
TYPES = {
    "TabSeparated": "text/tab-separated-values; charset=UTF-8",
    "CSV": "text/csv; charset=UTF-8; header=absent",
    "CSVWithNames": "text/csv; charset=UTF-8; header=present",
    "JSON": "application/json; charset=UTF-8",
    "JSONCompact": "application/json; charset=UTF-8",
    "JSONEachRow": "application/x-ndjson; charset=UTF-8",
}


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """One thread a connection, and not too many of them. With certificates it speaks TLS."""

    daemon_threads = True
    request_queue_size = 128
    allow_reuse_address = True

    def __init__(self, port, engine, users, certificates=None):
        self.engine = engine
        self._certificates = certificates
        self.users = users
        self._free = threading.BoundedSemaphore(CONNECTIONS)
        self.address_family = socket.AF_INET6 if socket.has_dualstack_ipv6() else socket.AF_INET
        super().__init__(("" if self.address_family == socket.AF_INET else "::", port), Handler)

    def server_bind(self):
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self.server_address[:2]

    def process_request(self, request, client_address):
        if not self._free.acquire(timeout=1):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request, client_address):
        try:
            if self._certificates:
                request.settimeout(HANDSHAKE_SECONDS)
                context = self._certificates.context()
                request = context.wrap_socket(request, server_side=True)
        except OSError as error:
            print(f"a TLS handshake with {client_address[0]} failed: {error}", file=sys.stderr)
            request.close()
        else:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()


class Handler(http.server.BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    server_version = "lotoai-clickhouse"
    timeout = IDLE_SECONDS

    def do_GET(self):
        self._handle(True)

    def do_HEAD(self):
        self._handle(True)

    def do_POST(self):
        self._handle(False)

    def log_message(self, format, *args):
        """Nothing: queries and users are not for the log."""

    def _handle(self, readonly):
        begun = time.monotonic()
        url = urllib.parse.urlsplit(self.path)
        pairs = urllib.parse.parse_qsl(url.query, keep_blank_values=True)
        self._identity = dict(pairs).get("query_id") or str(uuid.uuid4())
        code = 0
        try:
            body = self._body()
            if url.path == "/ping" or (url.path == "/" and not pairs and not body):
                self._send(200, b"Ok.\n", "text/html; charset=UTF-8", {})
                return
            if url.path not in {"/", "/query"}:
                self._send(404, f"There is no handle {url.path}\n".encode(), "text/plain", {})
                return
            self._answer(pairs, body, readonly)
        except QueryError as error:
            code = error.code
            text = f"{error} (query_id {self._identity})\n".encode()
            headers = {"X-ClickHouse-Exception-Code": str(code)}
            self._send(error.status, text, "text/plain; charset=UTF-8", headers)
        except UnicodeDecodeError:
            code = 62
            text = b"Code: 62. DB::Exception: the query is not UTF-8 (SYNTAX_ERROR)\n"
            self._send(400, text, "text/plain", {"X-ClickHouse-Exception-Code": "62"})
        finally:
            if url.path != "/ping":
                took = int((time.monotonic() - begun) * 1000)
                record = {"query_id": self._identity, "code": code, "milliseconds": took}
                print(json.dumps(record), file=sys.stderr)

    def _answer(self, pairs, body, readonly):
        arguments = dict(pairs)
        if arguments.get("compress", "0") != "0" or arguments.get("decompress", "0") != "0":
            raise QueryError(48, "compression is not known here", "NOT_IMPLEMENTED")
        user = self.server.users.authenticate(*self._credentials(arguments), self.client_address[0])
        query = arguments.get("query", "").encode()
        query = query + b"\n" + body if query and body else query or body
        header = self.headers.get
        answer = self.server.engine.answer(Request(
            user,
            query,
            arguments.get("database") or header("X-ClickHouse-Database"),
            arguments.get("default_format") or header("X-ClickHouse-Format"),
            {name[6:]: value for name, value in pairs if name.startswith("param_")},
            {n: v for n, v in pairs if n not in RESERVED and not n.startswith("param_")},
            readonly,
        ))
        headers = {"X-ClickHouse-Summary": json.dumps({"written_rows": str(answer.written)})}
        if answer.output:
            headers["X-ClickHouse-Format"] = answer.output
        media_type = TYPES.get(answer.output or "TabSeparated", "application/octet-stream")
        self._send(200, answer.body, media_type, headers)

    def _credentials(self, arguments):
        header = self.headers.get
        authorization = header("Authorization") or ""
        if header("X-ClickHouse-User") is not None or header("X-ClickHouse-Key") is not None:
            return header("X-ClickHouse-User") or "default", header("X-ClickHouse-Key") or ""
        if authorization.lower().startswith("basic "):
            try:
                plain = base64.b64decode(authorization[6:], validate=True).decode()
            except ValueError as error:
                raise QueryError(516, "Invalid authentication", "AUTHENTICATION_FAILED") from error
            name, _, password = plain.partition(":")
            return name, password
        return arguments.get("user") or "default", arguments.get("password") or ""

    def _body(self):
        if (self.headers.get("Content-Encoding") or "identity").lower() != "identity":
            self.close_connection = True
            raise QueryError(48, "compressed bodies are not known here", "NOT_IMPLEMENTED")
        if (self.headers.get("Transfer-Encoding") or "").lower() == "chunked":
            return self._chunks()
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError as error:
            self.close_connection = True
            raise QueryError(36, "Content-Length is no number", "BAD_ARGUMENTS") from error
        self._limit(length)
        return self.rfile.read(length)

    def _chunks(self):
        pieces, total = [], 0
        while True:
            try:
                length = int(self.rfile.readline(64).split(b";")[0], 16)
            except ValueError as error:
                self.close_connection = True
                raise QueryError(36, "a chunk has no length", "BAD_ARGUMENTS") from error
            if length == 0:
                while self.rfile.readline(8192).strip():
                    pass
                return b"".join(pieces)
            total += length
            self._limit(total)
            pieces.append(self.rfile.read(length))
            self.rfile.readline(64)

    def _limit(self, length):
        if not 0 <= length <= BODY_LIMIT:
            self.close_connection = True
            raise QueryError(307, f"a body may have {BODY_LIMIT} bytes", "TOO_MANY_BYTES")

    def _send(self, status, body, media_type, headers):
        self.send_response(status)
        self.send_header("Content-Type", media_type)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-ClickHouse-Server-Display-Name", "lotoai-clickhouse")
        self.send_header("X-ClickHouse-Query-Id", self._identity.replace("\r", "").replace("\n", ""))
        for name, value in headers.items():
            self.send_header(name, value)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
