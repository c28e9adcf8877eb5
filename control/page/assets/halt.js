// Halting, which takes one click and no second thought, and resuming, which takes
// one.

import { call, get, query } from './api.js';
import { button, h, replace, text } from './dom.js';
import { refusal, say, warn } from './say.js';
import { ago, count } from './units.js';
import { isAdmin, look, onChange, soon, state } from './state.js';

const tries = 4;
const patience = 4000; // milliseconds for one try
const pause = 500;

let halting = false;

// halt ends everything. It asks again while no answer comes, and says loudly if none
// does.
export async function halt() {
  if (halting) return;
  halting = true;
  const label = document.getElementById('halt-label');
  text(label, 'Halting …');
  try {
    for (let i = 1; ; i += 1) {
      try {
        const { ended } = await call('POST', 'v1/halt', { time: patience, keepalive: true });
        say(`Halted. ${ended.length ? `${count(ended.length, 'rule')} ended, and every call that was held goes on` : 'No rule was live'}.`);
        break;
      } catch (error) {
        if (error.status && error.status < 500 && error.status !== 429) {
          refusal('NOT halted', error);
          break;
        }
        if (i === tries) {
          warn(`NOT halted: ${error.message}. Try again, or halt from the machine itself:`, { detail: [`curl -X POST ${new URL('v1/halt', document.baseURI)}`] });
          break;
        }
        text(label, `Halting … no answer yet (${i})`);
        await new Promise((resolve) => setTimeout(resolve, pause));
      }
    }
  } finally {
    halting = false;
    text(label, 'Halt everything');
    look();
  }
}

// beginHalting listens for the button and its key.
export function beginHalting() {
  document.getElementById('halt').addEventListener('click', halt);
  const mac = /Mac|iPhone|iPad/.test(navigator.userAgent);
  if (mac) text(document.getElementById('halt-key'), '⌥H');
  document.addEventListener('keydown', (event) => {
    if (event.altKey && !event.ctrlKey && !event.metaKey && (event.code === 'KeyH' || event.key.toLowerCase() === 'h')) {
      event.preventDefault();
      if (!event.repeat) halt();
    }
  });
  onChange(rememberHalt);
}

let last = null; // the entry of the record
let asked = false;

function rememberHalt() {
  if (!state.status?.halted) {
    last = null;
    asked = false;
    return;
  }
  if (asked) return;
  asked = true;
  get(`v1/audit${query({ action: 'halt', result: 'done', limit: 1 })}`).then(({ entries }) => {
    last = entries[0] ?? null;
    soon();
  }, () => {});
}

// haltedBy says who has halted, and when.
export function haltedBy() {
  if (!last) return '';
  return `By ${last.actor}, ${ago(last.time)}${last.detail ? `: ${last.detail}` : ''}.`;
}

// resumeButton asks once more before rules are taken again.
export function resumeButton() {
  if (!isAdmin()) return h('p', {}, 'An admin can resume.');
  const place = h('div', { class: 'row' });
  const first = () => replace(place, button('Resume …', () => {
    replace(place,
      h('span', {}, 'Take rules again? Those that ended do not come back.'),
      button('Yes, resume', resume, { class: 'primary' }),
      button('No', () => { first(); place.querySelector('button').focus(); }));
    place.querySelector('.primary').focus();
  }));
  first();
  return place;
}

async function resume() {
  try {
    await call('POST', 'v1/resume');
    say('Resumed: rules are taken again.');
  } catch (error) {
    refusal('Not resumed', error);
  }
  look();
}
