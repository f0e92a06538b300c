"""Errors in the words of ClickHouse: a code, a name and a text."""

import re

STATUS = {60: 404, 81: 404, 62: 400, 36: 400, 27: 400, 456: 400, 457: 400, 497: 403, 516: 403,
          164: 403, 48: 501, 307: 413, 202: 503}


class QueryError(Exception):
    """A refused query."""

    def __init__(self, code, text, name):
        self.code = code
        self.status = STATUS.get(code, 500)
        super().__init__(f"Code: {code}. DB::Exception: {text} ({name})")


class EngineError(QueryError):
    """An error of the engine, whose text already has this shape."""

    def __init__(self, text):
        found = re.search(r"Code: (\d+)\.", text)
        self.code = int(found.group(1)) if found else 1002
        self.status = STATUS.get(self.code, 500)
        text = text[found.start():] if found else f"Code: 1002. DB::Exception: {text} (UNKNOWN)"
        Exception.__init__(self, text)
