"""The ClickHouse engine behind the HTTP interface of ClickHouse, for a cluster without a registry.

Data in /var/lib/clickhouse, or CLICKHOUSE_DATA. Users from /etc/clickhouse-server/users.d, or
CLICKHOUSE_USERS. Ports, certificate and memory from /etc/clickhouse-server/config.d, or
CLICKHOUSE_CONFIG; without them it listens on port 8123.
"""

import os
import pathlib
import signal
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent))

from clickhouse_http import configuration  # noqa: E402
from clickhouse_http.engine import Engine  # noqa: E402
from clickhouse_http.server import Server  # noqa: E402
from clickhouse_http.tls import Certificates  # noqa: E402
from clickhouse_http.users import Users  # noqa: E402


def servers(config, engine, users):
    """One server for each port that is to be listened on."""
    if config.http_port is not None:
        yield Server(config.http_port, engine, users)
    if config.https_port is not None:
        yield Server(config.https_port, engine, users, Certificates(config.certificate, config.key))


def main():
    data = pathlib.Path(os.environ.get("CLICKHOUSE_DATA", "/var/lib/clickhouse"))
    accounts = os.environ.get("CLICKHOUSE_USERS", "/etc/clickhouse-server/users.d")
    directory = os.environ.get("CLICKHOUSE_CONFIG", "/etc/clickhouse-server/config.d")
    config = configuration.read(directory)
    data.mkdir(parents=True, exist_ok=True)
    users = Users(accounts, data / "users.json")
    engine = Engine(str(data / "engine"), users, config.memory)
    running = list(servers(config, engine, users))

    def stop(*_):
        for server in running:
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, stop)
    threads = [threading.Thread(target=server.serve_forever, args=(0.2,)) for server in running]
    for thread in threads:
        thread.start()
    print(f"ready on ports {[server.server_port for server in running]}", file=sys.stderr)
    for thread in threads:
        thread.join()
    # Waits for the query under way, so that the engine closes its files.
    engine.close()


main()
