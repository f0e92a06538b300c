"""What counts of the server's configuration, from config.d/*.xml.

Of the rest nothing counts: it is about what the engine in process does not have.
"""

import dataclasses
import pathlib
import xml.etree.ElementTree as xml


@dataclasses.dataclass
class Configuration:
    """Ports are None where nothing listens; memory 0 means what the engine thinks right."""

    memory: int = 0
    http_port: int | None = 8123
    https_port: int | None = None
    certificate: str | None = None
    key: str | None = None


def read(directory):
    """The files in the order of their names; a later one wins, and `remove` takes away."""
    found = Configuration()
    for path in sorted(pathlib.Path(directory).glob("*.xml")):
        root = xml.parse(path).getroot()
        for name, element, convert in [
            ("memory", "max_server_memory_usage", int),
            ("http_port", "http_port", int),
            ("https_port", "https_port", int),
            ("certificate", "openSSL/server/certificateFile", str),
            ("key", "openSSL/server/privateKeyFile", str),
        ]:
            _take(found, name, root.find(element), convert)
    if found.https_port is not None and not (found.certificate and found.key):
        raise ValueError(
            f"https_port in {directory} needs openSSL/server/certificateFile and privateKeyFile")
    return found


def _take(found, name, element, convert):
    if element is None:
        return
    if element.get("remove") is not None:
        setattr(found, name, None)
    elif (element.text or "").strip():
        setattr(found, name, convert(element.text.strip()))
