"""TLS of the HTTP interface."""

import os
import ssl
import sys
import threading


class Certificates:
    """A certificate and its key, which follow their files. Handshakes take the pair that was read
    last; a pair that cannot be used is told once, and the one before stays."""

    def __init__(self, certificate, key):
        self._files = (certificate, key)
        self._lock = threading.Lock()
        self._seen = self._look()
        self._context = self._read()

    def context(self):
        """What the next handshake takes."""
        with self._lock:
            seen = self._look()
            if seen != self._seen:
                self._seen = seen
                self._renew()
            return self._context

    def _renew(self):
        try:
            self._context = self._read()
            print("the certificate is read again", file=sys.stderr)
        except OSError as error:  # also what the TLS library raises
            print(f"the new certificate cannot be used: {error}", file=sys.stderr)

    def _look(self):
        return [_mark(path) for path in self._files]

    def _read(self):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(["http/1.1"])
        context.load_cert_chain(*self._files)
        return context


def _mark(path):
    """What changes with a file. A volume of Kubernetes changes by a link: the file behind it is
    another one then."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
