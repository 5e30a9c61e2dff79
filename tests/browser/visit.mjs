// A visit as it should be.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answered,
  composes,
  log,
  open,
  say,
  scene,
  screenshot,
  settled,
  shows,
  startOver,
  stored,
  visitor,
} from './scene.mjs';

test('A whole visit: from the first click to the second answer, and all of it is there after a reload', async () => {
  const { programs, way, url } = scene.silent;
  const address = scene.site.put('/visit', url);
  const { page } = await visitor();
  way.requests.length = 0;
  await page.goto(address);
  await page.getByRole('button', { name: 'Chat with us' }).waitFor();
  assert.deepEqual(
    way.requests.map(({ path }) => path),
    ['/widget.js'],
    'nobody is asked before the first click',
  );
  await screenshot(page, 'launcher');
  await open(page);
  const panel = page.getByRole('dialog', { name: 'Helper' });
  await panel.getByText('Hello, how can I help?').waitFor();
  await page.waitForFunction(
    () =>
      document.querySelector('twinchat-widget').shadowRoot.activeElement?.tagName === 'TEXTAREA',
  );
  await screenshot(page, 'welcome');

  await programs.script({
    chunks: ['It turns **food**', ' into\n\n1. heat\n2. work'],
    chunk_ms: 1500,
  });
  await page.getByRole('button', { name: 'What is metabolism?' }).click();
  // The first words are there while the rest is still made.
  await log(page).getByText('It turns food', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Stop' }).waitFor();
  await screenshot(page, 'writing');
  await settled(page);
  await shows(page, ['you: What is metabolism?', 'bot: It turns food into\n\nheat\nwork']);

  await programs.script({ text: 'By *moving*.' });
  await say(page, 'And how\nis it helped?');
  const all = [
    'you: What is metabolism?',
    'bot: It turns food into\n\nheat\nwork',
    'you: And how\nis it helped?',
    'bot: By moving.',
  ];
  await shows(page, all);
  await settled(page);
  await screenshot(page, 'second-answer');

  await page.reload();
  // It was open, and it is again; but it does not take the focus from the page.
  await shows(page, all);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), 'BODY');
  const { said } = await stored(page, scene.silent);
  assert.deepEqual(said, [
    'you: What is metabolism?',
    'bot: It turns **food** into\n\n1. heat\n2. work',
    'you: And how\nis it helped?',
    'bot: By *moving*.',
  ]);
  for (const { headers } of way.requests) {
    assert.equal(headers.cookie, undefined);
    // The page that somebody is on is nobody's business.
    assert.ok(!headers.referer?.includes('/visit'), headers.referer);
  }
});

test('An answer is stopped, and what was said stays', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({ chunks: ['One, two', ', three'], chunk_ms: 60_000 });
  await say(page, 'Count');
  await log(page).getByText('One, two').waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  await log(page).getByText('Stopped.').waitFor();
  await settled(page);
  await shows(page, ['you: Count', 'bot: One, two']);
  assert.deepEqual((await stored(page, scene.silent)).said, ['you: Count', 'bot: One, two']);
  await programs.script({ text: 'Four.' });
  await say(page, 'Go on');
  await shows(page, ['you: Count', 'bot: One, two', 'you: Go on', 'bot: Four.']);
});

test('Two tabs show the same, word by word, and either may stop it', async () => {
  const { programs, url } = scene.silent;
  const { context, page } = await visitor();
  await page.goto(`${url}/`);
  const other = await context.newPage();
  await other.goto(`${url}/`);
  await log(other).getByText('Hello').waitFor();
  await programs.script({ chunks: ['Here', ' and there'], chunk_ms: 1500 });
  await say(page, 'Where?');
  await log(other).getByText('Here', { exact: true }).waitFor();
  await other.getByRole('button', { name: 'Stop' }).waitFor();
  await shows(other, ['you: Where?', 'bot: Here and there']);
  await settled(other);
  // A third one that comes later has it from the server, and none of them asks again.
  const third = await context.newPage();
  await third.goto(`${url}/`);
  await shows(third, ['you: Where?', 'bot: Here and there']);

  await programs.forget();
  await programs.script({ chunks: ['Never', ' ending'], chunk_ms: 60_000 });
  await say(other, 'For how long?');
  await log(page).getByText('Never', { exact: true }).waitFor();
  await page.getByRole('button', { name: 'Stop' }).click();
  for (const tab of [page, other, third]) {
    await settled(tab);
    await shows(tab, ['you: Where?', 'bot: Here and there', 'you: For how long?', 'bot: Never']);
  }
  assert.deepEqual(await programs.asked(), ['For how long?']);

  // Started over in one, it begins anew in all.
  await third.getByRole('button', { name: 'Start over' }).click();
  await third.getByText('Start over? This conversation').waitFor();
  await screenshot(third, 'start-over');
  await third.getByRole('group').getByRole('button', { name: 'Start over' }).click();
  for (const tab of [page, other, third]) await shows(tab, []);
  await programs.script({ text: 'Anew.' });
  await say(page, 'Again');
  for (const tab of [page, other, third]) await shows(tab, ['you: Again', 'bot: Anew.']);
});

test('What a tab has asked for before another one starts over is not shown after it', async () => {
  const { programs, url } = scene.silent;
  const { context, page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({ text: 'Old.' });
  await answered(page, 'Of old?');
  const late = await context.newPage();
  const held = new Promise((resolve) => {
    void late.route('**/messages/**', resolve);
  });
  await late.goto(`${url}/`);
  const history = await held;
  await startOver(page);
  const said = late.waitForResponse('**/messages/**');
  await history.continue();
  await said;
  await log(late).getByText('Hello').waitFor();
  await programs.script({ text: 'New.' });
  await answered(page, 'Anew?');
  for (const tab of [page, late]) await shows(tab, ['you: Anew?', 'bot: New.']);
});

test('Settings that come after another tab has started over bring nothing old with them', async () => {
  const { programs, url } = scene.silent;
  const { context, page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({ text: 'Old.' });
  await answered(page, 'Of old?');
  const late = await context.newPage();
  const held = new Promise((resolve) => {
    void late.route('**/api/chat/widget/', resolve);
  });
  const history = late.waitForResponse('**/messages/**').then((response) => response.finished());
  await late.goto(`${url}/`);
  const settings = await held;
  await history;
  await startOver(page);
  await settings.continue();
  await log(late).getByText('Hello').waitFor();
  await shows(late, []);
});

test('A tab that is closed in the middle of an answer leaves it to the other one', async () => {
  const { programs, url } = scene.silent;
  const { context, page } = await visitor();
  await page.goto(`${url}/`);
  const other = await context.newPage();
  await other.goto(`${url}/`);
  await log(other).getByText('Hello').waitFor();
  await programs.forget();
  await programs.script({ chunks: ['Half', ' and half'], chunk_ms: 2000 });
  await say(page, 'Both halves');
  await log(other).getByText('Half', { exact: true }).waitFor();
  await page.close();
  await shows(other, ['you: Both halves', 'bot: Half and half']);
  await settled(other);
  assert.deepEqual(await programs.asked(), ['Both halves']);
});

test('A reload in the middle of an answer goes on with it', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.forget();
  await programs.script({ chunks: ['Long', ' answer'], chunk_ms: 2000 });
  await say(page, 'Slowly');
  await log(page).getByText('Long', { exact: true }).waitFor();
  await page.reload();
  await shows(page, ['you: Slowly', 'bot: Long answer']);
  await settled(page);
  assert.deepEqual((await stored(page, scene.silent)).said, ['you: Slowly', 'bot: Long answer']);
  assert.deepEqual(await programs.asked(), ['Slowly']);
});

test('Answers that come while it is closed are counted on the button', async () => {
  const { programs, url } = scene.silent;
  const address = scene.site.put('/badge', url);
  const { page } = await visitor();
  await page.goto(address);
  await open(page);
  await programs.script({ chunks: ['Wait', ' for it'], chunk_ms: 1500 });
  await say(page, 'Unread');
  await log(page).getByText('Wait', { exact: true }).waitFor();
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Chat with us, 1 unread' }).waitFor();
  await screenshot(page, 'unread');
  // Also on the next page of the site.
  await page.reload();
  await page.getByRole('button', { name: 'Chat with us, 1 unread' }).click();
  await shows(page, ['you: Unread', 'bot: Wait for it']);
  await page.keyboard.press('Escape');
  await page.getByRole('button', { name: 'Chat with us', exact: true }).waitFor();
});

test('What was said before comes page by page, and what was read stays in its place', async () => {
  const { programs, url } = scene.curious;
  const { page } = await visitor();
  const session_id = await programs.openSession({});
  for (let at = 1; at <= 130; ++at) {
    await scene.root.post('messages/', { session_id, content: `line ${at}`, is_bot: at % 2 === 0 });
  }
  await page.addInitScript(
    ([base, session]) => localStorage.setItem(`twinchat:${base}/`, JSON.stringify({ session })),
    [url, session_id],
  );
  await page.goto(`${url}/`);
  await log(page).getByText('line 130', { exact: true }).waitFor();
  const lines = () => page.locator('twinchat-widget .list .item').count();
  assert.equal(await lines(), 50);
  const before = () => page.getByRole('button', { name: 'Earlier messages' });
  const seen = log(page).getByText('line 81', { exact: true });
  await before().scrollIntoViewIfNeeded();
  // What is not on the screen has no height of its own before it is.
  await page.evaluate(async () => {
    for (let at = 0; at < 10; ++at) await new Promise(requestAnimationFrame);
  });
  const { y } = await seen.boundingBox();
  await before().click();
  await log(page).getByText('line 31', { exact: true }).waitFor({ state: 'attached' });
  assert.equal(await lines(), 100);
  assert.ok(
    Math.abs((await seen.boundingBox()).y - y) < 8,
    `${y}, ${(await seen.boundingBox()).y}`,
  );
  await before().click();
  await log(page).getByText('line 1', { exact: true }).waitFor({ state: 'attached' });
  assert.equal(await lines(), 130);
  await before().waitFor({ state: 'hidden' });
  // None twice, none out of order.
  assert.deepEqual(
    (await page.locator('twinchat-widget .list .body').allTextContents()).map((text) =>
      text.trim(),
    ),
    Array.from({ length: 130 }, (_, at) => `line ${at + 1}`),
  );
});

test('Thumbs are stored with the turn, and may be taken back', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({ text: 'Judge me.' });
  await say(page, 'Hm');
  const up = page.getByRole('button', { name: 'Helpful', exact: true });
  const down = page.getByRole('button', { name: 'Not helpful' });
  await down.click();
  await page.getByText('Thank you for your feedback.').waitFor();
  const value = async () => {
    const { session_id } = await stored(page, scene.silent);
    const answer = await fetch(
      `${programs.url}/api/chat/sessions/messages/?session_id=${session_id}`,
    );
    const { messages } = await answer.json();
    return messages.at(-1).feedback;
  };
  // A reload may not come before it has arrived.
  const becomes = async (wanted) => {
    for (const until = Date.now() + 20_000; (await value()) !== wanted;) {
      assert.ok(Date.now() < until, `the feedback does not become ${wanted}`);
    }
  };
  await becomes('down');
  await up.click();
  await becomes('up');
  await page.reload();
  assert.equal(await up.getAttribute('aria-pressed'), 'true');
  assert.equal(await down.getAttribute('aria-pressed'), 'false');
  await up.click();
  await becomes(null);
  await page.reload();
  assert.equal(await up.getAttribute('aria-pressed'), 'false');
  await composes(page, '');
});
