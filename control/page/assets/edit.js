// Editing a rule as JSON: everything that it can be.

import { change, sendRule } from './change.js';
import { checker } from './check.js';
import { button, h, text } from './dom.js';
import { Form } from './form.js';
import { openSheet } from './sheet.js';

// jsonField is a text to write a rule in. read returns it, or why it is none.
export function jsonField(rule, onInput) {
  const area = h('textarea', { class: 'mono json', rows: '16', spellcheck: 'false', autocapitalize: 'none', autocomplete: 'off', on: { input: onInput } });
  area.value = JSON.stringify(rule, null, 2);
  return {
    node: area,
    input: area,
    read() {
      try {
        const value = JSON.parse(area.value);
        if (value === null || typeof value !== 'object' || Array.isArray(value)) return { error: 'a rule is an object, in { }' };
        return { rule: value };
      } catch (error) {
        return { error: error.message };
      }
    },
    write(next) { area.value = JSON.stringify(next, null, 2); },
  };
}

// editRule opens a rule that was made here.
export function editRule(view) {
  const form = new Form();
  const check = checker();
  const json = jsonField(view.rule, update);
  const wrong = h('p', { class: 'trouble' });
  const confirm = button('Save', apply, { class: 'primary' });

  function update() {
    const { rule, error } = json.read();
    const other = rule && rule.id !== view.rule.id ? `the ID stays ${JSON.stringify(view.rule.id)}` : '';
    text(wrong, error ?? other);
    confirm.disabled = Boolean(error ?? other);
    if (error || other) {
      check.say('Not a rule yet');
    } else {
      check.check(rule);
    }
  }

  async function apply() {
    const { rule: wished } = json.read();
    confirm.disabled = true;
    const done = await change({ view, label: 'The edit', wish: () => wished, send: sendRule, done: () => `${view.rule.id} is changed.` });
    confirm.disabled = false;
    if (done) sheet.close(true);
  }

  const sheet = openSheet(`Edit ${view.rule.id}`, [
    h('p', { class: 'hint' }, 'The whole rule, as the API has it. Counters go on.'),
    form.field('rule', 'Rule', json),
    wrong,
    check.node,
  ], {
    name: 'edit', wide: true, footer: [button('Cancel', () => sheet.close()), confirm], closed: () => check.stop(),
  });
  update();
}
