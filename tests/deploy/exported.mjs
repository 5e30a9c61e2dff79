// What a server exports after some traffic, failures among it.
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import process from 'node:process';

// Starts a program and waits for the line that matches; [process, the line's match].
function started(command, args, options, pattern) {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  return new Promise((resolve, reject) => {
    let said = '';
    const hear = (bytes) => {
      said += bytes;
      const found = pattern.exec(said);
      if (found) resolve([child, found]);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.on('exit', () => reject(new Error(`${command} ended: ${said}`)));
  });
}

async function ended(child) {
  if (child.exitCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGTERM');
  await gone;
}

// "name{label="value"} 1" as [name, {label: value}].
export function seriesOf(text) {
  return text
    .split('\n')
    .filter((line) => line && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = ''] = /^([\w:]+)(?:\{(.*)\})? /.exec(line);
      return [name, Object.fromEntries([...labels.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)]
        .map(([, label, value]) => [label, value]))];
    });
}

export async function exportedSeries({ server, standin }) {
  const folder = mkdtempSync(join(tmpdir(), 'twinchat-deploy-'));
  const running = [];
  const start = async (command, args, more, pattern) => {
    const [child, found] = await started(command, args, { cwd: folder, env: { PATH: process.env.PATH, ...more } },
      pattern);
    running.push(child);
    return found;
  };
  const serve = async (more) => {
    const found = await start(server, ['serve', '--port', '0'], {
      SECRET_KEY: 'q8Zt1vXw3Lr6Pn0sKd7Yb2Hf5Jm9Gc4A-deploy',
      GEMINI_API_KEY: 'AIza-deploy',
      GEMINI_MAX_ATTEMPTS: '1',
      METRICS_ADDRESS: '127.0.0.1:0',
      ...more,
    }, /serving on (\S+)[^]*metrics at (\S+)/);
    return { site: found[1], series: async () => seriesOf(await (await fetch(found[2])).text()) };
  };
  try {
    execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256',
      '-nodes', '-days', '2', '-subj', '/CN=localhost', '-keyout', 'key.pem', '-out', 'cert.pem'],
    { cwd: folder, stdio: 'ignore' });
    const [gemini] = await start(standin, [], {}, /http:\/\/127\.0\.0\.1:\d+/);
    const { site, series } = await serve({ GEMINI_BASE_URL: gemini, BACKUP_DIR: 'backups' });
    const post = async (path, body) => (await fetch(new URL(path, site), {
      method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body),
    })).text();
    const { session_id: session } = JSON.parse(await post('/api/chat/sessions/create_session/', {}));
    await post('/api/chat/message/', { session_id: session, message: 'Hello?' });
    await post('/api/chat/message/stream/', { session_id: session, message: 'And?' });
    // A key that was used for another text is an error of the store's.
    for (const message of ['One.', 'Another.']) {
      await post('/api/chat/message/', { session_id: session, message, client_message_id: 'key-1' });
    }
    await ended(running[0]);
    await post('/api/chat/message/', { session_id: session, message: 'Still there?' });
    const secure = await serve({
      DATABASE_URL: 'memory:', TLS_CERTIFICATE: 'cert.pem', TLS_KEY: 'key.pem',
    });
    return [...await series(), ...await secure.series()];
  } finally {
    await Promise.all(running.map(ended));
    rmSync(folder, { recursive: true });
  }
}
