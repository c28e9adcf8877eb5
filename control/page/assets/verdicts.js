// What became of the requests in which faults happened.

import { h, keyed, replace, show, text } from './dom.js';
import { state } from './state.js';
import { count, duration, number } from './units.js';
import { added, what } from './words.js';

const node = (id) => document.getElementById(id);
const most = 100; // rows that are shown

// showVerdicts brings the table up to date.
export function showVerdicts() {
  const all = state.verdicts;
  show(node('verdicts-section'), Boolean(all?.on));
  if (!all?.on) return;
  const rows = [...all.verdicts].sort((a, b) => rank(b) - rank(a));
  keyed(node('verdicts'), rows.slice(0, most), keyOf, row);
  show(node('verdicts-table'), rows.length > 0);
  show(node('verdicts-none'), rows.length === 0);
  const more = [];
  if (rows.length > most) more.push(`The worst ${number(most)} of ${number(rows.length)} are shown.`);
  if (all.uncounted > 0) more.push(`There was no room for ${count(all.uncounted, 'more verdict')}.`);
  show(node('verdicts-more'), more.length > 0);
  text(node('verdicts-more'), more.join(' '));
}

// rank puts first what somebody should look at. Within a rank the order of the
// service stays.
function rank(v) {
  if (v.surfaced > 0) return 3;
  if (v.degraded > 0) return 2;
  return v.masked > 0 ? 1 : 0;
}

const keyOf = (v) => JSON.stringify([v.rule, v.point, v.operation, v.fault, v.endpoint]);

function row(v) {
  const masked = verdict('masked', '✓');
  const degraded = verdict('degraded', '~');
  const surfaced = verdict('surfaced', '✗');
  const slower = h('span');
  const extra = h('td', { class: 'verdict-added', dataset: { column: 'added' } }, slower, h('span', { class: 'verdict-word' }, ' added'));
  const notes = h('p', { class: 'hint' });
  return {
    node: h('tr', { dataset: { rule: v.rule } },
      h('th', { scope: 'row' },
        h('span', {}, v.point, ' ', h('span', { class: 'hint' }, v.operation)),
        h('p', { class: 'hint' }, what(v.fault), ' ', h('span', { class: 'chip mono' }, v.rule)),
        notes),
      h('td', { class: 'mono', dataset: { column: 'at' } }, v.endpoint || '–'),
      masked.node, degraded.node, surfaced.node,
      extra),
    update(next) {
      masked.update(next.masked);
      degraded.update(next.degraded);
      surfaced.update(next.surfaced);
      text(slower, next.added ? added(next.added) : '–');
      extra.classList.toggle('none', !next.added);
      text(notes, notesOf(next).join('; '));
      show(notes, notes.textContent !== '');
    },
  };
}

function verdict(name, sign) {
  const n = h('span');
  const root = h('td', { class: `verdict-${name}`, dataset: { column: name } }, h('span', { 'aria-hidden': 'true' }, sign), ' ', n, h('span', { class: 'verdict-word' }, ` ${name}`));
  return {
    node: root,
    update(value) {
      text(n, number(value));
      root.classList.toggle('none', value === 0);
    },
  };
}

function notesOf(v) {
  const notes = [];
  if (v.reason) notes.push(`degraded: ${v.reason}`);
  if (v.unmeasured > 0) notes.push(`no latency to go by for ${number(v.unmeasured)}`);
  if (v.late > 0) notes.push(`${count(v.late, 'hit')} after the request was over`);
  if (v.unfollowed > 0) notes.push(`${count(v.unfollowed, 'hit')} outside of any request`);
  return notes;
}

// tellVerdicts says by which rule they are made.
export function tellVerdicts() {
  const all = state.verdicts;
  if (!all?.on) return;
  replace(node('verdicts-how'), `Requests in which a fault happened: they went well, took more than ${duration(all.minAdded)} longer than others or lacked something, or their users saw an error.`);
}
