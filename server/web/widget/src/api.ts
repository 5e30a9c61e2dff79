// The server's side of the chat: its routes, and what can go wrong on the way to them.
import { EventParser } from "twinchat-client/events.ts";
import type { components } from "twinchat-client/schema.ts";

type Schemas = components["schemas"];
export type ServerTexts = Schemas["WidgetTexts"];
export type Settings = Schemas["WidgetSettings"];
export type StoredMessage = Schemas["HistoryMessage"];
// An answer as the stream's last event brings it.
export type Done = Pick<Schemas["DoneEvent"], "bot_response" | "status">;
export type FieldName = Settings["details"]["fields"][number]["name"];
export type Details = Partial<Record<FieldName, string>>;
export type Feedback = Schemas["StoredFeedback"]["value"];

export interface Question {
  session_id: string;
  message: string;
}

export class ApiError extends Error {
  constructor(
    // 0: the server was not reached, or the connection ended.
    readonly status: number,
    readonly body: Record<string, unknown> = {},
    // Seconds.
    readonly retry_after?: number,
  ) {
    super(`HTTP status ${status}`);
  }
}

interface Asked {
  body?: unknown;
  headers?: Record<string, string>;
  signal?: AbortSignal;
  cache?: RequestCache;
}

// How long nothing at all may come before the connection is taken for dead. The server says something
// every CHAT_HEARTBEAT seconds.
const silence_ms = 45_000;

export class Api {
  constructor(readonly base: string) {}

  settings = () => this.json<Settings>("widget/", { cache: "default" });

  createSession = async () =>
    (await this.json<{ session_id: string }>("sessions/create_session/", { body: {} })).session_id;

  updateDetails = (session_id: string, user_details: Details) =>
    this.json("sessions/update_user_details/", { body: { session_id, user_details } });

  consent = (session_id: string, version: string, language: string) =>
    this.json<{ given_at: string }>("sessions/consent/", {
      body: { session_id, version, language },
    });

  withdraw = (session_id: string) =>
    this.json("sessions/consent/", { body: { session_id, withdrawn: true } });

  feedback = (session_id: string, message_id: number, value: Feedback) =>
    this.json("feedback/", { body: { session_id, message_id, value } });

  messages = (session_id: string, limit: number, before?: string | null) => {
    const query = new URLSearchParams({ session_id, limit: String(limit) });
    if (before) query.set("before", before);
    return this.json<{ messages: StoredMessage[]; before: string | null }>(
      `sessions/messages/?${query}`,
    );
  };

  stop = (session_id: string, client_message_id: string) =>
    this.json("message/stop/", { body: { session_id, client_message_id } });

  // Asks, and hands on the answer's text as it comes. Throws an ApiError of status 0 when the
  // connection ends before the answer does; `after`, the id of the last event seen, then goes on
  // there: the server knows the question by its key.
  async ask(
    question: Question,
    key: string,
    after: string | undefined,
    signal: AbortSignal,
    on: { begin: () => void; text: (text: string, id: string) => void; alive: () => void },
  ): Promise<Done> {
    const dead = new AbortController();
    const give_up = () => dead.abort();
    signal.addEventListener("abort", give_up);
    let watch = setTimeout(give_up, silence_ms);
    try {
      const response = await this.send("message/stream/", {
        body: question,
        headers: {
          Accept: "text/event-stream",
          "Idempotency-Key": key,
          ...(after === undefined ? {} : { "Last-Event-ID": after }),
        },
        signal: dead.signal,
      });
      if (!response.body) throw new ApiError(0);
      const reader = response.body.getReader();
      const decoder = new TextDecoder();
      const parser = new EventParser();
      for (;;) {
        const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
        if (done) throw new ApiError(0);
        clearTimeout(watch);
        watch = setTimeout(give_up, silence_ms);
        on.alive();
        for (const { id, event, data } of parser.add(decoder.decode(value, { stream: true }))) {
          if (event === "session") on.begin();
          else if (event === "delta") on.text((data as Schemas["DeltaEvent"]).text, id);
          else if (event === "done") return data as Done;
          else if (event === "error") {
            const { http_status, retry_after, ...body } = data as Schemas["ErrorEvent"];
            throw new ApiError(http_status, body, retry_after);
          }
        }
      }
    } finally {
      clearTimeout(watch);
      signal.removeEventListener("abort", give_up);
      // Or a connection would wait for its end.
      dead.abort();
    }
  }

  private async json<T>(path: string, asked: Asked = {}): Promise<T> {
    const response = await this.send(path, asked);
    return response.json().catch(() => {
      throw new ApiError(0);
    });
  }

  private async send(path: string, { body, headers, signal, cache }: Asked): Promise<Response> {
    const response = await fetch(`${this.base}api/chat/${path}`, {
      method: body ? "POST" : "GET",
      headers: { ...headers, ...(body ? { "Content-Type": "application/json" } : {}) },
      ...(body ? { body: JSON.stringify(body) } : {}),
      ...(signal ? { signal } : {}),
      cache: cache ?? "no-store",
      credentials: "omit",
      referrerPolicy: "no-referrer",
    }).catch(() => {
      throw new ApiError(0);
    });
    if (response.ok) return response;
    const wait = Number(response.headers.get("Retry-After") ?? NaN);
    const told = await response.json().catch(() => ({}));
    throw new ApiError(response.status, told, Number.isFinite(wait) ? wait : undefined);
  }
}
