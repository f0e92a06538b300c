import { describe, expect, it } from "vitest";
import { sseData } from "./sse";

async function collect(pieces: Uint8Array[]): Promise<string[]> {
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  const events: string[] = [];
  for await (const data of sseData(stream)) events.push(data);
  return events;
}

describe("sseData", () => {
  const bytes = new TextEncoder().encode(
    ': heartbeat\n\ndata: {"a":"año 🦜"}\n\nevent: x\ndata: 1\r\ndata: 2\r\n\r\ndata: [DONE]\n\n',
  );
  const expected = ['{"a":"año 🦜"}', "1\n2", "[DONE]"];

  it("gives the same events however the bytes are cut", async () => {
    for (let size = 1; size <= bytes.length; size++) {
      const pieces: Uint8Array[] = [];
      for (let at = 0; at < bytes.length; at += size) pieces.push(bytes.slice(at, at + size));
      expect(await collect(pieces), `pieces of ${size}`).toEqual(expected);
    }
  });

  it("does not tell of an event that broke off", async () => {
    expect(await collect([new TextEncoder().encode("data: 1\n\ndata: 2")])).toEqual(["1"]);
  });
});
