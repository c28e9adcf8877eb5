// Who is to be hit.

import { attribute, fresh, h, show, text } from './dom.js';
import { numberInput, select, textInput, words } from './form.js';
import { ceilings, left } from './guardrails.js';
import { percent } from './units.js';
import { percentOrEveryone } from './words.js';

// scopeForm is where a scope is chosen; read returns it.
export function scopeForm(form, onInput) {
  const name = fresh('who');
  const { steps, percent: most } = ceilings();
  const free = left();

  const requests = textInput('', onInput, { placeholder: '4bf92f3577b34da6' });
  const customers = textInput('', onInput, { placeholder: 'c-042, c-007' });
  const attribute_ = textInput('', onInput, { placeholder: 'plan' });
  const values = textInput('', onInput, { placeholder: 'free, trial' });
  const share = numberInput('1', onInput, { max: '100' });
  const unit = select([['request', 'of requests'], ['customer', 'of customers'], ['call', 'of calls'], ['attribute', 'by an attribute …']], 'request', onInput);
  const unitAttribute = textInput('', onInput, { placeholder: 'region' });
  const attempts = numberInput('', onInput, { step: '1' });

  const forbidden = (step) => (step > most ? `the guardrail MaxPercent allows ${percent(most)}` : free !== null && step > free ? `the guardrail MaxTotalPercent leaves ${percent(free)}` : '');
  const chips = h('div', { class: 'presets' }, steps.map((step) => h('button', {
    type: 'button', class: 'preset', disabled: Boolean(forbidden(step)), title: forbidden(step) || null,
    on: { click: () => { share.value = String(step); onInput(); } },
  }, percentOrEveryone(step))));
  const why = [most < 100 && `One rule may select ${percent(most)} of traffic at most (MaxPercent).`, free !== null && `All rules together have ${percent(free)} left (MaxTotalPercent).`].filter(Boolean).join(' ');
  const unitMore = h('div', { hidden: true }, form.field('scope.unit', 'Name of the attribute', unitAttribute, { hint: 'All with the same value are in, or out.' }));

  const kinds = [
    ['requests', 'One request', 'The one that you make yourself: nobody else notices.',
      form.field('scope.requests', 'Its identity', requests, { hint: 'The ID of its trace, or what the service takes for it. Several with commas.' })],
    ['customers', 'Customers', 'All that is done on behalf of some who are named.',
      form.field('scope.customers', 'Which', customers, { hint: 'Several with commas.' })],
    ['attributes', 'An attribute', 'All requests that have it, such as a plan or a region.',
      [form.field('scope.attributes', 'Name', attribute_), form.field(`scope.attributes.`, 'Values', values, { hint: 'Any one of them matches. Several with commas.' })]],
    ['percent', 'A share', 'So many percent, drawn: who is in at 1 % is in at 5 %.',
      [chips, why && h('p', { class: 'hint' }, why),
        form.field('scope.percent', 'Percent', { node: h('div', { class: 'with-unit' }, share, unit), input: share }),
        unitMore]],
  ];
  let kind = '';
  const details = {};
  const choices = h('div', { class: 'choices' }, kinds.map(([key, title, wordsOf, more]) => {
    details[key] = h('div', { class: 'choice-more', hidden: true }, more);
    const input = h('input', { type: 'radio', name, value: key, on: { change: () => choose(key) } });
    return h('div', {}, h('label', { class: 'choice' }, input, h('span', {}, h('b', {}, title), h('span', { class: 'hint' }, wordsOf))), details[key]);
  }));
  unit.setAttribute('aria-label', 'of what');

  function choose(key) {
    kind = key;
    for (const [other, node] of Object.entries(details)) show(node, other === key);
    onInput();
  }

  const attemptsField = h('details', { class: 'more' }, h('summary', {}, 'Only the first calls of each request'),
    form.field('scope.attempts', 'How many', attempts, { hint: 'A retry after them succeeds. Leave it empty for all.' }));

  return {
    node: h('div', {}, form.group('scope', 'Who is hit', choices), attemptsField),
    read() {
      show(unitMore, unit.value === 'attribute');
      attribute(unitAttribute, 'disabled', unit.value !== 'attribute');
      const scope = {};
      switch (kind) {
        case 'requests':
          scope.requests = words(requests.value);
          break;
        case 'customers':
          scope.customers = words(customers.value);
          break;
        case 'attributes':
          scope.attributes = { [attribute_.value.trim()]: words(values.value) };
          break;
        case 'percent':
          scope.percent = share.value === '' ? undefined : Number(share.value);
          scope.unit = unit.value === 'attribute' ? `attribute:${unitAttribute.value.trim()}` : unit.value;
          break;
      }
      if (Number(attempts.value) > 0) scope.attempts = Number(attempts.value);
      return scope;
    },
    chosen: () => kind,
    set(key, value) {
      ({ customers, requests })[key].value = value;
      details[key].previousSibling.querySelector('input').checked = true;
      choose(key);
    },
    text,
  };
}
