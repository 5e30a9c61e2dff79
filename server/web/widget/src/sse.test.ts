import assert from "node:assert/strict";
import { test } from "node:test";
import { EventParser, type StreamEvent } from "./sse.ts";

// The events of `text`, the same however it is cut into three.
function events(text: string): StreamEvent[] {
  const seen = new Set<string>();
  for (let first = 0; first <= text.length; ++first) {
    for (let second = first; second <= text.length; second += 3) {
      const parser = new EventParser();
      const found = [text.slice(0, first), text.slice(first, second), text.slice(second)];
      seen.add(JSON.stringify(found.flatMap((piece) => parser.add(piece))));
    }
  }
  assert.equal(seen.size, 1, [...seen].join("\n"));
  return JSON.parse([...seen][0] ?? "");
}

test("Events come out whole, wherever the pieces end and whatever ends a line", () => {
  const wanted = [
    { id: "1", event: "session", data: '{"a":1}' },
    { id: "7", event: "delta", data: "नमस्ते\nzwei" },
  ];
  const lines =
    'id: 1\nevent: session\ndata: {"a":1}\n\nid: 7\nevent: delta\ndata: नमस्ते\ndata: zwei\n\n';
  assert.deepEqual(events(lines), wanted);
  // A CR at the very end may be half of a line end: something has to follow.
  assert.deepEqual(events(lines.replaceAll("\n", "\r\n")), wanted);
  assert.deepEqual(events(`${lines.replaceAll("\n", "\r")}:`), wanted);
  assert.deepEqual(events(`\ufeff${lines}`), wanted);
});

test("Comments, empty events and unknown fields are none; an id stays until there is another", () => {
  assert.deepEqual(
    events(": ping\n\nevent: nothing\n\nretry: 5\nid: 3\ndata: x\n\ndata:y\ndata\n\n"),
    [
      { id: "3", event: "message", data: "x" },
      { id: "3", event: "message", data: "y\n" },
    ],
  );
});

test("What has no blank line after it has not been said", () => {
  assert.deepEqual(events("data: half\n"), []);
});
