// What this site does with the assistant. Its script is loaded on its own: window.twinchat is there
// once it has run.
window.addEventListener('load', () => {
  // shown: script
  const { twinchat } = window;
  document
    .querySelector('#ask')
    .addEventListener('click', () => twinchat.send('What does it cost?'));
  twinchat.identify({ name: 'Jane Doe', email: 'jane@example.com' });
  twinchat.on('answer', ({ text, status }) => {
    document.querySelector('#said').textContent = `${text.length} letters, ${status}`;
  });
  twinchat.translate('fr', { open: 'Discuter avec nous', send: 'Envoyer' });
  // shown: end
});
