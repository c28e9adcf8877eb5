// Fields of forms, each with a label, a hint, and a place for what is wrong with it.

import { attribute, fresh, h, show, text } from './dom.js';
import { duration, milliseconds } from './units.js';

// A Form knows which field is about which part of a rule.
export class Form {
  #fields = [];

  // field wraps a control. path is of the rule, and where problems are shown whose
  // paths begin with it.
  field(path, label, control, { hint = '', inline = false } = {}) {
    const input = control.input ?? control;
    if (!input.id) input.id = fresh('field');
    const trouble = h('p', { class: 'trouble', id: fresh('trouble'), hidden: true });
    const hinted = hint && h('p', { class: 'hint', id: fresh('hint') }, hint);
    attribute(input, 'aria-describedby', [hinted && hinted.id, trouble.id].filter(Boolean).join(' '));
    const root = h('div', { class: `field${inline ? ' inline' : ''}` }, h('label', { for: input.id }, label), control.node ?? control, hinted, trouble);
    this.#fields.push({ path, trouble, input, root });
    return root;
  }

  // group is a field of several controls, such as radio buttons.
  group(path, label, ...content) {
    const trouble = h('p', { class: 'trouble', id: fresh('trouble'), hidden: true });
    const root = h('fieldset', { class: 'field', 'aria-describedby': trouble.id }, h('legend', {}, label), content, trouble);
    this.#fields.push({ path, trouble, input: root, root });
    return root;
  }

  // problems shows what is wrong at the fields that it is about, and returns what
  // is about none that is there.
  problems(list) {
    const unplaced = [];
    const found = new Map();
    for (const problem of list) {
      const field = this.#fields
        .filter((f) => f.root.isConnected && about(problem.path, f.path))
        .sort((a, b) => Number(isHidden(a.root)) - Number(isHidden(b.root)) || b.path.length - a.path.length)[0];
      if (field && !isHidden(field.root, true)) {
        found.set(field, [...(found.get(field) ?? []), problem.detail]);
      } else {
        unplaced.push(problem);
      }
    }
    for (const field of this.#fields) {
      const details = found.get(field) ?? [];
      text(field.trouble, details.join('; '));
      show(field.trouble, details.length > 0);
      attribute(field.input, 'aria-invalid', details.length > 0 ? 'true' : null);
    }
    return unplaced;
  }

  // forget drops fields that are not there any more.
  forget() {
    this.#fields = this.#fields.filter((f) => f.root.isConnected);
  }
}

const about = (path, prefix) => path === prefix || path.startsWith(`${prefix}.`) || path.startsWith(`${prefix}[`);

// isHidden reports whether a field is not shown, other than because its step is
// not the current one.
function isHidden(node) {
  for (let at = node; at && !at.classList.contains('step'); at = at.parentElement) if (at.hidden) return true;
  return false;
}

// select makes a list to choose from. Options are [value, label] or
// {group, options}.
export function select(options, value, onChange) {
  const one = ([key, label, disabled]) => h('option', { value: key, selected: key === value, disabled }, label);
  return h('select', { on: { change: onChange } }, options.map((o) => (o.group ? h('optgroup', { label: o.group }, o.options.map(one)) : one(o))));
}

// numberInput is for a number, or nothing.
export function numberInput(value, onInput, properties = {}) {
  return h('input', { type: 'number', inputmode: 'decimal', min: '0', step: 'any', value, autocomplete: 'off', ...properties, on: { input: onInput } });
}

export function textInput(value, onInput, properties = {}) {
  return h('input', { type: 'text', value, autocomplete: 'off', autocapitalize: 'none', spellcheck: 'false', ...properties, on: { input: onInput } });
}

const unitsOfTime = [['ms', 'ms'], ['s', 's'], ['m', 'min'], ['h', 'h']];

// durationInput is for a length of time. read returns it as the service reads it,
// or "" if it is left empty.
export function durationInput(value, onInput, properties = {}) {
  const [, amount, unit] = /^([\d.]+)(ms|s|m|h)$/.exec(value) ?? [null, '', 's'];
  const input = numberInput(amount, onInput, properties);
  const units = select(unitsOfTime, unit, onInput);
  units.setAttribute('aria-label', 'unit of time');
  return {
    node: h('div', { class: 'with-unit' }, input, units),
    input,
    read: () => (input.value === '' ? '' : `${Number(input.value)}${units.value}`),
    write(next) {
      const [, n, u] = /^([\d.]+)(ms|s|m|h)$/.exec(next);
      input.value = n;
      units.value = u;
      onInput();
    },
  };
}

// presets are buttons that fill in a duration. Those beyond what is allowed are
// shown, and say why they are not to be had.
export function presets(values, target, most = Infinity, guardrail = '') {
  return h('div', { class: 'presets' }, values.map((value) => {
    const forbidden = milliseconds(value) > most;
    return h('button', {
      type: 'button', class: 'preset', disabled: forbidden, title: forbidden ? `the guardrail ${guardrail} allows ${duration(most)}` : null,
      on: { click: () => target.write(value) },
    }, duration(value));
  }));
}

// words splits what somebody typed into a list: at commas and line ends.
export const words = (value) => [...new Set(value.split(/[,\n]/).map((part) => part.trim()).filter(Boolean))];
