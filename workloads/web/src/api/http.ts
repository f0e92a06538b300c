import type {
  AnswerPlace,
  ConversationSummary,
  Document,
  Found,
  Me,
  Model,
  Page,
  StoredMessage,
} from "./types";
import type { Refusal } from "./usageTypes";

/** A refusal or failure of the gateway; `code` is stable, `message` is a sentence. */
export class ApiError extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    message: string,
    /** The budget that refused it, if one did. */
    readonly budget: Refusal | null = null,
    /** Where the answer is stored that it says was begun before, if it says so. */
    readonly answer: AnswerPlace | null = null,
  ) {
    super(message);
  }
}

/** Whether what was asked for is not there, or not any more. */
export function isGone(error: unknown): boolean {
  return error instanceof ApiError && (error.status === 404 || error.status === 410);
}

/** Reads either error shape of the gateway: OpenAI's, or an RFC 9457 problem. */
export function toApiError(status: number, body: string): ApiError {
  try {
    const json = JSON.parse(body) as {
      error?: { code?: string; message?: string; budget?: Refusal; answer?: AnswerPlace };
      code?: string;
      title?: string;
      detail?: string;
      budget?: Refusal;
    };
    const code = json.error?.code ?? json.code;
    const message = json.error?.message ?? json.detail ?? json.title;
    const budget = json.error?.budget ?? json.budget ?? null;
    const answer = json.error?.answer ?? null;
    if (code && message) return new ApiError(status, code, message, budget, answer);
  } catch {
    // A proxy's page: nothing in it is worth showing.
  }
  return new ApiError(status, "http_" + status, "HTTP " + status);
}

/** Waits for what comes over the network. What breaks off, or is not what it should be, is no answer. */
async function arrived<T>(coming: Promise<T>, signal?: AbortSignal | null): Promise<T> {
  try {
    return await coming;
  } catch (cause) {
    const isGivenUp = (signal?.reason as DOMException | undefined)?.name === "TimeoutError";
    if (signal?.aborted && !isGivenUp) throw cause;
    throw new ApiError(0, "network", "no answer");
  }
}

/** Calls the gateway. Rejects with {@link ApiError}; code `network` when nothing answered. */
export async function request(path: string, init: RequestInit = {}): Promise<Response> {
  const { signal } = init;
  const response = await arrived(fetch(path, { credentials: "same-origin", ...init }), signal);
  if (!response.ok) throw toApiError(response.status, await arrived(response.text(), signal));
  return response;
}

/** Calls the gateway and reads the JSON of its answer; one that is not whole counts as none. */
export async function json<T>(path: string, init?: RequestInit): Promise<T> {
  const response = await request(path, init);
  return (await arrived(response.json(), init?.signal)) as T;
}

/** Reads what is asked for again and again: a connection that died must not hold up the next try. */
const soon = <T>(path: string) => json<T>(path, { signal: AbortSignal.timeout(30_000) });

/** Reads a file that the gateway writes while it is read: what breaks off is none. */
export async function file(path: string): Promise<Blob> {
  const response = await request(path);
  try {
    return await response.blob();
  } catch {
    throw new ApiError(0, "export_incomplete", "the file broke off");
  }
}

/** Address of the file of a document, which a browser saves. */
export const contentOf = (id: string) => `/api/documents/${id}/content`;

/** A call that brings JSON. */
export function write(method: string, body: unknown): RequestInit {
  return {
    method,
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
}

export const api = {
  me: () => json<Me>("/api/me"),
  /** The models that answer; those that only make vectors are for programs. */
  models: async () => {
    const { data } = await json<{ data: Model[] }>("/v1/models");
    return data.filter((model) => model.type !== "embedding");
  },
  documents: (cursor?: string) =>
    soon<Page<Document>>("/api/documents?limit=50" + (cursor ? "&cursor=" + cursor : "")),
  document: (id: string) => soon<Document>("/api/documents/" + id),
  upload: (file: File, signal: AbortSignal) => {
    const form = new FormData();
    form.append("file", file, file.name);
    return json<Document>("/api/documents", { method: "POST", body: form, signal });
  },
  retry: (id: string) => json<Document>(`/api/documents/${id}/retry`, { method: "POST" }),
  removeDocument: (id: string) => request(`/api/documents/${id}`, { method: "DELETE" }),
  conversations: (cursor?: string) =>
    json<Page<ConversationSummary>>(
      "/api/conversations?limit=30" + (cursor ? "&cursor=" + cursor : ""),
    ),
  /** The messages of a conversation, the newest first. */
  messages: (id: string, cursor?: string) =>
    json<Page<StoredMessage>>(
      `/api/conversations/${id}/messages?limit=100` +
        (cursor ? "&cursor=" + encodeURIComponent(cursor) : ""),
    ),
  searchConversations: (words: string, cursor?: string) =>
    json<Page<Found>>(
      "/api/conversations/search?limit=30&q=" +
        encodeURIComponent(words) +
        (cursor ? "&cursor=" + cursor : ""),
    ),
  renameConversation: (id: string, title: string) =>
    json<ConversationSummary>("/api/conversations/" + id, write("PATCH", { title })),
  /** A new conversation with the messages up to this one. */
  branchConversation: (id: string, messageId: string) =>
    json<ConversationSummary>(
      `/api/conversations/${id}/branch`,
      write("POST", { message_id: messageId }),
    ),
  /** All of it, for people to read. */
  exportConversation: (id: string) => file(`/api/conversations/${id}/export?format=markdown`),
  /** It can be brought back for a day. */
  removeConversation: (id: string) => request("/api/conversations/" + id, { method: "DELETE" }),
  restoreConversation: (id: string) =>
    json<ConversationSummary>(`/api/conversations/${id}/restore`, { method: "POST" }),
  /** Signs out here; the address to go to where the person must be signed out, too, if any. */
  signOut: async (): Promise<string | null> => {
    const response = await request("/auth/logout", { method: "POST" });
    if (response.status !== 200) return null;
    return ((await arrived(response.json())) as { sign_out_url: string }).sign_out_url;
  },
};
