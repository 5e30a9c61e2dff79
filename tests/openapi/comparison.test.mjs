// The comparison itself: that it sees what must not be.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Comparison } from './comparison.mjs';

const document = JSON.parse(readFileSync(process.env.OPENAPI_DOCUMENT, 'utf8'));
const comparison = new Comparison(document);

const answer = {
  user_message: 'Hello',
  bot_response: 'Hi',
  timestamp: '2026-11-23T06:45:47.177450Z',
  session_id: '80eed4df-02f0-4d0c-ac29-32b408f9cbec',
};
const record = (changes) => ({
  method: 'POST',
  target: '/api/chat/message/',
  metrics: false,
  request: JSON.stringify({ session_id: answer.session_id, message: 'Hello' }),
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: JSON.stringify(answer),
  whole: true,
  ...changes,
});
const withBody = (changes) => record({ body: JSON.stringify({ ...answer, ...changes }) });
const stream = (body) =>
  record({
    target: '/api/chat/message/stream/',
    headers: { 'content-type': 'text/event-stream' },
    body,
  });

test('an answer that is as the document says has no problem, with or without the slash', () => {
  assert.equal(comparison.problem(record()), null);
  assert.equal(comparison.problem(record({ target: '/api/chat/message?x=1' })), null);
});

test('a field that is not in the document is found', () => {
  assert.match(comparison.problem(withBody({ secret: 1 })), /additional/);
});

test('a field of another type, and one that is missing, is found', () => {
  assert.match(comparison.problem(withBody({ user_message: 5 })), /string/);
  assert.match(comparison.problem(withBody({ bot_response: undefined })), /required/);
  assert.match(comparison.problem(withBody({ timestamp: 'yesterday' })), /format|pattern/);
});

test('an unknown path, method, status and type of content is found', () => {
  assert.match(comparison.problem(record({ target: '/api/chat/nothing/' })), /operation is not/);
  assert.match(comparison.problem(record({ method: 'DELETE' })), /operation is not/);
  assert.match(comparison.problem(record({ status: 418 })), /status is not/);
  assert.match(comparison.problem(record({ headers: { 'content-type': 'text/html' } })), /text\/html/);
});

test('a body that was taken although the document does not allow it is found', () => {
  assert.match(comparison.problem(record({ request: '{"message":"Hello"}' })), /request.*session_id/);
});

test('a stream is looked at event by event', () => {
  const first = `id: 1\nevent: session\ndata: {"session_id":"${answer.session_id}"}\n\n`;
  assert.equal(comparison.problem(stream(`${first}: ping\n\n`)), null);
  assert.match(comparison.problem(stream(`${first}id: 2\nevent: delta\ndata: {"text":5}\n\n`)), /event/);
  assert.match(comparison.problem(stream(`${first}id: 2\nevent: new\ndata: {}\n\n`)), /event/);
  assert.match(comparison.problem(stream(first.trimEnd())), /not complete/);
});

test('what was never seen is counted', () => {
  const fresh = new Comparison(document);
  const before = fresh.coverage();
  assert.equal(before.seen, 0);
  fresh.problem(record());
  const after = fresh.coverage();
  assert.equal(after.seen, 1);
  const [, statuses] = after.never.find(([id]) => id === 'sendMessage');
  assert.ok(!statuses.includes('200') && statuses.includes('404'));
});
