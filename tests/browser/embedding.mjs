// On pages of others.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import {
  composes,
  halt,
  log,
  open,
  say,
  scene,
  screenshot,
  server,
  settled,
  shows,
  stored,
  visitor,
} from './scene.mjs';

// The most that widget.js may weigh on its way, everything in it.
const most_bytes = 20_000;

test(`widget.js weighs at most ${most_bytes} bytes on its way, and any site may load it`, async () => {
  const { programs } = scene.silent;
  const raw = await fetch(`${programs.url}/widget.js`, {
    headers: { 'Accept-Encoding': 'identity' },
  });
  const script = await raw.text();
  assert.equal(raw.headers.get('content-encoding'), null);
  const { request } = await import('node:http');
  const packed = await new Promise((resolve, reject) => {
    request(
      `${programs.url}/widget.js`,
      { headers: { 'Accept-Encoding': 'br, gzip' } },
      async (answer) => {
        const pieces = [];
        for await (const piece of answer) pieces.push(piece);
        resolve({ headers: answer.headers, bytes: Buffer.concat(pieces) });
      },
    )
      .on('error', reject)
      .end();
  });
  assert.equal(packed.headers['content-encoding'], 'gzip');
  assert.equal(packed.headers.vary, 'Accept-Encoding');
  assert.equal(packed.headers['content-type'], 'text/javascript; charset=utf-8');
  assert.equal(packed.headers['cross-origin-resource-policy'], 'cross-origin');
  assert.equal(packed.headers['x-content-type-options'], 'nosniff');
  assert.match(packed.headers['cache-control'], /^public, max-age=/);
  assert.notEqual(packed.headers.etag, raw.headers.get('etag'));
  assert.equal(gunzipSync(packed.bytes).toString(), script);
  console.log(`widget.js: ${packed.bytes.length} bytes (${script.length} unpacked)`);
  assert.ok(packed.bytes.length <= most_bytes, `${packed.bytes.length} bytes`);
  assert.doesNotMatch(
    script,
    /innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|document\.cookie/,
  );
  const again = await fetch(`${programs.url}/widget.js`, {
    headers: { 'If-None-Match': raw.headers.get('etag'), 'Accept-Encoding': 'identity' },
  });
  assert.equal(again.status, 304);
});

test('The page at / has the strictest policy there is, and can be turned off', async () => {
  const { programs } = scene.silent;
  const page = await fetch(`${programs.url}/`);
  assert.equal(page.status, 200);
  assert.equal(
    page.headers.get('content-security-policy'),
    "default-src 'none'; script-src 'self'; connect-src 'self'; img-src 'self'; style-src 'none'; " +
      "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
      "require-trusted-types-for 'script'; trusted-types 'none'",
  );
  assert.equal(page.headers.get('cache-control'), 'no-cache');
  assert.doesNotMatch(await page.text(), /<script>|style=|<style|https?:\/\//);
  const off = await server({}, null, { CHAT_PAGE: 'False' });
  try {
    assert.equal((await fetch(`${off.programs.url}/`)).status, 404);
    assert.equal((await fetch(`${off.programs.url}/widget.js`)).status, 200);
  } finally {
    await halt(off);
  }
});

// Whatever a page does to everything in its body, and to the widget by name.
const spite = `<style>
  body * { display: none !important; }
  twinchat-widget, html > * {
    opacity: 0.01 !important; visibility: hidden !important; position: static !important;
    transform: scale(0.1) !important; filter: blur(9px) !important; pointer-events: none !important;
    font: 3px serif !important; color: transparent !important; text-transform: uppercase !important;
    direction: rtl !important; letter-spacing: 2em !important; width: 1px !important; z-index: -1 !important;
    overflow: hidden !important; clip-path: inset(50%) !important; content-visibility: hidden !important;
  }
  *::before, *::after { content: "spite" !important; display: block !important; font-size: 90px !important; }
  button, textarea, div, form, p { all: unset !important; display: none !important; }
</style>`;

const strict = (server) =>
  `default-src 'none'; script-src ${server}; connect-src ${server}; style-src 'none'; ` +
  "img-src 'none'; font-src 'none'; base-uri 'none'; form-action 'none'; " +
  "require-trusted-types-for 'script'; trusted-types 'none'";

test('Under a strict policy of the page everything works, and nothing violates it', async () => {
  const { programs, url } = scene.silent;
  const address = scene.site.put('/strict', url, {
    headers: {
      'Content-Security-Policy': strict(url),
      'Cross-Origin-Embedder-Policy': 'require-corp',
      'Cross-Origin-Opener-Policy': 'same-origin',
    },
  });
  const { page } = await visitor();
  await page.goto(address);
  await open(page);
  await programs.script({
    text: '**Safe**, see [this](https://example.org/).\n\n| a |\n|---|\n| b |',
  });
  await say(page, 'Strict?');
  await shows(page, ['you: Strict?', 'bot: Safe, see this.\n\na\nb']);
  // The styles are there.
  const panel = await page.getByRole('dialog').boundingBox();
  assert.ok(panel.width > 300 && panel.width < 400, JSON.stringify(panel));
  await screenshot(page, 'strict-policy');
});

test("A page's hostile style sheet does not reach it", async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(scene.site.put('/kind', url));
  await open(page);
  await log(page).getByText('Hello').waitFor();
  const looks = () =>
    page.evaluate(() => {
      const root = document.querySelector('twinchat-widget').shadowRoot;
      return [
        '.launcher',
        '.panel',
        '.bubble',
        '.actions button',
        'textarea',
        '.send',
        '.notice',
      ].map((name) => {
        const element = root.querySelector(name);
        const { color, fontSize, direction, display, visibility, letterSpacing } =
          getComputedStyle(element);
        const { x, y, width, height } = element.getBoundingClientRect();
        return {
          name,
          color,
          fontSize,
          direction,
          display,
          visibility,
          letterSpacing,
          x,
          y,
          width,
          height,
        };
      });
    });
  // Once nothing changes any more.
  const settledLooks = async () => {
    await page.locator('twinchat-widget .banner:empty').waitFor({ state: 'attached' });
    for (let before = null; ;) {
      const now = await looks();
      if (JSON.stringify(now) === JSON.stringify(before)) return now;
      before = now;
      await page.waitForTimeout(200);
    }
  };
  const wanted = await settledLooks();
  assert.ok(wanted.every(({ width }) => width > 0));
  await page.evaluate(() => sessionStorage.clear());
  await page.goto(scene.site.put('/hostile', url, { head: spite }));
  // Really clicked: nothing lies over it, and it is to be seen.
  await open(page);
  await log(page).getByText('Hello').waitFor();
  assert.deepEqual(await settledLooks(), wanted);
  await programs.script({ text: 'Unharmed.' });
  await say(page, 'Still there?');
  await shows(page, ['you: Still there?', 'bot: Unharmed.']);
  await screenshot(page, 'hostile-page');
  const seen = await page.evaluate(() => {
    const host = document.querySelector('twinchat-widget');
    const { opacity, visibility, filter, transform, clipPath } = getComputedStyle(host);
    return {
      opacity,
      visibility,
      filter,
      transform,
      clipPath,
      before: getComputedStyle(host, '::before').content,
    };
  });
  assert.deepEqual(seen, {
    opacity: '1',
    visibility: 'visible',
    filter: 'none',
    transform: 'none',
    clipPath: 'none',
    before: 'none',
  });
});

test('A page may theme it with variables, move it, and have a button of its own', async () => {
  const { url } = scene.silent;
  const { page } = await visitor();
  await page.goto(
    scene.site.put('/themed', url, {
      attributes: 'data-position="start" data-theme="light" data-launcher="none"',
      head: '<style>twinchat-widget { --twinchat-accent: #7a1fa2; --twinchat-radius: 0px; }</style>',
    }),
  );
  assert.equal(await page.getByRole('button', { name: /Chat with us/ }).count(), 0);
  await page.evaluate(() => window.twinchat.open());
  await log(page).getByText('Hello').waitFor();
  const { x } = await page.getByRole('dialog').boundingBox();
  assert.equal(x, 20);
  const color = await page
    .locator('twinchat-widget .send')
    .evaluate((send) => getComputedStyle(send).backgroundColor);
  assert.equal(color, 'rgb(122, 31, 162)');
  await screenshot(page, 'themed');
});

test('window.twinchat: everything that a page may do', async () => {
  const { programs, url } = scene.curious;
  const { page } = await visitor();
  await page.goto(scene.site.put('/script', url));
  await page.evaluate(() => {
    window.heard = [];
    for (const name of [
      'ready',
      'open',
      'close',
      'message',
      'answer',
      'error',
      'consent',
      'details',
      'feedback',
      'restart',
    ]) {
      window.twinchat.on(name, (detail) => window.heard.push([name, detail]));
    }
    window.off = window.twinchat.on('message', () => window.heard.push('not any more'));
    window.off();
    // One that throws harms nobody else.
    window.addEventListener('error', (event) => event.preventDefault());
  });
  // What the page knows is not asked for.
  await programs.script({ text: 'From the page.' });
  await page.evaluate(async () => {
    await window.twinchat.identify({
      name: 'Member 7',
      email: 'seven@example.com',
      phone: '+91 1234567',
    });
    window.sent = window.twinchat.send('Asked by the page');
  });
  await page.getByRole('button', { name: 'I agree' }).click();
  await shows(page, ['you: Asked by the page', 'bot: From the page.']);
  assert.equal(await page.evaluate(() => window.sent), true);
  const { session } = await stored(page, scene.curious);
  assert.equal(session.user_name, 'Member 7');
  assert.equal(session.user_email, 'seven@example.com');
  await page.getByRole('button', { name: 'Helpful', exact: true }).click();
  await page.getByText('Thank you for your feedback.').waitFor();
  const heard = () => page.evaluate(() => window.heard);
  assert.deepEqual(
    (await heard()).map(([name]) => name),
    ['open', 'ready', 'message', 'consent', 'details', 'answer', 'feedback'],
  );
  const [, answer] = (await heard()).find(([name]) => name === 'answer');
  assert.deepEqual(answer, { text: 'From the page.', status: 'complete' });
  await page.evaluate(() => window.twinchat.toggle());
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  await page.evaluate(() => window.twinchat.toggle());
  await page.getByRole('dialog').waitFor();
  assert.equal(await page.evaluate(() => window.twinchat.isOpen), true);
  await page.evaluate(() => window.twinchat.startOver());
  await shows(page, []);
  assert.equal((await heard()).at(-1)[0], 'restart');
  // The same script once more is not another widget.
  await page.evaluate((src) => {
    const script = document.createElement('script');
    script.src = src;
    document.body.append(script);
    return new Promise((resolve) => script.addEventListener('load', resolve));
  }, `${url}/widget.js`);
  assert.equal(await page.locator('twinchat-widget').count(), 1);
  await page.evaluate(() => window.twinchat.destroy());
  assert.equal(await page.locator('twinchat-widget').count(), 0);
  assert.equal(await page.evaluate(() => 'twinchat' in window), false);
});

test('The site of examples/website works as the documentation says', async () => {
  const { programs, url } = scene.silent;
  for (const [name, type] of [
    ['index.html', 'text/html'],
    ['site.css', 'text/css'],
    ['site.js', 'text/javascript'],
  ]) {
    const text = readFileSync(`${process.env.WEBSITE}/${name}`, 'utf8');
    scene.site.add(`/example/${name}`, type, text.replaceAll('https://chat.example.com', url));
  }
  const { page } = await visitor();
  await page.goto(`${scene.site.url}/example/index.html`);
  const launcher = page.getByRole('button', { name: 'Chat with us' });
  const color = await launcher.evaluate((button) => getComputedStyle(button).backgroundColor);
  assert.equal(color, 'rgb(122, 31, 162)');
  assert.ok((await launcher.boundingBox()).x < 100);
  await programs.script({ text: 'Nothing at all.' });
  await page.getByRole('button', { name: 'Ask about prices' }).click();
  await shows(page, ['you: What does it cost?', 'bot: Nothing at all.']);
  await page.getByText('15 letters, complete').waitFor();
  const { session } = await stored(page, scene.silent);
  assert.equal(session.user_name, 'Jane Doe');
  assert.equal(session.user_email, 'jane@example.com');
  await page.evaluate(() => window.twinchat.close());
  await page.evaluate(() => window.twinchat.setLanguage('fr'));
  await page.getByRole('button', { name: 'Discuter avec nous' }).waitFor();
});

test('It may be a part of the page', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(
    scene.site.put('/part', url, {
      attributes: 'data-target="#here"',
      head: '<style>#here { height: 420px; border: 1px solid; }</style>',
      body: '<h1>Help</h1><div id="here"></div><p>Below</p>',
    }),
  );
  await programs.script({ text: 'Here.' });
  await say(page, 'Where?');
  await shows(page, ['you: Where?', 'bot: Here.']);
  const box = await page.locator('#here twinchat-widget .panel').boundingBox();
  assert.equal(Math.round(box.height), 420);
  await screenshot(page, 'part-of-a-page');
});

test('A page that may keep nothing has a chat for as long as it is shown', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.addInitScript(() => {
    for (const name of ['localStorage', 'sessionStorage']) {
      Object.defineProperty(window, name, {
        get() {
          throw new DOMException('denied', 'SecurityError');
        },
      });
    }
  });
  await page.goto(scene.site.put('/nothing-kept', url));
  await open(page);
  await programs.script({ text: 'One.' }, { text: 'Two.' });
  await say(page, 'First');
  await shows(page, ['you: First', 'bot: One.']);
  await settled(page);
  await say(page, 'Second');
  await shows(page, ['you: First', 'bot: One.', 'you: Second', 'bot: Two.']);
  await settled(page);
  await composes(page, '');
});
