// The programs under the tests: the server, and the Gemini stand-in that it asks.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

function needed(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} must be set`);
  return value;
}

export const chromium = () => needed('CHROMIUM');

// The first match of `pattern` in what the child says on `stream`.
async function heard(child, stream, pattern) {
  let said = '';
  stream.setEncoding('utf8');
  for await (const piece of stream) {
    said += piece;
    const match = pattern.exec(said);
    if (match) {
      stream.on('data', () => {}); // Or the pipe fills up.
      return match[1];
    }
  }
  throw new Error(`${child.spawnfile} did not start:\n${said}`);
}

async function ended(child) {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGTERM');
  await once(child, 'exit');
}

const write_rows = `
import json, sqlite3, sys
database = sqlite3.connect("chat.db")
with database:
    database.executemany(sys.argv[1], json.loads(sys.argv[2]))
database.close()
`;

async function createSuperuser(superuser, options) {
  const made = spawn(needed('TWINCHAT_SERVER'), ['createsuperuser', '--no-input'], {
    ...options,
    stdio: 'inherit',
    env: {
      ...options.env,
      DJANGO_SUPERUSER_USERNAME: superuser.username,
      DJANGO_SUPERUSER_EMAIL: superuser.email,
      DJANGO_SUPERUSER_PASSWORD: superuser.password,
    },
  });
  const [status] = await once(made, 'exit');
  if (status !== 0) throw new Error(`createsuperuser ended with ${status}`);
}

export class Programs {
  // A server with these settings besides, and with that superuser, if any.
  static async start(superuser, settings = {}) {
    const folder = mkdtempSync(join(tmpdir(), 'twinchat-browser-'));
    const standin = spawn(needed('GEMINI_STANDIN'), [], { stdio: ['ignore', 'pipe', 'inherit'] });
    const gemini = await heard(standin, standin.stdout, /listening on (\S+)/);
    const env = {
      SECRET_KEY: 'q8Zt1vXw3Lr6Pn0sKd7Yb2Hf5Jm9Gc4A-browser',
      GEMINI_API_KEY: 'AIza-browser-key-0123456789',
      GEMINI_BASE_URL: gemini,
      GEMINI_MAX_ATTEMPTS: '1',
      DATABASE_URL: 'sqlite:///chat.db',
      METRICS_ADDRESS: 'off',
      CHAT_RATE_LIMITS: 'off',
      GEMINI_PRICES: 'input=0.3,cached=0.075,output=2.5,currency=USD',
      PATH: process.env.PATH,
      ...settings,
    };
    const options = { cwd: folder, env, stdio: ['ignore', 'inherit', 'pipe'] };
    if (superuser) await createSuperuser(superuser, options);
    const programs = new Programs(folder, standin, gemini, options);
    await programs.serve();
    return programs;
  }

  constructor(folder, standin, gemini, options) {
    Object.assign(this, { folder, standin, gemini, options });
  }

  async serve() {
    this.server = spawn(needed('TWINCHAT_SERVER'), ['serve', '--port', '0'], this.options);
    this.url = await heard(this.server, this.server.stderr, /serving on (http:\/\/[^/]+)\//);
  }

  // Ends the server and starts it again, on another port; meanwhile the statement is run on the database,
  // once with each row of values, as another program would write what this one refuses.
  async restartAfter(statement, rows) {
    await ended(this.server);
    const python = spawn('python3', ['-c', write_rows, statement, JSON.stringify(rows)], {
      cwd: this.folder,
      stdio: 'inherit',
    });
    const [status] = await once(python, 'exit');
    if (status !== 0) throw new Error(`writing rows ended with ${status}`);
    await this.serve();
  }

  // What the model says next; see gemini_standin/README.md.
  async script(...replies) {
    const response = await fetch(`${this.gemini}/_script`, {
      method: 'POST',
      body: JSON.stringify({ replies }),
    });
    if (!response.ok) throw new Error((await response.json()).error);
  }

  // How often the model was asked since forget(): one user's last words a call.
  async asked() {
    const requests = await (await fetch(`${this.gemini}/_requests`)).json();
    return requests.map(({ body }) => body.contents.at(-1).parts[0].text);
  }

  // Forgets those calls, and what was not said yet of the script.
  async forget() {
    await fetch(`${this.gemini}/_script`, { method: 'DELETE' });
  }

  // What a visitor's page asks.
  async chat(path, body) {
    const response = await fetch(`${this.url}/api/chat/${path}`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify(body),
    });
    return { status: response.status, body: await response.json() };
  }

  async openSession(details) {
    const { body } = await this.chat('sessions/create_session/', { user_details: details });
    return body.session_id;
  }

  ask(session_id, message) {
    return this.chat('message/', { session_id, message });
  }

  // What the visitor thinks of the answer: "up", "down", or null for nothing any more.
  think(session_id, message_id, value) {
    return this.chat('feedback/', { session_id, message_id, value });
  }

  async stop() {
    await ended(this.server);
    await ended(this.standin);
    rmSync(this.folder, { recursive: true, force: true });
  }
}

// The admin API, as a script uses it: for what a test needs to be there.
export class Script {
  constructor(url) {
    this.url = url;
    this.headers = { 'Content-Type': 'application/json', Origin: url };
  }

  async logIn({ username, password }) {
    const response = await fetch(`${this.url}/api/admin/login/`, {
      method: 'POST',
      headers: this.headers,
      body: JSON.stringify({ username, password }),
    });
    const body = await response.json();
    if (!response.ok) throw new Error(`log-in of ${username}: ${JSON.stringify(body)}`);
    this.headers.Cookie = response.headers.get('Set-Cookie').split(';')[0];
    this.headers['X-CSRFToken'] = body.csrf_token;
    return this;
  }

  // The server has moved.
  follow(url) {
    this.url = url;
    this.headers.Origin = url;
  }

  async request(method, path, body) {
    const response = await fetch(`${this.url}/api/admin/${path}`, {
      method,
      headers: this.headers,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text ? JSON.parse(text) : null;
  }

  get = (path) => this.request('GET', path);
  post = (path, body) => this.request('POST', path, body);
  patch = (path, body) => this.request('PATCH', path, body);
}
