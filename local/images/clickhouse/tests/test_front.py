"""Tests of the parts that need no engine: python3 -m unittest discover -s local/images/clickhouse/tests"""

import contextlib
import io
import json
import pathlib
import ssl
import subprocess
import sys
import tempfile
import threading
import unittest
import urllib.request
from unittest import mock

ROOT = pathlib.Path(__file__).resolve().parent.parent / "files/opt/lotoai"
sys.path.insert(0, str(ROOT))

from clickhouse_http import access, configuration, server, sql, tls, users  # noqa: E402
from clickhouse_http.errors import EngineError, QueryError  # noqa: E402

XML = """<clickhouse><users>
  <default remove="remove"/>
  <admin><password_sha256_hex>{hash}</password_sha256_hex>
    <networks><ip>::/0</ip></networks><access_management>1</access_management></admin>
  <analytics><password>pass</password>
    <allow_databases><database>lotoai</database></allow_databases></analytics>
  <granted><password>pass</password>
    <grants><query>GRANT SELECT ON other.* TO granted</query></grants></granted>
  <near><password>pass</password><networks><ip>10.0.0.0/8</ip></networks></near>
</users></clickhouse>"""


class Sql(unittest.TestCase):
    def test_an_insert_is_split_before_its_data(self):
        query = b"INSERT INTO t (a) FORMAT JSONEachRow\n{\"a\": \"FORMAT CSV\"}"
        found = sql.INSERT.match(query)
        self.assertEqual(found.group("format"), b"JSONEachRow")
        self.assertEqual(query[found.end():], b"{\"a\": \"FORMAT CSV\"}")
        self.assertIsNone(sql.INSERT.match(b"INSERT INTO t VALUES (1)"))
        self.assertIsNone(sql.INSERT.match(b"SELECT 1 FORMAT JSON"))

    def test_strings_and_comments_hide_words(self):
        found = sql.tokens("SELECT ';', 'it''s' -- ; DROP\n /* ; */ FROM `t` FORMAT JSON;")
        self.assertFalse(sql.has_many(found))
        self.assertEqual(sql.output_format(found), "JSON")
        self.assertTrue(sql.has_many(sql.tokens("SELECT 1; SELECT 2")))

    def test_reading_is_told_from_writing(self):
        for query in ["select 1", "(SELECT 1)", "WITH 1 AS x SELECT x", "SHOW TABLES"]:
            self.assertTrue(sql.reads(sql.tokens(query)), query)
        for query in ["INSERT INTO t VALUES (1)", "DROP TABLE t", "SET a = 1"]:
            self.assertFalse(sql.reads(sql.tokens(query)), query)


class Access(unittest.TestCase):
    KNOWN = {"default", "lotoai", "other", "system"}
    USER = {"name": "u", "databases": ["lotoai"]}

    def refused(self, query, database="lotoai"):
        try:
            access.check(self.USER, database, sql.tokens(query), self.KNOWN)
        except QueryError as error:
            self.assertEqual(error.code, 497)
            return True
        return False

    def test_own_data_is_open(self):
        for query in [
            "SELECT a.b, count() FROM lotoai.t AS a", "INSERT INTO t", "SELECT 'other.t' FROM t",
            "CREATE TABLE t (a UInt8) ENGINE = MergeTree ORDER BY a", "SELECT 1 FROM system.one",
        ]:
            self.assertFalse(self.refused(query), query)

    def test_other_data_is_closed(self):
        for query in [
            "SELECT * FROM other.t", "SELECT * FROM `other`.t", "SELECT * FROM lotoai.t, other.t",
            "SELECT other.t.a FROM t", "SELECT * FROM t JOIN other . t USING a", "USE other",
            "DROP DATABASE IF EXISTS other", "CREATE DATABASE new", "SHOW TABLES FROM other",
            "SELECT * FROM file('/etc/passwd', 'CSV')", "SELECT * FROM merge('other', '.*')",
            "CREATE TABLE t (a UInt8) ENGINE = URL('http://x')", "SYSTEM SHUTDOWN",
            "INSERT INTO t FROM INFILE '/x'", "SELECT 1 INTO OUTFILE '/x'",
        ]:
            self.assertTrue(self.refused(query), query)
        self.assertTrue(self.refused("SELECT 1", "other"))


class Accounts(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        (self.root / "users.d").mkdir()
        self.users = self.open()

    def open(self):
        return users.Users(self.root / "users.d", self.root / "users.json")

    def write(self):
        text = XML.format(hash=users.sha256("secret").upper())
        (self.root / "users.d/users.xml").write_text(text)

    def refused(self, *credentials):
        with self.assertRaises(QueryError) as raised:
            self.users.authenticate(*credentials)
        self.assertEqual(raised.exception.code, 516)
        return str(raised.exception)

    def test_without_users_only_this_machine_gets_in(self):
        self.assertTrue(self.users.authenticate("default", "", "::ffff:127.0.0.1")["admin"])
        self.refused("default", "", "10.1.2.3")

    def test_users_come_from_xml_and_are_read_again(self):
        self.write()
        admin = self.users.authenticate("admin", "secret", "10.1.2.3")
        self.assertEqual((admin["admin"], admin["databases"]), (True, None))
        self.assertEqual(
            self.users.authenticate("analytics", "pass", "10.1.2.3")["databases"], ["lotoai"])
        self.assertEqual(
            self.users.authenticate("granted", "pass", "10.1.2.3")["databases"], ["other"])
        self.assertEqual(self.refused("admin", "wrong", "::1"),
                         self.refused("nobody", "wrong", "::1").replace("nobody", "admin"))
        self.refused("default", "", "127.0.0.1")
        self.refused("near", "pass", "192.168.0.1")
        self.users.authenticate("near", "pass", "10.1.2.3")

    def change(self, query, name="admin"):
        self.write()
        user = self.users.authenticate(name, "secret" if name == "admin" else "pass", "::1")
        self.users.change(user, users.statement(sql.tokens(query)))

    def test_users_are_made_by_sql_and_survive(self):
        create = "CREATE USER IF NOT EXISTS a IDENTIFIED WITH sha256_password BY 'it\\'s'"
        self.change(create)
        self.change("GRANT SELECT, INSERT ON lotoai.* TO a")
        self.users = self.open()
        self.assertEqual(self.users.authenticate("a", "it's", "10.1.1.1")["databases"], ["lotoai"])
        self.change("ALTER USER a IDENTIFIED WITH sha256_hash BY '%s'" % users.sha256("new"))
        self.refused("a", "it's", "::1")
        self.change("REVOKE ALL ON lotoai.* FROM a")
        self.assertEqual(self.users.authenticate("a", "new", "::1")["databases"], [])
        self.change("DROP USER a")
        self.refused("a", "new", "::1")
        self.assertEqual(json.loads((self.root / "users.json").read_text()), {})

    def test_a_broken_file_of_users_is_told_and_taken_as_empty(self):
        self.change("CREATE USER a IDENTIFIED BY 'x'")
        for broken in [b"", b'{"a": {"na', b"\x00\xff\x00", b"[]"]:
            (self.root / "users.json").write_bytes(broken)
            log = io.StringIO()
            with contextlib.redirect_stderr(log):
                self.users = self.open()
            self.assertIn("users.json", log.getvalue())
            self.assertEqual(self.users.names(), [])
            self.change("CREATE USER a IDENTIFIED BY 'x'")
            self.users = self.open()
            self.users.authenticate("a", "x", "10.1.1.1")

    def test_users_are_on_the_disk_before_the_statement_is_answered(self):
        steps = []
        with mock.patch("os.fsync", lambda _: steps.append("sync")), \
                mock.patch("os.replace", lambda *_: steps.append("replace")):
            self.change("CREATE USER a IDENTIFIED BY 'x'")
        self.assertEqual(steps, ["sync", "replace", "sync"])

    def test_only_an_administrator_makes_users(self):
        with self.assertRaises(QueryError) as raised:
            self.change("CREATE USER b IDENTIFIED BY 'x'", "analytics")
        self.assertEqual(raised.exception.code, 497)

    def test_a_password_is_no_file_for_others(self):
        self.change("CREATE USER a IDENTIFIED BY 'x'")
        self.assertEqual((self.root / "users.json").stat().st_mode & 0o777, 0o600)


class Configured(unittest.TestCase):
    def read(self, **files):
        with tempfile.TemporaryDirectory() as directory:
            for name, text in files.items():
                pathlib.Path(directory, f"{name}.xml").write_text(
                    f"<clickhouse>{text}</clickhouse>")
            return configuration.read(directory)

    def test_without_files_it_is_clear_text_on_the_usual_port(self):
        found = self.read()
        self.assertEqual((found.http_port, found.https_port, found.memory), (8123, None, 0))

    def test_the_operator_leaves_tls_alone(self):
        found = self.read(a="""<https_port>8443</https_port><http_port remove="1"/>
            <openSSL><server><certificateFile>/c</certificateFile>
            <privateKeyFile>/k</privateKeyFile></server></openSSL>""",
                          b="<max_server_memory_usage>9</max_server_memory_usage>")
        self.assertEqual((found.http_port, found.https_port), (None, 8443))
        self.assertEqual((found.certificate, found.key, found.memory), ("/c", "/k", 9))

    def test_tls_without_a_certificate_is_refused(self):
        with self.assertRaisesRegex(ValueError, "certificateFile"):
            self.read(a="<https_port>8443</https_port>")


class Tls(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)
        self.issue()
        certificates = tls.Certificates(self.root / "tls.crt", self.root / "tls.key")
        self.server = server.Server(0, None, None, certificates)
        log = contextlib.redirect_stderr(io.StringIO())
        self.log = log.__enter__()
        self.addCleanup(log.__exit__, None, None, None)
        thread = threading.Thread(target=self.server.serve_forever, args=(0.01,))
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(self.server.server_close)
        self.addCleanup(self.server.shutdown)

    def issue(self):
        """A certificate that is its own authority."""
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
             "-nodes", "-keyout", self.root / "tls.key", "-out", self.root / "tls.crt",
             "-days", "9", "-subj", "/CN=test", "-addext", "subjectAltName=DNS:localhost"],
            check=True, capture_output=True)
        return (self.root / "tls.crt").read_text()

    def ping(self, authority, host="localhost", scheme="https"):
        context = ssl.create_default_context(cadata=authority) if scheme == "https" else None
        url = f"{scheme}://{host}:{self.server.server_port}/ping"
        with urllib.request.urlopen(url, context=context, timeout=10) as answer:
            return answer.read()

    def test_the_name_and_the_authority_are_checked_and_clear_text_is_refused(self):
        own = (self.root / "tls.crt").read_text()
        self.assertEqual(self.ping(own), b"Ok.\n")
        with self.assertRaises(OSError):
            self.ping(own, "127.0.0.1")
        with self.assertRaises(OSError):
            self.ping(own, scheme="http")
        self.assertIn("handshake with", self.log.getvalue())
        self.assertEqual(self.ping(own), b"Ok.\n")

    def test_a_changed_pair_is_taken_and_a_broken_one_is_not(self):
        first = (self.root / "tls.crt").read_text()
        second = self.issue()
        self.assertEqual(self.ping(second), b"Ok.\n")
        with self.assertRaises(OSError):
            self.ping(first)
        (self.root / "tls.key").write_text("half of a fi")
        self.assertEqual(self.ping(second), b"Ok.\n")
        self.assertIn("cannot be used", self.log.getvalue())


class Errors(unittest.TestCase):
    def test_the_code_is_read_from_the_text(self):
        error = EngineError("chdb: Code: 60. DB::Exception: no table (UNKNOWN_TABLE)")
        self.assertEqual((error.code, error.status), (60, 404))
        self.assertTrue(str(error).startswith("Code: 60."))
        self.assertEqual(EngineError("boom").code, 1002)


if __name__ == "__main__":
    unittest.main()
