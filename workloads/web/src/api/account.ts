import { file, json, request, write } from "./http";
import type {
  ApiKey,
  EndedSessions,
  Erased,
  KeyRequest,
  NewApiKey,
  Page,
  Session,
} from "./types";

/** The page of a list from `cursor` on. */
function page<T>(path: string, cursor?: string): Promise<Page<T>> {
  return json(path + "?limit=50" + (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""));
}

/** What concerns the person who is signed in. */
export const account = {
  keys: (cursor?: string) => page<ApiKey>("/api/keys", cursor),
  /** The one answer that holds the key itself. */
  makeKey: (wanted: KeyRequest) => json<NewApiKey>("/api/keys", write("POST", wanted)),
  removeKey: (id: string) =>
    request("/api/keys/" + encodeURIComponent(id), { method: "DELETE" }),
  sessions: (cursor?: string) => page<Session>("/api/sessions", cursor),
  endSession: (id: string) => request("/api/sessions/" + id, { method: "DELETE" }),
  /** Ends all sessions but this one. */
  endOtherSessions: () => json<EndedSessions>("/api/sessions", { method: "DELETE" }),
  /** Everything that is held of the person. */
  exportAll: () => file("/api/me/export"),
  /** Erases it, for good. The session that asks ends with it. */
  eraseAll: () => json<Erased>("/api/me/data?confirm=erase-everything", { method: "DELETE" }),
};
