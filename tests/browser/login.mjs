import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fixture, open, operator, screenshot, settled, told } from './fixture.mjs';
import { people } from './seed.mjs';

const fill = async (page, { username, password }) => {
  await page.getByLabel('User name').fill(username);
  await page.getByLabel('Password').fill(password);
};

test('Whoever is not logged in is asked for it, and then sees the page they came for', async () => {
  const { context, page } = await operator(null);
  await page.goto('/admin/sessions/?q=Visitor+n007&sort=name');
  await page.waitForURL(/\/admin\/login\/\?next=/);
  await screenshot(page, 'log-in');
  await fill(page, { username: 'jane', password: 'wrong' });
  await page.getByRole('button', { name: 'Log in' }).click();
  await page
    .getByRole('alert')
    .filter({ hasText: 'Please enter a correct username and password' })
    .waitFor();
  await fill(page, people.jane);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.waitForURL(/\/admin\/sessions\/\?q=Visitor\+n007&sort=name$/);
  await settled(page);
  await page.getByRole('row', { name: /Visitor n007/ }).waitFor();

  await page.getByRole('button', { name: 'Log out', exact: true }).click();
  await page.waitForURL(/\/admin\/login\/$/);
  const me = await context.request.get('/api/admin/me/');
  assert.equal((await me.json()).user, null);
  await context.close();
});

test('A next that leads elsewhere is not followed', async () => {
  const { context, page } = await operator(people.jane);
  await page.goto('/admin/login/?next=' + encodeURIComponent('//example.org/'));
  await fill(page, people.jane);
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('heading', { name: 'Welcome, jane' }).waitFor();
  assert.equal(new URL(page.url()).origin, fixture.programs.url);
  await context.close();
});

test('Logging in, finding a session and reading it need no mouse', async () => {
  const { context, page } = await operator(null);
  await page.goto('/admin/');
  await page.getByLabel('User name').waitFor();
  const press = async (...keys) => {
    for (const key of keys) await page.keyboard.press(key);
  };
  // The first field has the focus already.
  await page.keyboard.type(people.vera.username);
  await press('Tab');
  await page.keyboard.type(people.vera.password);
  await press('Enter');
  await page.getByRole('heading', { name: 'Welcome, vera' }).waitFor();

  const focused = () => page.evaluate(() => document.activeElement?.textContent?.trim() ?? '');
  const tabTo = async (text) => {
    for (let step = 0; step < 60; ++step) {
      await press('Tab');
      if ((await focused()) === text) return;
    }
    assert.fail(`"${text}" is not reached with Tab`);
  };
  // The heading of the new page has the focus: a screen reader says where one is.
  assert.equal(await focused(), 'Welcome, vera');
  // From the top of a fresh page the first stop lets one skip the menu.
  await page.reload();
  await settled(page);
  await press('Tab');
  assert.equal(await focused(), 'Skip to the content');
  await tabTo('Chat sessions');
  await press('Enter');
  await page.getByRole('heading', { name: 'Chat sessions', level: 1 }).waitFor();
  await settled(page);
  assert.equal(await focused(), 'Chat sessions');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Tab');
  await page.keyboard.type('Priya');
  await press('Enter');
  await page.waitForURL(/q=Priya/);
  await settled(page);
  await tabTo(fixture.sessions.priya);
  await press('Enter');
  await page.getByRole('heading', { name: 'Priya Sharma', level: 1 }).waitFor();
  await tabTo('Conversation');
  await press('Enter');
  await page.getByRole('log').getByText('How can I reverse diabetes?').waitFor();
  await context.close();
});

test('When the log-in ends, it is asked for again over the form, and what was typed is saved', async () => {
  const { context, page } = await operator(people.jane);
  await open(page, `/sessions/${fixture.sessions.tom}/`);
  await page.getByLabel('Name', { exact: true }).fill('Tom Baker-Smith');
  await context.clearCookies();
  await page.getByRole('button', { name: 'Save and continue editing' }).click();
  const dialog = page.getByRole('dialog', { name: 'Your log-in has ended' });
  await dialog.waitFor();
  await screenshot(page, 'log-in-again');
  await fill(page, people.jane);
  await dialog.getByRole('button', { name: 'Log in' }).click();
  await told(page, 'success', 'The session of Tom Baker-Smith was changed');
  const saved = await fixture.root.get(`sessions/${fixture.sessions.tom}/`);
  assert.equal(saved.user_name, 'Tom Baker-Smith');
  await context.close();
});

test('Logging out everywhere ends the log-ins of other browsers too', async () => {
  const here = await operator(people.vera);
  const there = await operator(people.vera);
  await open(here.page, '/');
  await open(there.page, '/');
  await here.page.getByRole('button', { name: 'Log out everywhere' }).click();
  await here.page.waitForURL(/\/admin\/login\/$/);
  await there.page.getByRole('link', { name: 'Messages', exact: true }).first().click();
  await there.page.getByRole('dialog', { name: 'Your log-in has ended' }).waitFor();
  await here.context.close();
  await there.context.close();
});

test('The theme follows the system until one is chosen, and the choice stays', async () => {
  const { context, page } = await operator(people.vera, { colorScheme: 'dark' });
  await open(page, '/');
  const ground = () =>
    page.evaluate(() => getComputedStyle(document.documentElement).backgroundColor);
  const dark = await ground();
  await screenshot(page, 'index-dark');
  await page.getByLabel('Theme').selectOption('light');
  const light = await ground();
  assert.notEqual(light, dark);
  await page.reload();
  await settled(page);
  assert.equal(await ground(), light);
  await page.getByLabel('Theme').selectOption('auto');
  assert.equal(await ground(), dark);
  await context.close();
});
