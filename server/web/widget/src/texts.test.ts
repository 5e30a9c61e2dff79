import assert from "node:assert/strict";
import { test } from "node:test";
import { fill, isRightToLeft, isSpoken, textsOf, translate } from "./texts.ts";

const holes = (text: string) => (text.match(/\{\d\}/g) ?? []).sort().join();

test("Every word is there in Hindi too, with the same places for values", () => {
  const en = textsOf("en");
  const hi = textsOf("hi");
  for (const [name, text] of Object.entries(en)) {
    const other = hi[name as keyof typeof hi];
    assert.notEqual(other, text, name);
    assert.equal(holes(other), holes(text), name);
    assert.match(other, /[\u0900-\u097f]/, name);
  }
});

test("A page may add a language, and what it leaves out stays English", () => {
  assert.equal(isSpoken("ur"), false);
  translate("ur", { send: "بھیجیں" });
  translate("ur", { stop: "روکیں" });
  assert.equal(isSpoken("ur"), true);
  assert.equal(textsOf("ur").send, "بھیجیں");
  assert.equal(textsOf("ur").stop, "روکیں");
  assert.equal(textsOf("ur").retry, "Try again");
  assert.deepEqual(["ur", "ar-EG", "he", "en", "hi"].map(isRightToLeft), [
    true,
    true,
    true,
    false,
    false,
  ]);
});

test("Values are put in as they are", () => {
  assert.equal(fill("{1} and {0}", "$1 {1}", 2), "2 and $1 {1}");
});
