// Making a rule, step by step: where, what, who, how much and until when, and then
// whom it would hit.

import { call, rulePath } from './api.js';
import { checker } from './check.js';
import { attribute, button, fresh, h, replace, show, text } from './dom.js';
import { jsonField } from './edit.js';
import { faultForm } from './faultform.js';
import { durationInput, Form, numberInput, presets, textInput, words } from './form.js';
import { ceilings, forbids, refusesAll } from './guardrails.js';
import { refusal, say } from './say.js';
import { scopeForm } from './scopeform.js';
import { openSheet } from './sheet.js';
import { figures } from './spark.js';
import { look, onChange, state } from './state.js';
import { duration, rate } from './units.js';
import { kind, limits, what, where, who } from './words.js';

const lives = ['1m', '5m', '10m', '30m', '1h'];

// openMaker opens the guide. Points that are known already are chosen.
export function openMaker(chosen = [], scope = null) {
  const form = new Form();
  const { ttl: mostTTL } = ceilings();
  const points = pointChoice(form, chosen, update);
  const fault = faultForm(form, update);
  const scopes = scopeForm(form, update);
  const ttl = durationInput('10m', update);
  const concurrent = numberInput('', update, { step: '1' });
  const perSecond = numberInput('', update, { step: '1' });
  const total = numberInput('', update, { step: '1' });
  const note = textInput('', update);
  const id = textInput('', () => { named = id.value !== ''; update(); });
  let named = false;
  const check = checker((problems) => placeProblems(problems));
  const sentence = h('p', { class: 'sentence', tabindex: '-1' });
  const json = jsonField({}, update);
  const jsonTrouble = h('p', { class: 'trouble', hidden: true });
  const own = h('input', { type: 'checkbox', id: fresh('own'), on: { change: update } });

  const steps = [
    step('Where', points.node),
    step('What', fault.node),
    step('Who', scopes.node),
    step('How long',
      presets(lives, ttl, mostTTL, 'MaxTTL'),
      form.field('ttl', 'It lives for', ttl, { hint: `Then it ends by itself. At most ${duration(mostTTL)}: the guardrail MaxTTL.` }),
      form.group('limits', 'And does no more than this (empty: no limit)',
        h('div', { class: 'thirds' },
          form.field('limits.concurrent', 'Calls at once', concurrent),
          form.field('limits.perSecond', 'Calls a second', perSecond),
          form.field('limits.total', 'Calls in all', total))),
      form.field('note', 'Note', note, { hint: 'Why, who asked, a link. Others see it.' }),
      form.field('id', 'Name', id, { hint: 'Letters, digits and . _ -' })),
    step('Check', sentence,
      h('details', { class: 'more' }, h('summary', {}, 'As JSON'),
        h('div', { class: 'row' }, own, h('label', { for: own.id }, 'Write it by hand: the steps before do not count then')),
        form.field('json', 'Rule', json), jsonTrouble)),
  ];

  function step(title, ...content) {
    const node = h('div', { class: 'step', hidden: true }, content);
    const tab = button('', () => go(steps.findIndex((s) => s.title === title)), { class: 'step-tab' });
    return { title, node, tab, visited: false };
  }

  let at = 0;
  const back = button('Back', () => go(at - 1));
  const next = button('Next', forward, { class: 'primary' });

  function go(to) {
    at = Math.max(0, Math.min(steps.length - 1, to));
    sheet.root.classList.toggle('early', at < steps.length - 1);
    steps.slice(0, at + 1).forEach((s) => { s.visited = true; });
    steps.forEach((s, i) => {
      show(s.node, i === at);
      attribute(s.tab, 'aria-current', i === at ? 'step' : null);
    });
    update();
    steps[at].tab.scrollIntoView({ block: 'nearest', inline: 'nearest' });
    const target = steps[at].node.querySelector('input:checked, input:not([type=radio]):not([disabled]), input:not([disabled]), select, textarea');
    // Never the button that puts it live: an Enter too many would press it.
    if (at < steps.length - 1) target?.focus({ preventScroll: true });
    else sentence.focus();
    sheet.body.scrollTop = 0;
  }

  function forward() {
    if (at < steps.length - 1) go(at + 1);
    else put();
  }

  function guided() {
    const rule = { id: id.value.trim(), target: points.read(), scope: scopes.read(), fault: fault.read() ?? {}, ttl: ttl.read() };
    const most = { concurrent: Number(concurrent.value), perSecond: Number(perSecond.value), total: Number(total.value) };
    const given = Object.fromEntries(Object.entries(most).filter(([, n]) => n > 0));
    if (Object.keys(given).length) rule.limits = given;
    if (note.value) rule.note = note.value;
    return rule;
  }

  let rule = {};
  let written = false; // as JSON

  function update() {
    if (!sheet) return;
    fault.offer(points.effects());
    if (!named) id.value = suggest(fault.verb(), points.names());
    rule = guided();
    let error = '';
    if (own.checked) {
      if (!written) json.write(rule);
      ({ rule = {}, error = '' } = json.read());
    } else {
      json.write(rule);
    }
    written = own.checked;
    json.node.readOnly = !own.checked;
    text(jsonTrouble, error);
    show(jsonTrouble, Boolean(error));
    replace(sentence, inWords(rule));
    complete();
    if (error) {
      check.say('Not a rule yet');
    } else if (!own.checked && !ready()) {
      check.say(missing());
    } else {
      check.check(rule);
    }
  }

  const has = [
    () => points.read().points.length > 0,
    () => Boolean(fault.read()),
    () => Boolean(scopes.chosen()) && Object.values(scopes.read()).some((v) => typeof v === 'number' || (Array.isArray(v) ? v.length > 0 : typeof v === 'object' && !Object.keys(v).includes(''))),
    () => ttl.read() !== '' && id.value.trim() !== '',
  ];
  const ready = () => has.every((done) => done());
  const missing = () => ['Choose where calls are to fail', 'Choose what is to happen to them', 'Choose who is to be hit', 'Say for how long, and give it a name'][has.findIndex((done) => !done())];

  let wrong = []; // the problems of each step

  function placeProblems(problems) {
    const unplaced = form.problems(problems.map((p) => ({ ...p, path: p.path.replace(/^scope\.attributes\..*/, 'scope.attributes.') })));
    wrong = steps.map((s) => s.node.querySelector('.trouble:not([hidden])') !== null);
    complete();
    return unplaced;
  }

  function complete() {
    const last = at === steps.length - 1;
    steps.forEach((s, i) => {
      const done = i < has.length && has[i]();
      replace(s.tab, h('span', { class: 'step-number', 'aria-hidden': 'true' }, wrong[i] ? '!' : done && i < at ? '✓' : String(i + 1)), h('span', { class: 'step-title' }, s.title), wrong[i] && h('span', { class: 'visually-hidden' }, ' (something is wrong)'));
      s.tab.classList.toggle('wrong', Boolean(wrong[i]));
    });
    show(back, at > 0);
    text(next, last ? 'Put it live' : 'Next');
    next.classList.toggle('live', last);
    const no = refusesAll();
    attribute(next, 'disabled', last ? Boolean(no) || (!own.checked && !ready()) : at < has.length && !has[at]());
    show(refused, Boolean(no));
    text(refused, no);
  }

  async function put() {
    attribute(next, 'disabled', true);
    try {
      const view = await call('PUT', rulePath(rule.id), { body: rule, fresh: true });
      sheet.close(true);
      say(`${view.rule.id} is live: ${what(view.rule.fault)}, for ${who(view.rule.scope)}.`);
      look();
      return;
    } catch (error) {
      if (error.status === 412) {
        placeProblems([{ path: 'id', detail: 'there is a rule of that name already: take another, or edit that one' }]);
        go(3);
        id.focus();
      } else if (error.fields?.length) {
        placeProblems(error.fields);
        refusal('The rule was not put', error);
      } else {
        refusal('The rule was not put', error);
      }
    }
    attribute(next, 'disabled', false);
    update();
  }

  const refused = h('p', { class: 'notice notice-bad', hidden: true });
  const begun = JSON.stringify(chosen);
  const content = [
    refused,
    h('ol', { class: 'steps' }, steps.map((s) => h('li', {}, s.tab))),
    steps.map((s) => s.node),
  ];
  const forget = onChange(complete);
  let leaving = false;
  let unsay = () => {};
  let sheet = null;
  sheet = openSheet('Make a rule', content, {
    name: 'make', wide: true, closed: () => { check.stop(); forget(); unsay(); },
    footer: [check.node, h('div', { class: 'row foot-buttons' }, back, next)],
    mayClose() {
      if (leaving || (JSON.stringify(points.read().points) === begun && !fault.read() && !scopes.chosen())) return true;
      leaving = true;
      unsay = say('What you have entered is not put live. Close once more to throw it away.');
      setTimeout(() => { leaving = false; }, 6000);
      return false;
    },
  });
  sheet.root.addEventListener('keydown', (event) => {
    if (event.key === 'Enter' && !event.repeat && event.target.matches('input') && !next.disabled && at < steps.length - 1) {
      event.preventDefault();
      forward();
    }
  });
  if (scope) scopes.set(...scope);
  go(chosen.length > 0 ? 1 : 0);
}

// inWords is the whole rule as a sentence.
function inWords(rule) {
  const b = (words_) => h('b', {}, words_);
  return ['For ', b(rule.ttl ? duration(rule.ttl) : 'as long as it says'), ', calls at ', b(where(rule.target)), ' ', b(what(rule.fault)), ', for ', b(who(rule.scope)), `; ${limits(rule.limits)}.`];
}

// suggest makes up a name that no rule has.
function suggest(verb, names) {
  const base = `${verb}-${names[0] ?? 'rule'}`.replace(/[^A-Za-z0-9._-]+/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 56) || 'rule';
  const taken = new Set(state.rules.map((view) => view.rule.id));
  let name = base;
  for (let n = 2; taken.has(name); n += 1) name = `${base}-${n}`;
  return name;
}

// pointChoice lists the points that there are.
function pointChoice(form, chosen, onInput) {
  const boxes = [];
  const list = h('ul', { class: 'point-choice' }, state.points.map((point) => {
    const forbidden = forbids(point);
    const box = h('input', { type: 'checkbox', value: point.point, checked: chosen.includes(point.point) && !forbidden, disabled: Boolean(forbidden), on: { change: onInput } });
    boxes.push({ box, point });
    const calls = figures(point.traffic?.seconds ?? []).calls;
    const hint = forbidden
      ? `protected by the guardrail ${forbidden}`
      : `${kind(point.kind)}${kind(point.kind) === point.kind ? '' : `, ${point.kind}`} · ${rate(calls)} calls/s${point.rules.length ? ` · already faulted by ${point.rules.slice(0, 2).join(', ')}` : ''}`;
    return h('li', {}, h('label', { class: forbidden ? 'choice off' : 'choice' }, box, h('span', {}, h('b', {}, point.name), h('span', { class: 'hint' }, hint))));
  }));
  const filter = textInput('', () => {
    const wanted = filter.value.toLowerCase();
    for (const { box, point } of boxes) show(box.closest('li'), box.checked || point.point.toLowerCase().includes(wanted));
  }, { type: 'search', placeholder: 'find a point', 'aria-label': 'find a point' });
  const operations = textInput('', onInput, { placeholder: 'GET /ratings/{id}, COMMIT' });
  const some = () => boxes.filter(({ box }) => box.checked).map(({ point }) => point);
  return {
    node: h('div', {},
      form.group('target.points', 'At which points', boxes.length > 8 && filter, list,
        boxes.length === 0 && h('p', { class: 'empty' }, 'There are no points yet: they show once the middleware around them is built.')),
      h('details', { class: 'more' }, h('summary', {}, 'Only some operations'),
        form.field('target.operations', 'Operations', operations, { hint: '* stands for any text. Several with commas. Empty: all.' }))),
    read: () => ({ points: some().map((point) => point.point), ...(words(operations.value).length && { operations: words(operations.value) }) }),
    names: () => some().map((point) => point.name),
    // effects are what every chosen point can produce.
    effects() {
      const [first, ...others] = some();
      if (!first) return new Set();
      return new Set(first.effects.filter((effect) => others.every((point) => point.effects.includes(effect))));
    },
  };
}
