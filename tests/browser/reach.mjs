// For everybody: by keyboard, by screen reader, on a phone, in other languages and colours.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  answered,
  axe,
  findings,
  input,
  log,
  open,
  say,
  scene,
  screenshot,
  settled,
  shows,
  visitor,
} from './scene.mjs';

// What has the focus, within the widget or outside.
const focused = (page) =>
  page.evaluate(() => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return (
      element.getAttribute('aria-label') ??
      element.labels?.[0]?.textContent ??
      (element.textContent || element.tagName)
    );
  });

test('By keyboard alone: opened, asked, rated, closed, and the focus is where one expects it', async () => {
  const { programs, url } = scene.curious;
  const { page } = await visitor();
  await page.goto(scene.site.put('/keyboard', url, { body: '<button>Before</button>' }));
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Before');
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Chat with us');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'Your message');
  await log(page).getByText('Hello').waitFor();
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(page), 'What is metabolism?');
  await programs.script({ text: 'Read [this](https://example.org/).' });
  await page.keyboard.press('Space');
  // From step to step the focus goes along.
  await page.getByText('I agree to be answered.').waitFor();
  assert.equal(await focused(page), 'I agree');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'What is your name?');
  await page.keyboard.type('Asha');
  await page.keyboard.press('Enter');
  assert.equal(await focused(page), 'What is your phone number?');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  assert.equal(await focused(page), 'Skip');
  await page.keyboard.press('Space');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Space');
  await shows(page, ['you: What is metabolism?', 'bot: Read this.']);
  await page.getByRole('button', { name: 'Helpful', exact: true }).waitFor();
  assert.equal(await focused(page), 'Your message');
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(page), 'Not helpful');
  await page.keyboard.press('Shift+Tab');
  await page.keyboard.press('Enter');
  await page.getByText('Thank you for your feedback.').waitFor();
  assert.equal(await focused(page), 'Helpful');
  await page.keyboard.press('Shift+Tab');
  assert.match(await focused(page), /^this/);
  // The conversation itself is scrolled by keyboard.
  await page.keyboard.press('Shift+Tab');
  assert.equal(await focused(page), 'Conversation');
  await page.keyboard.press('Escape');
  await page.getByRole('dialog').waitFor({ state: 'hidden' });
  assert.equal(await focused(page), 'Chat with us');
});

test('A link keeps the focus while the answer around it is still written', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({
    chunks: ['See [this](https://example.org/) ', 'and more', '.\n\nAnd the end.'],
    chunk_ms: 1500,
  });
  await say(page, 'Where?');
  await log(page).getByRole('link', { name: 'this' }).focus();
  await settled(page);
  await shows(page, ['you: Where?', 'bot: See this and more.\n\nAnd the end.']);
  assert.match(await focused(page), /^this/);
});

test('Screen readers hear that an answer is written, and then the answer, once', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await log(page).getByText('Hello').waitFor();
  await page.evaluate(() => {
    const live = document
      .querySelector('twinchat-widget')
      .shadowRoot.querySelector('.frame > [role=status]');
    window.heard = [];
    new MutationObserver(() => window.heard.push(live.textContent)).observe(live, {
      childList: true,
    });
  });
  await programs.script({
    chunks: ['One **two**', ' three', ' [four](https://example.org/)'],
    chunk_ms: 100,
  });
  await answered(page, 'Count');
  await shows(page, ['you: Count', 'bot: One two three four']);
  assert.deepEqual(await page.evaluate(() => window.heard), [
    'The assistant is writing…',
    'The assistant says: One two three four',
  ]);
  assert.equal(await log(page).getAttribute('aria-live'), 'off');
});

async function everything(page) {
  const { programs } = scene.curious;
  await programs.script({
    text: '# Plan\n\n1. *Eat* [well](https://example.org/)\n2. `sleep`\n\n> Quote\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode\n```',
  });
  await open(page);
  await log(page).getByText('Hello').waitFor();
}

for (const [name, options, attributes] of [
  ['light', { colorScheme: 'light' }, ''],
  ['dark', { colorScheme: 'dark' }, ''],
  ['right to left', { colorScheme: 'light' }, 'data-direction="rtl"'],
]) {
  test(`axe has nothing serious to say about any state, ${name}`, async () => {
    const { context, page } = await visitor(options);
    await context.addInitScript(axe);
    const { programs, url } = scene.curious;
    const found = {};
    const look = async (state) => {
      const serious = await findings(page);
      if (serious.length > 0) found[state] = serious;
      await screenshot(page, `${name.replaceAll(' ', '-')}-${state.replaceAll(' ', '-')}`);
    };
    await page.goto(
      scene.site.put('/axe', url, {
        attributes,
        body: '<main><h1>A page</h1><p>With words.</p></main>',
      }),
    );
    await page.getByRole('button', { name: 'Chat with us' }).waitFor();
    await everything(page);
    await look('welcome');
    await page.getByRole('button', { name: 'What is metabolism?' }).click();
    await page.getByRole('button', { name: 'I agree' }).waitFor();
    await look('consent');
    await page.getByRole('button', { name: 'I agree' }).click();
    await page.getByLabel('What is your name?').press('Enter');
    await page.getByText('Please fill this in.').waitFor();
    await look('wrong detail');
    await page.getByLabel('What is your name?').fill('Asha');
    await page.getByRole('button', { name: 'Continue' }).click();
    await page.getByRole('button', { name: 'Skip' }).click();
    await page.getByLabel('What is your e-mail address?').waitFor();
    await page.getByRole('button', { name: 'Skip' }).click();
    await page.getByRole('button', { name: 'Helpful', exact: true }).click();
    await page.getByText('Thank you for your feedback.').waitFor();
    await look('answer');
    await programs.script({ status: 500 });
    await say(page, 'Fail');
    await page.getByRole('button', { name: 'Try again' }).waitFor();
    await look('failure');
    await page.getByRole('button', { name: 'Start over' }).click();
    await look('start over');
    await page.keyboard.press('Escape');
    if (name === 'right to left') {
      const box = await page.getByRole('dialog').boundingBox();
      assert.equal(box.x, 20);
    }
    await page.goto(`${url}/`);
    await log(page).getByText('Hello').waitFor();
    await look('page');
    assert.deepEqual(found, {});
  });
}

test('On a phone of 320 pixels it fills the screen, and nothing is wider', async () => {
  const { programs, url } = scene.silent;
  const { page } = await visitor({
    viewport: { width: 320, height: 568 },
    hasTouch: true,
    isMobile: true,
    deviceScaleFactor: 2,
  });
  await page.goto(scene.site.put('/phone', url));
  await page.getByRole('button', { name: 'Chat with us' }).tap();
  await log(page).getByText('Hello').waitFor();
  const panel = page.getByRole('dialog');
  assert.deepEqual(await panel.boundingBox(), { x: 0, y: 0, width: 320, height: 568 });
  assert.equal(await panel.getAttribute('aria-modal'), 'true');
  await programs.script({
    text: `| ${'wide | '.repeat(12)}\n|${'---|'.repeat(12)}\n| ${'cell | '.repeat(12)}\n\n\`\`\`\n${'code '.repeat(40)}\n\`\`\`\n\n${'x'.repeat(200)} https://example.org/${'y'.repeat(200)}`,
  });
  await page.getByRole('button', { name: 'What is metabolism?' }).tap();
  await log(page).getByRole('link').waitFor();
  await settled(page);
  const widths = await page.evaluate(() => {
    const root = document.querySelector('twinchat-widget').shadowRoot;
    const log = root.querySelector('.log');
    return [document.documentElement.scrollWidth, log.scrollWidth - log.clientWidth];
  });
  assert.deepEqual(widths, [320, 0]);
  await screenshot(page, 'phone');
  // The focus stays within, as it covers the page.
  await input(page).focus();
  for (let at = 0; at < 12; ++at) {
    await page.keyboard.press('Tab');
    assert.equal(await page.evaluate(() => document.activeElement.tagName), 'TWINCHAT-WIDGET');
  }
  await page.getByRole('button', { name: 'Close' }).tap();
  await panel.waitFor({ state: 'hidden' });
  await page.goto(`${url}/`);
  await log(page).getByText('Hello').waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 320);
  await screenshot(page, 'phone-page');
});

test('In Hindi: by the browser, by the page, and by choice', async () => {
  const { programs, url } = scene.curious;
  const { page } = await visitor({ locale: 'hi-IN' });
  await page.goto(`${url}/`);
  await page.getByText('नमस्ते, मैं कैसे मदद करूँ?').waitFor();
  assert.equal(await page.evaluate(() => document.documentElement.lang), 'hi');
  assert.equal(await page.title(), 'सहायक');
  await programs.script({ text: 'उत्तर।' });
  await page.getByRole('button', { name: 'मेटाबॉलिज़्म क्या है?' }).click();
  await page.getByText('मैं सहमत हूँ।').waitFor();
  await page.getByRole('button', { name: 'मैं सहमत हूँ', exact: true }).click();
  await page.getByLabel('आपका नाम क्या है?').fill('आशा');
  await page.getByRole('button', { name: 'आगे बढ़ें' }).click();
  await page.getByRole('button', { name: 'छोड़ें' }).click();
  await page.getByRole('button', { name: 'छोड़ें' }).click();
  await shows(page, ['you: मेटाबॉलिज़्म क्या है?', 'bot: उत्तर।']);
  await page.getByRole('button', { name: 'उपयोगी', exact: true }).waitFor();
  await screenshot(page, 'hindi');
  const session = await page.evaluate(
    (base) => JSON.parse(localStorage.getItem(`twinchat:${base}/`)).session,
    url,
  );
  const { consents } = await scene.root.get(`sessions/${session}/`);
  assert.deepEqual(
    consents.map(({ language, text }) => [language, text]),
    [['hi', 'मैं सहमत हूँ।']],
  );
  await page.getByLabel('भाषा').selectOption('en');
  await page.getByText('Hello, how can I help?').waitFor();
  await shows(page, ['you: मेटाबॉलिज़्म क्या है?', 'bot: उत्तर।']);
  await page.reload();
  await page.getByText('Hello, how can I help?').waitFor();

  const other = await visitor();
  await other.page.goto(scene.site.put('/hindi', url, { lang: 'hi' }));
  await other.page.getByRole('button', { name: 'हमसे बात करें' }).waitFor();
  // A language that a page brings along, and that is written the other way.
  await other.page.evaluate(() => {
    window.twinchat.translate('ur', { open: 'بات کریں' });
    window.twinchat.setLanguage('ur');
  });
  const launcher = other.page.getByRole('button', { name: 'بات کریں' });
  assert.equal(await launcher.evaluate((button) => getComputedStyle(button).direction), 'rtl');
  assert.ok((await launcher.boundingBox()).x < 100);
});

test('Nothing moves for those who want it still', async () => {
  const { programs, url } = scene.silent;
  for (const [reducedMotion, moving] of [
    ['reduce', 0],
    ['no-preference', 1],
  ]) {
    const { page } = await visitor({ reducedMotion });
    await page.goto(`${url}/`);
    await programs.script({ text: 'Never.', latency_ms: 60_000 });
    await say(page, 'Wait');
    await page.locator('twinchat-widget .waiting').waitFor();
    const count = await page.evaluate(() => {
      const root = document.querySelector('twinchat-widget').shadowRoot;
      return root.getAnimations().filter(({ animationName }) => animationName === 'wait').length;
    });
    assert.equal(count, moving, reducedMotion);
    await page.getByRole('button', { name: 'Stop' }).click();
    await settled(page);
  }
});
