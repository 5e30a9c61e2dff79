// The client against the real server, under Node.js.
import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { after, before, test } from 'node:test';
import { ChatError, createTwinchatClient, EventParser } from '../dist/index.js';
import { Programs, Script } from './programs.mjs';

const root = { username: 'root', email: 'root@example.com', password: 'correct horse battery 9' };
let programs;
let client;
before(async () => {
  programs = await Programs.start(root);
  client = createTwinchatClient({ baseUrl: programs.url });
});
after(() => programs.stop());

async function newSession() {
  const { data } = await client.POST('/api/chat/sessions/create_session/', {
    body: { user_details: { name: 'Jane' } },
  });
  return data.session_id;
}

async function collected(stream) {
  const events = [];
  for await (const event of stream) events.push(event);
  return events;
}

const textOf = (events) =>
  events.map(({ event, data }) => (event === 'delta' ? data.text : '')).join('');

test('A session is made, asked, changed and read', async () => {
  const session_id = await newSession();
  await programs.script({ text: 'It can go into remission.' });
  const { data } = await client.POST('/api/chat/message/', { body: { session_id, message: 'How?' } });
  assert.equal(data.bot_response, 'It can go into remission.');
  const { data: changed } = await client.POST('/api/chat/sessions/update_user_details/', {
    body: { session_id, user_details: { name: null, email: 'jane@example.com' } },
  });
  assert.equal(changed.user_name, null);
  const { data: read } = await client.GET('/api/chat/sessions/get_session/', {
    params: { query: { session_id } },
  });
  assert.deepEqual(
    read.messages.map(({ content }) => content),
    ['How?', 'It can go into remission.'],
  );
});

test('What is refused comes as an error with its status', async () => {
  const { data, error, response } = await client.POST('/api/chat/message/', {
    body: { session_id: await newSession(), message: ' ' },
  });
  assert.equal(data, undefined);
  assert.equal(response.status, 400);
  assert.deepEqual(error, { message: ['This field may not be blank.'] });
});

test('A streamed answer comes event by event, and done is the last', async () => {
  await programs.script({ chunks: ['One, ', 'two, ', 'three.'] });
  const events = await collected(client.stream({ session_id: await newSession(), message: 'Count' }));
  assert.equal(events[0].event, 'session');
  assert.equal(textOf(events), 'One, two, three.');
  assert.equal(events.at(-1).event, 'done');
  assert.equal(events.at(-1).data.status, 'complete');
});

test('A model that fails ends the stream with error, and a refusal before it is thrown', async () => {
  const session_id = await newSession();
  await programs.script({ status: 503 });
  const events = await collected(client.stream({ session_id, message: 'Hello' }));
  assert.equal(events.at(-1).event, 'error');
  assert.equal(events.at(-1).data.http_status, 503);
  await assert.rejects(
    collected(client.stream({ session_id: 'nobody', message: 'Hello' })),
    (error) => error instanceof ChatError && error.status === 404,
  );
});

test('A stream that is stopped, by its signal or by leaving it, stops the answer on the server', async () => {
  const session_id = await newSession();
  const endless = { chunks: ['Begun', ' and never ended'], chunk_ms: 60_000 };
  await programs.script(endless);
  const abort = new AbortController();
  await assert.rejects(async () => {
    const stream = client.stream({ session_id, message: 'Hello' }, { signal: abort.signal });
    for await (const { event } of stream) if (event === 'delta') abort.abort();
  }, /abort/i);
  await programs.script(endless);
  for await (const { event } of client.stream({ session_id, message: 'Again' })) {
    if (event === 'delta') break;
  }
  // It waits for its turn.
  await programs.script({ text: 'I am here.' });
  await client.POST('/api/chat/message/', { body: { session_id, message: 'Are you there?' } });
  const { data } = await client.GET('/api/chat/sessions/messages/', {
    params: { query: { session_id } },
  });
  const answers = data.messages.filter(({ is_bot }) => is_bot);
  assert.deepEqual(
    answers.map(({ content, status }) => [content, status]),
    [
      ['Begun', 'cancelled'],
      ['Begun', 'cancelled'],
      ['I am here.', 'complete'],
    ],
  );
});

// A way to the server that breaks after so many bytes of answers, as often as it is told.
async function brittleWay(cuts) {
  const { hostname, port } = new URL(programs.url);
  const way = net.createServer((inward) => {
    const outward = net.connect(port, hostname);
    let left = cuts.shift() ?? Infinity;
    inward.on('error', () => outward.destroy()).on('close', () => outward.destroy());
    outward.on('error', () => inward.destroy()).on('close', () => inward.end());
    inward.pipe(outward);
    outward.on('data', (bytes) => {
      inward.write(bytes.subarray(0, left));
      left -= bytes.length;
      if (left <= 0) inward.resetAndDestroy();
    });
  });
  way.listen(0, '127.0.0.1');
  await once(way, 'listening');
  return { url: `http://127.0.0.1:${way.address().port}`, close: () => way.close() };
}

test('A stream that is cut is taken up again where it was, without a word twice', async (t) => {
  const session_id = await newSession();
  const words = Array.from({ length: 40 }, (_, at) => `word ${at} ä, `);
  await programs.script({ chunks: words, chunk_ms: 20 });
  const cuts = [1200, 1100];
  const way = await brittleWay(cuts);
  t.after(way.close);
  const stream = createTwinchatClient({ baseUrl: way.url }).stream({ session_id, message: 'Tell' });
  const events = await collected(stream);
  assert.equal(cuts.length, 0);
  assert.equal(textOf(events), words.join(''));
  assert.equal(events.filter(({ event }) => event === 'session').length, 1);
  assert.equal(events.at(-1).data.bot_response, words.join(''));
  const { data } = await client.GET('/api/chat/sessions/get_session/', {
    params: { query: { session_id } },
  });
  assert.equal(data.messages.length, 2);
});

test('When the server stays away the stream gives up in time, with what fetch says', async () => {
  const session_id = await newSession();
  const unreachable = createTwinchatClient({ baseUrl: 'http://127.0.0.1:9' });
  await assert.rejects(
    collected(unreachable.stream({ session_id, message: 'Hello' }, { resumeWithin: 300 })),
    TypeError,
  );
});

test("The admin's routes take a token", async () => {
  const script = await new Script(programs.url).logIn(root);
  const { token } = await script.post('tokens/', { name: 'client', days: 1 });
  const operator = createTwinchatClient({
    baseUrl: programs.url,
    headers: { Authorization: `Bearer ${token}` },
  });
  const { data } = await operator.GET('/api/admin/sessions/', { params: { query: { limit: 2 } } });
  assert.equal(data.results.length, 2);
  assert.equal((await client.GET('/api/admin/sessions/')).response.status, 401);
});

test('Events are read however their text is cut, and comments are none', () => {
  const text = ': ping\n\nid: 1\nevent: delta\ndata: {"text":"ä\\n"}\n\nid: 2\nevent: done\ndata: {}\n\n';
  for (let at = 0; at <= text.length; ++at) {
    const parser = new EventParser();
    assert.deepEqual([...parser.add(text.slice(0, at)), ...parser.add(text.slice(at))], [
      { id: '1', event: 'delta', data: { text: 'ä\n' } },
      { id: '2', event: 'done', data: {} },
    ]);
  }
});
