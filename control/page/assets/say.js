// Telling what has happened, and what has not.

import { button, h } from './dom.js';

const stays = 9000; // milliseconds

function put(place, message, { action, run, kind, detail = [] }) {
  const area = document.getElementById(place);
  let timer = 0;
  const remove = () => { clearTimeout(timer); note.remove(); };
  const note = h('div', { class: `note note-${kind}` },
    h('div', { class: 'note-text' },
      h('p', {}, message),
      detail.length > 0 && h('ul', {}, detail.map((line) => h('li', {}, line)))),
    action && button(action, () => { remove(); run(); }, { class: 'quiet' }),
    button('×', remove, { class: 'quiet close', 'aria-label': 'Dismiss' }));
  area.append(note);
  while (area.children.length > 3) area.firstChild.remove();
  if (kind === 'done') {
    const wait = () => { clearTimeout(timer); timer = setTimeout(remove, stays); };
    note.addEventListener('pointerenter', () => clearTimeout(timer));
    note.addEventListener('focusin', () => clearTimeout(timer));
    note.addEventListener('pointerleave', wait);
    note.addEventListener('focusout', wait);
    wait();
  }
  return remove;
}

// say tells of what was done, for a while.
export const say = (message, options = {}) => put('said', message, { kind: 'done', ...options });

// warn tells of what was not, until it is dismissed.
export const warn = (message, options = {}) => put('alerts', message, { kind: 'bad', ...options });

// refusal tells why the endpoint did not do something.
export function refusal(what, error) {
  if (error.status === 401) return; // whoever asks who this is says so
  warn(`${what}: ${error.title ? error.title.toLowerCase() : 'no answer'}.`, { detail: reasons(error) });
}

// reasons are why, one by one.
export function reasons(error) {
  if (error.fields?.length) return error.fields.map((f) => (f.path ? `${f.path}: ${f.detail}` : f.detail));
  const parts = String(error.message).split('; ');
  if (error.after) parts.push(`Try again in ${error.after} s.`);
  return parts;
}
