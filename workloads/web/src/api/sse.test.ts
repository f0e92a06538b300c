import { afterEach, describe, expect, it, vi } from "vitest";
import { SILENCE, sseEvents, type SseEvent } from "./sse";

async function collect(pieces: Uint8Array[]): Promise<SseEvent[]> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  const events: SseEvent[] = [];
  for await (const event of sseEvents(stream)) events.push(event);
  return events;
}

describe("sseEvents", () => {
  const bytes = new TextEncoder().encode(
    ': heartbeat\n\nid: 7\ndata: {"a":"año 🦜"}\n\nevent: x\ndata: 1\r\ndata: 2\r\n\r\ndata: [DONE]\n\n',
  );
  const expected = [{ id: "7", data: '{"a":"año 🦜"}' }, { data: "1\n2" }, { data: "[DONE]" }];

  it("gives the same events however the bytes are cut", async () => {
    for (let size = 1; size <= bytes.length; size++) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
      expect(await collect(pieces), `pieces of ${size}`).toEqual(expected);
    }
  });

  it("does not tell of an event that broke off", async () => {
    expect(await collect([new TextEncoder().encode("data: 1\n\ndata: 2")])).toEqual([{ data: "1" }]);
  });
});

describe("a stream that stays open", () => {
  afterEach(() => void vi.useRealTimers());

  /** Reads a stream of which only this is told at first; how it ended, once it has. */
  function open(signal?: AbortSignal) {
    const cancelled = vi.fn();
    let told: ReadableStreamDefaultController<Uint8Array> | undefined;
    const stream = new ReadableStream<Uint8Array>({
      start: (controller) => void (told = controller),
      cancel: cancelled,
    });
    const read = async () => {
      const events: SseEvent[] = [];
      for await (const event of sseEvents(stream, signal)) events.push(event);
      return events;
    };
    const ended = vi.fn();
    read().then(ended, ended);
    const say = (text: string) => told?.enqueue(new TextEncoder().encode(text));
    return { say, ended, cancelled };
  }

  it("is lost once it falls silent, and not while there are heartbeats", async () => {
    vi.useFakeTimers();
    const { say, ended, cancelled } = open();
    for (let beat = 0; beat < 9; beat++) {
      await vi.advanceTimersByTimeAsync(10_000);
      say(": heartbeat\n\n");
    }
    await vi.advanceTimersByTimeAsync(SILENCE - 1);
    expect(ended).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).toHaveBeenCalledWith(expect.objectContaining({ message: "the stream fell silent" }));
    expect(cancelled).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is left at once when nobody wants it any more", async () => {
    vi.useFakeTimers();
    const leaving = new AbortController();
    const { say, ended, cancelled } = open(leaving.signal);
    say("data: 1\n\n");
    await vi.advanceTimersByTimeAsync(1);
    expect(ended).not.toHaveBeenCalled();
    leaving.abort();
    await vi.advanceTimersByTimeAsync(0);
    expect(ended).toHaveBeenCalledWith(leaving.signal.reason);
    expect(cancelled).toHaveBeenCalledTimes(1);
    expect(vi.getTimerCount()).toBe(0);
  });
});
