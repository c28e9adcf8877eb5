// Who did what, when and with which result.

import { get, query } from './api.js';
import { differences, shown } from './change.js';
import { button, h, replace, show, text } from './dom.js';
import { select, textInput } from './form.js';
import { reasons } from './say.js';
import { time } from './units.js';
import { action } from './words.js';

const page = 50;
const settle = 300; // milliseconds
const actions = ['rule.put', 'rule.widen', 'rule.extend', 'rule.pause', 'rule.unpause', 'rule.delete', 'halt', 'resume', 'verdicts.reset', 'token.taken', 'blackout.begin', 'blackout.end', 'start'];

const actor = textInput('', later, { placeholder: 'anybody' });
const rule = textInput('', later, { placeholder: 'any' });
const what = select([['', 'anything'], ...actions.map((a) => [a, a])], '', load);
const result = select([['', 'any'], ['done', 'done'], ['refused', 'refused'], ['failed', 'failed']], '', load);
const list = h('ol', { class: 'audit' });
const none = h('p', { class: 'empty', hidden: true }, 'Nothing on record that matches.');
const trouble = h('p', { class: 'trouble', role: 'alert', hidden: true });
const more = button('Older ones', () => load({ older: true }));
let next = 0;
let older = false; // are shown
let asked = 0;

// beginAudit makes the view.
export function beginAudit() {
  const field = (label, input) => h('div', { class: 'field' }, h('label', { for: input.id }, label), input);
  [actor, rule, what, result].forEach((input, i) => { input.id = `audit-filter-${i}`; });
  replace(document.getElementById('view-audit'),
    h('div', { class: 'section-head' }, h('h2', {}, 'Audit'), button('Clear filters', () => filter({}))),
    h('p', { class: 'hint' }, 'Newest first. Refusals are on record too.'),
    h('form', { class: 'filters-form', on: { submit: (event) => { event.preventDefault(); load(); } } },
      field('Who', actor), field('Rule', rule), field('Action', what), field('Result', result)),
    trouble, none, list, h('p', { class: 'row' }, more));
  show(more, false);
}

function filter(values) {
  actor.value = values.actor ?? '';
  rule.value = values.rule ?? '';
  what.value = values.action ?? '';
  result.value = values.result ?? '';
  load();
}

// historyOf shows what is on record of a rule.
export function historyOf(id) {
  location.hash = 'audit';
  filter({ rule: id });
}

let timer = 0;

function later() {
  clearTimeout(timer);
  timer = setTimeout(load, settle);
}

// load asks for the newest entries, or for more of them.
async function load(options = {}) {
  clearTimeout(timer);
  const onward = options.older === true;
  const mine = ++asked;
  try {
    const answer = await get(`v1/audit${query({
      limit: page, before: onward ? next : '', actor: actor.value.trim(), rule: rule.value.trim(), action: what.value, result: result.value,
    })}`);
    if (mine !== asked) return;
    show(trouble, false);
    older = onward;
    next = answer.next ?? 0;
    const rows = answer.entries.map(row);
    if (onward) {
      list.append(...rows);
      rows[0]?.querySelector('summary, .audit-words')?.focus?.();
    } else {
      list.replaceChildren(...rows);
    }
    show(none, list.children.length === 0);
    show(more, next > 0);
  } catch (error) {
    if (mine !== asked) return;
    text(trouble, reasons(error).join('; '));
    show(trouble, true);
  }
}

function row(e) {
  const changes = e.before && e.after ? differences(e.before, e.after, e.before).map(({ path, saw, theirs }) => `${path}: ${shown(path, saw)} → ${shown(path, theirs)}`) : [];
  const whole = e.after ?? e.before;
  return h('li', { class: `audit-entry result-${['done', 'refused', 'failed'].includes(e.result) ? e.result : 'other'}`, dataset: { seq: e.seq } },
    h('time', { datetime: e.time, class: 'mono' }, time(e.time)),
    h('div', { class: 'audit-words' },
      h('p', {}, h('b', {}, e.actor || 'somebody'), ' ', action(e), e.rule && h('span', {}, ' ', h('b', { class: 'mono' }, e.rule)), ' ',
        h('span', { class: 'chip' }, e.result)),
      e.detail && h('p', { class: 'detail' }, e.detail),
      changes.length > 0 && h('p', { class: 'detail mono' }, changes.join('\n')),
      h('details', {}, h('summary', {}, `No. ${e.seq}${e.role ? `, ${e.role}` : ''}${e.remote ? `, from ${e.remote}` : ''}`),
        whole && h('pre', { class: 'mono' }, JSON.stringify(whole, null, 2)),
        h('p', { class: 'hint mono' }, `hash ${e.hash}`))));
}

// showAudit loads the record when it comes into sight.
export const showAudit = () => load();

// noteEntry has new entries shown, unless older ones are being read.
export function noteEntry() {
  if (!document.getElementById('view-audit').hidden && !older) later();
}
