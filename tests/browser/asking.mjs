// What visitors are asked: their consent and their details.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  composes,
  halt,
  say,
  scene,
  screenshot,
  server,
  settled,
  shows,
  startOver,
  stored,
  visitor,
} from './scene.mjs';

const button = (page, name) => page.getByRole('button', { name, exact: true });

test('Consent and details are asked step by step before the first answer, checked, and stored', async () => {
  const { programs, url, way } = scene.curious;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  way.requests.length = 0;
  await programs.forget();
  await programs.script({ text: 'Hello Asha.' });
  await say(page, 'I want to join');
  await page.getByText('I agree to be answered.').waitFor();
  const link = page.getByRole('link', { name: /Read more/ });
  assert.equal(await link.getAttribute('href'), 'https://example.org/privacy');
  await screenshot(page, 'consent');
  // Nothing of it has left the browser.
  assert.deepEqual(way.to('/api/chat/sessions/'), []);
  await button(page, 'I agree').click();

  const name = page.getByLabel('What is your name?');
  await name.waitFor();
  assert.equal(await button(page, 'Skip').count(), 0);
  await name.press('Enter');
  await page.getByText('Please fill this in.').waitFor();
  await name.fill('Asha Rao');
  await name.press('Enter');
  const phone = page.getByLabel('What is your phone number?');
  // The operator's own pattern wants an Indian number.
  await phone.fill('+49 30 123456');
  await button(page, 'Continue').click();
  await page.getByRole('alert').getByText('Please enter a phone number').waitFor();
  assert.equal(await phone.inputValue(), '+49 30 123456');
  await screenshot(page, 'wrong-phone');
  await phone.fill('+91 98765 43210');
  await button(page, 'Continue').click();
  await page.getByLabel('What is your e-mail address?').waitFor();
  await button(page, 'Skip').click();
  await shows(page, ['you: I want to join', 'bot: Hello Asha.']);

  const { session_id, session, said } = await stored(page, scene.curious);
  assert.deepEqual(said, ['you: I want to join', 'bot: Hello Asha.']);
  assert.equal(session.user_name, 'Asha Rao');
  assert.equal(session.user_phone, '+91 98765 43210');
  assert.equal(session.user_email, null);
  const { consents } = await scene.root.get(`sessions/${session_id}/`);
  assert.equal(consents.length, 1);
  const [{ version, language, text, given_at, withdrawn_at }] = consents;
  assert.deepEqual(
    { version, language, text, withdrawn_at },
    {
      version: '2026-11',
      language: 'en',
      text: 'I agree to be answered.',
      withdrawn_at: null,
    },
  );
  assert.ok(Date.parse(given_at) > Date.now() - 600_000);
  // The consent came before anything that it is for. The page's own settings may come at any time.
  const order = way.requests
    .map(({ path }) => path)
    .filter((path) => path.startsWith('/api/chat/') && !path.includes('?'))
    .filter((path) => path !== '/api/chat/widget/');
  assert.deepEqual(order.slice(0, 4), [
    '/api/chat/sessions/create_session/',
    '/api/chat/sessions/consent/',
    '/api/chat/sessions/update_user_details/',
    '/api/chat/message/stream/',
  ]);

  // Asked once: neither the next message nor a reload asks again.
  await page.reload();
  await programs.script({ text: 'Yes.' });
  await say(page, 'Is that all?');
  await shows(page, ['you: I want to join', 'bot: Hello Asha.', 'you: Is that all?', 'bot: Yes.']);
  await settled(page);

  // As easily as it was given it is withdrawn, and then asked for again.
  await button(page, 'Withdraw consent').click();
  await page.getByText('You have withdrawn your consent.').waitFor();
  const later = await scene.root.get(`sessions/${session_id}/`);
  assert.ok(later.consents[0].withdrawn_at);
  await say(page, 'One more');
  await button(page, 'I agree').waitFor();
});

test('A consent that was on its way when the visitor started over is asked for again', async () => {
  const { url } = scene.curious;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  const held = new Promise((resolve) => {
    void page.route('**/sessions/consent/', resolve, { times: 1 });
  });
  const ask = async (text) => {
    await say(page, text);
    await page.getByText('I agree to be answered.').waitFor();
  };
  await ask('At first');
  await button(page, 'I agree').click();
  const name = page.getByLabel('What is your name?');
  await name.fill('Asha Rao');
  await name.press('Enter');
  for (const other of ['phone number', 'e-mail address']) {
    await page.getByLabel(`What is your ${other}?`).waitFor();
    await button(page, 'Skip').click();
  }
  const consent = await held;
  await startOver(page);
  const given = page
    .waitForResponse('**/sessions/consent/')
    .then((response) => response.finished());
  await consent.continue();
  await given;
  await ask('Anew');
});

test('Without a consent that is needed nothing is sent, and the message comes back', async () => {
  const { url, way } = scene.curious;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  way.requests.length = 0;
  await say(page, 'A secret');
  await button(page, 'No, thank you').click();
  await page.getByText('Without your consent the message was not sent.').waitFor();
  await composes(page, 'A secret');
  await shows(page, []);
  assert.ok(!way.requests.some(({ method }) => method === 'POST'));
});

test('A reload between two questions goes on with them', async () => {
  const { programs, url } = scene.curious;
  const { page } = await visitor();
  await page.goto(`${url}/`);
  await programs.script({ text: 'Done.' });
  await say(page, 'Interrupted');
  await button(page, 'I agree').click();
  await page.getByLabel('What is your name?').waitFor();
  await page.reload();
  await shows(page, ['you: Interrupted']);
  await page.getByLabel('What is your name?').fill('Ravi');
  await button(page, 'Continue').click();
  await button(page, 'Skip').click();
  await button(page, 'Skip').click();
  await shows(page, ['you: Interrupted', 'bot: Done.']);
  assert.equal((await stored(page, scene.curious)).session.user_name, 'Ravi');
});

test('What is built in asks after the first answer; what the server refuses is asked again', async () => {
  const plain = await server({});
  try {
    const { programs, url } = plain;
    const { page } = await visitor({}, plain);
    await page.goto(`${url}/`);
    for (const label of ['New Enquiry', 'Existing Member', 'FAQs', 'What is Metabolism?']) {
      await button(page, label).waitFor();
    }
    await programs.script({ text: 'First the answer.' });
    await button(page, 'FAQs').click();
    await button(page, 'I agree').click();
    await page.getByLabel('What is your name?').fill('Meera');
    await button(page, 'Continue').click();
    // Right by its look, wrong for the server.
    await page.getByLabel('What is your e-mail address?').fill('meera@-.-');
    await button(page, 'Continue').click();
    await button(page, 'Skip').click();
    await page.getByText('Please enter an e-mail address such as name@example.com.').waitFor();
    await page.getByLabel('What is your e-mail address?').fill('meera@example.com');
    await button(page, 'Continue').click();
    await settled(page);
    const until = Date.now() + 20_000;
    for (;;) {
      const { session } = await stored(page, plain);
      if (session.user_email === 'meera@example.com') break;
      assert.ok(Date.now() < until, JSON.stringify(session));
    }
    const { session, said } = await stored(page, plain);
    assert.equal(session.user_name, 'Meera');
    assert.equal(said.at(-1), 'bot: First the answer.');
  } finally {
    await halt(plain);
  }
});
