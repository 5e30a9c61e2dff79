// Proves that Google's own client understands the stand-in: what our client is tested against
// speaks the API as the official client knows it.
import assert from 'node:assert/strict';
import { after, before, beforeEach, test } from 'node:test';

import { ApiError, StandIn, makeClient } from './standin.mjs';

const model = 'gemini-3.5-flash-lite';
let standin;
let ai;

before(async () => {
  standin = await StandIn.start();
  ai = makeClient(standin);
});
beforeEach(() => standin.reset());
after(() => standin?.stop());

async function collect(stream) {
  const chunks = [];
  for await (const chunk of stream) chunks.push(chunk);
  return chunks;
}

const textOf = (chunks) => chunks.map((chunk) => chunk.text ?? '').join('');

test('a chat sends its first turn with the second message', async () => {
  const chat = ai.chats.create({ model });
  assert.equal((await chat.sendMessage({ message: 'one' })).text, 'Echo 1: one');
  assert.equal((await chat.sendMessage({ message: 'two' })).text, 'Echo 2: two');
  const requests = await standin.requests();
  assert.deepEqual(
    requests[1].body.contents.map(({ role, parts }) => [role, parts[0].text]),
    [['user', 'one'], ['model', 'Echo 1: one'], ['user', 'two']],
  );
  assert.equal(requests[1].headers['x-goog-api-key'], 'test-key');
});

test('a streamed chat puts its chunks together and keeps the turn', async () => {
  const chat = ai.chats.create({ model });
  const chunks = await collect(await chat.sendMessageStream({ message: 'grüße' }));
  assert.ok(chunks.length > 1);
  assert.equal(textOf(chunks), 'Echo 1: grüße');
  assert.equal(chunks.at(-1).candidates[0].finishReason, 'STOP');
  const totals = chunks.map((chunk) => chunk.usageMetadata.totalTokenCount);
  assert.deepEqual(totals, totals.toSorted((a, b) => a - b));
  assert.equal((await chat.sendMessage({ message: 'again' })).text, 'Echo 2: again');
  const [stream, second] = await standin.requests();
  assert.equal(stream.query, 'alt=sse');
  assert.equal(second.body.contents[0].parts[0].text, 'grüße');
});

test('a thought signature comes with the last part and goes back with the turn', async () => {
  const chat = ai.chats.create({ model });
  const chunks = await collect(await chat.sendMessageStream({ message: 'hi' }));
  const signature = chunks.at(-1).candidates[0].content.parts[0].thoughtSignature;
  assert.ok(signature);
  await chat.sendMessage({ message: 'more' });
  const [, second] = await standin.requests();
  const sent = second.body.contents.flatMap(({ parts }) => parts.map((p) => p.thoughtSignature));
  assert.ok(sent.includes(signature));
});

test('models are listed in pages and found by name', async () => {
  const names = [];
  const pager = await ai.models.list({ config: { pageSize: 4, queryBase: true } });
  for await (const entry of pager) names.push(entry.name);
  assert.ok(names.length > 4);
  assert.ok(names.includes(`models/${model}`));
  const found = await ai.models.get({ model });
  assert.equal(found.name, `models/${model}`);
  assert.ok(found.inputTokenLimit > 0);
});

test('tokens are counted', async () => {
  const counted = await ai.models.countTokens({ model, contents: 'hello world' });
  assert.equal(counted.totalTokens, 3);
});

test('an unknown model is an ApiError with status 404', async () => {
  await assert.rejects(ai.models.generateContent({ model: 'gemini-1.5-flash', contents: 'hi' }),
    (error) => error instanceof ApiError && error.status === 404 &&
      /models\/gemini-1.5-flash is not found/.test(error.message));
});

test('a bad key is an ApiError with status 400 and the reason', async () => {
  await assert.rejects(
    makeClient(standin, { apiKey: 'bad-key' }).models.generateContent({ model, contents: 'hi' }),
    (error) => error instanceof ApiError && error.status === 400 &&
      /API_KEY_INVALID/.test(error.message));
});

test('what the API refuses is refused', async () => {
  await assert.rejects(
    ai.models.generateContent({ model, contents: 'hi', config: { temperature: 3 } }),
    (error) => error instanceof ApiError && error.status === 400 && /range/.test(error.message));
  await assert.rejects(
    ai.models.generateContent({
      model,
      contents: [{ role: 'user', parts: [{ text: 'a' }] }, { role: 'model', parts: [{ text: 'b' }] }],
    }),
    (error) => error.status === 400 && /ending with a model turn/.test(error.message));
});

test('a scripted error before the stream is an ApiError', async () => {
  await standin.script({ error: { code: 503, message: 'The model is overloaded.' } });
  await assert.rejects(ai.models.generateContentStream({ model, contents: 'hi' }),
    (error) => error instanceof ApiError && error.status === 503 && /overloaded/.test(error.message));
});

test('an error inside the stream is an ApiError after the text before it', async () => {
  await standin.script({ chunks: ['part one ', 'part two'], error_after_chunks: 1 });
  const stream = await ai.models.generateContentStream({ model, contents: 'hi' });
  const first = await stream.next();
  assert.equal(first.value.text, 'part one ');
  await assert.rejects(stream.next(), (error) => error instanceof ApiError && error.status === 503);
});

test('retries are made when asked for, whatever RetryInfo says', async () => {
  await standin.script({
    error: {
      code: 503,
      message: 'The model is overloaded.',
      details: [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '30s' }],
    },
  });
  const patient = makeClient(standin, {
    httpOptions: { retryOptions: { attempts: 2, initialDelay: 0.01 } },
  });
  assert.equal((await patient.models.generateContent({ model, contents: 'hi' })).text, 'Echo 1: hi');
  assert.equal((await standin.requests()).length, 2);
});

test('a blocked prompt is an answer without candidates', async () => {
  await standin.script({ block_reason: 'PROHIBITED_CONTENT' });
  const answer = await ai.models.generateContent({ model, contents: 'hi' });
  assert.equal(answer.promptFeedback.blockReason, 'PROHIBITED_CONTENT');
  assert.equal(answer.candidates, undefined);
  assert.equal(answer.text, undefined);
});

for (const reason of ['MAX_TOKENS', 'SAFETY', 'RECITATION', 'OTHER', 'A_REASON_TO_COME']) {
  test(`the finish reason ${reason} comes through`, async () => {
    await standin.script({ text: 'some text', finish_reason: reason, times: 2 });
    const answer = await ai.models.generateContent({ model, contents: 'hi' });
    assert.equal(answer.candidates[0].finishReason, reason);
    const chunks = await collect(await ai.models.generateContentStream({ model, contents: 'hi' }));
    assert.equal(chunks.at(-1).candidates[0].finishReason, reason);
    assert.equal(textOf(chunks), 'some text');
  });
}

test('maxOutputTokens cuts the answer', async () => {
  const answer = await ai.models.generateContent({
    model, contents: 'hello world', config: { maxOutputTokens: 2 },
  });
  assert.equal(answer.candidates[0].finishReason, 'MAX_TOKENS');
  assert.equal(answer.text, 'Echo 1: ');
});

test('thoughts come apart from the text', async () => {
  const answer = await ai.models.generateContent({
    model, contents: 'hi', config: { thinkingConfig: { includeThoughts: true } },
  });
  assert.equal(answer.text, 'Echo 1: hi');
  assert.equal(answer.candidates[0].content.parts[0].thought, true);
  assert.ok(answer.usageMetadata.thoughtsTokenCount > 0);
});

test('a function call makes its round trip with its signature', async () => {
  const tools = [{ functionDeclarations: [{
    name: 'weather',
    parametersJsonSchema: { type: 'object', properties: { city: { type: 'string' } } },
  }] }];
  const call = { functionCall: { id: 'c1', name: 'weather', args: { city: 'Köln' } },
                 thoughtSignature: 'c2ln' };
  await standin.script({ body: { candidates: [{
    content: { role: 'model', parts: [call] }, finishReason: 'STOP', index: 0 }] } });
  const chat = ai.chats.create({ model, config: { tools } });
  const asked = await chat.sendMessage({ message: 'How is the weather?' });
  assert.deepEqual(asked.functionCalls, [call.functionCall]);
  const answer = await chat.sendMessage({ message: [{
    functionResponse: { id: 'c1', name: 'weather', response: { result: 'rain' } } }] });
  assert.equal(answer.text, 'Echo 2: weather={"result":"rain"}');
  const [, second] = await standin.requests();
  assert.deepEqual(second.body.contents[1].parts, [call]);
});

test('a system instruction and safety settings are sent where the API has them', async () => {
  await ai.models.generateContent({
    model, contents: 'hi',
    config: {
      systemInstruction: 'Be kind.',
      temperature: 0.5,
      safetySettings: [{ category: 'HARM_CATEGORY_HARASSMENT', threshold: 'BLOCK_ONLY_HIGH' }],
    },
  });
  const [{ body }] = await standin.requests();
  assert.equal(body.systemInstruction.parts[0].text, 'Be kind.');
  assert.equal(body.generationConfig.temperature, 0.5);
  assert.equal(body.safetySettings.length, 1);
});

test('many chats at once get their own answers', async () => {
  await standin.script({ times: 0, latency_ms: 20, chunk_ms: 5 });
  await Promise.all(Array.from({ length: 50 }, async (_, i) => {
    const chat = ai.chats.create({ model });
    const chunks = await collect(await chat.sendMessageStream({ message: `visitor ${i}` }));
    assert.equal(textOf(chunks), `Echo 1: visitor ${i}`);
  }));
});
