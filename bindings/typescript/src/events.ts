// Server-Sent Events, as this server sends them.

/** One event: its id, its name, and its data, which is JSON. */
export interface ServerEvent {
  id: string;
  event: string;
  data: unknown;
}

/** Makes events of the text of a stream, wherever it is cut. */
export class EventParser {
  #rest = "";

  /** The events that are whole with this piece. */
  add(piece: string): ServerEvent[] {
    const blocks = (this.#rest + piece).split("\n\n");
    this.#rest = blocks.pop() ?? "";
    return blocks.map(parse).filter((event) => event !== null);
  }
}

function parse(block: string): ServerEvent | null {
  const fields = { id: "", event: "message", data: "" };
  let has_data = false;
  for (const line of block.split("\n")) {
    const [, name, value] = /^(id|event|data): ?(.*)$/.exec(line) ?? [];
    if (name === undefined || value === undefined) continue; // A comment keeps the stream alive.
    fields[name as keyof typeof fields] = value;
    has_data ||= name === "data";
  }
  return has_data ? { ...fields, data: JSON.parse(fields.data) as unknown } : null;
}

/** The events of an answer's body, as they come. Throws what reading throws. */
export async function* readEvents(body: ReadableStream<Uint8Array>): AsyncGenerator<ServerEvent> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  const parser = new EventParser();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield* parser.add(decoder.decode(value, { stream: true }));
    }
  } finally {
    // Whoever stops listening early ends the answer.
    await reader.cancel().catch(() => undefined);
  }
}
