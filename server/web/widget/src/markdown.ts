// The Markdown of a model's answer as a tree of a few harmless elements. The text is not trusted:
// what is not understood stays text, HTML among it; pictures become their description; only http and
// https are links. The work grows with the length of the text, whatever is in it.

export type Tag =
  | "p"
  | "h3"
  | "ul"
  | "ol"
  | "li"
  | "blockquote"
  | "pre"
  | "hr"
  | "table"
  | "tr"
  | "th"
  | "td"
  | "strong"
  | "em"
  | "del"
  | "code"
  | "a"
  | "br";

export interface Element {
  tag: Tag;
  children: Node[];
  // Of an "a".
  href?: string;
  // Of an "ol".
  start?: number;
}

export type Node = string | Element;

const deepest = 6;

const element = (tag: Tag, children: Node[] = []): Element => ({ tag, children });

// Text without characters that turn the direction of what follows, or that are for machines:
// "gnp.exe" cannot be made to look like "exe.png".
export const withoutTricks = (text: string): string =>
  text.replace(
    /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    "",
  );

// The address as a browser understands it, if it is one to visit; a name or password in it would
// only serve to make it look like another one.
export function webAddress(text: string): string | undefined {
  try {
    const url = new URL(text);
    return /^https?:$/.test(url.protocol) && !url.username && !url.password ? url.href : undefined;
  } catch {
    return undefined;
  }
}

// A run of anything is read once: no part begins with what may be long and then not match.
const token =
  /\\([!-/:-@[-`{-~])|(`+)|(!?\[)|(\*\*|__|~~|[*_])|(https?:\/\/[^\s<>"'`|[\]{}\\^*]+)|(\n)/g;
const label = /[^[\]\n]{0,500}/y;
const target =
  /\]\(\s*<?([^\s()<>[\]]{1,2000}(?:\([^\s()<>[\]]{0,200}\)[^\s()<>[\]]{0,200})?)>?(?:\s+"[^"\n]{0,200}")?\s*\)/y;
const wordlike = /[\p{L}\p{N}]/u;

interface Open {
  mark: string;
  nodes: Node[];
}

// Appends text to the nodes, to the text that is there if there is one.
function say(nodes: Node[], text: string): void {
  if (!text) return;
  const last = nodes.length - 1;
  if (typeof nodes[last] === "string") nodes[last] += text;
  else nodes.push(text);
}

// The text of the nodes alone.
export const plain = (nodes: Node[]): string =>
  nodes.map((node) => (typeof node === "string" ? node : plain(node.children))).join("");

function withoutEnd(text: string, marks: string): string {
  let end = text.length;
  while (end > 0 && marks.includes(text[end - 1] ?? "")) --end;
  return text.slice(0, end);
}

export function parseInline(text: string, links = true): Node[] {
  const stack: Open[] = [{ mark: "", nodes: [] }];
  const open = new Set<string>();
  const unclosed = new Set<string>();
  const top = () => stack[stack.length - 1] as Open;
  // The marks above the one at `depth` were none.
  const flatten = (depth: number) => {
    while (stack.length > depth) {
      const { mark, nodes } = stack.pop() as Open;
      open.delete(mark);
      say(top().nodes, mark);
      for (const node of nodes) {
        if (typeof node === "string") say(top().nodes, node);
        else top().nodes.push(node);
      }
    }
  };
  let at = 0;
  for (;;) {
    // A label in a link uses the same expression.
    token.lastIndex = at;
    const found = token.exec(text);
    if (!found) break;
    const [all, escaped, ticks, bracket, , address, line] = found;
    let mark = found[4];
    const begin = found.index;
    say(top().nodes, text.slice(at, begin));
    at = begin + all.length;
    if (escaped) {
      say(top().nodes, escaped);
    } else if (ticks) {
      const close = unclosed.has(ticks) ? -1 : closing(text, ticks, at);
      if (close < 0) {
        unclosed.add(ticks);
        say(top().nodes, ticks);
      } else {
        top().nodes.push(element("code", [text.slice(at, close).replace(/\n/g, " ").trim()]));
        at = close + ticks.length;
      }
    } else if (bracket) {
      label.lastIndex = at;
      const words = label.exec(text)?.[0] ?? "";
      target.lastIndex = at + words.length;
      const goal = target.exec(text);
      if (!goal) {
        say(top().nodes, all);
        continue;
      }
      at = target.lastIndex;
      const href = links && all === "[" ? webAddress(goal[1] ?? "") : undefined;
      if (all === "![") say(top().nodes, words);
      else if (href) top().nodes.push({ tag: "a", href, children: parseInline(words, false) });
      else say(top().nodes, text.slice(begin, at));
    } else if (mark) {
      // "***" ends what began last first.
      if (mark === "**" && top().mark === "*" && text[at] === "*") {
        mark = "*";
        --at;
      }
      const before = text[begin - 1] ?? " ";
      const after = text[at] ?? " ";
      // snake_case is no emphasis.
      const inside = mark[0] === "_" && wordlike.test(before) && wordlike.test(after);
      if (!inside && open.has(mark) && !/\s/.test(before)) {
        let depth = stack.length - 1;
        while (stack[depth]?.mark !== mark) --depth;
        flatten(depth + 1);
        const { nodes } = stack.pop() as Open;
        open.delete(mark);
        const tag = mark === "~~" ? "del" : mark.length === 2 ? "strong" : "em";
        if (nodes.length > 0) top().nodes.push(element(tag, nodes));
        else say(top().nodes, mark + mark);
      } else if (!inside && !open.has(mark) && !/\s/.test(after) && stack.length <= deepest) {
        open.add(mark);
        stack.push({ mark, nodes: [] });
      } else {
        say(top().nodes, mark);
      }
    } else if (address) {
      // What ends a sentence is not part of the address.
      let shown = withoutEnd(address, ".,;:!?_~");
      if (!shown.includes("(")) shown = withoutEnd(shown, ".,;:!?_~)");
      const href = links ? webAddress(shown) : undefined;
      if (href) top().nodes.push({ tag: "a", href, children: [shown] });
      else say(top().nodes, shown);
      at = begin + shown.length;
    } else if (line) {
      top().nodes.push(element("br"));
    }
  }
  say(top().nodes, text.slice(at));
  flatten(1);
  return top().nodes;
}

// Where a run of exactly those ticks begins, from `from` on; -1 when nowhere.
function closing(text: string, ticks: string, from: number): number {
  for (let at = from; ;) {
    const found = text.indexOf(ticks, at);
    if (found < 0) return -1;
    let end = found + ticks.length;
    if (text[end] !== "`") return found;
    while (text[end] === "`") ++end;
    at = end;
  }
}

const fence = /^ {0,3}(`{3,}|~{3,})/;
const heading = /^ {0,3}#{1,6}\s+(.*)$/;
const rule = /^ {0,3}([-*_])\s*(?:\1\s*){2,}$/;
const quote = /^ {0,3}> ?/;
const item = /^( {0,12})([-*+•]|(\d{1,9})[.)])(\s+)(.*)$/;
const row = /^ {0,3}\|.*\|\s*$/;
const divider = /^ {0,3}\|(?:\s*:?-+:?\s*\|)+\s*$/;

const ends = (line: string, mark: string): boolean =>
  fence.test(line) && line.trim().startsWith(mark) && !/[^\s`~]/.test(line);

const cells = (line: string): string[] =>
  line
    .trim()
    .slice(1, -1)
    .split(/(?<!\\)\|/)
    .map((cell) => cell.trim());

function parseLines(lines: string[], depth: number): Node[] {
  const blocks: Node[] = [];
  let at = 0;
  const line = () => lines[at] ?? "";
  // Lines as long as the test holds, each without what `bare` takes away.
  const take = (test: (line: string) => boolean, bare = (line: string) => line) => {
    const taken: string[] = [];
    for (; at < lines.length && test(line()); ++at) taken.push(bare(line()));
    return taken;
  };
  while (at < lines.length) {
    const current = line();
    if (!current.trim()) {
      ++at;
      continue;
    }
    const fenced = fence.exec(current);
    if (fenced) {
      const mark = fenced[1] ?? "";
      ++at;
      const code = take((text) => !ends(text, mark));
      ++at;
      blocks.push(element("pre", [element("code", [code.join("\n")])]));
      continue;
    }
    const title = heading.exec(current);
    if (title) {
      ++at;
      blocks.push(element("h3", parseInline(title[1] ?? "")));
      continue;
    }
    if (rule.test(current)) {
      ++at;
      blocks.push(element("hr"));
      continue;
    }
    if (depth < deepest && quote.test(current)) {
      const inner = take(
        (text) => quote.test(text),
        (text) => text.replace(quote, ""),
      );
      blocks.push(element("blockquote", parseLines(inner, depth + 1)));
      continue;
    }
    const first = item.exec(current);
    if (depth < deepest && first) {
      blocks.push(list(first));
      continue;
    }
    if (row.test(current) && divider.test(lines[at + 1] ?? "")) {
      at += 2;
      const body = take((text) => row.test(text));
      const made = (text: string, tag: "th" | "td") =>
        element(
          "tr",
          cells(text).map((cell) => element(tag, parseInline(cell))),
        );
      blocks.push(element("table", [made(current, "th"), ...body.map((text) => made(text, "td"))]));
      continue;
    }
    const words = [current, ...(++at, take((text) => !startsBlock(text, depth)))];
    blocks.push(
      element(
        "p",
        parseInline(
          words
            .map((text) => text.trimStart())
            .join("\n")
            .trimEnd(),
        ),
      ),
    );
  }
  return blocks;

  function list(first: RegExpExecArray): Element {
    const ordered = first[3] !== undefined;
    const items: Node[] = [];
    for (let found: RegExpExecArray | null = first; found; found = item.exec(line())) {
      const indent = (found[1] ?? "").length;
      if ((found[3] !== undefined) !== ordered || indent > (first[1] ?? "").length + 1) break;
      ++at;
      const inner = [found[5] ?? ""];
      let blank = false;
      while (at < lines.length) {
        const next = line();
        const spaces = next.length - next.trimStart().length;
        if (!next.trim()) {
          blank = true;
        } else if (spaces >= indent + 2) {
          if (blank) inner.push("");
          inner.push(next.slice(Math.min(spaces, indent + (found[2] ?? "").length + 1)));
          blank = false;
        } else if (!blank && !startsBlock(next, depth)) {
          inner.push(next);
        } else {
          break;
        }
        ++at;
      }
      const parsed = parseLines(inner, depth + 1);
      // One paragraph alone needs no element of its own.
      const [only] = parsed;
      const tight =
        typeof only === "object" && only.tag === "p"
          ? [...only.children, ...parsed.slice(1)]
          : parsed;
      items.push(element("li", tight));
    }
    return ordered ? { tag: "ol", start: Number(first[3]), children: items } : element("ul", items);
  }
}

const startsBlock = (line: string, depth: number): boolean =>
  !line.trim() ||
  fence.test(line) ||
  heading.test(line) ||
  rule.test(line) ||
  (depth < deepest && (quote.test(line) || item.test(line))) ||
  row.test(line);

export const parseMarkdown = (text: string): Node[] =>
  parseLines(withoutTricks(text).replace(/\r\n?/g, "\n").replace(/\t/g, "    ").split("\n"), 0);

// How much from `from` on is made of whole blocks that what follows cannot change: an answer that
// grows need not be read again from its beginning.
export function settled(text: string, from: number): number {
  let end = from;
  let mark = "";
  let at = from;
  let blank = false;
  while (at < text.length) {
    const stop = text.indexOf("\n", at);
    // The last line may still grow.
    if (stop < 0) break;
    const line = text.slice(at, stop);
    const fenced = fence.exec(line);
    if (!mark && blank && /^[^\s>|\d*+•-]/.test(line)) end = at;
    if (fenced && !mark) mark = fenced[1] ?? "";
    else if (mark && ends(line, mark)) mark = "";
    blank = !line.trim();
    at = stop + 1;
  }
  return end;
}
