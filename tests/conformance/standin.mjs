// A gemini-standin of one's own, and Google's client pointed at it.
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

export class StandIn {
  static async start() {
    const program = process.env.GEMINI_STANDIN;
    if (!program) throw new Error('GEMINI_STANDIN must name the gemini-standin program');
    const child = spawn(program, [], { stdio: ['ignore', 'pipe', 'inherit'] });
    for await (const line of createInterface({ input: child.stdout })) {
      const found = /^listening on (.*)$/.exec(line);
      if (found) return new StandIn(child, found[1]);
    }
    throw new Error('gemini-standin did not start');
  }

  constructor(child, baseUrl) {
    this.child = child;
    this.baseUrl = baseUrl;
  }

  async script(replies) {
    const response = await fetch(`${this.baseUrl}/_script`, {
      method: 'POST',
      body: JSON.stringify({ replies: [replies].flat() }),
    });
    if (!response.ok) throw new Error((await response.json()).error);
  }

  async requests() {
    return (await fetch(`${this.baseUrl}/_requests`)).json();
  }

  async reset() {
    await (await fetch(`${this.baseUrl}/_script`, { method: 'DELETE' })).json();
  }

  stop() {
    this.child.kill();
  }
}

// GENAI_PACKAGE chooses between the two versions that package.json installs.
const genai = await import(process.env.GENAI_PACKAGE ?? '@google/genai');

export const { ApiError } = genai;

export function makeClient(standin, options = {}) {
  const { httpOptions, ...rest } = options;
  return new genai.GoogleGenAI({
    apiKey: 'test-key',
    vertexai: false,
    ...rest,
    httpOptions: { baseUrl: standin.baseUrl, ...httpOptions },
  });
}

// What the client calls itself on the wire: "google-genai-sdk/2.32.0".
export function clientName(request) {
  return request.headers['user-agent'].split(' ')[0];
}
