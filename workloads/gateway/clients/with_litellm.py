"""The client `litellm`, which has error classes of its own."""

import os

import litellm

from cases import ANSWER, CONSENT, QUESTION, TOOLS, equal, raises, run

litellm.suppress_debug_info = True


def ask(model="lotoai", **more):
    return litellm.completion(model=f"openai/{model}", messages=QUESTION, **more)


def text(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def models():
    # Here it does not look at OPENAI_BASE_URL by itself.
    found = litellm.get_valid_models(
        check_provider_endpoint=True, custom_llm_provider="openai", api_base=os.environ["OPENAI_BASE_URL"],
    )
    assert {"lotoai", "writer"} <= set(found), found


def chat():
    answer = ask(temperature=0.5, max_tokens=100, stop=["END"], seed=7)
    equal(answer.choices[0].message.content, ANSWER)
    equal(answer.choices[0].finish_reason, "stop")


def stream():
    chunks = list(ask(stream=True))
    equal(text(chunks), ANSWER)
    equal(chunks[-1].choices[0].finish_reason, "stop")


def usage():
    whole = ask().usage
    streamed = list(ask(stream=True, stream_options={"include_usage": True}))[-1].usage
    for counted in (whole, streamed):
        numbers = (counted.prompt_tokens, counted.completion_tokens, counted.total_tokens)
        equal(numbers, (12, 5, 17))


def unauthorized():
    def stranger():
        return ask(api_key="loto_0011223344556677_stranger")

    equal(raises(litellm.AuthenticationError, stranger).status_code, 401)


def unknown_model():
    for streamed in (False, True):
        error = raises(litellm.NotFoundError, lambda: ask("missing", stream=streamed))
        assert "missing" in error.message, error.message


def bad_request():
    error = raises(litellm.BadRequestError, lambda: ask(temperature=9))
    assert "temperature" in error.message, error.message


def too_many():
    key = os.environ["POOR_API_KEY"]
    equal(ask(api_key=key).choices[0].message.content, ANSWER)
    equal(raises(litellm.RateLimitError, lambda: ask(api_key=key)).status_code, 429)


def broken_stream():
    seen = []

    def read():
        for chunk in ask("breaks", stream=True):
            seen.append(chunk)

    error = raises(litellm.exceptions.MidStreamFallbackError, read)
    assert "the orchestrator" in error.message, error.message
    equal(text(seen), "half")


def tools():
    answer = ask("caller", tools=TOOLS)
    call = answer.choices[0].message.tool_calls[0]
    equal((call.function.name, call.function.arguments), ("weather", '{"city":"Rome"}'))
    equal(answer.choices[0].finish_reason, "tool_calls")
    chunks = list(ask("caller", tools=TOOLS, stream=True))
    pieces = sum((chunk.choices[0].delta.tool_calls or [] for chunk in chunks if chunk.choices), [])
    sent = ["".join(it.function.arguments or "" for it in pieces if it.index == at) for at in range(2)]
    equal(sent, ['{"city":"Rome"}', "{}"])
    equal([it.function.name for it in pieces if it.function.name], ["weather", "clock"])
    equal(chunks[-1].choices[0].finish_reason, "tool_calls")


def consent():
    choice = ask("asks/send_mail").choices[0]
    equal((choice.message.content, choice.finish_reason), (CONSENT, "stop"))
    chunks = list(ask("asks/send_mail", stream=True))
    equal((text(chunks), chunks[-1].choices[0].finish_reason), (CONSENT, "stop"))


def responses():
    answer = litellm.responses(model="openai/lotoai", input="¿Cuántos?")
    equal(answer.output[-1].content[0].text, ANSWER)


def embeddings():
    made = litellm.embedding(model="openai/all-minilm-l6-v2", input=["one", "two"])
    equal([vector["index"] for vector in made.data], [0, 1])


run(globals())
