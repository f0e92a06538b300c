"""What a user who may use some databases only may ask for."""

from . import sql
from .errors import QueryError

# Databases about the engine, without data of others.
OPEN = {"information_schema", "INFORMATION_SCHEMA", "system"}
# Table functions and table engines that reach files, other servers, programs or other databases.
REACHING = {
    "azureblobstorage", "azureblobstoragecluster", "azurequeue", "cluster", "clusterallreplicas",
    "deltalake", "dictionary", "executable", "executablepool", "file", "filecluster", "filelog",
    "gcs", "hdfs", "hdfscluster", "hudi", "iceberg", "jdbc", "kafka", "merge", "mongodb", "mysql",
    "nats", "odbc", "postgresql", "python", "rabbitmq", "redis", "remote", "remotesecure", "s3",
    "s3cluster", "s3queue", "sqlite", "url", "urlcluster",
}
# Statements about the server, not about data.
SERVER = {"ATTACH", "BACKUP", "DETACH", "KILL", "RESTORE", "SYSTEM"}


def home(user):
    """The database of a request that names none."""
    return user["databases"][0] if user["databases"] else "default"


def check(user, database, found, known):
    """Refuses what is outside the user's databases; `known` are all databases there are."""
    if user["databases"] is None:
        return
    allowed = set(user["databases"])
    named = sql.databases(found, known | _created(found))
    if database is not None:
        named.add(database)
    foreign = named - allowed - OPEN
    if sql.first_word(found) in SERVER:
        foreign.add(sql.first_word(found))
    foreign |= (sql.functions(found) | _engines(found)) & REACHING
    foreign |= {text for kind, text in found if text.upper() in {"INFILE", "OUTFILE"}}
    if foreign:
        what = sorted(foreign)[0]
        text = f"{user['name']}: Not enough privileges: there is no grant on {what}."
        raise QueryError(497, text, "ACCESS_DENIED")


def _created(found):
    """The database that CREATE DATABASE or DROP DATABASE names, which need not exist."""
    if "DATABASE" not in [text.upper() for _, text in found[:2]]:
        return set()
    small = {"if", "not", "exists"}
    return {text for kind, text in found[2:] if kind == "name" and text.lower() not in small}


def _engines(found):
    return {
        c[1].lower()
        for a, b, c in zip(found, found[1:], found[2:])
        if a[1].upper() == "ENGINE" and b == ("mark", "=")
    }
