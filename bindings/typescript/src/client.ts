import createFetchClient, { type Client, type ClientOptions } from "openapi-fetch";
import { readEvents } from "./events.ts";
import type { components, paths } from "./schema.ts";

type Schemas = components["schemas"];

/** An event of a streamed answer; `event` tells which. */
export type ChatEvent = Schemas["ChatEvent"];
export type MessageRequest = Schemas["MessageRequest"];

/** An answer that is not a success, before a stream has begun. */
export class ChatError extends Error {
  constructor(
    /** The HTTP status. */
    readonly status: number,
    /** The body, when it was JSON. */
    readonly body: unknown,
    /** Seconds until it is worth another try, when the server says so. */
    readonly retry_after: number | null,
  ) {
    super(`the server answered with status ${status}`);
    this.name = "ChatError";
  }
}

export interface StreamOptions {
  /** Stops it: the server stops the model, too. */
  signal?: AbortSignal;
  /** The same key never asks twice. Made up when it is left out. */
  idempotencyKey?: string;
  /** For how long after a cut the stream is taken up again; 60,000 ms when it is left out, 0 for not. */
  resumeWithin?: number;
}

export interface TwinchatClient extends Client<paths> {
  /**
   * Asks, and gives the events of the answer as they come; the last one is `done` or `error`. When the
   * connection breaks it is made again, and the answer goes on where it was. Where that is not possible it
   * begins anew with another `session` event: what came before that does not count. Throws ChatError for a
   * refusal, what `fetch` throws when the server cannot be reached again in time, and the signal's reason.
   * Leaving the loop early stops the answer.
   */
  stream(message: MessageRequest, options?: StreamOptions): AsyncGenerator<ChatEvent, void>;
}

const inUse = 409;
const longestPause = 5_000;

// It has to be unlike others, not secret; and crypto.randomUUID() is not everywhere.
const newKey = () =>
  Array.from({ length: 4 }, () =>
    Math.floor(Math.random() * 2 ** 32).toString(16).padStart(8, "0"),
  ).join("-");

/**
 * A client of the server at `baseUrl`: `GET`, `POST` and so on with the paths and types of the document
 * (openapi-fetch), and `stream` for streamed answers. For the admin's routes give
 * `headers: { Authorization: "Bearer ..." }`.
 */
export function createTwinchatClient(options: ClientOptions = {}): TwinchatClient {
  const client = createFetchClient<paths>(options);
  const stream = (message: MessageRequest, stream_options: StreamOptions = {}) =>
    streamed(client, message, stream_options);
  return { ...client, stream };
}

async function* streamed(
  client: Client<paths>,
  message: MessageRequest,
  { signal, idempotencyKey = newKey(), resumeWithin = 60_000 }: StreamOptions,
): AsyncGenerator<ChatEvent, void> {
  let last_id: string | undefined;
  let cut_at: number | undefined;
  let pause = 0;
  let over = false;
  try {
    while (!over) {
      try {
        for await (const event of await open(client, message, idempotencyKey, last_id, signal)) {
          if (event.event === "error" && event.data.http_status === inUse && cut_at !== undefined) {
            throw new ChatError(inUse, event.data, event.data.retry_after ?? null);
          }
          cut_at = undefined;
          pause = 0;
          last_id = event.id;
          over = event.event === "done" || event.event === "error";
          yield event;
          if (over) return;
        }
        throw new TypeError("the stream has ended before the answer");
      } catch (error) {
        signal?.throwIfAborted();
        cut_at ??= Date.now();
        const refused = error instanceof ChatError;
        // The answer is still being worked on for the connection that broke.
        const waits = refused && error.status === inUse;
        if (waits) pause = 1_000 * (error.retry_after ?? 1);
        else pause = Math.min(longestPause, pause * 2 + 200);
        over = (refused && !waits) || Date.now() + pause > cut_at + resumeWithin;
        if (over) throw error;
        await sleep(pause, signal);
      }
    }
  } finally {
    // It would go on for a minute, for whoever comes back.
    if (!over) await stop(client, message, idempotencyKey);
  }
}

async function stop(client: Client<paths>, message: MessageRequest, key: string): Promise<void> {
  const body = { session_id: message.session_id, client_message_id: key };
  await client.POST("/api/chat/message/stop/", { body }).catch(() => undefined);
}

async function open(
  client: Client<paths>,
  body: MessageRequest,
  key: string,
  last_id: string | undefined,
  signal: AbortSignal | undefined,
): Promise<AsyncGenerator<ChatEvent, void>> {
  const { response, error, data } = await client.POST("/api/chat/message/stream/", {
    body,
    params: {
      header: {
        "Idempotency-Key": key,
        ...(last_id === undefined ? {} : { "Last-Event-ID": last_id }),
      },
    },
    ...(signal ? { signal } : {}),
    parseAs: "stream",
  });
  if (data) return readEvents(data as ReadableStream<Uint8Array>) as AsyncGenerator<ChatEvent, void>;
  const after = Number(response.headers.get("Retry-After"));
  throw new ChatError(response.status, error, after > 0 ? after : null);
}

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stopped = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stopped);
      resolve();
    }, milliseconds);
    signal?.addEventListener("abort", stopped, { once: true });
  });
}
