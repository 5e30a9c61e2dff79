import assert from "node:assert/strict";
import { test } from "node:test";
import { CsvCounter, JsonCounter, type RecordCounter } from "./record_counter.ts";

// The count of `text` however it is cut in two.
function countEverywhere(make: () => RecordCounter, text: string): number {
  const bytes = new TextEncoder().encode(text);
  const counts = new Set<number>();
  for (let at = 0; at <= bytes.length; ++at) {
    const counter = make();
    counter.add(bytes.subarray(0, at));
    counter.add(bytes.subarray(at));
    counts.add(counter.count);
  }
  assert.equal(counts.size, 1);
  return [...counts][0] ?? -1;
}

test("Records of a CSV file are counted, and line ends within quotes are none", () => {
  const csv = '\ufeffid,content\r\n1,"two\r\nlines, ""quoted"""\r\n2,plain\r\n3,"नमस्ते\n"\r\n';
  assert.equal(
    countEverywhere(() => new CsvCounter(), csv),
    3,
  );
  assert.equal(
    countEverywhere(() => new CsvCounter(), "\ufeffid,content\r\n"),
    0,
  );
});

test("Objects of a JSON array are counted, not what is inside of them", () => {
  const rows = [{ a: '{"}]\\' }, { b: [{ c: {} }, 1] }, { d: "\n,{" }];
  assert.equal(
    countEverywhere(() => new JsonCounter(), JSON.stringify(rows)),
    3,
  );
  assert.equal(
    countEverywhere(() => new JsonCounter(), JSON.stringify(rows, null, 2)),
    3,
  );
  assert.equal(
    countEverywhere(() => new JsonCounter(), "[]"),
    0,
  );
});
