// The package: that it is made from the document, and holds what a program needs and nothing else.
import assert from 'node:assert/strict';
import { execFile, execFileSync } from 'node:child_process';
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

test('The package has the version of the server, its code and its types, and nothing else', () => {
  const [{ version, files }] = JSON.parse(run(process.env.TWINCHAT_NPM, 'pack', '--dry-run', '--json'));
  assert.equal(version, process.env.TWINCHAT_VERSION);
  const code = ['client', 'events', 'index', 'schema'].flatMap((name) => [`${name}.d.ts`, `${name}.js`]);
  assert.deepEqual(
    files.map(({ path }) => path).sort(),
    ['README.md', 'package.json', ...code.map((name) => `dist/${name}`)].sort(),
  );
});

// What README.md shows.
const [, program] = /```ts\n([^]*?)```/.exec(readFileSync('README.md', 'utf8'));

// A program that has installed the package.
function installed(name, source) {
  rmSync('consumer', { recursive: true, force: true });
  mkdirSync('consumer/node_modules/twinchat-client', { recursive: true });
  const [{ filename }] = JSON.parse(
    run(process.env.TWINCHAT_NPM, 'pack', '--json', '--pack-destination', 'consumer'),
  );
  const target = 'consumer/node_modules/twinchat-client';
  run('tar', '-xzf', `consumer/${filename}`, '--strip-components=1', '-C', target);
  writeFileSync(`consumer/${name}`, source);
}

// What the compiler says of it.
function compiled(source) {
  installed('program.mts', source);
  try {
    run(
      'node_modules/.bin/tsc',
      ...['--strict', '--noEmit', '--target', 'es2022', '--lib', 'es2022,dom,dom.iterable'],
      ...['--module', 'nodenext', 'consumer/program.mts'],
    );
    return '';
  } catch (error) {
    return error.stdout;
  }
}

test('What README.md shows compiles under strict rules', () => {
  assert.equal(compiled(program), '');
});

test('What README.md shows prints the answer', async () => {
  const programs = await Programs.start({ username: 'root', email: '', password: 'correct horse 9' });
  try {
    await programs.script({ text: 'Hello, Jane.' });
    installed('program.mjs', program.replace('http://localhost:8000', programs.url));
    const { stdout } = await promisify(execFile)(process.execPath, ['consumer/program.mjs']);
    assert.equal(stdout, 'Hello, Jane.');
  } finally {
    await programs.stop();
  }
});

test('A path, a field or an event that the server does not have does not compile', () => {
  const said = compiled(`${program}
await client.GET("/api/chat/nothing/", {});
data.user_age;
for await (const event of client.stream({ session_id: "", message: "" })) event.event === "more";
`);
  const line = program.split('\n').length;
  assert.match(said, new RegExp(`program\\.mts\\(${line + 1},`));
  assert.match(said, new RegExp(`program\\.mts\\(${line + 2},.*user_age`));
  assert.match(said, new RegExp(`program\\.mts\\(${line + 3},`));
});
