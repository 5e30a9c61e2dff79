// Answers of a model that somebody has turned against the visitor.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answered,
  input,
  log,
  open,
  say,
  scene,
  screenshot,
  settled,
  shows,
  spoken,
  visitor,
} from './scene.mjs';

// Each says by its number that it ran.
const payloads = [
  '<script>xss(1)</script>',
  '"><img src=x onerror=xss(2)>',
  "'><svg onload=xss(3)>",
  '<iframe srcdoc="<script>parent.xss(4)</script>">',
  '<style>@import "//example.org/x.css"</style><link rel=stylesheet href=//example.org/y.css>',
  '</twinchat-widget></div><b onmouseover=xss(5) style="position:fixed;inset:0">over</b>',
  '[click](javascript:xss(6)) [click](JaVaScRiPt:xss(7)) [click](data:text/html,<script>xss(8)</script>)',
  '[click](vbscript:xss(9)) [click](//example.org/) [click](https://a@b:c@example.org/) [click](\tjavascript:xss(10))',
  '![pixel](https://example.org/pixel.png) ![](//example.org/p.png) [![x](https://example.org/q.png)](javascript:xss(11))',
  '`<script>xss(12)</script>`\n\n```html\n<script>xss(13)</script>\n```',
  '| <img src=x onerror=xss(14)> | b |\n|---|---|\n| <script>xss(15)</script> | [c](javascript:xss(16)) |',
  '{{constructor.constructor("xss(17)")()}} ${xss(18)}',
  '# <b onfocus=xss(19) autofocus>heading</b>\n\n> <form action=//example.org><button autofocus onfocus=xss(20)>',
  '<a href="javascript:xss(21)">link</a> <base href="//example.org/"> <meta http-equiv=refresh content="0;url=//example.org">',
];

test('Markup, scripts, addresses and pictures in an answer are text and nothing else', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(scene.site.put('/hostile-answers', url));
  await open(page);
  for (const [at, payload] of payloads.entries()) {
    // In pieces, as a stream brings them.
    const half = Math.floor(payload.length / 2);
    await programs.script({ chunks: [payload.slice(0, half), payload.slice(half)], chunk_ms: 5 });
    await answered(page, payload);
    assert.equal((await spoken(page)).length, 2 * at + 2);
  }
  // In one piece, and again from the history.
  await programs.script({ text: payloads.join('\n\n') });
  await answered(page, 'all');
  await screenshot(page, 'hostile-answers');
  const look = async () => {
    const found = await page.evaluate(() => {
      const root = document.querySelector('twinchat-widget').shadowRoot;
      const all = [...root.querySelectorAll('.list .body *')];
      const allowed = new Set(
        'DIV P H3 UL OL LI BLOCKQUOTE PRE HR TABLE TBODY TR TH TD STRONG EM DEL CODE A BR SPAN'.split(
          ' ',
        ),
      );
      const names = new Set([
        'class',
        'dir',
        'start',
        'tabindex',
        'href',
        'title',
        'target',
        'rel',
      ]);
      return {
        elements: all.map(({ tagName }) => tagName).filter((name) => !allowed.has(name)),
        attributes: all
          .flatMap((element) => element.getAttributeNames())
          .filter((name) => !names.has(name)),
        links: [...root.querySelectorAll('.list a')].map(({ protocol, target, rel }) => ({
          protocol,
          target,
          rel,
        })),
      };
    });
    assert.deepEqual(found.elements, []);
    assert.deepEqual(found.attributes, []);
    for (const link of found.links) {
      assert.deepEqual(link, {
        protocol: 'https:',
        target: '_blank',
        rel: 'noopener noreferrer nofollow',
      });
    }
    for (const bait of await log(page)
      .getByText(/over<\/b>|autofocus/)
      .all())
      await bait.hover();
  };
  await look();
  await page.reload();
  await log(page).getByText('autofocus').first().waitFor();
  await look();
});

test('A link opens apart, and looks like what it leads to', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({
    text: '[our page](https://example.org/a) https://example.org/b. [https://bank.example/](https://evil.example/?https://bank.example/) [bank.example](https://evil.example/c)',
  });
  await answered(page, 'Links?');
  const links = log(page).getByRole('link');
  assert.deepEqual(
    await links.evaluateAll((all) =>
      all.map((link) => [link.firstChild.textContent, link.getAttribute('href')]),
    ),
    [
      ['our page', 'https://example.org/a'],
      ['https://example.org/b', 'https://example.org/b'],
      [
        'https://evil.example/?https://bank.example/',
        'https://evil.example/?https://bank.example/',
      ],
      ['https://evil.example/c', 'https://evil.example/c'],
    ],
  );
});

test('Only links to hosts that the page names can be followed, if it names some', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(scene.site.put('/hosts', url, { attributes: 'data-link-hosts="example.org"' }));
  await open(page);
  await programs.script({
    text: '[a](https://example.org/) [b](https://www.example.org/) [c](https://example.org.evil.example/) [d](https://badexample.org/)',
  });
  await answered(page, 'Links?');
  assert.deepEqual(
    await log(page)
      .getByRole('link')
      .evaluateAll((all) => all.map(({ hostname }) => hostname)),
    ['example.org', 'www.example.org'],
  );
});

test('Characters that turn the direction round do nothing, and one message does not turn another', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({ text: 'Open \u202egnp.exe\u202c now \u2066\u2067 and \u202dthis' });
  await say(page, 'ab \u202edc');
  await shows(page, ['you: ab dc', 'bot: Open gnp.exe now and this']);
  await programs.script({ text: 'سلام\n\nEnglish' });
  await answered(page, 'Both');
  const directions = await page
    .locator('twinchat-widget .list .bot')
    .last()
    .locator('p')
    .evaluateAll((all) =>
      all.map((p) => [getComputedStyle(p).direction, getComputedStyle(p).unicodeBidi]),
    );
  assert.deepEqual(directions, [
    ['rtl', 'isolate'],
    ['ltr', 'isolate'],
  ]);
});

test('An enormous answer leaves a chat that works, and its end is said not to be shown', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  const line = `${'word '.repeat(40)}**bold** [a](https://example.org/)\n\n`;
  const chunk = line.repeat(90);
  await programs.script({ chunks: Array.from({ length: 12 }, () => chunk), chunk_ms: 20 });
  await say(page, 'Everything');
  await log(page).getByText('The rest of this very long answer is not shown.').waitFor();
  await settled(page);
  const length = await page
    .locator('twinchat-widget .list .bot .body')
    .evaluate((body) => body.textContent.length);
  assert.ok(length > 100_000 && length <= 200_000 + 2000 * 23, String(length));
  await programs.script({ text: 'Short.' });
  await say(page, 'And now?');
  await log(page).getByText('Short.').waitFor();
  await input(page).fill('typed');
  assert.equal(await input(page).inputValue(), 'typed');
});

test('Markdown made to take for ever takes no time', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  const bombs = [
    '*a'.repeat(10_000),
    '['.repeat(20_000),
    `${'> '.repeat(10_000)}x`,
    `${'- '.repeat(10_000)}x`,
    '`'.repeat(20_000),
  ];
  for (const bomb of bombs) {
    await programs.script({ chunks: [bomb, 'end'], chunk_ms: 5 });
    await answered(page, 'Boom');
  }
  const depth = await page.locator('twinchat-widget .list').evaluate((list) => {
    let deepest = 0;
    for (const element of list.querySelectorAll('*')) {
      let at = 0;
      for (let up = element; up !== list; up = up.parentElement) ++at;
      deepest = Math.max(deepest, at);
    }
    return deepest;
  });
  assert.ok(depth < 60, String(depth));
});
