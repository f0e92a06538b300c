"""The client `openai` for Python."""

import os
import time

import openai

from cases import ANSWER, CONSENT, PATIENCE_SECONDS, QUESTION, TOOLS, equal, raises, run

client = openai.OpenAI()


def ask(by=client, model="lotoai", **more):
    return by.chat.completions.create(model=model, messages=QUESTION, **more)


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def models():
    assert {"lotoai", "writer"} <= {model.id for model in client.models.list()}
    equal(client.models.retrieve("writer").object, "model")


def chat():
    answer = ask(temperature=0.5, max_tokens=100, user="someone", stop=["END"], seed=7)
    choice = answer.choices[0]
    equal((choice.message.role, choice.message.content), ("assistant", ANSWER))
    equal(choice.finish_reason, "stop")
    equal(answer.object, "chat.completion")


def stream():
    chunks = list(ask(stream=True))
    equal(text(chunks), ANSWER)
    equal(chunks[0].choices[0].delta.role, "assistant")
    equal(chunks[-1].choices[0].finish_reason, "stop")


def usage():
    whole = ask().usage
    streamed = list(ask(stream=True, stream_options={"include_usage": True}))[-1].usage
    for counted in (whole, streamed):
        numbers = (counted.prompt_tokens, counted.completion_tokens, counted.total_tokens)
        equal(numbers, (12, 5, 17))


def unauthorized():
    stranger = openai.OpenAI(api_key="loto_0011223344556677_stranger")
    for call in (stranger.models.list, lambda: ask(stranger), lambda: ask(stranger, stream=True)):
        error = raises(openai.AuthenticationError, call)
        equal(error.status_code, 401)
        assert error.code and error.request_id, error


def unknown_model():
    for streamed in (False, True):
        error = raises(openai.NotFoundError, lambda: ask(model="missing", stream=streamed))
        equal((error.code, error.param), ("model_not_found", "model"))
    raises(openai.NotFoundError, lambda: client.models.retrieve("missing"))


def bad_request():
    error = raises(openai.BadRequestError, lambda: ask(temperature=9))
    equal((error.param, error.type), ("temperature", "invalid_request_error"))
    error = raises(openai.BadRequestError, lambda: ask(logprobs=True))
    equal((error.param, error.code), ("logprobs", "unsupported_parameter"))
    json_only = {"type": "json_object"}
    error = raises(openai.BadRequestError, lambda: ask(model="local", response_format=json_only))
    equal((error.param, error.code), ("response_format", "unsupported_parameter"))


def too_many():
    poor = openai.OpenAI(api_key=os.environ["POOR_API_KEY"])
    equal(ask(poor).choices[0].message.content, ANSWER)
    error = raises(openai.RateLimitError, lambda: ask(poor))
    equal((error.status_code, error.code), (429, "budget_exceeded"))
    assert int(error.response.headers["retry-after"]) > 0


def broken_stream():
    seen = []

    def read():
        for chunk in ask(model="breaks", stream=True):
            seen.append(chunk)

    error = raises(openai.APIError, read)
    equal((text(seen), error.code), ("half", "orchestrator_unavailable"))


def tools():
    answer = ask(model="caller", tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    equal((call.function.name, call.function.arguments), ("weather", '{"city":"Rome"}'))
    equal(answer.choices[0].finish_reason, "tool_calls")
    pieces = [chunk.choices[0].delta.tool_calls or [] for chunk in ask(model="caller", tools=TOOLS, stream=True)]
    arguments = [piece.function.arguments or "" for piece in sum(pieces, []) if piece.index == 0]
    equal("".join(arguments), '{"city":"Rome"}')
    reply = {"role": "tool", "tool_call_id": call.id, "content": "rain"}
    answer.choices[0].message.tool_calls = [call]
    again = [*QUESTION, answer.choices[0].message, reply]
    last = client.chat.completions.create(model="lotoai", messages=again, tools=TOOLS)
    equal(last.choices[0].message.content, ANSWER)


def consent():
    # Of approvals this client knows nothing: it is told a sentence, and the end.
    choice = ask(model="asks/send_mail").choices[0]
    equal((choice.message.content, choice.finish_reason), (CONSENT, "stop"))
    chunks = list(ask(model="asks/send_mail", stream=True))
    equal((text(chunks), chunks[-1].choices[0].finish_reason), (CONSENT, "stop"))
    equal(chunks[-1].model_extra["lotoai"]["approvals"][0]["tool"], "send_mail")
    answer = client.responses.create(model="asks/send_mail", input="?")
    equal((answer.status, answer.output_text), ("completed", CONSENT))


def responses():
    answer = client.responses.create(model="lotoai", input="¿Cuántos?")
    equal((answer.status, answer.output_text), ("completed", ANSWER))
    equal((answer.usage.input_tokens, answer.usage.output_tokens), (12, 5))
    again = client.responses.retrieve(answer.id)
    equal((again.status, again.output_text, again.usage), ("completed", ANSWER, answer.usage))
    equal([item.role for item in client.responses.input_items.list(answer.id)], ["user"])
    client.responses.delete(answer.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(answer.id))
    with client.responses.stream(model="lotoai", input="¿Cuántos?") as events:
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        equal("".join(deltas), ANSWER)
        equal(events.get_final_response().output_text, ANSWER)
    raises(openai.NotFoundError, lambda: client.responses.create(model="missing", input="?"))


def first_text(events):
    """The events up to the first one with text; then the connection is cut."""
    seen = []
    with events:
        for event in events:
            seen.append(event)
            if event.type == "response.output_text.delta":
                return seen
    raise AssertionError(f"no text in {seen!r}")


def background():
    # An answer without an end is cut, read on, and cancelled.
    begun = first_text(client.responses.create(model="drips", input="?", background=True, stream=True))
    id, number = begun[0].response.id, begun[-1].sequence_number
    more = first_text(client.responses.retrieve(id, stream=True, starting_after=number))
    equal(len(more), 1)
    assert more[0].sequence_number > number, more
    equal(client.responses.retrieve(id).status, "in_progress")
    whole = client.responses.cancel(id)
    equal(whole.status, "cancelled")
    rest = list(client.responses.retrieve(id, stream=True, starting_after=number))
    known = "".join(event.delta for event in begun if event.type == "response.output_text.delta")
    text = "".join(event.delta for event in rest if event.type == "response.output_text.delta")
    equal(known + text, whole.output_text)
    equal((rest[-1].type, rest[-1].response.status), ("response.failed", "cancelled"))
    # Another one is looked for until it is there.
    answer = client.responses.create(model="lotoai", input="¿Cuántos?", background=True)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while answer.status in ("queued", "in_progress"):
        assert time.monotonic() < deadline, answer
        time.sleep(0.05)
        answer = client.responses.retrieve(answer.id)
    equal((answer.status, answer.output_text), ("completed", ANSWER))
    with client.responses.stream(response_id=answer.id, starting_after=3) as events:
        equal(events.get_final_response().output_text, ANSWER)


def embeddings():
    # Without `encoding_format` this client asks for base64 and decodes it.
    made = client.embeddings.create(model="all-minilm-l6-v2", input=["one", "two"])
    equal([vector.index for vector in made.data], [0, 1])
    assert all(isinstance(value, float) for value in made.data[1].embedding), made
    plain = client.embeddings.create(model="all-minilm-l6-v2", input="one", encoding_format="float")
    near = zip(plain.data[0].embedding, made.data[0].embedding, strict=True)
    assert all(abs(one - other) < 1e-6 for one, other in near)
    assert made.usage.prompt_tokens > 0


run(globals())
