import { file, json, request, write } from "./http";
import type {
  ApiKey,
  EndedSessions,
  Erased,
  KeyRequest,
  NewApiKey,
  OwnedApiKey,
  OwnedSession,
  Page,
  Session,
} from "./types";

/** The page of a list from `cursor` on; of the person with the `sub` `subject`, if it is not empty. */
function page<T>(path: string, cursor?: string, subject?: string): Promise<Page<T>> {
  const parameter = (name: string, value?: string) =>
    value ? "&" + name + "=" + encodeURIComponent(value) : "";
  return json(
    path + "?limit=50" + parameter("cursor", cursor) + parameter("subject", subject),
  );
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
  /** For administrators, as the next two; everybody's when `subject` is empty. */
  keysOf: (subject: string, cursor?: string) =>
    page<OwnedApiKey>("/api/admin/keys", cursor, subject),
  sessionsOf: (subject: string, cursor?: string) =>
    page<OwnedSession>("/api/admin/sessions", cursor, subject),
  endSessionOf: (id: string) =>
    request("/api/admin/sessions/" + encodeURIComponent(id), { method: "DELETE" }),
  /** Everything that is held of the person. */
  exportAll: () => file("/api/me/export"),
  /** Erases it, for good. The session that asks ends with it. */
  eraseAll: () => json<Erased>("/api/me/data?confirm=erase-everything", { method: "DELETE" }),
};
