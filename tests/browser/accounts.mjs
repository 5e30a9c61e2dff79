import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { column, fixture, open, operator, screenshot, settled, told } from './fixture.mjs';
import { people } from './seed.mjs';

describe('Accounts', () => {
  let context;
  let page;
  before(async () => ({ context, page } = await operator(people.root)));
  after(() => context.close());

  test('Who may only look sees pages without buttons, and no page of what is not theirs', async () => {
    const vera = await operator(people.vera);
    await open(vera.page, '/sessions/');
    assert.equal(await vera.page.getByRole('checkbox').count(), 0);
    assert.equal(await vera.page.getByRole('link', { name: 'Add session' }).count(), 0);
    assert.equal(await vera.page.getByRole('link', { name: 'Users' }).count(), 0);
    assert.equal(await vera.page.getByRole('link', { name: 'Audit log' }).count(), 0);
    await open(vera.page, `/sessions/${fixture.sessions.priya}/`);
    await vera.page.getByText('priya@example.com').waitFor();
    await screenshot(vera.page, 'session-read-only');
    assert.equal(await vera.page.getByRole('textbox').count(), 0);
    for (const name of ['Save', 'Delete']) {
      assert.equal(await vera.page.getByRole('button', { name, exact: true }).count(), 0);
    }
    for (const path of ['/users/', '/audit/', '/sessions/add/', '/messages/add/']) {
      await open(vera.page, path);
      await vera.page.getByRole('heading', { name: '403 Forbidden' }).waitFor();
    }
    await vera.context.close();

    const nils = await operator(people.nils);
    await open(nils.page, '/');
    await nils.page.getByText('You do not have permission to view or edit anything.').waitFor();
    await open(nils.page, '/sessions/');
    await nils.page.getByRole('heading', { name: '403 Forbidden' }).waitFor();
    await screenshot(nils.page, 'forbidden');
    await nils.context.close();
  });

  test('An address that leads nowhere says so', async () => {
    await open(page, '/no/such/page/');
    await page.getByRole('heading', { name: 'Page not found' }).waitFor();
    await open(page, '/sessions/00000000-0000-4000-8000-000000000000/');
    await page.getByRole('alert').getByText('Not found').waitFor();
  });

  test('A user is added, with every fault of the password told at once', async () => {
    await open(page, '/users/');
    await screenshot(page, 'users');
    await page.getByRole('link', { name: 'Add user' }).click();
    await page.getByLabel('User name').fill('jane');
    await page.getByLabel('Password', { exact: true }).fill('123');
    await page.getByLabel('Password again').fill('123');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('A user with that username already exists.').waitFor();
    await page.getByText('This password is too short.').waitFor();
    await page.getByText('This password is entirely numeric.').waitFor();
    await screenshot(page, 'add-user');
    await page.getByLabel('User name').fill('olga');
    await page.getByLabel('E-mail').fill('olga@example.org');
    await page.getByLabel('Password', { exact: true }).fill('tulips-in-may-11');
    await page.getByLabel('Password again').fill('tulips-in-may-11');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await told(page, 'success', 'The user olga was added.');
    await page.getByRole('searchbox').fill('olga@');
    await page.keyboard.press('Enter');
    await page.locator('.found').filter({ hasText: '1 result' }).waitFor();
    await settled(page);
    assert.deepEqual(await column(page, 'User name'), ['olga']);
    assert.deepEqual(await column(page, 'Last log-in'), ['never']);
  });

  test("A user's flags and permissions are changed, and count from then on", async () => {
    const { results } = await fixture.root.get('users/?q=olga');
    const olga = await operator({ username: 'olga', password: 'tulips-in-may-11' });
    await open(olga.page, '/');
    assert.equal(await olga.page.getByRole('link', { name: 'Add to Messages' }).count(), 0);
    await open(page, `/users/${results[0].id}/`);
    await screenshot(page, 'user');
    await page.getByLabel('First name').fill('Olga');
    await page.getByLabel('Can add message').check();
    await page.getByRole('button', { name: 'Save and continue editing' }).click();
    await told(page, 'success', 'The user olga was changed.');
    await open(olga.page, '/');
    await olga.page.getByRole('link', { name: 'Add to Messages' }).waitFor();

    // Without staff there is no log-in, and the one there is ends.
    await page.getByLabel('Staff').uncheck();
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await told(page, 'success', 'The user olga was changed.');
    await olga.page.getByRole('link', { name: 'Messages', exact: true }).first().click();
    await olga.page.getByRole('dialog', { name: 'Your log-in has ended' }).waitFor();
    await olga.context.close();
  });

  test('The last superuser stays one', async () => {
    const me = await fixture.root.get('me/');
    await open(page, `/users/${me.user.id}/`);
    await page.getByLabel('Superuser').uncheck();
    await page.getByRole('button', { name: 'Save and continue editing' }).click();
    await page.locator('.messages .message.error').waitFor();
    assert.equal((await fixture.root.get('me/')).user.is_superuser, true);
    await page.getByLabel('Superuser').check();
  });

  test('A password is set for another user, who logs in with it', async () => {
    const { results } = await fixture.root.get('users/?q=nils');
    await open(page, `/users/${results[0].id}/`);
    const form = page.getByRole('form', { name: 'Set password' });
    await form.getByLabel('New password', { exact: true }).fill('new-words-for-nils');
    await form.getByLabel('New password again').fill('other-words');
    await form.getByRole('button', { name: 'Set password' }).click();
    await page.getByText('The two password fields didn’t match.').waitFor();
    await form.getByLabel('New password again').fill('new-words-for-nils');
    await form.getByRole('button', { name: 'Set password' }).click();
    await told(page, 'success', 'The password of nils was set.');
    people.nils.password = 'new-words-for-nils';
    const nils = await operator(people.nils);
    await nils.context.close();
  });

  test('Everybody changes their own password with the old one', async () => {
    const { context: own, page: form } = await operator(people.nils);
    await open(form, '/password/');
    await form.getByLabel('Old password').fill('wrong');
    await form.getByLabel('New password', { exact: true }).fill('12345678');
    await form.getByLabel('New password again').fill('12345678');
    await form.getByRole('button', { name: 'Change my password' }).click();
    await form.getByText('Your old password was entered incorrectly.').waitFor();
    await form.getByText('This password is too common.').waitFor();
    await form.getByText('This password is entirely numeric.').waitFor();
    await screenshot(form, 'password');
    await form.getByLabel('Old password').fill(people.nils.password);
    await form.getByLabel('New password', { exact: true }).fill('yet-other-words-13');
    await form.getByLabel('New password again').fill('yet-other-words-13');
    await form.getByRole('button', { name: 'Change my password' }).click();
    await told(form, 'success', 'Your password was changed.');
    people.nils.password = 'yet-other-words-13';
    // The log-in goes on.
    await open(form, '/');
    await form.getByRole('heading', { name: 'Welcome, nils' }).waitFor();
    await own.close();
  });

  test('A token is made, shown once, works for a script, and is revoked', async () => {
    await open(page, '/tokens/');
    await page.getByLabel('Name', { exact: true }).fill('crm');
    await page.getByLabel('Days').fill('30');
    await page.getByRole('button', { name: 'Make a token' }).click();
    await told(page, 'success', 'The token crm was made.');
    const token = await page.locator('.token').innerText();
    assert.match(token, /^tca_/);
    await screenshot(page, 'tokens');
    const asked = () =>
      fetch(`${fixture.programs.url}/api/admin/overview/`, {
        headers: { Authorization: `Bearer ${token}` },
      });
    assert.equal((await asked()).status, 200);
    await page.reload();
    await settled(page);
    assert.equal(await page.locator('.token').count(), 0);
    await page.getByRole('button', { name: 'Revoke crm' }).click();
    await page.getByRole('button', { name: 'Yes, revoke it' }).click();
    await told(page, 'success', 'The token crm was revoked.');
    assert.equal((await asked()).status, 401);
  });

  test('The audit log tells who did what, and is narrowed down', async () => {
    await open(page, '/audit/');
    await screenshot(page, 'audit');
    await page.getByRole('link', { name: 'exported', exact: true }).click();
    await page.waitForURL(/action=export/);
    await settled(page);
    const what = await column(page, 'What');
    assert.ok(what.length > 0);
    assert.ok(what.every((text) => text === 'exported'));
    await page.getByLabel('User').fill('jane');
    await page.getByRole('button', { name: 'Search', exact: true }).click();
    await page.waitForURL(/user=jane/);
    await settled(page);
    assert.ok((await column(page, 'Who')).every((name) => name === 'jane'));
    // No entry says what a visitor wrote or who they are.
    await open(page, '/audit/');
    assert.doesNotMatch(await page.locator('main').innerText(), /priya@|zanzibar/);
  });

  test('What somebody did last is on their first page', async () => {
    await open(page, '/');
    await page.locator('.recent').getByText('changed a token').first().waitFor();
  });

  test('Too many failed log-ins are told, with the time to wait', async () => {
    const { context: stranger, page: form } = await operator(null);
    await form.goto('/admin/login/');
    const alert = form.getByRole('alert');
    for (let attempt = 0; attempt < 30; ++attempt) {
      await form.getByLabel('User name').fill('mallory');
      await form.getByLabel('Password').fill(`guess ${attempt}`);
      const answer = form.waitForResponse('**/api/admin/login/');
      await form.getByRole('button', { name: 'Log in' }).click();
      if ((await answer).status() === 429) break;
    }
    await alert
      .filter({ hasText: /Too many failed log-ins\. Try again in \d+ (second|minute)s?\./ })
      .waitFor();
    await stranger.close();
  });
});
