import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { fixture, open, operator, screenshot, settled } from './fixture.mjs';
import { people } from './seed.mjs';

export const axe = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

async function everyPage() {
  const { root, sessions } = fixture;
  const { messages } = await root.get(`sessions/${sessions.priya}/conversation/`);
  const { results } = await root.get('users/?q=vera');
  return {
    index: '/',
    sessions: '/sessions/',
    leads: '/leads/',
    session: `/sessions/${sessions.priya}/`,
    'add session': '/sessions/add/',
    conversation: `/sessions/${sessions.priya}/conversation/`,
    history: `/sessions/${sessions.priya}/history/`,
    messages: '/messages/',
    message: `/messages/${messages[0].id}/`,
    'add message': '/messages/add/',
    turns: '/turns/',
    disliked: '/turns/?feedback=down',
    statistics: '/statistics/',
    export: '/export/',
    person: `/person/?session_id=${sessions.priya}`,
    users: '/users/',
    user: `/users/${results[0].id}/`,
    'add user': '/users/add/',
    audit: '/audit/',
    tokens: '/tokens/',
    password: '/password/',
    'not found': '/nowhere/',
  };
}

// What is serious or worse; `rules` alone, or all of them.
export async function findings(page, rules) {
  const { passes, violations } = await page.evaluate(
    (only) => window.axe.run(document, only ? { runOnly: { type: 'rule', values: only } } : {}),
    rules,
  );
  assert.ok(
    passes.some(({ id }) => id === 'color-contrast'),
    'axe has looked at the colours',
  );
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html).join(' | ')}`);
}

test('axe has nothing serious to say about any page, in light and in dark', async () => {
  const { context, page } = await operator(people.root, { colorScheme: 'light' });
  await context.addInitScript(axe);
  const found = {};
  const look = async (name, rules) => {
    const serious = await findings(page, rules);
    if (serious.length > 0) found[name] = serious;
  };
  for (const [name, path] of Object.entries(await everyPage())) {
    await open(page, path);
    await look(name);
    await page.emulateMedia({ colorScheme: 'dark' });
    // Only the colours are others.
    await look(`${name}, dark`, ['color-contrast', 'link-in-text-block']);
    await page.emulateMedia({ colorScheme: 'light' });
  }
  await open(page, `/sessions/${fixture.sessions.priya}/`);
  await page.getByRole('button', { name: 'Delete' }).click();
  await look('dialog');
  await page.emulateMedia({ colorScheme: 'dark' });
  await look('dialog, dark', ['color-contrast']);
  await page.keyboard.press('Escape');
  await page.getByLabel('E-mail').fill('wrong');
  await page.getByRole('button', { name: 'Save', exact: true }).click();
  await page.getByText('Enter a valid email address.').waitFor();
  await look('errors, dark');
  await page.emulateMedia({ colorScheme: 'light' });
  await look('errors');
  await context.close();

  const stranger = await operator(null);
  await stranger.context.addInitScript(axe);
  await stranger.page.goto('/admin/login/');
  await stranger.page.getByLabel('User name').waitFor();
  const serious = await findings(stranger.page);
  if (serious.length > 0) found.login = serious;
  await stranger.context.close();
  assert.deepEqual(found, {});
});

test('On a phone every page fits the width, and the menu opens', async () => {
  const { context, page } = await operator(people.root, {
    viewport: { width: 375, height: 740 },
    hasTouch: true,
    isMobile: true,
    deviceScaleFactor: 1,
  });
  const wide = [];
  for (const [name, path] of Object.entries(await everyPage())) {
    await open(page, path);
    const width = await page.evaluate(() => document.documentElement.scrollWidth);
    if (width > 375) wide.push(`${name}: ${width}`);
    if (['sessions', 'conversation', 'statistics', 'session', 'index'].includes(name)) {
      await screenshot(page, `phone-${name}`);
    }
  }
  assert.deepEqual(wide, []);
  await page.getByRole('button', { name: 'Menu' }).tap();
  await screenshot(page, 'phone-menu');
  await page.getByRole('link', { name: 'Leads', exact: true }).tap();
  await page.getByRole('heading', { name: 'Leads', level: 1 }).waitFor();
  await settled(page);
  await context.close();
});
