import assert from "node:assert/strict";
import { test } from "node:test";
import { type Node, parseMarkdown, plain, settled } from "./markdown.ts";

// The tree as text: tag(children), tag{address}(children).
const shown = (nodes: Node[]): string =>
  nodes
    .map((node) => {
      if (typeof node === "string") return node;
      const { tag, href, start, children } = node;
      const more = href ?? (start !== undefined && start !== 1 ? start : undefined);
      return `${tag}${more === undefined ? "" : `{${more}}`}(${shown(children)})`;
    })
    .join("");
const parsed = (text: string) => shown(parseMarkdown(text));

test("Paragraphs, headings, rules and line breaks", () => {
  assert.equal(parsed("one\ntwo\n\n\nthree"), "p(onebr()two)p(three)");
  assert.equal(parsed("# A *b*\ntext\n***\n###### c"), "h3(A em(b))p(text)hr()h3(c)");
  assert.equal(parsed("#hashtag\r\nx"), "p(#hashtagbr()x)");
  assert.equal(parsed(""), "");
});

test("Emphasis and code, and marks that are none", () => {
  assert.equal(
    parsed("**a *b* c** ~~d~~ `e*f*` __g__ _h_"),
    "p(strong(a em(b) c) del(d) code(e*f*) strong(g) em(h))",
  );
  assert.equal(parsed("***both***"), "p(strong(em(both)))");
  assert.equal(
    parsed("2 * 3 * 4, snake_case_name, ** x **, *open"),
    "p(2 * 3 * 4, snake_case_name, ** x **, *open)",
  );
  assert.equal(parsed("**a *b** c*"), "p(strong(a *b) c*)");
  assert.equal(parsed("\\*a\\* \\[b](c) ``x ` y`` `open"), "p(*a* [b](c) code(x ` y) `open)");
});

test("Lists: nested, numbered from anywhere, with paragraphs inside", () => {
  assert.equal(parsed("- a\n- b\n  - c\n  - d\n- e"), "ul(li(a)li(bul(li(c)li(d)))li(e))");
  assert.equal(parsed("3. a\n4) b\n\n5. c\nlazy"), "ol{3}(li(a)li(b)li(cbr()lazy))");
  assert.equal(parsed("* a\n\n  more\n\nafter"), "ul(li(ap(more)))p(after)");
  assert.equal(parsed("1. a\n- b"), "ol(li(a))ul(li(b))");
});

test("Quotes, fences and tables", () => {
  assert.equal(parsed("> a\n> > b\n\nc"), "blockquote(p(a)blockquote(p(b)))p(c)");
  assert.equal(
    parsed("```js\nlet a = '*x*';\n\n<b>\n```\nafter"),
    "pre(code(let a = '*x*';\n\n<b>))p(after)",
  );
  assert.equal(parsed("~~~\nopen"), "pre(code(open))");
  assert.equal(
    parsed("| a | b |\n|---|:-:|\n| 1 | *2* |\nx"),
    "table(tr(th(a)th(b))tr(td(1)td(em(2))))p(x)",
  );
  assert.equal(parsed("| no | table |"), "p(| no | table |)");
});

test("Links lead to http and https and nowhere else", () => {
  assert.equal(
    parsed("[a *b*](https://x.example/p?q=1#f)"),
    "p(a{https://x.example/p?q=1#f}(a em(b)))",
  );
  assert.equal(parsed('[a](<http://x.example> "title")'), "p(a{http://x.example/}(a))");
  assert.equal(
    parsed("See https://x.example/a_(b). Or (http://y.example)!"),
    "p(See a{https://x.example/a_(b)}(https://x.example/a_(b)). Or (a{http://y.example/}(http://y.example))!)",
  );
  for (const address of [
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)",
    "data:text/html,<script>1</script>",
    "vbscript:x",
    "//x.example",
    "/relative",
    "mailto:a@b.example",
    "https://user:password@x.example",
    "java\tscript:alert(1)",
    "&#106;avascript:alert(1)",
    "https:",
  ]) {
    assert.equal(parsed(`[a](${address})`), `p([a](${address.replace("\t", "    ")}))`, address);
  }
  // No link in a link.
  assert.equal(
    parsed("[https://x.example](https://y.example)"),
    "p(a{https://y.example/}(https://x.example))",
  );
});

test("Pictures are their description, and HTML is text", () => {
  assert.equal(parsed("![a cat](https://x.example/p.png)"), "p(a cat)");
  assert.equal(parsed("![](https://x.example/p.png)"), "p()");
  const html = '<img src=x onerror="alert(1)"><script>alert(1)</script>';
  assert.equal(parsed(html), `p(${html})`);
});

test("Characters that turn the direction round, or that are none, are left out", () => {
  assert.equal(
    parsed("\u202egnp.exe\u202c \u2066a\u2069\u0000\u001b[31m \u200fok"),
    "p(gnp.exe a[31m \u200fok)",
  );
});

const bombs: Record<string, string> = {
  stars: "*".repeat(50_000),
  "stars and letters": "*a".repeat(25_000),
  "open stars": "*a **b ".repeat(10_000),
  brackets: "[".repeat(50_000),
  "half links": "[a](".repeat(20_000),
  "half links with addresses": "[a](https://x.example/".repeat(5_000),
  "half pictures": "![a](".repeat(20_000),
  ticks: Array.from({ length: 300 }, (_, at) => "`".repeat(at + 1)).join(" "),
  "one tick often": "` ".repeat(25_000),
  quotes: `${">".repeat(20_000)} a`,
  "quotes in many lines": `${"> ".repeat(200)}a\n`.repeat(200),
  "lists in lists": Array.from({ length: 2_000 }, (_, at) => `${" ".repeat(at)}- a`).join("\n"),
  spaces: `a${" ".repeat(100_000)}b`,
  "spaces after a heading": `# a${" ".repeat(50_000)}b`,
  "hashes after a heading": `# a ${"#".repeat(50_000)}b`,
  "dashes with spaces": `${"- ".repeat(30_000)}x`,
  pipes: `${"| ".repeat(30_000)}x`,
  "a table of pipes": `|${"a|".repeat(10_000)}\n|${"-|".repeat(10_000)}\n`,
  "dots of an address": `https://x.example/${".".repeat(50_000)}x`,
  "an address of brackets": `https://x.example/${"(".repeat(50_000)}`,
  backslashes: "\\".repeat(50_000),
  "fences, never closed": "```\n".repeat(10_001),
  lines: "\n".repeat(100_000),
};

// What the parser looks at is bounded, so the test's own limit of time is the assertion: each of these
// takes milliseconds, and minutes when the work grows with the square of the length.
for (const [name, text] of Object.entries(bombs)) {
  test(`Nothing explodes: ${name}`, { timeout: 30_000 }, () => {
    const nodes = parseMarkdown(text);
    const depth = (all: Node[]): number =>
      Math.max(
        0,
        ...all
          .slice(0, 1000)
          .map((node) => (typeof node === "string" ? 0 : 1 + depth(node.children))),
      );
    assert.ok(depth(nodes) <= 40, `depth ${depth(nodes)}`);
    assert.ok(plain(nodes).length <= text.length * 2);
    settled(text, 0);
  });
}

test("What is settled is read as it would be in the whole", () => {
  const text =
    "# Title\n\nOne *two*.\n\n- a\n\n- b\n\n  more\n\nThree\n\n```\nx\n\ny\n\nz\n```\n\n1. a\n\n2. b\n\nFour\n\n> q\n\nFive\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nSix [a](https://x.example)\n\nSeven";
  const whole = parsed(text);
  const borders = new Set<number>();
  for (let length = 0; length <= text.length; ++length) {
    // As it comes: what was settled before stays.
    let from = 0;
    for (let seen = 0; seen <= length; ++seen) from = settled(text.slice(0, seen), from);
    borders.add(from);
    assert.equal(parsed(text.slice(0, from)) + parsed(text.slice(from)), whole);
  }
  assert.ok(borders.size >= 6, `borders: ${[...borders]}`);
});
