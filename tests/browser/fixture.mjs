// One server, one browser, and a context for each operator; what must never happen is listened for on
// every page.
import assert from 'node:assert/strict';
import { mkdirSync, rmSync } from 'node:fs';
import { chromium as engine } from 'playwright-core';
import { chromium, Programs, Script } from './programs.mjs';
import { people, seed } from './seed.mjs';

const screenshots = 'screenshots';

export const fixture = {
  programs: null,
  // The admin API as root.
  root: null,
  // Sessions by name; see seed().
  sessions: null,
  browser: null,
  // Scripts of visitors that ran, violations of the page's policy, requests that left for elsewhere, and
  // exceptions in the page: each fails the test in which it is found.
  offences: [],
};

export async function start() {
  rmSync(screenshots, { recursive: true, force: true });
  mkdirSync(screenshots);
  fixture.programs = await Programs.start(people.root);
  fixture.root = await new Script(fixture.programs.url).logIn(people.root);
  fixture.sessions = await seed(fixture.programs, fixture.root);
  fixture.browser = await engine.launch({
    executablePath: chromium(),
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}

export async function stop() {
  await fixture.browser?.close();
  await fixture.programs?.stop();
}

export function nothingBadHappened() {
  const found = fixture.offences.splice(0);
  assert.deepEqual(found, []);
}

async function watch(context) {
  const note = (what) => fixture.offences.push(what);
  await context.exposeBinding('xss', (_, where) => note(`a visitor's script ran: ${where}`));
  await context.exposeBinding('noteViolation', (_, what) => note(`policy violated: ${what}`));
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) =>
      window.noteViolation(`${event.violatedDirective} by ${event.blockedURI} ${event.sample}`),
    );
  });
  context.on('page', (page) => {
    page.on('pageerror', (error) => note(`exception: ${error.message}`));
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) note(message.text());
    });
    page.on('request', (request) => {
      const url = request.url();
      if (!/^(data|blob):/.test(url) && !url.startsWith(`${fixture.programs.url}/`)) {
        note(`a request left for ${url}`);
      }
    });
  });
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
  await watch(context);
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
