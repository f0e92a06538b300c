import { json } from "./http";
import type { Approval, Page } from "./types";

/** What waits for the person who is signed in. How it is decided is in `chat.ts`: an answer goes on. */
export const approvals = {
  pending: (cursor?: string) =>
    json<Page<Approval>>(
      "/api/approvals?state=pending&limit=50" +
        (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""),
    ),
  one: (id: string, signal?: AbortSignal) =>
    json<Approval>("/api/approvals/" + encodeURIComponent(id), signal && { signal }),
};
