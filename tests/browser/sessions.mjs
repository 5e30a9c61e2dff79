import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { column, fixture, open, operator, screenshot, settled, told } from './fixture.mjs';
import { crowd, people } from './seed.mjs';

describe('Sessions', () => {
  let context;
  let page;
  before(async () => ({ context, page } = await operator(people.jane)));
  after(() => context.close());

  const found = async (text) => {
    await page.locator('.found').filter({ hasText: text }).waitFor();
  };
  const heading = (name) => page.getByRole('columnheader', { name, exact: false });
  const path = () => new URL(page.url()).pathname + new URL(page.url()).search;

  test('The list shows of each session who, how to reach them, how much and the last words', async () => {
    await open(page, '/sessions/?q=Priya');
    const row = page.getByRole('row', { name: /Priya Sharma/ });
    for (const text of [
      fixture.sessions.priya,
      'priya@example.com',
      '+91 98765 43210',
      'Is anybody there?',
    ]) {
      assert.ok((await row.innerText()).includes(text), text);
    }
    // Three answers, four questions.
    assert.deepEqual(await column(page, 'Messages'), ['7']);
    const time = row.locator('td[data-label="Created"] time');
    assert.match(await time.getAttribute('title'), /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
  });

  test('Search finds names, addresses, numbers, ids and what was said, and keeps phrases together', async () => {
    await open(page, '/sessions/');
    await screenshot(page, 'sessions');
    const search = async (text, results) => {
      await page.getByRole('searchbox').fill(text);
      await page.getByRole('button', { name: 'Search', exact: true }).click();
      await page.waitForURL((url) => url.searchParams.get('q') === text);
      await found(results);
      await settled(page);
    };
    const total = `(${crowd + 3} total)`;
    await search('VISITOR N042', `1 result ${total}`);
    assert.deepEqual(await column(page, 'Name'), ['Visitor n042']);
    await search('n042 visitor', '1 result');
    await search('"n042 visitor"', `0 results ${total}`);
    await search('priya@example', '1 result');
    await search('"98765 43210"', '1 result');
    await search('chennai office', '1 result');
    assert.match((await column(page, 'Phone'))[0], /7946/);
    await search(fixture.sessions.long, '1 result');
    await page.getByRole('link', { name: total }).click();
    await page.waitForURL(/\/admin\/sessions\/$/);
    await found(`${crowd + 3} sessions`);
  });

  test('Filters have counts, stay in the address and are cleared together', async () => {
    await open(page, '/sessions/');
    const today = page.getByRole('link', { name: `Today ${crowd + 3}` });
    await today.first().click();
    await page.waitForURL(/created=today/);
    await found(`${crowd + 3} results`);
    // Thirteen of the crowd have an address; Priya, and Tom with a number.
    await page.getByRole('link', { name: 'Leads only 15' }).click();
    await found('15 results');
    assert.match(path(), /created=today&leads=1$/);
    await page.getByLabel('By created: from').fill('2000-01-01');
    await page.getByLabel('By created: to').fill('2000-01-02');
    await page.getByRole('button', { name: 'By created: apply the days' }).click();
    await found('0 results');
    assert.match(path(), /leads=1&created_from=2000-01-01&created_to=2000-01-02$/);
    await page.goBack();
    await found('15 results');
    await page.getByRole('link', { name: 'Clear all filters' }).click();
    await found(`${crowd + 3} sessions`);
    assert.equal(path(), '/admin/sessions/');
  });

  test('Sorting takes several columns, each turned round or taken away alone', async () => {
    await open(page, '/sessions/?q=Visitor');
    await heading('Name').getByRole('button', { name: 'Name', exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get('sort') === 'name,-updated');
    await settled(page);
    assert.equal((await column(page, 'Name'))[0], 'Visitor n000');
    await heading('Name').getByRole('button', { name: /^Name/ }).click();
    await page.waitForURL((url) => url.searchParams.get('sort') === '-name,-updated');
    await settled(page);
    assert.equal((await column(page, 'Name'))[0], `Visitor n${crowd - 1}`);
    await heading('E-mail').getByRole('button', { name: 'E-mail', exact: true }).click();
    await page.waitForURL((url) => url.searchParams.get('sort') === 'email,-name,-updated');
    await settled(page);
    assert.equal(await heading('Name').getAttribute('aria-sort'), 'descending');
    // Without an address they are equal, and the names decide.
    const names = (await column(page, 'Name')).filter((_, at) => at < 3);
    assert.deepEqual(names, [...names].sort().reverse());
    await heading('Name').getByRole('button', { name: 'Do not sort by Name' }).click();
    await page.waitForURL((url) => url.searchParams.get('sort') === 'email,-updated');
  });

  test('Pages of a hundred are walked forward and back, also with the browser', async () => {
    await open(page, '/sessions/?q=Visitor&sort=name');
    const first = async (name) => {
      await page.waitForFunction(
        (wanted) => document.querySelector('td[data-label="Name"]')?.textContent === wanted,
        name,
      );
    };
    assert.equal((await column(page, 'Name')).length, 100);
    await page.getByText('Page 1 of 2').waitFor();
    await page.getByRole('button', { name: 'Next' }).click();
    await first('Visitor n100');
    await page.getByText('Page 2 of 2').waitFor();
    assert.equal((await column(page, 'Name')).length, crowd - 100);
    assert.ok(await page.getByRole('button', { name: 'Next' }).isDisabled());
    const address = page.url();
    await page.goBack();
    await first('Visitor n000');
    await page.goForward();
    await first('Visitor n100');
    await page.getByRole('button', { name: 'Previous' }).click();
    await first('Visitor n000');
    // The address of a page works by itself.
    await page.goto(address);
    await first('Visitor n100');
    await page.getByRole('button', { name: 'First' }).click();
    await first('Visitor n000');
  });

  test('A field that is wrong says so, and nothing is saved until it is right', async () => {
    await open(page, `/sessions/${fixture.sessions.priya}/`);
    await screenshot(page, 'session');
    await page.getByLabel('E-mail').fill('not an address');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await told(page, 'error', 'Please correct the errors below');
    const field = page.getByLabel('E-mail');
    assert.equal(await field.getAttribute('aria-invalid'), 'true');
    await page.getByText('Enter a valid email address.').waitFor();
    await screenshot(page, 'session-errors');
    await field.fill('priya.sharma@example.com');
    await page.getByRole('button', { name: 'Save and continue editing' }).click();
    await told(page, 'success', 'You may edit it again below');
    assert.equal(path(), `/admin/sessions/${fixture.sessions.priya}/`);
    await page.getByLabel('E-mail').fill('priya@example.com');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await told(page, 'success', 'The session of Priya Sharma was changed');
    assert.equal(path(), '/admin/sessions/');
  });

  test('What a visitor agreed to is shown with its words, and when it was withdrawn', async () => {
    await open(page, `/sessions/${fixture.sessions.priya}/`);
    const { texts } = await (await fetch(`${fixture.programs.url}/api/chat/widget/`)).json();
    const consents = page.getByRole('article', { name: 'Consent' });
    assert.equal(await consents.count(), 2);
    const [first, second] = await consents.allInnerTexts();
    assert.match(first, /Version\s+1 withdrawn\s+Language\s+en\s/);
    assert.match(second, /Version\s+1 stands\s+Language\s+hi\s/);
    assert.match(second, /Withdrawn\s+no\s/);
    assert.ok(first.endsWith(texts.en.consent), first);
    assert.ok(second.endsWith(texts.hi.consent), second);
    const times = await consents.first().locator('time').evaluateAll((all) => all.map((t) => t.title));
    assert.equal(times.length, 2);
    for (const time of times) assert.match(time, /^\d{4}-\d\d-\d\d \d\d:\d\d:\d\d UTC$/);
    await consents.last().scrollIntoViewIfNeeded();
    await screenshot(page, 'consents');
    // They stay when the form is saved.
    await page.getByRole('button', { name: 'Save and continue editing' }).click();
    await told(page, 'success', 'You may edit it again below.');
    assert.equal(await consents.count(), 2);
    await open(page, `/sessions/${fixture.sessions.tom}/`);
    await page.getByText('None was given.').waitFor();
  });

  test('The history says who changed what and when', async () => {
    await open(page, `/sessions/${fixture.sessions.priya}/history/`);
    await screenshot(page, 'history');
    const changes = page.getByRole('row').filter({ hasText: 'changed' });
    assert.equal(await changes.count(), 2);
    const text = await changes.first().innerText();
    assert.match(text, /jane/);
    assert.match(text, /user_email/);
  });

  test('What is not saved yet is still there after a look at another page', async () => {
    await open(page, `/sessions/${fixture.sessions.tom}/`);
    await page.getByLabel('Phone').fill('+44 20 0000 0000');
    await page.getByRole('link', { name: 'Conversation' }).click();
    await page.getByRole('log').waitFor();
    await page.goBack();
    await page.getByText('These are your unsaved changes from before.').waitFor();
    assert.equal(await page.getByLabel('Phone').inputValue(), '+44 20 0000 0000');
    await page.getByRole('button', { name: 'Discard them' }).click();
    assert.equal(await page.getByLabel('Phone').inputValue(), '+44 20 7946 0018');
  });

  test('Of two who edit one session the second is told, chooses, and nothing is lost', async () => {
    const second = await operator(people.root);
    const made = await fixture.root.post('sessions/', {
      user_name: 'Ann',
      user_email: 'ann@example.com',
      user_phone: null,
    });
    const form = `/sessions/${made.session_id}/`;
    await open(page, form);
    await open(second.page, form);
    await page.getByLabel('Name', { exact: true }).fill('Ann Lee');
    await page.getByLabel('E-mail').fill('ann.lee@example.com');
    await page.getByRole('button', { name: 'Save and continue editing' }).click();
    await told(page, 'success', 'was changed');

    const other = second.page;
    await other.getByLabel('Name', { exact: true }).fill('Anna');
    await other.getByLabel('Phone').fill('12345');
    await other.getByRole('button', { name: 'Save', exact: true }).click();
    const dialog = other.getByRole('dialog', { name: 'Somebody changed it meanwhile' });
    await dialog.waitFor();
    await screenshot(other, 'conflict');
    const text = await dialog.innerText();
    for (const version of ['Ann Lee', 'Anna', '12345', 'ann.lee@example.com']) {
      assert.ok(text.includes(version), version);
    }
    // Nothing was written over.
    assert.equal((await fixture.root.get(`sessions/${made.session_id}/`)).user_name, 'Ann Lee');
    // Their name; what only one of the two touched is kept anyway.
    await dialog.getByLabel('Name: Theirs').check();
    await dialog.getByRole('button', { name: 'Save what is chosen' }).click();
    await told(other, 'success', 'was changed');
    const { user_name, user_email, user_phone } = await fixture.root.get(
      `sessions/${made.session_id}/`,
    );
    assert.deepEqual(
      { user_name, user_email, user_phone },
      { user_name: 'Ann Lee', user_email: 'ann.lee@example.com', user_phone: '12345' },
    );
    await second.context.close();
    await fixture.root.request('DELETE', `sessions/${made.session_id}/`);
  });

  test('A session is added; its id is made by the server', async () => {
    await open(page, '/sessions/');
    await page.getByRole('link', { name: 'Add session' }).click();
    await page.getByLabel('Name', { exact: true }).fill('Walk-in');
    await page.getByLabel('Phone').fill('+1 555 0100 0100 0100 0100');
    await page.getByRole('button', { name: 'Save', exact: true }).click();
    await page.getByText('Ensure this field has no more than 20 characters.').waitFor();
    await page.getByLabel('Phone').fill('+1 555 0100');
    await screenshot(page, 'add-session');
    await page.getByRole('button', { name: 'Save and continue editing' }).click();
    await told(page, 'success', 'The session of Walk-in was added');
    await page.waitForURL(/\/admin\/sessions\/[0-9a-f-]{36}\/$/);
    assert.equal(await page.getByLabel('Phone').inputValue(), '+1 555 0100');
  });

  test('Deleting a session names what goes with it and can be called off', async () => {
    await open(page, '/sessions/?q=Walk-in');
    await page.getByRole('cell').getByRole('link').first().click();
    await page.getByRole('heading', { name: 'Walk-in' }).waitFor();
    await page.getByRole('button', { name: 'Delete' }).click();
    const dialog = page.getByRole('dialog', { name: 'Delete this session?' });
    await dialog.getByText('0 messages').waitFor();
    await screenshot(page, 'delete-session');
    await dialog.getByRole('button', { name: 'No, take me back' }).click();
    assert.equal(await dialog.count(), 0);
    await page.getByRole('button', { name: 'Delete' }).click();
    await dialog.getByRole('button', { name: 'Yes, delete it' }).click();
    await told(page, 'success', 'The session of Walk-in was deleted');
    // Back in the list as it was.
    assert.equal(path(), '/admin/sessions/?q=Walk-in');
  });

  const go = async (action) => {
    await page.getByLabel('Action:').selectOption(action);
    await page.getByRole('button', { name: 'Go' }).click();
  };

  test('An action without a choice is a warning, and changes nothing', async () => {
    await open(page, '/sessions/?q=Visitor');
    await page.getByRole('button', { name: 'Go' }).click();
    await told(page, 'warning', 'No action selected.');
    await go('delete');
    await told(page, 'warning', 'Items must be selected in order to perform actions on them.');
    await found(`${crowd} results`);
  });

  test('Chosen rows, a page, and all that match are deleted after a question', async () => {
    await open(page, '/sessions/?q=Visitor&sort=name');
    await page.getByLabel('Choose Visitor n000').check();
    await page.getByLabel('Choose Visitor n001').check();
    await page.getByText('2 of 100 chosen').waitFor();
    await go('delete');
    let dialog = page.getByRole('dialog', { name: 'Delete 2 sessions?' });
    await dialog.getByText('Visitor n001').waitFor();
    await screenshot(page, 'delete-chosen');
    await dialog.getByRole('button', { name: 'Yes, delete them' }).click();
    await told(page, 'success', 'Deleted 2 sessions and 0 messages.');
    await found(`${crowd - 2} results`);

    await page.getByLabel('Choose all on this page').check();
    await page.getByText('100 of 100 chosen').waitFor();
    await page.getByRole('button', { name: `Choose all ${crowd - 2} sessions that match` }).click();
    // One more than the question says: it is asked again.
    const late = await fixture.root.post('sessions/', { user_name: 'Visitor late' });
    await go('delete');
    dialog = page.getByRole('dialog', { name: `Delete ${crowd - 2} sessions?` });
    await dialog.getByText('all their messages').waitFor();
    await dialog.getByRole('button', { name: 'Yes, delete them' }).click();
    dialog = page.getByRole('dialog', { name: `Delete ${crowd - 1} sessions?` });
    await dialog.getByText('Nothing was deleted').waitFor();
    await screenshot(page, 'delete-all-asked-again');
    await fixture.root.get(`sessions/${late.session_id}/`);
    await dialog.getByRole('button', { name: 'No, take me back' }).click();

    await page.getByRole('button', { name: 'Clear the choice' }).click();
    await page.getByLabel('Choose all on this page').check();
    await go('delete');
    await page
      .getByRole('dialog', { name: 'Delete 100 sessions?' })
      .getByRole('button', { name: 'Yes, delete them' })
      .click();
    await told(page, 'success', 'Deleted 100 sessions');
    await page.reload();
    await settled(page);
    await found(`${crowd - 101} results`);
  });

  test('Leads are the sessions with contact data, and are exported as they are filtered', async () => {
    await open(page, '/leads/');
    await screenshot(page, 'leads');
    const emails = await column(page, 'E-mail');
    const phones = await column(page, 'Phone');
    assert.ok(emails.length >= 2);
    emails.forEach((email, at) => assert.ok(email !== '–' || phones[at] !== '–'));
    await page.getByRole('searchbox').fill('Priya');
    await page.keyboard.press('Enter');
    await found('1 result');
    await page.getByRole('link', { name: 'Export these' }).click();
    await page.getByText('search: Priya').waitFor();
    await screenshot(page, 'export');
    const saved = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Export', exact: true }).click();
    const text = readFileSync(await (await saved).path(), 'utf8');
    await told(page, 'success', 'Exported 1 lead');
    const [head, row] = text.replace('\ufeff', '').trimEnd().split('\r\n');
    assert.equal(
      head,
      'session_id,user_name,user_email,user_phone,created_at,updated_at,message_count',
    );
    // A spreadsheet must not take the number for a formula.
    assert.match(row, /,Priya Sharma,priya@example\.com,"?'\+91 98765 43210"?,/);
  });
});
