// Widening a rule step by step, and narrowing it at will.

import { call, rulePath } from './api.js';
import { change } from './change.js';
import { checker } from './check.js';
import { attribute, button, h, show, text } from './dom.js';
import { numberInput, select, textInput, words } from './form.js';
import { ceilings, left } from './guardrails.js';
import { openSheet } from './sheet.js';
import { percent } from './units.js';
import { percentOrEveryone, share, shareOf, who } from './words.js';

// nextShare is how far a rule of this scope may be widened at once, or null if it
// is for everyone already.
export function nextShare(scope) {
  const from = shareOf(scope);
  return ceilings().steps.find((step) => step > from) ?? null;
}

// openWiden lets somebody choose another scope for a rule.
export function openWiden(view, narrower = false) {
  const scope = view.rule.scope ?? {};
  const from = shareOf(scope);
  const next = nextShare(scope);
  const { steps, percent: most } = ceilings();
  const free = left();
  const name = `rung-${view.rule.id}`;

  const rungs = [];
  const rung = (value, label, why, extra) => {
    const input = h('input', { type: 'radio', name, value, disabled: Boolean(why), on: { change: update } });
    rungs.push(input);
    return h('li', { class: why ? 'rung off' : 'rung' }, h('label', {}, input, h('span', { class: 'rung-text' }, h('span', {}, label), why && h('span', { class: 'hint' }, why))), extra);
  };
  const forbidden = (step) => {
    if (step > most) return `the guardrail MaxPercent allows ${percent(most)}`;
    if (free !== null && step > from && step - (view.rule.paused ? 0 : from) > free) return `the guardrail MaxTotalPercent leaves ${percent(free)} for further rules`;
    if (next !== null && step > next) return `one step at a time: ${percentOrEveryone(next)} comes first`;
    return '';
  };

  const listed = textInput((scope.customers ?? scope.requests ?? []).join(', '), () => { choose('list'); update(); }, { 'aria-label': 'whom, separated by commas' });
  const listKind = select([['customers', 'customers'], ['requests', 'requests']], scope.requests?.length ? 'requests' : 'customers', () => { choose('list'); update(); });
  listKind.setAttribute('aria-label', 'customers or requests');
  const other = numberInput('', () => { choose('other'); update(); }, { max: '100', 'aria-label': 'another share, in percent' });
  const unitOptions = [['request', 'of requests'], ['customer', 'of customers'], ['call', 'of calls']];
  const unitNow = scope.unit || (scope.customers?.length ? 'customer' : 'request');
  if (!unitOptions.some(([key]) => key === unitNow)) unitOptions.push([unitNow, `by ${unitNow.replace('attribute:', '')}`]);
  const unit = select(unitOptions, unitNow, update);
  unit.id = `${name}-unit`;

  const ladder = h('ul', { class: 'ladder' },
    rung('list', 'Only these', '', h('div', { class: 'with-unit rung-more' }, listed, listKind)),
    steps.map((step) => rung(String(step), step === from ? `${percentOrEveryone(step)} (as it is)` : percentOrEveryone(step), forbidden(step))),
    rung('other', 'Another share', '', h('div', { class: 'with-unit rung-more' }, other, h('span', {}, '%'))));
  const choose = (value) => { for (const input of rungs) if (input.value === value && !input.disabled) input.checked = true; };
  const chosen = () => rungs.find((input) => input.checked)?.value ?? '';

  function wish(rule) {
    const to = { ...rule.scope };
    delete to.requests;
    delete to.customers;
    if (chosen() === 'list') {
      delete to.percent;
      delete to.unit;
      delete to.salt;
      to[listKind.value] = words(listed.value);
    } else {
      to.percent = Number(chosen() === 'other' ? other.value : chosen());
      to.unit = unit.value;
    }
    return { ...rule, scope: to };
  }

  const check = checker();
  const confirm = button('', apply, { class: 'primary' });
  const draws = h('p', { class: 'hint' });

  function update() {
    const ready = chosen() && (chosen() !== 'other' || other.value !== '') && (chosen() !== 'list' || words(listed.value).length > 0);
    attribute(confirm, 'disabled', !ready);
    show(draws, Boolean(ready) && chosen() !== 'list' && from === 0);
    if (!ready) {
      check.say('Choose how far the rule is to reach');
      text(confirm, narrower ? 'Narrow' : 'Widen');
      return;
    }
    const to = wish(view.rule).scope;
    if (JSON.stringify(to) === JSON.stringify(scope)) {
      attribute(confirm, 'disabled', true);
      show(draws, false);
      text(confirm, 'As it is');
      check.check(view.rule);
      return;
    }
    text(draws, `A share is drawn: those who are named now (${who(scope)}) need not be among the ${share(to.percent ?? 0, to.unit)}.`);
    const wider = shareOf(to) > from;
    text(confirm, `${wider ? 'Widen' : 'Narrow'} to ${who({ ...to, attributes: undefined, attempts: 0 })}`);
    check.check(wish(view.rule));
  }

  async function apply() {
    const wished = wish;
    attribute(confirm, 'disabled', true);
    const done = await change({
      view,
      label: 'The new scope',
      wish: wished,
      send: (rule, tag) => call('POST', rulePath(rule.id, 'widen'), { body: { scope: rule.scope }, match: tag }),
      done: (answer) => `${view.rule.id} is for ${who(answer.rule.scope)} now.`,
    });
    attribute(confirm, 'disabled', false);
    if (done) sheet.close();
  }

  const sheet = openSheet(narrower ? `Narrow ${view.rule.id}` : `Widen ${view.rule.id}`, [
    h('p', {}, 'It is for ', h('b', {}, who(scope)), ' now.'),
    h('fieldset', { class: 'field' }, h('legend', {}, 'Who is to be hit'), ladder),
    h('div', { class: 'field inline' }, h('label', { for: unit.id }, 'Shares are'), unit),
    draws,
  ], { name: 'widen', footer: [check.node, button('Cancel', () => sheet.close()), confirm], closed: () => check.stop() });

  const lower = steps.filter((step) => step < from).at(-1);
  if (!narrower && next !== null) choose(String(next));
  if (narrower) choose(lower !== undefined ? String(lower) : 'list');
  update();
}
