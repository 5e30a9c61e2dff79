import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser, type ServerEvent } from "twinchat-client/events.ts";

// The events of `text`, the same however it is cut into three.
function events(text: string): ServerEvent[] {
  const seen = new Set<string>();
  for (let first = 0; first <= text.length; ++first) {
    for (let second = first; second <= text.length; ++second) {
      const parser = new EventParser();
      const pieces = [text.slice(0, first), text.slice(first, second), text.slice(second)];
      seen.add(JSON.stringify(pieces.flatMap((piece) => parser.add(piece))));
    }
  }
  assert.equal(seen.size, 1, [...seen].join("\n"));
  return JSON.parse([...seen][0] ?? "");
}

test("Events of a stream come out whole, wherever its pieces end", () => {
  const text =
    'id: 0\nevent: session\ndata: {"session_id":"a"}\n\nid: 18\nevent: delta\ndata: {"text":"नमस्ते\\n\\n"}\n\n';
  assert.deepEqual(events(text), [
    { id: "0", event: "session", data: { session_id: "a" } },
    { id: "18", event: "delta", data: { text: "नमस्ते\n\n" } },
  ]);
});

test("What keeps a stream alive is no event, and neither is what is not whole", () => {
  assert.deepEqual(
    events(": ping\n\n: ping\n\nid: 1\nevent: delta\ndata: {}\n\nid: 2\nevent: del"),
    [{ id: "1", event: "delta", data: {} }],
  );
});
