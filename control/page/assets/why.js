// Why was this request hit, or not?

import { Problem, get, query } from './api.js';
import { button, fresh, h, keyed, replace } from './dom.js';
import { Form, textInput } from './form.js';
import { reasons } from './say.js';
import { state } from './state.js';
import { count, number } from './units.js';

const form = new Form();
const points = h('datalist', { id: fresh('points') });
const point = textInput('', () => {}, { list: points.id, required: true, placeholder: 'http.client:ratings' });
const operation = textInput('', () => {}, { placeholder: 'GET /ratings/7' });
const id = textInput('', () => {});
const customer = textInput('', () => {}, { placeholder: 'c-042' });
const attributes = h('ul', { class: 'plain' });
const answer = h('div', { class: 'answer', role: 'status' });

let serial = 0;
let list = []; // of attributes

function addAttribute() {
  serial += 1;
  const entry = { key: serial, name: textInput('', () => {}, { 'aria-label': 'name of the attribute', placeholder: 'plan' }), value: textInput('', () => {}, { 'aria-label': 'its value', placeholder: 'free' }) };
  list.push(entry);
  showAttributes();
  entry.name.focus();
}

function showAttributes() {
  keyed(attributes, list, (entry) => entry.key, (entry) => ({
    node: h('li', { class: 'with-unit' }, entry.name, entry.value,
      button('Remove', () => { list = list.filter((other) => other !== entry); showAttributes(); }, { class: 'quiet' })),
  }));
}

// beginWhy makes the form.
export function beginWhy() {
  replace(document.getElementById('view-why'),
    h('h2', { id: 'why-title', tabindex: '-1' }, 'Why was this request hit, or not?'),
    h('p', { class: 'hint' }, 'Describe a call, real or imagined. Every live rule is asked about it; nothing is counted or drawn. Events have it all filled in.'),
    h('form', { class: 'why-form', on: { submit: (event) => { event.preventDefault(); ask(); } } },
      form.field('point', 'Point', point), points,
      form.field('operation', 'Operation', operation),
      form.field('id', 'Identity of the request', id),
      form.field('customer', 'Customer', customer),
      h('div', { class: 'field wide-field' }, h('span', { class: 'label' }, 'Attributes'), attributes, button('Add one', addAttribute)),
      h('div', { class: 'row wide-field' }, h('button', { type: 'submit', class: 'primary' }, 'Ask'))),
    answer);
}

// showWhy keeps the list of points up to date.
export function showWhy() {
  keyed(points, state.points, (p) => p.point, (p) => ({ node: h('option', { value: p.point }) }));
  if (!point.value && state.points.length === 1) point.value = state.points[0].point;
}

// askWhy asks about a call that an event was about.
export function askWhy(e) {
  point.value = e.point ?? '';
  operation.value = e.operation ?? '';
  id.value = e.request ?? '';
  customer.value = e.customer ?? '';
  list = [];
  showAttributes();
  location.hash = 'why';
  ask().then(() => answer.scrollIntoView({ block: 'nearest' }));
}

async function ask() {
  form.problems([]);
  const given = { point: point.value.trim(), operation: operation.value.trim(), id: id.value.trim(), customer: customer.value.trim() };
  for (const entry of list) if (entry.name.value) given[`attribute.${entry.name.value}`] = entry.value.value || undefined;
  try {
    explain(await get(`v1/explain${query(given)}`));
  } catch (error) {
    const unplaced = error instanceof Problem ? form.problems(error.fields) : [];
    const said = error.fields?.length ? unplaced.map((f) => `${f.path}: ${f.detail}`) : reasons(error);
    replace(answer, said.length > 0 && h('p', { class: 'trouble' }, said.join('; ')));
  }
}

function explain(e) {
  const call = h('span', { class: 'mono' }, `${e.point}${e.operation ? ` ${e.operation}` : ''}`);
  let verdict;
  if (e.disabled) verdict = ['No.', 'The library is disabled in this process: no rule is ever taken.'];
  else if (e.halted) verdict = ['No.', 'The service is halted: no rule is live.'];
  else if (e.blackout) verdict = ['No.', 'A blackout is on: no rule is in force.'];
  else if (e.applies) verdict = ['Yes.', `The rule ${e.applies} applies to this call.`];
  else if (e.rules.length === 0) verdict = ['No.', 'There are no rules.'];
  else verdict = ['No.', `None of ${count(e.rules.length, 'live rule')} applies to it.`];
  const shown = e.rules.slice(0, 200);
  replace(answer,
    h('p', { class: e.applies ? 'verdict yes' : 'verdict no' }, h('b', {}, verdict[0]), ' ', verdict[1]),
    h('p', { class: 'hint' }, 'Asked about ', call, '.', !e.registered && !e.disabled && ' Nothing in this process has made that point so far: the answer is that of one made now.'),
    shown.length > 0 && h('ol', { class: 'because' }, shown.map((rule) => h('li', { class: rule.applies ? 'yes' : '' },
      h('b', { class: 'mono' }, rule.rule), rule.applies ? ' applies' : ` ${rule.detail || rule.reason}`,
      rule.perCall && h('span', { class: 'hint' }, ' (its percentage is drawn for each call anew: this is about the next one)')))),
    e.rules.length > shown.length && h('p', { class: 'hint' }, `and ${number(e.rules.length - shown.length)} more that do not apply`));
}
