"""The client `langchain-openai`. Its errors are those of `openai`."""

import importlib.util
import os
from pathlib import Path

import openai
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from cases import ANSWER, CONSENT, TOOLS, equal, raises, run

QUESTION = [HumanMessage("¿Cuántos?")]


def model(name="lotoai", **more):
    return ChatOpenAI(model=name, **more)


def chat():
    answer = model(temperature=0.5, max_tokens=100, seed=7).invoke(QUESTION, stop=["END"])
    assert isinstance(answer, AIMessage), answer
    equal((answer.content, answer.response_metadata["finish_reason"]), (ANSWER, "stop"))


def stream():
    chunks = list(model().stream(QUESTION))
    equal("".join(chunk.content for chunk in chunks), ANSWER)
    assert len([chunk for chunk in chunks if chunk.content]) > 1, chunks


def usage():
    whole = model().invoke(QUESTION).usage_metadata
    total = None
    for chunk in model(stream_usage=True).stream(QUESTION):
        total = chunk if total is None else total + chunk
    for counted in (whole, total.usage_metadata):
        numbers = (counted["input_tokens"], counted["output_tokens"], counted["total_tokens"])
        equal(numbers, (12, 5, 17))


def unauthorized():
    stranger = model(api_key="loto_0011223344556677_stranger")
    for call in (stranger.invoke, lambda asked: list(stranger.stream(asked))):
        equal(raises(openai.AuthenticationError, lambda: call(QUESTION)).status_code, 401)


def unknown_model():
    error = raises(openai.NotFoundError, lambda: model("missing").invoke(QUESTION))
    equal((error.code, error.param), ("model_not_found", "model"))


def bad_request():
    error = raises(openai.BadRequestError, lambda: model(temperature=9).invoke(QUESTION))
    equal(error.param, "temperature")


def too_many():
    poor = model(api_key=os.environ["POOR_API_KEY"])
    equal(poor.invoke(QUESTION).content, ANSWER)
    error = raises(openai.RateLimitError, lambda: poor.invoke(QUESTION))
    equal(error.code, "budget_exceeded")


def broken_stream():
    seen = []

    def read():
        for chunk in model("breaks").stream(QUESTION):
            seen.append(chunk.content)

    error = raises(openai.APIError, read)
    equal(("".join(seen), error.code), ("half", "orchestrator_unavailable"))


def tools():
    bound = model("caller").bind_tools(TOOLS)
    answer = bound.invoke(QUESTION)
    call = answer.tool_calls[0]
    equal((call["name"], call["args"]), ("weather", {"city": "Rome"}))
    replies = [ToolMessage("rain", tool_call_id=call["id"]) for call in answer.tool_calls]
    again = [*QUESTION, answer, *replies]
    equal(model().bind_tools(TOOLS).invoke(again).content, ANSWER)
    total = None
    for chunk in bound.stream(QUESTION):
        total = chunk if total is None else total + chunk
    calls = [(call["name"], call["args"]) for call in total.tool_calls]
    equal(calls, [("weather", {"city": "Rome"}), ("clock", {})])


def consent():
    answer = model("asks/send_mail").invoke(QUESTION)
    equal((answer.content, answer.response_metadata["finish_reason"]), (CONSENT, "stop"))
    chunks = list(model("asks/send_mail").stream(QUESTION))
    equal("".join(chunk.content for chunk in chunks), CONSENT)


def responses():
    answer = model(use_responses_api=True).invoke(QUESTION)
    equal((answer.text, answer.usage_metadata["total_tokens"]), (ANSWER, 17))


def embeddings():
    # It cuts texts into tokens of OpenAI's models, and sends those, up to 1,000 at a time. It would
    # fetch their vocabulary from the internet; LiteLLM, installed beside it, brings the same file.
    litellm = Path(importlib.util.find_spec("litellm").origin).parent
    os.environ["TIKTOKEN_CACHE_DIR"] = str(litellm / "litellm_core_utils" / "tokenizers")
    made = OpenAIEmbeddings(model="all-minilm-l6-v2")
    vectors = made.embed_documents(["one", "two"])
    equal((len(vectors), len(vectors[0])), (2, len(made.embed_query("one"))))
    equal(len(made.embed_documents(["one"] * 1200)), 1200)
    whole = OpenAIEmbeddings(model="all-minilm-l6-v2", check_embedding_ctx_length=False)
    equal(whole.embed_documents(["one", "two"]), vectors)


run(globals())
