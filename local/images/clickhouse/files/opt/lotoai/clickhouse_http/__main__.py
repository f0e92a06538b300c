"""The ClickHouse engine behind the HTTP interface of ClickHouse, for a cluster without a registry.

Port 8123, or CLICKHOUSE_HTTP_PORT. Data in /var/lib/clickhouse, or CLICKHOUSE_DATA. Users from
/etc/clickhouse-server/users.d, or CLICKHOUSE_USERS. Of the server's configuration in
/etc/clickhouse-server/config.d only max_server_memory_usage counts; the rest is about what the
engine in process does not have.
"""

import os
import pathlib
import signal
import sys
import threading
import xml.etree.ElementTree as xml

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from clickhouse_http.engine import Engine  # noqa: E402
from clickhouse_http.server import Server  # noqa: E402
from clickhouse_http.users import Users  # noqa: E402


CONFIG = "/etc/clickhouse-server/config.d"


def memory_limit(config):
    """Bytes that a query may use; 0 means what the engine thinks right."""
    limit = 0
    for path in sorted(pathlib.Path(config).glob("*.xml")):
        limit = int(xml.parse(path).getroot().findtext("max_server_memory_usage") or limit)
    return limit


def main():
    data = pathlib.Path(os.environ.get("CLICKHOUSE_DATA", "/var/lib/clickhouse"))
    config = os.environ.get("CLICKHOUSE_USERS", "/etc/clickhouse-server/users.d")
    port = int(os.environ.get("CLICKHOUSE_HTTP_PORT", "8123"))
    data.mkdir(parents=True, exist_ok=True)
    users = Users(config, data / "users.json")
    engine = Engine(str(data / "engine"), users, memory_limit(CONFIG))
    server = Server(port, engine, users)
    signal.signal(signal.SIGTERM, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"ready on port {port}", file=sys.stderr)
    server.serve_forever(poll_interval=0.2)
    # Waits for the query under way, so that the engine closes its files.
    engine.close()


main()
