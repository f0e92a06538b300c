"""As much of the language as is needed to route a query and to see what it touches."""

import re

TOKEN = re.compile(
    r"""(?P<space>\s+|--[^\n]*|\#![^\n]*|/\*.*?\*/)
      | (?P<string>'(?:[^'\\]|\\.|'')*')
      | (?P<name>`(?:[^`\\]|\\.)*`|"(?:[^"\\]|\\.)*"|[A-Za-z_][A-Za-z0-9_]*)
      | (?P<number>\d[\w.]*)
      | (?P<mark>.)""",
    re.VERBOSE | re.DOTALL,
)
INSERT = re.compile(
    rb"\A\s*(?P<head>INSERT\s+INTO\b.*?)\bFORMAT\s+(?P<format>[A-Za-z]\w*)[ \t]*(?:;|\r?\n|\Z|(?=[\s{\[]))",
    re.IGNORECASE | re.DOTALL,
)
READING = {"SELECT", "WITH", "SHOW", "DESCRIBE", "DESC", "EXISTS", "EXPLAIN", "CHECK"}

def tokens(text):
    """Everything but space and comments, as pairs of kind and text; names without quotes."""
    found = []
    for match in TOKEN.finditer(text):
        kind = match.lastgroup
        if kind == "space":
            continue
        value = match.group()
        if kind == "name" and value[0] in "`\"":
            value = value[1:-1]
        found.append((kind, value))
    while found and found[-1] == ("mark", ";"):
        found.pop()
    return found


def first_word(found):
    """The first word, in capitals; parentheses before a SELECT do not count."""
    for kind, value in found:
        if kind == "name":
            return value.upper()
        if value != "(":
            break
    return ""


def reads(found):
    """Whether a query changes nothing."""
    return first_word(found) in READING


def has_many(found):
    """Whether there is more than one statement."""
    return ("mark", ";") in found


def output_format(found):
    """The name behind the last FORMAT, or None."""
    for at in range(len(found) - 2, -1, -1):
        kind, value = found[at]
        if kind == "name" and value.upper() == "FORMAT" and found[at + 1][0] == "name":
            return found[at + 1][1]
    return None


def databases(found, known):
    """The databases among `known` that are named as such: in front of a dot, or after DATABASE or
    USE. A table or a column of the same name as a database counts as that database: a false alarm
    is an error that says so, the contrary would be a hole."""
    named = set()
    for at, (kind, value) in enumerate(found):
        if kind != "name" or value not in known:
            continue
        before = [text.upper() for _, text in found[max(0, at - 4):at]]
        dotted = at + 1 < len(found) and found[at + 1] == ("mark", ".")
        if dotted or {"DATABASE", "USE", "DATABASES", "TABLES"} & set(before):
            named.add(value)
    return named


def functions(found):
    """Every name in front of a parenthesis, in small letters."""
    return {a[1].lower() for a, b in zip(found, found[1:]) if a[0] == "name" and b == ("mark", "(")}


def literal(text):
    """A string literal."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def unquote(text):
    """The value of a string literal."""
    return re.sub(r"\\(.)", r"\1", text[1:-1].replace("''", "'"))
