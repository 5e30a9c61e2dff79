// Two servers, a site with their widget, and a browser for each visitor. One server asks visitors for
// nothing; the other for their consent and their details.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, rmSync } from 'node:fs';
import { createRequire } from 'node:module';
import { chromium as engine } from 'playwright-core';
import { chromium, Programs, Script } from './programs.mjs';
import { Site, Way } from './site.mjs';
import { quiet, watch } from './watch.mjs';

const folder = 'visitor-screenshots';
export const root = { username: 'root', email: 'root@example.org', password: 'correct-horse-7' };

const texts = (language, title, welcome, consent, label) => ({
  [language]: { title, welcome, consent, quick_actions: [{ label, message: label }] },
});
const words = {
  ...texts(
    'en',
    'Helper',
    'Hello, how can I *help*?',
    'I agree to be answered.',
    'What is metabolism?',
  ),
  ...texts('hi', 'सहायक', 'नमस्ते, मैं कैसे मदद करूँ?', 'मैं सहमत हूँ।', 'मेटाबॉलिज़्म क्या है?'),
};
const silent = { texts: words, details: { when: 'never' }, consent: null };
const curious = {
  texts: words,
  details: {
    when: 'before_first_answer',
    fields: [
      { name: 'name', required: true, pattern: null },
      { name: 'phone', required: false, pattern: '\\+91.*' },
      { name: 'email', required: false, pattern: null },
    ],
  },
  consent: { required: true, version: '2026-11', link: 'https://example.org/privacy' },
};

export const scene = {};

export async function start() {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder);
  scene.site = await Site.start();
  scene.silent = await server(silent);
  scene.curious = await server(curious, root);
  scene.root = await new Script(scene.curious.programs.url).logIn(root);
  scene.browser = await engine.launch({ executablePath: chromium(), args: quiet });
}

// A server with that widget, and the way to it.
export async function server(widget, superuser, settings = {}) {
  const programs = await Programs.start(superuser, {
    CHAT_WIDGET: JSON.stringify(widget),
    CORS_ALLOWED_ORIGINS: scene.site.url,
    CHAT_HEARTBEAT: '1',
    ...settings,
  });
  const way = await Way.to(programs.url);
  return { programs, way, url: way.url };
}

export async function halt({ programs, way }) {
  way.stop();
  await programs.stop();
}

export async function stop() {
  await scene.browser?.close();
  for (const one of [scene.silent, scene.curious]) if (one) await halt(one);
  scene.site?.stop();
}

const contexts = new Set();

// A browser of one's own. `homes` are servers whose widget may be asked besides the two.
export async function visitor(options = {}, ...homes) {
  const context = await scene.browser.newContext({
    viewport: { width: 1000, height: 720 },
    locale: 'en-GB',
    timezoneId: 'Asia/Kolkata',
    reducedMotion: 'reduce',
    ...options,
  });
  contexts.add(context);
  context.setDefaultTimeout(20_000);
  const all = [scene.silent, scene.curious, ...homes];
  await watch(context, () => [scene.site.url, ...all.map(({ url }) => url)]);
  const page = await context.newPage();
  return { context, page };
}

// After every test: no visit leaves a cookie behind, and no answer that was not given.
export async function leave() {
  await scene.silent.programs.forget();
  await scene.curious.programs.forget();
  for (const context of contexts) {
    const cookies = await context.cookies();
    await context.close();
    assert.deepEqual(cookies, []);
  }
  contexts.clear();
}

let shots = 0;
export async function screenshot(page, name) {
  const number = String(++shots).padStart(2, '0');
  await page.screenshot({ path: `${folder}/${number}-${name}.png` });
}

export const open = (page) => page.getByRole('button', { name: /^Chat with us/ }).click();
export const input = (page) => page.getByRole('textbox', { name: 'Your message' });
export const log = (page) => page.getByRole('log', { name: 'Conversation' });
export const problem = (page) => log(page).locator('.problem');

export async function say(page, text) {
  await input(page).fill(text);
  await input(page).press('Enter');
}

// The conversation as it is shown: "you: ..." and "bot: ..." from top to bottom, without the welcome.
export const spoken = (page) =>
  page.locator('twinchat-widget .list .item').evaluateAll((items) =>
    items.map((item) => {
      // Without what only screen readers say of links.
      const text = item
        .querySelector('.body')
        .innerText.replace(/\n?\((opens in a new window|नई विंडो में खुलता है)\)\n?/g, '')
        .trim();
      return `${item.classList.contains('bot') ? 'bot' : 'you'}: ${text}`;
    }),
  );

// Nothing is under way any more.
export const settled = (page) => page.getByRole('button', { name: 'Send', exact: true }).waitFor();

// Says it, until there is another answer and nothing is under way any more.
export async function answered(page, text) {
  const answers = page.locator('twinchat-widget .list .item.bot');
  const before = await answers.count();
  await say(page, text);
  await answers.nth(before).waitFor();
  await settled(page);
}

// Until what look() finds on the page is that.
async function becomes(page, look, wanted) {
  const until = Date.now() + 20_000;
  for (;;) {
    const found = await look(page);
    if (JSON.stringify(found) === JSON.stringify(wanted)) return;
    if (Date.now() > until) assert.deepEqual(found, wanted);
    await page.evaluate(() => new Promise(requestAnimationFrame));
  }
}

// Until the conversation is that.
export const shows = (page, wanted) => becomes(page, spoken, wanted);

// Starts over, until the conversation is empty.
export async function startOver(page) {
  await page.getByRole('button', { name: 'Start over', exact: true }).click();
  await page.getByRole('group').getByRole('button', { name: 'Start over' }).click();
  await shows(page, []);
}

// Until the composer has that in it.
export const composes = (page, wanted) => becomes(page, () => input(page).inputValue(), wanted);

// What the server has of the conversation in that browser, once nothing is under way any more: the last
// words are seen a moment before they are stored.
export async function stored(page, { programs, url }) {
  await page.getByRole('button', { name: 'Stop', exact: true }).waitFor({ state: 'hidden' });
  const session_id = await page.evaluate(
    (base) => JSON.parse(localStorage.getItem(`twinchat:${base}/`)).session,
    url,
  );
  const answer = await fetch(
    `${programs.url}/api/chat/sessions/get_session/?session_id=${session_id}`,
  );
  const session = await answer.json();
  return {
    session_id,
    session,
    said: session.messages.map(({ is_bot, content }) => `${is_bot ? 'bot' : 'you'}: ${content}`),
  };
}

export const axe = readFileSync(
  createRequire(import.meta.url).resolve('axe-core/axe.min.js'),
  'utf8',
);

// What is serious or worse. axe does not find out what lies behind an element beside the body: while it
// looks, the widget is in it.
export async function findings(page) {
  await page.evaluate(() => document.body.append(document.querySelector('twinchat-widget')));
  const { passes, violations } = await page.evaluate(() => window.axe.run(document));
  for (const looked of ['color-contrast', 'button-name']) {
    assert.ok(
      passes.some(
        ({ id, nodes }) => id === looked && nodes.some(({ target }) => Array.isArray(target[0])),
      ),
      `axe has looked at ${looked} in the shadow root`,
    );
  }
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}
