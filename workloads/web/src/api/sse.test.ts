import { describe, expect, it } from "vitest";
import { sseEvents, type SseEvent } from "./sse";

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
