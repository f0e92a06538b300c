"""Runs the cases that are named on the command line, and says in one line each how it ended.

`CASE ok`, `CASE absent` when the client has no such function, or a traceback and `CASE failed`.
The clients are what their publishers ship: everything they are told is OPENAI_BASE_URL and
OPENAI_API_KEY. The key POOR_API_KEY is good for one question.
"""

import sys
import time
import traceback

ANSWER = "Veintitrés días [1]."
# What is said before a tool that needs the consent of a person.
CONSENT = "I need your consent."
QUESTION = [{"role": "user", "content": "¿Cuántos?"}]
TOOLS = [{
    "type": "function",
    "function": {
        "name": "weather",
        "description": "The weather of a city",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}]
# A client that waited for what does not come again soon would be slower than this.
PATIENCE_SECONDS = 10


def raises(expected, call):
    """The error of the class `expected` that `call` ends with, soon."""
    begun = time.monotonic()
    try:
        result = call()
    except expected as error:
        took = time.monotonic() - begun
        assert took < PATIENCE_SECONDS, f"the error came after {took:.1f} s"
        return error
    raise AssertionError(f"{expected.__name__} did not come, but {result!r}")


def equal(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def run(cases):
    """Runs the functions that are named; `cases` has them by name."""
    failed = False
    for name in sys.argv[1:]:
        outcome = "absent"
        if name in cases:
            try:
                cases[name]()
                outcome = "ok"
            except Exception:
                traceback.print_exc(file=sys.stdout)
                outcome, failed = "failed", True
        print(name, outcome, flush=True)
    sys.exit(failed)
