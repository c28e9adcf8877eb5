// What happens, as it happens.

import { attribute, button, h, replace, show, text } from './dom.js';
import { soon } from './state.js';
import { follow } from './stream.js';
import { number, time } from './units.js';
import { event as inWords } from './words.js';
import { askWhy } from './why.js';

const most = 200; // that are kept
const pace = 250; // milliseconds between two drawings

const kinds = ['hit', 'skip', 'release', 'verdict', 'taken', 'problem', 'audit', 'dropped', 'missed', 'anew'];
const titles = { hit: 'hits', skip: 'skips', release: 'releases', verdict: 'verdicts', taken: 'tokens', problem: 'problems', audit: 'record', dropped: 'dropped', missed: 'missed', anew: 'new record' };

const counts = Object.fromEntries(kinds.map((kind) => [kind, 0]));
const hidden = new Set();
let kept = []; // newest first
let paused = false;
let missed = 0; // while paused
let since = null;
let serial = 0;

const list = h('ol', { class: 'events' });
const none = h('p', { class: 'empty' }, 'Nothing has happened since this page is open.');
const chips = {};
const pauseButton = button('Pause', () => setPaused(!paused), { 'aria-pressed': 'false' });
const pausedNote = h('span', { class: 'hint', role: 'status' });
const listeners = [];

// onEvent has listener called for each event.
export const onEvent = (listener) => listeners.push(listener);

// beginEvents makes the view, and returns what follows the events once it is
// started.
export function beginEvents() {
  replace(document.getElementById('view-events'),
    h('div', { class: 'section-head' }, h('h2', {}, 'Events'), h('div', { class: 'row' }, pausedNote, pauseButton, button('Clear', clear))),
    h('div', { class: 'filters', role: 'group', 'aria-label': 'Kinds of events' }, kinds.map((kind) => {
      const n = h('b', {}, '0');
      const chip = button([n, ` ${titles[kind]}`], () => toggle(kind), { class: `filter kind-${kind}`, 'aria-pressed': 'true' });
      chips[kind] = { chip, n };
      return chip;
    })),
    none, list);
  const stream = follow(take, state);
  document.addEventListener('visibilitychange', () => { if (document.hidden) stream.stop(); });
  return stream;
}

function state(now, why = '') {
  const link = document.getElementById('link');
  link.dataset.link = now;
  text(link, { live: 'live', waiting: 'reconnecting …', refused: 'no events' }[now]);
  attribute(link, 'title', why || null);
  if (now === 'live') soon();
}

function take(name, data) {
  since ??= Date.now();
  const kind = kinds.includes(name) ? name : 'audit';
  counts[kind] += { dropped: Number(data.events), missed: Number(data.entries) }[name] || 1;
  serial += 1;
  const entry = { key: serial, kind, name, data, at: data.time ?? new Date().toISOString() };
  if (paused) {
    missed += 1;
  } else {
    kept.unshift(entry);
    if (kept.length > most) kept.length = most;
  }
  listeners.forEach((listener) => listener(name, data));
  draw();
}

function toggle(kind) {
  if (hidden.has(kind)) hidden.delete(kind);
  else hidden.add(kind);
  attribute(chips[kind].chip, 'aria-pressed', String(!hidden.has(kind)));
  drawNow();
}

function setPaused(next) {
  paused = next;
  missed = 0;
  attribute(pauseButton, 'aria-pressed', String(paused));
  text(pauseButton, paused ? 'Go on' : 'Pause');
  drawNow();
}

function clear() {
  kept = [];
  for (const kind of kinds) counts[kind] = 0;
  drawNow();
}

let timer = 0;

function draw() {
  if (timer) return;
  timer = setTimeout(drawNow, pace);
}

function drawNow() {
  clearTimeout(timer);
  timer = 0;
  for (const kind of kinds) {
    text(chips[kind].n, number(counts[kind]));
    show(chips[kind].chip, counts[kind] > 0 || ['hit', 'skip', 'release', 'audit'].includes(kind));
  }
  const badge = document.getElementById('events-count');
  show(badge, counts.hit > 0);
  text(badge, number(counts.hit));
  text(pausedNote, paused ? `paused; ${number(missed)} since` : '');
  if (document.getElementById('view-events').hidden) return;
  const visible = kept.filter((entry) => !hidden.has(entry.kind)).slice(0, most);
  show(none, visible.length === 0);
  rows(visible);
}

// rows has one child for each entry; those that are there already stay.
function rows(entries) {
  const wanted = new Set(entries.map((entry) => String(entry.key)));
  for (const node of [...list.children]) if (!wanted.has(node.dataset.key)) node.remove();
  const have = new Map([...list.children].map((node) => [node.dataset.key, node]));
  let next = list.firstChild;
  for (const entry of entries) {
    const node = have.get(String(entry.key)) ?? row(entry);
    if (node === next) next = next.nextSibling;
    else list.insertBefore(node, next);
  }
}

function row({ key, kind, name, data, at }) {
  const whom = [data.request && `request ${data.request}`, data.customer && `customer ${data.customer}`].filter(Boolean).join(', ');
  return h('li', { class: `event kind-${kind}`, dataset: { key } },
    h('time', { datetime: at, class: 'mono' }, time(at)),
    h('span', { class: 'chip' }, name),
    h('span', { class: 'event-words' }, inWords(name, data), whom && h('span', { class: 'hint' }, ` ${whom}`)),
    data.point && ['hit', 'skip'].includes(name) ? button('Why?', () => askWhy(data), { class: 'quiet' }) : false);
}

// showEvents draws the view when it comes into sight.
export const showEvents = drawNow;
