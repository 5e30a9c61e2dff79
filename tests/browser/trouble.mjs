// What may go wrong between a visitor and an answer.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answered,
  composes,
  halt,
  input,
  log,
  problem,
  say,
  scene,
  screenshot,
  server,
  settled,
  shows,
  stored,
  visitor,
} from './scene.mjs';

const retry = (page) => page.getByRole('button', { name: 'Try again' });

test('A failure is said plainly, and trying again asks once more without a second message', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.forget();
  await programs.script({ status: 500 }, { text: 'Now.' });
  await say(page, 'Are you there?');
  await problem(page).getByText('No answer came. Nothing is lost: try again.').waitFor();
  await screenshot(page, 'failed');
  await settled(page);
  assert.deepEqual((await stored(page, scene.silent)).said, ['you: Are you there?']);
  // Also after a reload.
  await page.reload();
  await problem(page).waitFor();
  await retry(page).click();
  await shows(page, ['you: Are you there?', 'bot: Now.']);
  assert.equal(await problem(page).count(), 0);
  assert.deepEqual((await stored(page, scene.silent)).said, ['you: Are you there?', 'bot: Now.']);
  assert.deepEqual(await programs.asked(), ['Are you there?', 'Are you there?']);
});

test('An answer that is lost on its way is fetched: one message, one call of the model', async () => {
  const { programs, url, way } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.forget();
  await programs.script({ text: 'Arrived.' });
  way.losing = '/message/stream/';
  way.requests.length = 0;
  await say(page, 'Lost?');
  await shows(page, ['you: Lost?', 'bot: Arrived.']);
  await settled(page);
  const [first, second] = way.to('/message/stream/');
  assert.equal(second.headers['idempotency-key'], first.headers['idempotency-key']);
  assert.equal(second.body, first.body);
  assert.deepEqual((await stored(page, scene.silent)).said, ['you: Lost?', 'bot: Arrived.']);
  assert.deepEqual(await programs.asked(), ['Lost?']);
});

test('A stream that is cut goes on where it was', async () => {
  const { programs, url, way } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.forget();
  const chunks = ['नमस्ते, ', 'this is ', 'the **whole** ', 'answer.'];
  await programs.script({ chunks, chunk_ms: 600 });
  way.cut_after = 'this is';
  way.requests.length = 0;
  await say(page, 'Cut it');
  await shows(page, ['you: Cut it', 'bot: नमस्ते, this is the whole answer.']);
  await settled(page);
  const [first, second, ...more] = way.to('/message/stream/');
  assert.equal(more.length, 0);
  assert.equal(first.headers['last-event-id'], undefined);
  // Bytes of what was seen; the last piece may be lost with the connection.
  const bytes = (text) => String(new TextEncoder().encode(text).length);
  const borders = [bytes(chunks[0]), bytes(chunks[0] + chunks[1])];
  const after = second.headers['last-event-id'];
  assert.ok(borders.includes(after), after);
  assert.equal(second.headers['idempotency-key'], first.headers['idempotency-key']);
  assert.deepEqual((await stored(page, scene.silent)).said, [
    'you: Cut it',
    `bot: ${chunks.join('')}`,
  ]);
  assert.deepEqual(await programs.asked(), ['Cut it']);
});

test('Offline is said, and what was sent goes out when the connection is back', async () => {
  const { programs, url } = scene.silent;
  const { context, page } = await visitor();
  await page.goto(`${url}/`);
  await log(page).getByText('Hello').waitFor();
  await context.setOffline(true);
  await page
    .getByText('You are offline. What you send waits until you are connected again.')
    .waitFor();
  await programs.script({ text: 'Back again.' });
  await say(page, 'From the tunnel');
  await shows(page, ['you: From the tunnel']);
  await screenshot(page, 'offline');
  await context.setOffline(false);
  await shows(page, ['you: From the tunnel', 'bot: Back again.']);
  await page.getByText('You are offline').waitFor({ state: 'hidden' });
});

test('A page that has filled up what it may keep has its visitors answered all the same', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await log(page).getByText('Hello').waitFor();
  await page.evaluate(() => {
    let piece = 'x'.repeat(2 ** 20);
    for (let n = 0; piece; ++n) {
      try {
        localStorage.setItem(`filling ${n}`, piece);
      } catch {
        piece = piece.slice(0, piece.length >> 1);
      }
    }
  });
  await programs.script({ text: 'There is room.' }, { text: 'Still.' });
  await answered(page, 'Is there room?');
  await answered(page, 'And now?');
  await shows(page, ['you: Is there room?', 'bot: There is room.', 'you: And now?', 'bot: Still.']);
});

test('A server that cannot be reached is said, and tried again on request', async () => {
  const { url } = scene.silent;
  const { page } = await visitor();
  await page.route('**/api/chat/widget/', (route) => route.abort());
  await page.goto(`${url}/`);
  await page
    .getByText('The chat cannot be reached. Check your connection and try again.')
    .waitFor();
  await say(page, 'Kept');
  await composes(page, 'Kept');
  await page.unroute('**/api/chat/widget/');
  await retry(page).click();
  await log(page).getByText('Hello').waitFor();
});

test('A slow answer is said to be slow', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.clock.install();
  await page.goto(`${url}/`);
  await log(page).getByText('Hello').waitFor();
  await programs.script({ text: 'At last.', latency_ms: 60_000 });
  await say(page, 'Quick!');
  await page.locator('twinchat-widget .waiting').waitFor();
  await page.clock.fastForward(9000);
  await page.getByText('This is taking longer than usual. The connection may be slow.').waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await page.clock.fastForward(4000);
  await log(page).getByText('Stopped.').waitFor();
  await shows(page, ['you: Quick!']);
});

test('Too many messages: when to come back is said, and not before that it is tried', async () => {
  const limited = await server({ consent: null, details: { when: 'never' } }, null, {
    CHAT_RATE_LIMITS: 'message.session=1/min',
  });
  try {
    const { programs, url, way } = limited;
    const { page } = await visitor({}, limited);
    await page.clock.install();
    await page.goto(`${url}/`);
    await programs.script({ text: 'First.' });
    await say(page, 'One');
    await shows(page, ['you: One', 'bot: First.']);
    await say(page, 'Two');
    await problem(page)
      .getByText(/^Too many messages at once\. Please try again in \d+ s\.$/)
      .waitFor();
    await screenshot(page, 'too-many');
    assert.equal(await retry(page).isDisabled(), true);
    const asked = way.to('/message/stream/').length;
    await page.clock.fastForward(61_000);
    await page.waitForFunction(
      () => !document.querySelector('twinchat-widget').shadowRoot.querySelector('.retry').disabled,
    );
    assert.equal(way.to('/message/stream/').length, asked);
    assert.deepEqual((await stored(page, limited)).said, ['you: One', 'bot: First.']);
  } finally {
    await halt(limited);
  }
});

test('The day is over when its tokens are', async () => {
  const spent = await server({ consent: null, details: { when: 'never' } }, null, {
    CHAT_DAILY_TOKENS: '1',
  });
  try {
    const { page } = await visitor({}, spent);
    await page.goto(`${spent.url}/`);
    await answered(page, 'One');
    await say(page, 'Two');
    await problem(page)
      .getByText('The chat has reached its limit for today. Please come back tomorrow.')
      .waitFor();
  } finally {
    await halt(spent);
  }
});

test('A session that is gone is followed by a new one, and the message is not lost', async () => {
  const { programs, url } = scene.curious;
  const { page } = await visitor();
  const session = '7d9f1f0e-5a07-4b0e-9a3a-1f5a3f0c2b11';
  await page.addInitScript(
    ([base, id]) => {
      if (sessionStorage.getItem('begun')) return;
      sessionStorage.setItem('begun', '1');
      const consent = { version: '2026-11', language: 'en', at: '2026-11-01T00:00:00Z' };
      const asked = ['name', 'phone', 'email'];
      localStorage.setItem(`twinchat:${base}/`, JSON.stringify({ session: id, consent, asked }));
    },
    [url, session],
  );
  await page.goto(`${url}/`);
  await programs.script({ text: 'Welcome back.' });
  await say(page, 'Hello again');
  await shows(page, ['you: Hello again', 'bot: Welcome back.']);
  const { session_id } = await stored(page, scene.curious);
  assert.notEqual(session_id, session);
  // The consent belongs to the new one as well.
  const { consents } = await scene.root.get(`sessions/${session_id}/`);
  assert.deepEqual(
    consents.map(({ version }) => version),
    ['2026-11'],
  );
});

test('Too long a message is not sent, and how much too long is said', async () => {
  const { url, way } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await log(page).getByText('Hello').waitFor();
  way.requests.length = 0;
  // Characters, not halves of them.
  await input(page).fill('😀'.repeat(5002));
  await page.getByText('2 characters too many.').waitFor();
  await input(page).press('Enter');
  assert.deepEqual(way.to('/message'), []);
  await shows(page, []);
});
