// Counts the records of a CSV or JSON export while it comes in, in pieces that end anywhere.
export interface RecordCounter {
  add(bytes: Uint8Array): void;
  readonly count: number;
}

const quote = 0x22;
const backslash = 0x5c;

// Lines that end outside of quotes, the header not counted.
export class CsvCounter implements RecordCounter {
  private quoted = false;
  private lines = 0;

  add(bytes: Uint8Array): void {
    for (const byte of bytes) {
      // A doubled quote turns it off and on again.
      if (byte === quote) this.quoted = !this.quoted;
      else if (byte === 0x0a && !this.quoted) ++this.lines;
    }
  }

  get count(): number {
    return Math.max(0, this.lines - 1);
  }
}

// Objects right below the one array.
export class JsonCounter implements RecordCounter {
  private quoted = false;
  private escaped = false;
  private depth = 0;
  count = 0;

  add(bytes: Uint8Array): void {
    for (const byte of bytes) {
      if (this.quoted) {
        if (this.escaped) this.escaped = false;
        else if (byte === backslash) this.escaped = true;
        else if (byte === quote) this.quoted = false;
      } else if (byte === quote) {
        this.quoted = true;
      } else if (byte === 0x7b || byte === 0x5b) {
        ++this.depth;
      } else if (byte === 0x7d || byte === 0x5d) {
        --this.depth;
        if (byte === 0x7d && this.depth === 1) ++this.count;
      }
    }
  }
}
