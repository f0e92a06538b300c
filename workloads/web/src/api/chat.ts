import { approvals } from "./approvals";
import { parseWarnings, WARNING_HEADER } from "./warnings";
import { ApiError, request, toApiError, write } from "./http";
import { SILENCE, sseEvents } from "./sse";
import type { AnswerPlace, Extra, Verdict } from "./types";
import { mayHaveArrived, type Asked } from "./unheard";
import type { Warning } from "./usageTypes";

export interface Question extends Asked {
  /** The `Idempotency-Key`: under the same one it is answered once, however often it is sent. */
  key: string;
  /** Aborted, it stops the answer: at once, or where that has not begun yet, as soon as it has. */
  signal: AbortSignal;
}

/** A decision, after which an answer goes on. */
export interface Decision {
  approval: string;
  verdict: Verdict;
  signal: AbortSignal;
}

/** What the caller hears while an answer is written. */
export interface Listener {
  /**
   * The answer was begun, as this run: its question is stored, in this conversation where that is
   * told. Once, before anything of it.
   */
  onBegun(run: string, conversation: string | null): void;
  onText(text: string): void;
  onExtra(extra: Extra): void;
  /** Budgets that are nearly used up, once, before the first word; most often none. */
  onWarnings(warnings: Warning[]): void;
}

interface Chunk {
  choices?: { delta?: { content?: string } }[];
  lotoai?: Extra;
  error?: unknown;
}

/** How far an answer was read: its run, and the last event of it that has an id. */
interface Place {
  run: string | null;
  id: string | null;
}

/** What a question or a decision led to. */
interface Begun {
  /** Where what was lost on the way is known to be written. */
  answer: AnswerPlace | null;
  /** Null where it is still to be read. */
  response: Response | null;
}

/** Milliseconds before each attempt to read on: the gateway waits for a reader for 10 s. */
const PAUSES = [0, 250, 500, 1000, 2000, 4000];
/** Milliseconds before each further attempt to ask, where nothing came back. */
const ASKING_AGAIN = [250, 1000, 2000];
/** Milliseconds that a stop waits for an answer to begin: before, there is no run that could be named. */
const STOPPING = 10_000;
/** Name the run of an answer and its conversation before its first event, which may be a failure. */
const RUN_HEADER = "x-lotoai-run-id";
const CONVERSATION_HEADER = "x-lotoai-conversation-id";
/** Milliseconds before it is looked whether a decision arrived. */
const LOST_PAUSE = 500;
/** Statuses that another attempt may not meet: nothing answered, or a replica that goes. */
const PASSING = [0, 429, 502, 503, 504];
/** What ends an answer whose session is over, by the code: any other call is then answered with 401. */
const SIGNED_OUT = "signed_out";

/**
 * Asks and streams the answer, and reads on where a connection is lost. Resolves at its end; rejects
 * with {@link ApiError} when there is none, or with an AbortError when the caller stopped it.
 */
export function ask(question: Question, listener: Listener): Promise<void> {
  return hear(() => begin(question), question.signal, listener);
}

/** Decides, and streams the rest of the answer as {@link ask} does. */
export function decide(decision: Decision, listener: Listener): Promise<void> {
  const { approval, verdict, signal } = decision;
  const path = "/api/approvals/" + encodeURIComponent(approval);
  const init = write("POST", { ...verdict, stream: true });
  const begin = async () => {
    try {
      const response = await responded(signal, STOPPING, (leaving) =>
        request(path, { ...init, signal: leaving }),
      );
      return { answer: null, response };
    } catch (cause) {
      const run = await answerTo(approval, cause, signal);
      if (run === null) throw cause;
      return { answer: { run_id: run, conversation_id: null }, response: null };
    }
  };
  return hear(begin, signal, listener);
}

/** The run that a decision led to although nothing came back; null when it did not arrive. */
async function answerTo(
  approval: string,
  cause: unknown,
  signal: AbortSignal,
): Promise<string | null> {
  if (!(cause instanceof ApiError) || cause.status !== 0) return null;
  await wait(LOST_PAUSE, signal);
  const looked = responded(signal, 0, (leaving) => approvals.one(approval, leaving));
  const known = await looked.catch(() => null);
  return known && known.state !== "pending" ? known.answer_run_id : null;
}

/** Hears an answer to its end, whatever it was begun with. */
async function hear(
  begin: () => Promise<Begun>,
  signal: AbortSignal,
  listener: Listener,
): Promise<void> {
  const place: Place = { run: null, id: null };
  try {
    const begun = await begin();
    let { response } = begun;
    listener.onWarnings(parseWarnings(response?.headers.get(WARNING_HEADER) ?? null));
    const answer = begun.answer ?? namedBy(response);
    if (answer) learn(place, answer, listener);
    for (let lost = 0; ; ) {
      const before = place.id;
      if (response && (await read(response, place, listener, signal))) return;
      signal.throwIfAborted();
      if (place.id !== before) lost = 0;
      const pause = PAUSES[lost++];
      if (!place.run || pause === undefined) break;
      await wait(pause, signal);
      response = await readOn(place, signal);
    }
  } catch (cause) {
    if (signal.aborted) stop(place);
    throw cause;
  }
  throw new ApiError(0, place.run ? "answer_incomplete" : "network", "the answer broke off");
}

/** Keeps the run of an answer as soon as that is known: by it one reads on, and stops. */
function learn(place: Place, answer: AnswerPlace, listener: Listener): void {
  if (place.run !== null) return;
  place.run = answer.run_id;
  listener.onBegun(answer.run_id, answer.conversation_id);
}

/** Where the answer is stored, as its response says; null where it does not. */
function namedBy(response: Response | null): AnswerPlace | null {
  const run = response?.headers.get(RUN_HEADER) ?? null;
  if (run === null) return null;
  return { run_id: run, conversation_id: response?.headers.get(CONVERSATION_HEADER) ?? null };
}

/** Asks: once more where nothing came back, under the same key, so that it is never answered twice. */
async function begin(question: Question): Promise<Begun> {
  const { signal } = question;
  for (let lost = 0; ; lost++) {
    try {
      const response = await responded(signal, STOPPING, (leaving) => send(question, leaving));
      return { answer: null, response };
    } catch (cause) {
      if (!(cause instanceof ApiError)) throw cause;
      // The question had arrived, and its answer is found where it says.
      if (cause.answer !== null) return { answer: cause.answer, response: null };
      const pause = ASKING_AGAIN[lost];
      if (!mayHaveArrived(cause) || pause === undefined) throw cause;
      await wait(pause, signal);
    }
  }
}

function send(question: Question, signal: AbortSignal): Promise<Response> {
  return request("/v1/chat/completions", {
    method: "POST",
    headers: { "content-type": "application/json", "idempotency-key": question.key },
    signal,
    body: JSON.stringify({
      model: question.model,
      stream: true,
      stream_options: { resumable: true },
      messages: [{ role: "user", content: question.text }],
      ...(question.conversationId
        ? { metadata: { conversation_id: question.conversationId } }
        : {}),
    }),
  });
}

/**
 * Waits for what a call gives: as long as a connection may be silent, and `patience` ms beyond a stop.
 * The body of a response that is given is not bound to the signal any more.
 */
async function responded<T>(
  stop: AbortSignal,
  patience: number,
  call: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  stop.throwIfAborted();
  const leaving = new AbortController();
  const leave = (cause: unknown) => () => leaving.abort(cause);
  const lost = setTimeout(leave(new ApiError(0, "network", "no answer")), SILENCE);
  let left: ReturnType<typeof setTimeout> | undefined;
  const stopped = () => {
    left = setTimeout(leave(stop.reason), patience);
  };
  stop.addEventListener("abort", stopped);
  try {
    return await call(leaving.signal);
  } catch (cause) {
    throw leaving.signal.aborted ? leaving.signal.reason : cause;
  } finally {
    clearTimeout(lost);
    clearTimeout(left);
    stop.removeEventListener("abort", stopped);
  }
}

/** The rest of an answer; null when it cannot be had now. */
async function readOn(place: Place, stop: AbortSignal): Promise<Response | null> {
  try {
    return await responded(stop, 0, (signal) =>
      request(`/v1/chat/completions/${place.run}/stream`, {
        signal,
        headers: place.id === null ? {} : { "last-event-id": place.id },
      }),
    );
  } catch (cause) {
    if (cause instanceof ApiError && PASSING.includes(cause.status)) return null;
    throw cause;
  }
}

/** Reads to the end; false when the connection was lost or the answer stopped before that. */
async function read(
  response: Response,
  place: Place,
  listener: Listener,
  signal: AbortSignal,
): Promise<boolean> {
  if (!response.body) return false;
  try {
    for await (const { data, id } of sseEvents(response.body, signal)) {
      if (data === "[DONE]") return true;
      const chunk = JSON.parse(data) as Chunk;
      if (chunk.error) throw ending(data);
      if (chunk.lotoai) {
        learn(place, chunk.lotoai, listener);
        listener.onExtra(chunk.lotoai);
      }
      const text = chunk.choices?.[0]?.delta?.content;
      if (text) listener.onText(text);
      if (id !== undefined) place.id = id;
    }
  } catch (cause) {
    if (cause instanceof ApiError) throw cause;
  }
  return false;
}

/** Why an answer ended in the middle: the status of the response was sent long before. */
function ending(data: string): ApiError {
  const error = toApiError(200, data);
  return error.code === SIGNED_OUT ? toApiError(401, data) : error;
}

/** To leave an answer is not to stop it: that is said. Should it not be heard, it ends a little later. */
function stop(place: Place): void {
  if (!place.run) return;
  const path = `/v1/chat/completions/${place.run}/cancel`;
  request(path, { method: "POST", keepalive: true }).catch(() => undefined);
}

function wait(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = () => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener("abort", left);
      resolve();
    }, milliseconds);
    signal.addEventListener("abort", left);
    if (signal.aborted) left();
  });
}
