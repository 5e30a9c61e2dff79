// Server-Sent Events as they come in, in pieces that end anywhere. Bytes in, values out; no I/O.

export interface StreamEvent {
  // Of the last event that had one.
  id: string;
  event: string;
  data: string;
}

export class EventParser {
  private rest = "";
  private id = "";
  private event = "";
  private data: string[] = [];
  private began = false;

  // The events that `text` completes.
  add(text: string): StreamEvent[] {
    const done: StreamEvent[] = [];
    this.rest += text;
    if (!this.began && this.rest) {
      this.began = true;
      if (this.rest[0] === "\ufeff") this.rest = this.rest.slice(1);
    }
    for (;;) {
      const end = this.rest.search(/[\r\n]/);
      // A CR at the end may be half of a line end.
      if (end < 0 || (this.rest[end] === "\r" && end + 1 === this.rest.length)) return done;
      const line = this.rest.slice(0, end);
      this.rest = this.rest.slice(end + (this.rest.startsWith("\r\n", end) ? 2 : 1));
      if (line) {
        this.field(line);
      } else {
        if (this.data.length > 0) {
          done.push({ id: this.id, event: this.event || "message", data: this.data.join("\n") });
        }
        this.event = "";
        this.data = [];
      }
    }
  }

  private field(line: string): void {
    const colon = line.indexOf(":");
    const name = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "data") this.data.push(value);
    else if (name === "event") this.event = value;
    else if (name === "id" && !value.includes("\0")) this.id = value;
  }
}
