// What is in the database when the tests begin.
export const people = {
  root: { username: 'root', email: 'root@example.org', password: 'correct-horse-7' },
  // May do everything with sessions and messages.
  jane: {
    username: 'jane',
    password: 'battery-staple-8',
    permissions: ['view', 'add', 'change', 'delete'].flatMap((verb) => [
      `chat.${verb}_chatsession`,
      `chat.${verb}_message`,
    ]),
  },
  // May only look.
  vera: {
    username: 'vera',
    password: 'window-shopping-9',
    permissions: ['chat.view_chatsession', 'chat.view_message'],
  },
  // May log in, and nothing else.
  nils: { username: 'nils', password: 'nothing-to-see-10', permissions: [] },
};

export const crowd = 125;

// At most so many requests at the same time.
async function inTurns(tasks, width = 8) {
  const waiting = [...tasks];
  const worker = async () => {
    for (let task = waiting.shift(); task; task = waiting.shift()) await task();
  };
  await Promise.all(Array.from({ length: width }, worker));
}

// Returns the ids of the sessions that the tests know by name.
export async function seed(programs, root) {
  for (const { username, password, permissions } of [people.jane, people.vera, people.nils]) {
    await root.post('users/', {
      username,
      email: '',
      password1: password,
      password2: password,
      is_staff: true,
      is_superuser: false,
      permissions,
    });
  }
  await inTurns(
    Array.from({ length: crowd }, (_, at) => () => {
      const number = String(at).padStart(3, '0');
      return root.post('sessions/', {
        // Digits alone might be part of a session's id.
        user_name: `Visitor n${number}`,
        // Some have left how to reach them.
        user_email: at % 10 === 0 ? `visitor${number}@example.com` : null,
        user_phone: null,
      });
    }),
  );
  const priya = await programs.openSession({
    name: 'Priya Sharma',
    email: 'priya@example.com',
    phone: '+91 98765 43210',
  });
  await programs.script({ text: 'Type 2 diabetes can go into remission.', latency_ms: 20 });
  await programs.ask(priya, 'How can I reverse diabetes?');
  await programs.script({
    text: 'A plan begins with blood tests and',
    finish_reason: 'MAX_TOKENS',
  });
  await programs.ask(priya, 'What does a plan look like?');
  await programs.script({ block_reason: 'SAFETY' });
  await programs.ask(priya, 'Something that is refused');
  await programs.script({ status: 503 });
  await programs.ask(priya, 'Is anybody there?');

  const { messages } = await root.get(`sessions/${priya}/conversation/`);
  const answers = messages.filter(({ is_bot }) => is_bot).map(({ id }) => id);
  await programs.think(priya, answers[0], 'up');
  await programs.think(priya, answers[1], 'down');
  const agreed = { session_id: priya, version: '1' };
  await programs.chat('sessions/consent/', { ...agreed, language: 'en' });
  await programs.chat('sessions/consent/', { session_id: priya, withdrawn: true });
  await programs.chat('sessions/consent/', { ...agreed, language: 'hi' });

  const tom = await programs.openSession({ name: 'Tom Baker', phone: '+44 20 7946 0018' });
  await programs.ask(tom, 'Do you have an office in Chennai?');

  const long = await programs.openSession({ name: 'Long Talker' });
  const lines = Array.from({ length: 230 }, (_, at) => at + 1);
  // One after the other: their order is looked at.
  for (const at of lines) {
    await root.post('messages/', { session_id: long, content: `line ${at}`, is_bot: at % 2 === 0 });
  }
  return { priya, tom, long };
}
