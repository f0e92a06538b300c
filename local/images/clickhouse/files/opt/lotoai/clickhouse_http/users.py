"""Users: from users.d/*.xml, as the server reads them, and made by SQL.

A user is {name, hash, networks, databases (None means all), admin, readonly}.
"""

import hashlib
import hmac
import ipaddress
import json
import os
import pathlib
import sys
import threading
import xml.etree.ElementTree as xml

from . import sql
from .errors import QueryError

LOOPBACK = ["127.0.0.0/8", "::1/128"]


def sha256(text):
    return hashlib.sha256(text.encode()).hexdigest()


def refused(name):
    return QueryError(
        516,
        f"{name}: Authentication failed: password is incorrect, or there is no user with such name.",
        "AUTHENTICATION_FAILED",
    )


class Users:
    """Everybody who may ask."""

    def __init__(self, config, state):
        self._config = pathlib.Path(config)
        self._state = pathlib.Path(state)
        self._lock = threading.RLock()
        self._seen = None
        self._fixed = {}
        self._made = _load(self._state)

    def authenticate(self, name, password, address):
        """The user, or an error that does not tell whether the name or the password is wrong."""
        with self._lock:
            self._reload()
            user = self._fixed.get(name) or self._made.get(name)
        expected = user["hash"] if user else None
        given = sha256(password)
        right = expected is not None and hmac.compare_digest(given, expected)
        if not right or not _allowed(user, address):
            raise refused(name)
        return user

    def names(self):
        with self._lock:
            return sorted({**self._made, **self._fixed})

    def change(self, user, change):
        """Carries out a statement on users that `statement` has read."""
        if not user["admin"]:
            raise QueryError(497, f"{user['name']}: Not enough privileges.", "ACCESS_DENIED")
        with self._lock:
            made = dict(self._made)
            for name in change["names"]:
                _apply(made, self._fixed, name, change)
            _save(self._state, made)
            self._made = made

    def _reload(self):
        paths = sorted(self._config.glob("*.xml"))
        seen = [(str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in paths]
        if seen == self._seen:
            return
        fixed = {"default": _user("default", sha256(""), LOOPBACK, None, True, False)}
        for path in paths:
            _read(xml.parse(path).getroot(), fixed)
        self._fixed, self._seen = fixed, seen


def _load(state):
    """The users that SQL made. Without them the server still starts, because the administrator
    comes from XML and can make them again."""
    try:
        made = json.loads(state.read_text())
    except FileNotFoundError:
        return {}
    except ValueError as error:
        print(f"{state} is broken and taken as empty; make the users again: {error}", file=sys.stderr)
        return {}
    if not isinstance(made, dict):
        print(f"{state} holds no users and is taken as empty; make the users again", file=sys.stderr)
        return {}
    return made


def _save(state, made):
    """Replaces the file so that it is whole, the old or the new one, whenever the machine stops."""
    temporary = state.with_suffix(".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "w") as file:
        # The mode above counts for a new file only.
        os.fchmod(file.fileno(), 0o600)
        json.dump(made, file)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, state)
    directory = os.open(state.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _user(name, digest, networks, databases, admin, readonly):
    return {"name": name, "hash": digest, "networks": networks, "databases": databases,
            "admin": admin, "readonly": readonly}


def _allowed(user, address):
    if not user["networks"]:
        return True
    address = ipaddress.ip_address(address)
    address = getattr(address, "ipv4_mapped", None) or address
    # A network of IPv6 holds IPv4 addresses in their mapped form: ::/0 is everybody.
    mapped = ipaddress.ip_address(f"::ffff:{address}") if address.version == 4 else address
    networks = [ipaddress.ip_network(network, strict=False) for network in user["networks"]]
    return any(address in network or mapped in network for network in networks)


def _text(element):
    if element is None:
        return None
    variable = element.get("from_env")
    return os.environ[variable] if variable else (element.text or "").strip()


def _read(root, fixed):
    for group in root.findall("users"):
        for element in group:
            if element.get("remove") is not None:
                fixed.pop(element.tag, None)
                continue
            fixed[element.tag] = _parse(element)


def _parse(element):
    digest = _text(element.find("password_sha256_hex"))
    plain = _text(element.find("password"))
    if digest is None and plain is not None:
        digest = sha256(plain)
    if digest is None and element.find("no_password") is not None:
        digest = sha256("")
    allowed = [_text(e) for e in element.findall("allow_databases/database")]
    for grant in element.findall("grants/query"):
        change = statement(sql.tokens(_text(grant)))
        if change and change["what"] == "grant":
            allowed.append(change["database"])
    return _user(
        element.tag,
        digest.lower() if digest is not None else None,
        [_text(e) for e in element.findall("networks/ip")],
        None if not allowed or "*" in allowed else allowed,
        _text(element.find("access_management")) == "1",
        _text(element.find("profile")) == "readonly",
    )


def _apply(made, fixed, name, change):
    what = change["what"]
    if what == "grant" or what == "revoke":
        if name not in made:
            raise QueryError(192, f"There is no user `{name}`.", "UNKNOWN_USER")
        user = dict(made[name])
        current, database = user["databases"] or [], change["database"]
        if database == "*":
            user["databases"] = None if what == "grant" else []
        elif user["databases"] is None and what == "grant":
            return
        else:
            others = [d for d in current if d != database]
            user["databases"] = others + ([database] if what == "grant" else [])
        made[name] = user
    elif what == "drop":
        if made.pop(name, None) is None and not change["if"]:
            raise QueryError(192, f"There is no user `{name}`.", "UNKNOWN_USER")
    elif name in fixed or (name in made and what == "create"):
        if not change["if"] and not change["replace"]:
            raise QueryError(493, f"user `{name}` already exists.", "ACCESS_ENTITY_ALREADY_EXISTS")
        if change["replace"] and name not in fixed:
            made[name] = _user(name, change["hash"], [], [], False, False)
    elif what == "create":
        made[name] = _user(name, change["hash"], [], [], False, False)
    elif name not in made:
        raise QueryError(192, f"There is no user `{name}`.", "UNKNOWN_USER")
    elif change["hash"] is not None:
        made[name] = {**made[name], "hash": change["hash"]}


def statement(found):
    """Reads CREATE USER, ALTER USER, DROP USER, GRANT … ON database.* TO and REVOKE … FROM; None
    for everything else."""
    words = [text.upper() for _, text in found]
    if words[:1] in (["GRANT"], ["REVOKE"]):
        return _grant(found, words)
    if words[:4] == ["CREATE", "USER", "OR", "REPLACE"]:
        at, replace = 4, True
    elif len(words) > 2 and words[0] in {"CREATE", "ALTER", "DROP"} and words[1] == "USER":
        at, replace = 2, False
    else:
        return None
    conditional = words[at:at + 1] == ["IF"]
    if conditional:
        at = words.index("EXISTS", at) + 1
    names = [found[at][1]]
    while words[at + 1:at + 2] == [","]:
        at += 2
        names.append(found[at][1])
    return {"what": words[0].lower(), "names": names, "if": conditional, "replace": replace,
            "hash": _password(found, words, words[0] == "CREATE")}


def _password(found, words, required):
    if "IDENTIFIED" not in words:
        return sha256("") if required else None
    at = words.index("IDENTIFIED")
    text = next((sql.unquote(t) for kind, t in found[at:] if kind == "string"), "")
    if "SHA256_HASH" in words[at:]:
        return text.lower()
    known = {"SHA256_PASSWORD", "PLAINTEXT_PASSWORD", "NO_PASSWORD", "BY", "NOT"}
    if words[at + 1] == "WITH" and words[at + 2] not in known:
        raise QueryError(48, f"{found[at + 2][1]} is not known here: use sha256_password", "NOT_IMPLEMENTED")
    return sha256(text)


def _grant(found, words):
    if "ON" not in words:
        raise QueryError(48, "GRANT of roles is not known here", "NOT_IMPLEMENTED")
    at = words.index("ON")
    to = words.index("TO" if words[0] == "GRANT" else "FROM", at)
    dotted = words[at + 2] == "."
    if not dotted or words[at + 3] != "*":
        raise QueryError(48, "privileges are known on whole databases only", "NOT_IMPLEMENTED")
    names = [text for kind, text in found[to + 1:] if kind == "name" and text.upper() not in
             {"WITH", "GRANT", "OPTION"}]
    return {"what": words[0].lower(), "names": names, "database": found[at + 1][1]}
