// Saying who this is, with a bearer token.

import { call, onUnauthorized, token } from './api.js';
import { button, fresh, h, show, text } from './dom.js';
import { reasons, say } from './say.js';
import { openSheet } from './sheet.js';
import { look, onChange, state } from './state.js';

let sheet = null;
let again = () => {};

// beginSigningIn asks for a token whenever the endpoint asks who this is. `done` is
// called once it knows.
export function beginSigningIn(done) {
  again = done;
  onUnauthorized((problem) => {
    if (token.get()) {
      token.set('');
      askForToken(reasons(problem).join('; '));
    } else {
      askForToken('');
    }
  });
  const me = document.getElementById('me');
  me.addEventListener('click', () => {
    if (token.get()) {
      token.set('');
      again();
      look();
    } else {
      askForToken('');
    }
  });
  onChange(() => {
    const you = state.status?.you;
    const known = Boolean(token.get()) && !state.refused;
    show(me, known || state.refused?.status === 401);
    text(me, known ? 'Sign out' : 'Sign in');
    text(document.getElementById('you'), you && !state.refused ? `${you.name}, ${you.role}` : '');
  });
}

export const signInButton = () => button('Sign in …', () => askForToken(''), { class: 'primary' });

function askForToken(wrong) {
  if (sheet) {
    if (wrong) sheet.trouble(wrong);
    return;
  }
  const input = h('input', { type: 'password', id: fresh('token'), autocomplete: 'off', spellcheck: 'false', required: true });
  const trouble = h('p', { class: 'trouble', role: 'alert', hidden: true });
  const tell = (message) => { text(trouble, message); show(trouble, Boolean(message)); };
  const form = h('form', { on: { submit: send } },
    h('p', {}, 'This endpoint tells, and obeys, only those it knows. Give it the token that was made for you.'),
    h('div', { class: 'field' }, h('label', { for: input.id }, 'Token'), input,
      h('p', { class: 'hint' }, 'It is kept in this tab alone, and forgotten when you close it.')),
    trouble,
    h('div', { class: 'row' }, h('button', { type: 'submit', class: 'primary' }, 'Sign in')));
  const opened = openSheet('Who are you?', form, { name: 'signin', closed: () => { sheet = null; } });
  sheet = { trouble: tell, close: () => opened.close() };
  tell(wrong);
  input.focus();

  async function send(event) {
    event.preventDefault();
    tell('');
    const given = input.value.trim();
    if (!/^[\x21-\x7e]+$/.test(given)) {
      tell('A token has no spaces and no letters beyond ASCII.');
      return;
    }
    token.set(given);
    try {
      const status = await call('GET', 'v1/status');
      sheet?.close();
      say(status.you ? `You are ${status.you.name}, ${status.you.role}.` : 'You are in.');
      again();
      look();
    } catch (error) {
      if (error.status !== 401) {
        token.set('');
        tell(reasons(error).join('; '));
      }
      input.select();
    }
  }
}
