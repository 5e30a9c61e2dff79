import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { fixture, open, operator, screenshot, settled } from './fixture.mjs';
import { people } from './seed.mjs';

// Each says by its number that it ran.
const payloads = [
  '<script>xss(1)</script>',
  '"><img src=x onerror=xss(2)>',
  "'><svg onload=xss(3)>",
  '<svg><script>xss(4)</script></svg>',
  'javascript:xss(5)',
  '</textarea><script>xss(6)</script>',
  '</title><script>xss(7)</script>',
  '{{constructor.constructor("xss(8)")()}} ${xss(9)} #{xss(10)} <%= xss(11) %>',
  '<iframe srcdoc="<script>parent.xss(12)</script>">',
  '<a href="javascript:xss(13)">click</a> [click](javascript:xss(14))',
  '<style>@import "//example.org/x.css"</style><link rel=stylesheet href=//example.org/y.css>',
  '<img src=//example.org/pixel.png> ![p](https://example.org/pixel.png)',
  '<math><mtext></mtext><mglyph><style><img src=x onerror=xss(15)>',
  '<form action=//example.org><input name=p><button autofocus onfocus=xss(16)>',
  '\u202Egnp.exe\u202C \u2066\u2067 \u200F',
  '<b onmouseover=xss(17) style="position:fixed;inset:0">over</b>',
];
const all = payloads.join('\n');

test('What must never happen on a page is heard when it does', async () => {
  const { context, page } = await operator(people.vera);
  await open(page, '/');
  await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'xss("inline")';
    document.body.append(script);
    document.body.insertAdjacentHTML('beforeend', '<p style="color: red">inline</p>');
    new Image().src = 'http://127.0.0.1:1/pixel.png';
    window.xss('by hand');
  });
  const heard = (pattern) => fixture.offences.some((what) => pattern.test(what));
  const wanted = [/violated: script-src/, /violated: style-src/, /violated: img-src/, /by hand/];
  for (let frame = 0; frame < 1000 && !wanted.every(heard); ++frame) {
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
  assert.ok(wanted.every(heard), fixture.offences.join('\n'));
  // The policy has kept the script from running.
  assert.ok(!heard(/ran: inline/));
  fixture.offences.length = 0;
  await context.close();
  fixture.offences.length = 0;
});

test("No visitor's text is ever more than text, in any field on any page", async () => {
  const { programs, root } = fixture;
  // Rows of an older program, which checked nothing: no field is too odd for them.
  const victims = payloads.map(() => randomUUID());
  await programs.restartAfter(
    'INSERT INTO chat_chatsession (session_id, user_name, user_email, user_phone, created_at, updated_at) ' +
      "VALUES (?, ?, ?, ?, '2026-01-02 03:04:05.678901', '2026-01-02 03:04:05.678901')",
    payloads.map((payload, at) => [victims[at], payload, payload, payload.slice(0, 20)]),
  );
  const [first] = victims;
  await programs.restartAfter(
    'INSERT INTO twinchat_consent (session_id, version, language, text, given_at) SELECT id, ?, ?, ?, ' +
      "'2026-01-02 03:04:05.678901' FROM chat_chatsession WHERE session_id = ?",
    payloads.map((payload) => [payload, payload, payload, first]),
  );
  root.follow(programs.url);
  await programs.script({ text: all });
  await programs.ask(first, all);
  await programs.script({ text: payloads[1], finish_reason: 'MAX_TOKENS' });
  await programs.ask(first, payloads[0]);
  await programs.script({ status: 503 });
  await programs.ask(first, payloads[1]);
  const conversation = await root.get(`sessions/${first}/conversation/`);
  const message = conversation.messages[0].id;
  for (const { id, is_bot } of conversation.messages) {
    if (is_bot) await programs.think(first, id, 'down');
  }
  const evil = await root.post('users/', {
    username: 'evil',
    email: '',
    password1: 'evil-but-valid-12',
    password2: 'evil-but-valid-12',
    is_staff: true,
    is_superuser: false,
    permissions: [],
  });
  await root.patch(`users/${evil.id}/`, {
    first_name: '<script>xss(20)</script>',
    last_name: '<img src=x onerror=xss(21)>',
  });
  await root.post('tokens/', { name: '<img src=x onerror=xss(22)>', days: 1 });

  const { context, page } = await operator(people.root);
  const query = encodeURIComponent('<script>');
  const pages = [
    '/',
    '/sessions/',
    `/sessions/?q=${encodeURIComponent('<img src=x onerror=xss(30)>')}`,
    ...victims.map((session_id) => `/sessions/${session_id}/`),
    `/sessions/${first}/conversation/`,
    `/sessions/${first}/history/`,
    '/sessions/add/',
    '/leads/',
    '/messages/',
    `/messages/?q=${query}`,
    `/messages/${message}/`,
    `/messages/add/?session_id=${encodeURIComponent('"><img src=x onerror=xss(31)>')}`,
    '/turns/',
    '/turns/?feedback=down',
    '/statistics/',
    `/export/?q=${encodeURIComponent('<img src=x onerror=xss(32)>')}&what=<script>xss(33)</script>`,
    `/person/?session_id=${first}`,
    '/users/',
    `/users/${evil.id}/`,
    '/tokens/',
    '/audit/',
    '/password/',
    `/${encodeURIComponent('<script>xss(34)</script>')}/`,
    `/sessions/${encodeURIComponent('<img src=x onerror=xss(35)>')}/`,
  ];
  for (const path of pages) {
    await open(page, path);
    // Handlers that wait for a mouse or the focus.
    for (const bait of await page.getByText(/over<\/b>|autofocus/).all()) {
      if (await bait.isVisible()) await bait.hover({ force: true });
    }
  }
  await open(page, `/sessions/${first}/conversation/`);
  assert.equal(
    (await page.getByRole('log').locator('.text').first().innerText()).trim(),
    // Characters that turn the direction round are shown as what they are.
    all
      .replace(
        /[\u202a-\u202e\u2066-\u2069]/g,
        (mark) => `[U+${mark.charCodeAt(0).toString(16).toUpperCase()}]`,
      )
      .trim(),
  );
  await screenshot(page, 'hostile-conversation');
  await open(page, `/sessions/${first}/`);
  const words = page.getByRole('article', { name: 'Consent' }).locator('.text');
  assert.equal(await words.count(), payloads.length);
  assert.equal(await words.nth(1).innerText(), payloads[1]);
  assert.equal(await page.locator('main .consents [lang]').count(), 0);
  await open(page, '/sessions/');
  await screenshot(page, 'hostile-list');
  // Nothing of theirs became an element of the page.
  assert.equal(
    await page
      .locator('main :is(script, iframe, img, svg, style, link, object, [onerror], [onload])')
      .count(),
    0,
  );
  // Of what visitors wrote only addresses and numbers are links, and those lead nowhere else.
  const links = await page.locator('main a').evaluateAll((all) => all.map((a) => a.protocol));
  assert.ok(
    links.every((scheme) => ['http:', 'mailto:', 'tel:'].includes(scheme)),
    links.join(),
  );

  // Deleting names them, and searching for a session shows them.
  await page.getByLabel('Choose all on this page').check();
  await page.getByLabel('Action:').selectOption('delete');
  await page.getByRole('button', { name: 'Go' }).click();
  await page.getByRole('dialog').getByRole('button', { name: 'No, take me back' }).click();
  await open(page, '/messages/add/');
  await page.getByLabel('Session', { exact: true }).fill('script');
  await page.getByRole('list', { name: 'Sessions found' }).getByRole('button').first().waitFor();

  // In a live conversation, too, and in the question of a conflict.
  await open(page, `/sessions/${first}/conversation/`);
  await page.getByText('Live: new messages appear here.').waitFor();
  await programs.script({ text: `${all} live` });
  await programs.ask(first, `${all} live question`);
  await page.getByText('live question').waitFor();
  await open(page, `/sessions/${first}/`);
  await root.patch(`sessions/${first}/`, { user_name: payloads[1] });
  await page.getByLabel('Name', { exact: true }).fill(payloads[2]);
  await page.getByRole('button', { name: 'Save and continue editing' }).click();
  await page.getByRole('dialog', { name: 'Somebody changed it meanwhile' }).waitFor();
  await page.getByRole('button', { name: 'Save what is chosen' }).click();
  await page.locator('.messages .message.success').waitFor();
  await settled(page);
  await context.close();
  await root.post('sessions/delete/', { session_ids: victims });
  await root.request('DELETE', `users/${evil.id}/`);
});

test('The policy of the page is the strictest there is, on every answer below it', async () => {
  const policy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; " +
    "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'; " +
    "object-src 'none'";
  const { url } = fixture.programs;
  const html = await (await fetch(`${url}/admin/`)).text();
  const script = /src="([^"]+\.js)"/.exec(html)[1];
  for (const path of ['/admin', '/admin/', '/admin/sessions/', script, '/admin/assets/none.js']) {
    const { headers } = await fetch(url + path);
    assert.equal(headers.get('Content-Security-Policy'), policy, path);
    assert.equal(headers.get('X-Content-Type-Options'), 'nosniff');
    assert.equal(headers.get('Referrer-Policy'), 'no-referrer');
    assert.equal(headers.get('Cross-Origin-Opener-Policy'), 'same-origin');
    assert.equal(headers.get('Cross-Origin-Resource-Policy'), 'same-origin');
  }
  assert.doesNotMatch(html, /<script>|style=|<style|https?:\/\//);
  // Files with their hash in the name are kept, the page itself is asked for anew.
  const kept = await fetch(url + script);
  assert.match(kept.headers.get('Cache-Control'), /immutable/);
  assert.equal((await fetch(`${url}/admin/`)).headers.get('Cache-Control'), 'no-cache');
  const again = await fetch(url + script, {
    headers: { 'If-None-Match': kept.headers.get('ETag') },
  });
  assert.equal(again.status, 304);
});
