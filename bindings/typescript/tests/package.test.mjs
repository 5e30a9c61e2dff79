// The package: that it is made from the document, and holds what a program needs and nothing else.
import assert from 'node:assert/strict';
import { execFile, execFileSync, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { Programs } from './programs.mjs';

const run = (program, ...words) => execFileSync(program, words, { encoding: 'utf8' });

test('The types are what openapi-typescript makes of the document', () => {
  run('node_modules/.bin/openapi-typescript', process.env.OPENAPI_DOCUMENT, '--output', 'made.ts');
  assert.ok(
    readFileSync('made.ts', 'utf8') === readFileSync('src/schema.ts', 'utf8'),
    'src/schema.ts is not up to date: npm run types',
  );
});

// What README.md shows.
const [, program] = /```ts\n([^]*?)```/.exec(readFileSync('README.md', 'utf8'));
const wrong = `${program}
await client.GET("/api/chat/nothing/", {});
data.user_age;
for await (const event of client.stream({ session_id: "", message: "" })) event.event === "more";
`;

// The package as a program has it that has installed it; how npm describes it.
function install() {
  const target = 'consumer/node_modules/twinchat-client';
  rmSync('consumer', { recursive: true, force: true });
  mkdirSync(target, { recursive: true });
  const packed = run(process.env.TWINCHAT_NPM, 'pack', '--json', '--pack-destination', 'consumer');
  const [described] = JSON.parse(packed);
  run('tar', '-xzf', `consumer/${described.filename}`, '--strip-components=1', '-C', target);
  return described;
}
const described = install();

test('The package has the version of the server, its code and its types, and nothing else', () => {
  assert.equal(described.version, process.env.TWINCHAT_VERSION);
  const code = ['client', 'events', 'index', 'schema'].flatMap((name) => [`${name}.d.ts`, `${name}.js`]);
  assert.deepEqual(
    described.files.map(({ path }) => path).sort(),
    ['README.md', 'package.json', ...code.map((name) => `dist/${name}`)].sort(),
  );
});

test('What README.md shows compiles under strict rules; what the server does not have does not', () => {
  writeFileSync('consumer/program.mts', program);
  writeFileSync('consumer/wrong.mts', wrong);
  const { stdout } = spawnSync(
    'node_modules/.bin/tsc',
    [
      ...['--strict', '--noEmit', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable'],
      ...['--module', 'nodenext', 'consumer/program.mts', 'consumer/wrong.mts'],
    ],
    { encoding: 'utf8' },
  );
  const line = program.split('\n').length;
  const lines = [...stdout.matchAll(/^(\S+)\((\d+),/gm)].map(([, file, number]) => [file, +number]);
  assert.deepEqual(
    lines,
    [1, 2, 3].map((after) => ['consumer/wrong.mts', line + after]),
    stdout,
  );
});

test('What README.md shows prints the answer', async () => {
  const programs = await Programs.start({ username: 'root', email: '', password: 'correct horse 9' });
  try {
    await programs.script({ text: 'Hello, Jane.' });
    writeFileSync('consumer/program.mjs', program.replace('http://localhost:8000', programs.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['consumer/program.mjs']);
    assert.equal(stdout, 'Hello, Jane.');
  } finally {
    await programs.stop();
  }
});
