// One server, one browser, and a context for each operator; what must never happen is listened for on
// every page.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { chromium as engine } from 'playwright-core';
import { chromium, Programs, Script } from './programs.mjs';
import { people, seed } from './seed.mjs';
import { offences, quiet, watch } from './watch.mjs';

const screenshots = 'screenshots';

export const fixture = {
  programs: null,
  // The admin API as root.
  root: null,
  // Sessions by name; see seed().
  sessions: null,
  browser: null,
  offences,
};

export async function start() {
  rmSync(screenshots, { recursive: true, force: true });
  mkdirSync(screenshots);
  fixture.programs = await Programs.start(people.root);
  fixture.root = await new Script(fixture.programs.url).logIn(people.root);
  fixture.sessions = await seed(fixture.programs, fixture.root);
  fixture.browser = await engine.launch({
    executablePath: chromium(),
    args: quiet,
  });
}

export async function stop() {
  await fixture.browser?.close();
  await fixture.programs?.stop();
}

// A browser of one's own, logged in as `person` (null: nobody), on an empty page.
export async function operator(person, options = {}) {
  const context = await fixture.browser.newContext({
    baseURL: fixture.programs.url,
    viewport: { width: 1360, height: 850 },
    locale: 'en-GB',
    timezoneId: 'Asia/Kolkata',
    reducedMotion: 'reduce',
    ...options,
  });
  context.setDefaultTimeout(20_000);
  await watch(context, () => [fixture.programs.url]);
  if (person) {
    const answer = await context.request.post('/api/admin/login/', {
      data: { username: person.username, password: person.password },
      headers: { Origin: fixture.programs.url },
    });
    assert.equal(answer.status(), 200, await answer.text());
  }
  const page = await context.newPage();
  return { context, page };
}

let shots = 0;

export async function screenshot(page, name) {
  const number = String(++shots).padStart(2, '0');
  await page.screenshot({ path: `${screenshots}/${number}-${name}.png` });
}

// The page has loaded what it shows.
export async function settled(page) {
  await page.locator('main h1').waitFor();
  await page.waitForFunction(
    () =>
      !document.querySelector('.loading, [aria-busy=true]') &&
      !document.querySelector('.found')?.textContent.includes('Searching'),
  );
}

export async function open(page, path) {
  await page.goto(`/admin${path}`);
  await settled(page);
}

// What the page says after an action, with what colour it says it.
export async function told(page, kind, text) {
  const message = page.locator(`.messages .message.${kind}`).filter({ hasText: text });
  await message.first().waitFor();
}

// The cells of that column, from top to bottom.
export async function column(page, title) {
  return page.locator(`tbody td[data-label="${title}"]`).allInnerTexts();
}
