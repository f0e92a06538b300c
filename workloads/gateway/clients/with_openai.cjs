// The client `openai` for Node, found in the directory CLIENTS. The same cases as in Python.

const assert = require("node:assert/strict");
const { createRequire } = require("node:module");
const { join } = require("node:path");

const installed = createRequire(join(process.env.CLIENTS, "package.json"));
const { OpenAI } = installed("openai");

const ANSWER = "Veintitrés días [1].";
// What is said before a tool that needs the consent of a person.
const CONSENT = "I need your consent.";
const QUESTION = [{ role: "user", content: "¿Cuántos?" }];
const TOOLS = [{
  type: "function",
  function: {
    name: "weather",
    description: "The weather of a city",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
}];
// A client that waited for what does not come again soon would be slower than this.
const PATIENCE_MILLISECONDS = 10_000;

const client = new OpenAI();

const ask = (more = {}, by = client) =>
  by.chat.completions.create({ model: "lotoai", messages: QUESTION, ...more });

async function all(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const text = (chunks) => chunks.map((chunk) => chunk.choices[0]?.delta.content ?? "").join("");

/** The events up to the first one with text; then the connection is cut. */
async function firstText(events) {
  const seen = [];
  for await (const event of events) {
    seen.push(event);
    if (event.type === "response.output_text.delta") return seen;
  }
  throw new Error(`no text in ${JSON.stringify(seen)}`);
}

const deltas = (events) =>
  events.map((event) => (event.type === "response.output_text.delta" ? event.delta : "")).join("");

async function raises(expected, call) {
  const begun = Date.now();
  try {
    await call();
  } catch (error) {
    assert(error instanceof expected, `${error.constructor.name} is not ${expected.name}: ${error}`);
    assert(Date.now() - begun < PATIENCE_MILLISECONDS, "the error came too late");
    return error;
  }
  throw new Error(`${expected.name} did not come`);
}

const cases = {
  async models() {
    const names = (await all(client.models.list())).map((model) => model.id);
    for (const name of ["lotoai", "writer"]) assert(names.includes(name), `${name} is not in ${names}`);
    assert.equal((await client.models.retrieve("writer")).object, "model");
  },

  async chat() {
    const answer = await ask({ temperature: 0.5, max_tokens: 100, user: "someone", stop: ["END"], seed: 7 });
    const [choice] = answer.choices;
    assert.deepEqual([choice.message.role, choice.message.content], ["assistant", ANSWER]);
    assert.deepEqual([choice.finish_reason, answer.object], ["stop", "chat.completion"]);
  },

  async stream() {
    const chunks = await all(await ask({ stream: true }));
    assert.equal(text(chunks), ANSWER);
    assert.equal(chunks[0].choices[0].delta.role, "assistant");
    assert.equal(chunks.at(-1).choices[0].finish_reason, "stop");
    // The helper that collects a stream checks more of it.
    const helper = client.chat.completions.stream({ model: "lotoai", messages: QUESTION });
    assert.equal(await helper.finalContent(), ANSWER);
  },

  async usage() {
    const whole = (await ask()).usage;
    const options = { stream: true, stream_options: { include_usage: true } };
    const streamed = (await all(await ask(options))).at(-1).usage;
    for (const counted of [whole, streamed]) {
      const { prompt_tokens, completion_tokens, total_tokens } = counted;
      assert.deepEqual([prompt_tokens, completion_tokens, total_tokens], [12, 5, 17]);
    }
  },

  async unauthorized() {
    const stranger = new OpenAI({ apiKey: "loto_0011223344556677_stranger" });
    for (const call of [() => stranger.models.list(), () => ask({}, stranger), () => ask({ stream: true }, stranger)]) {
      const error = await raises(OpenAI.AuthenticationError, call);
      assert.equal(error.status, 401);
      assert(error.code && error.requestID, `${error.code} ${error.requestID}`);
    }
  },

  async unknown_model() {
    for (const stream of [false, true]) {
      const error = await raises(OpenAI.NotFoundError, () => ask({ model: "missing", stream }));
      assert.deepEqual([error.code, error.param], ["model_not_found", "model"]);
    }
    await raises(OpenAI.NotFoundError, () => client.models.retrieve("missing"));
  },

  async bad_request() {
    const error = await raises(OpenAI.BadRequestError, () => ask({ temperature: 9 }));
    assert.deepEqual([error.param, error.type], ["temperature", "invalid_request_error"]);
    const refused = await raises(OpenAI.BadRequestError, () => ask({ logprobs: true }));
    assert.deepEqual([refused.param, refused.code], ["logprobs", "unsupported_parameter"]);
  },

  async too_many() {
    const poor = new OpenAI({ apiKey: process.env.POOR_API_KEY });
    assert.equal((await ask({}, poor)).choices[0].message.content, ANSWER);
    const error = await raises(OpenAI.RateLimitError, () => ask({}, poor));
    assert.deepEqual([error.status, error.code], [429, "budget_exceeded"]);
    assert(Number(error.headers.get("retry-after")) > 0);
  },

  async broken_stream() {
    const seen = [];
    const error = await raises(OpenAI.APIError, async () => {
      for await (const chunk of await ask({ model: "breaks", stream: true })) seen.push(chunk);
    });
    assert.deepEqual([text(seen), error.code], ["half", "orchestrator_unavailable"]);
  },

  async tools() {
    const answer = await ask({ model: "caller", tools: TOOLS });
    const { message, finish_reason } = answer.choices[0];
    const [call] = message.tool_calls;
    assert.deepEqual([call.function.name, call.function.arguments], ["weather", '{"city":"Rome"}']);
    assert.equal(finish_reason, "tool_calls");
    const chunks = await all(await ask({ model: "caller", tools: TOOLS, stream: true }));
    const pieces = chunks.flatMap((chunk) => chunk.choices[0]?.delta.tool_calls ?? []);
    const sent = [0, 1].map((at) => {
      const own = pieces.filter((piece) => piece.index === at).map((piece) => piece.function);
      return [own[0].name, own.map((piece) => piece.arguments ?? "").join("")];
    });
    assert.deepEqual(sent, [["weather", '{"city":"Rome"}'], ["clock", "{}"]]);
    assert.equal(chunks.at(-1).choices[0].finish_reason, "tool_calls");
    message.tool_calls = [call];
    const reply = { role: "tool", tool_call_id: call.id, content: "rain" };
    const last = await ask({ messages: [...QUESTION, message, reply], tools: TOOLS });
    assert.equal(last.choices[0].message.content, ANSWER);
  },

  async consent() {
    const [choice] = (await ask({ model: "asks/send_mail" })).choices;
    assert.deepEqual([choice.message.content, choice.finish_reason], [CONSENT, "stop"]);
    const chunks = await all(await ask({ model: "asks/send_mail", stream: true }));
    assert.deepEqual([text(chunks), chunks.at(-1).choices[0].finish_reason], [CONSENT, "stop"]);
    const answer = await client.responses.create({ model: "asks/send_mail", input: "?" });
    assert.deepEqual([answer.status, answer.output_text], ["completed", CONSENT]);
  },

  async responses() {
    const answer = await client.responses.create({ model: "lotoai", input: "¿Cuántos?" });
    assert.deepEqual([answer.status, answer.output_text], ["completed", ANSWER]);
    const again = await client.responses.retrieve(answer.id);
    assert.deepEqual([again.output_text, again.usage], [ANSWER, answer.usage]);
    const sent = await all(client.responses.inputItems.list(answer.id));
    assert.deepEqual(sent.map((item) => item.role), ["user"]);
    await client.responses.delete(answer.id);
    await raises(OpenAI.NotFoundError, () => client.responses.retrieve(answer.id));
    const stream = client.responses.stream({ model: "lotoai", input: "¿Cuántos?" });
    assert.equal((await stream.finalResponse()).output_text, ANSWER);
    await raises(OpenAI.NotFoundError, () => client.responses.create({ model: "missing", input: "?" }));
  },

  async background() {
    // An answer without an end is cut, read on, and cancelled.
    const options = { model: "drips", input: "?", background: true, stream: true };
    const begun = await firstText(await client.responses.create(options));
    const [id, number] = [begun[0].response.id, begun.at(-1).sequence_number];
    const on = { stream: true, starting_after: number };
    const more = await firstText(await client.responses.retrieve(id, on));
    assert.equal(more.length, 1);
    assert(more[0].sequence_number > number, `${more[0].sequence_number} after ${number}`);
    assert.equal((await client.responses.retrieve(id)).status, "in_progress");
    assert.equal((await client.responses.cancel(id)).status, "cancelled");
    const whole = await client.responses.retrieve(id);
    const rest = await all(await client.responses.retrieve(id, on));
    assert.equal(deltas(begun) + deltas(rest), whole.output_text);
    const last = rest.at(-1);
    assert.deepEqual([last.type, last.response.status], ["response.failed", "cancelled"]);
    // Another one is looked for until it is there.
    let answer = await client.responses.create({ model: "lotoai", input: "¿Cuántos?", background: true });
    const deadline = Date.now() + PATIENCE_MILLISECONDS;
    while (["queued", "in_progress"].includes(answer.status)) {
      assert(Date.now() < deadline, `it is ${answer.status}`);
      await new Promise((resolve) => setTimeout(resolve, 50));
      answer = await client.responses.retrieve(answer.id);
    }
    assert.deepEqual([answer.status, answer.output_text], ["completed", ANSWER]);
  },

  async embeddings() {
    const made = await client.embeddings.create({ model: "all-minilm-l6-v2", input: ["one", "two"] });
    assert.deepEqual(made.data.map((vector) => vector.index), [0, 1]);
    const options = { model: "all-minilm-l6-v2", input: "one", encoding_format: "float" };
    const [plain] = (await client.embeddings.create(options)).data;
    plain.embedding.forEach((value, at) => assert(Math.abs(value - made.data[0].embedding[at]) < 1e-6));
  },
};

async function main() {
  for (const name of process.argv.slice(2)) {
    let outcome = "absent";
    if (cases[name]) {
      try {
        await cases[name]();
        outcome = "ok";
      } catch (error) {
        console.log(error.stack);
        outcome = "failed";
        process.exitCode = 1;
      }
    }
    console.log(name, outcome);
  }
}

main();
