import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { axe, findings } from './accessibility.mjs';
import { fixture, operator, screenshot } from './fixture.mjs';
import { people } from './seed.mjs';

describe("The API's own page", () => {
  let context;
  let page;
  before(async () => {
    ({ context, page } = await operator(null));
    await context.addInitScript(axe);
  });
  after(() => context.close());

  async function opened(id) {
    const operation = page.locator(`details.operation#${id}`);
    if (!(await operation.evaluate((details) => details.open))) {
      await operation.locator('> summary').click();
    }
    return operation;
  }

  const openAll = (open) =>
    page.locator('details.operation').evaluateAll((all, open) => {
      for (const details of all) details.open = open;
    }, open);

  // Sends what the form of that operation holds; the outcome, when it is there.
  async function sent(operation) {
    await operation.getByRole('button', { name: 'Send' }).click();
    const outcome = operation.locator('.outcome');
    await outcome.locator('strong').waitFor();
    await operation.locator('.outcome[aria-busy=false]').waitFor();
    return outcome;
  }

  test('It shows every operation of the document, with what it takes and answers', async () => {
    const document = await (await fetch(`${fixture.programs.url}/api/openapi.json`)).json();
    await page.goto('/api/docs/');
    await page.getByRole('heading', { name: 'twinchat-server' }).waitFor();
    const wanted = Object.values(document.paths).flatMap((item) =>
      Object.values(item).flatMap((operation) => operation.operationId ?? []),
    );
    assert.ok(wanted.length > 50);
    const shown = await page.locator('details.operation').evaluateAll((all) => all.map(({ id }) => id));
    assert.deepEqual(shown.sort(), wanted.sort());
    await screenshot(page, 'api-docs');
    await openAll(true);
    await page.waitForFunction(
      (count) => document.querySelectorAll('.opened > .answer').length > count,
      wanted.length,
    );
    assert.equal(await page.getByRole('heading', { name: 'Answers' }).count(), wanted.length);
    assert.match(await page.locator('#sendMessage').innerText(), /client_message_id[^]*Try it/);
    assert.match(await page.locator('#statistics').innerText(), /chat\.view_message/);
    await openAll(false);
  });

  test('axe has nothing serious to say about it, in light and in dark', async () => {
    for (const id of ['streamMessage', 'listSessions', 'editUser']) {
      const operation = await opened(id);
      await operation.locator('form').waitFor();
      await operation.locator('.answer > summary').first().click();
    }
    assert.deepEqual(await findings(page), []);
    await page.emulateMedia({ colorScheme: 'dark' });
    assert.deepEqual(await findings(page, ['color-contrast']), []);
    await page.emulateMedia({ colorScheme: 'light' });
  });

  test('What is looked for is found by its words, and an address leads to an operation', async () => {
    await page.getByLabel('Find').fill('post erasePerson');
    const rows = page.locator('details.operation');
    assert.deepEqual(await rows.evaluateAll((all) => all.map(({ id }) => id)), ['erasePerson']);
    await page.goto('about:blank');
    await page.goto('/api/docs/#ready');
    const outcome = await sent(page.locator('#ready'));
    assert.match(await outcome.innerText(), /200[^]*"status": "ok"/);
  });

  test('A session is made, asked and read, each call with what the one before it brought', async () => {
    await fixture.programs.script({ text: 'It can go into remission.' });
    await page.goto('/api/docs/');
    const made = await sent(await opened('createSession'));
    const [, id] = /"session_id": "([^"]+)"/.exec(await made.innerText());
    const asked = await opened('sendMessage');
    await asked.getByLabel('Body').waitFor();
    assert.ok((await asked.getByLabel('Body').inputValue()).includes(id));
    assert.match(await (await sent(asked)).innerText(), /200[^]*It can go into remission\./);
    const read = await sent(await opened('getSession'));
    assert.match(await read.innerText(), /200[^]*It can go into remission\./);
    assert.match(await (await opened('getSession')).locator('.curl').innerText(), new RegExp(id));
    await screenshot(page, 'api-docs-tried');
  });

  test('A streamed answer is seen piece by piece, and can be stopped', async () => {
    const operation = await opened('streamMessage');
    await fixture.programs.script({ chunks: ['One, ', 'two, ', 'three.'] });
    const outcome = await sent(operation);
    const events = await outcome.locator('.events li').allInnerTexts();
    assert.match(events[0], /^session/);
    assert.match(events.at(-1), /^done.*One, two, three\./);
    assert.ok(events.filter((event) => event.startsWith('delta')).length >= 3);
    await screenshot(page, 'api-docs-stream');

    await fixture.programs.script({ chunks: ['Begun', ' and never ended'], chunk_ms: 60_000 });
    await operation.getByRole('button', { name: 'Send' }).click();
    await outcome.getByText('Begun').waitFor();
    assert.match(await outcome.innerText(), /so far/);
    await operation.getByRole('button', { name: 'Stop' }).click();
    await outcome.getByText('Stopped.').waitFor();
  });

  test('The admin needs a log-in of the browser or a token', async () => {
    await page.goto('/api/docs/');
    assert.match(await (await sent(await opened('overview'))).innerText(), /401/);
    const { token } = await fixture.root.post('tokens/', { name: 'docs', days: 1 });
    await page.getByLabel('Token').fill(token);
    const outcome = await sent(await opened('overview'));
    assert.match(await outcome.innerText(), /200[^]*"totals"/);
    assert.ok(!(await (await opened('overview')).locator('.curl').innerText()).includes(token));

    const logged_in = await operator(people.root);
    await logged_in.page.goto('/api/docs/#addSession');
    const form = logged_in.page.locator('#addSession');
    await form.getByRole('button', { name: 'Send' }).click();
    await form.locator('.outcome strong').getByText('201').waitFor();
    await logged_in.context.close();
  });

  test('On a phone it fits the width', async () => {
    const phone = await operator(null, { viewport: { width: 375, height: 740 }, isMobile: true });
    await phone.page.goto('/api/docs/#streamMessage');
    await phone.page.locator('#streamMessage form').waitFor();
    assert.equal(await phone.page.evaluate(() => document.documentElement.scrollWidth), 375);
    await screenshot(phone.page, 'phone-api-docs');
    await phone.context.close();
  });
});
