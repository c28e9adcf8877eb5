// The live rules, one card each.

import { attribute, button, h, keyed, replace, show, text } from './dom.js';
import { pause, remove } from './change.js';
import { editRule } from './edit.js';
import { openExtend } from './extend.js';
import { makers, origin } from './makers.js';
import { mayNot, moreRules, state } from './state.js';
import { ago, clock, count, few, number, rate } from './units.js';
import { openWiden, nextShare } from './widen.js';
import { action, limits, percentOrEveryone, shareOf, skip, what, where, who } from './words.js';
import { historyOf } from './audit.js';

const node = (id) => document.getElementById(id);

// showRules brings the cards up to date.
export function showRules() {
  if (!state.status) return;
  const rules = [...state.rules].sort((a, b) => Number(b.hitting) - Number(a.hitting) || b.hits - a.hits || (a.rule.id < b.rule.id ? -1 : 1));
  // The order changes only with the rules, so that nothing moves under a finger.
  const ids = rules.map((view) => view.rule.id);
  if (order.length !== ids.length || !ids.every((id) => order.includes(id))) order = ids;
  rules.sort((a, b) => order.indexOf(a.rule.id) - order.indexOf(b.rule.id));
  keyed(node('rules'), rules, (view) => view.rule.id, card);
  attribute(node('make'), 'disabled', Boolean(mayNot()));
  show(node('rules-count'), rules.length > 0);
  text(node('rules-count'), number(state.status.rules));
  show(node('rules-none'), rules.length === 0);
  text(node('rules-none'), state.status.halted
    ? 'No rules: the halt has ended them.'
    : 'No rules. One says which calls are to fail, how, for whom and until when.');
  const more = Boolean(state.nextRules);
  show(node('rules-more'), more);
  if (more) {
    replace(node('rules-more'), h('span', {}, `The first ${number(rules.length)} of ${number(state.status.rules)} are shown, in the order in which they are asked.`),
      state.shownRules < 1000 && button('Show up to 1,000', moreRules));
  }
}

let order = [];

const states = {
  hitting: 'hitting now',
  live: 'live',
  paused: 'paused',
  nowhere: 'aimed at nothing here',
  over: 'over',
};

function stateOf(view) {
  if (view.ends <= Date.now()) return 'over';
  if (view.rule.paused) return 'paused';
  if (view.points.length === 0) return 'nowhere';
  return view.hitting ? 'hitting' : 'live';
}

function card(first) {
  let view = first;
  const parts = {
    chip: h('span', { class: 'chip' }),
    left: h('b', { class: 'clock' }),
    bar: h('span', { class: 'bar-fill' }),
    what: h('dd'), who: h('dd'), where: h('dd'), limits: h('dd'), by: h('dd'), note: h('dd', { class: 'note-of-rule' }),
    hint: h('p', { class: 'hint' }),
    hits: h('b'), hitsMore: h('span', { class: 'hot' }), skips: h('b'), skipsMore: h('span'), held: h('b'),
    actions: h('div', { class: 'row actions' }),
  };
  const noteRow = h('div', {}, h('dt', {}, 'Note'), parts.note);
  const limitsRow = h('div', {}, h('dt', {}, 'Limits'), parts.limits);
  const root = h('li', { class: 'rule' },
    h('div', { class: 'rule-head' },
      h('h3', { class: 'mono' }, view.rule.id), parts.chip,
      h('span', { class: 'rule-left' }, parts.left, ' left')),
    h('div', { class: 'bar', 'aria-hidden': 'true' }, parts.bar),
    h('div', { class: 'rule-body' },
      h('dl', { class: 'facts' },
        h('div', {}, h('dt', {}, 'What'), parts.what),
        h('div', {}, h('dt', {}, 'Who'), parts.who),
        h('div', {}, h('dt', {}, 'Where'), parts.where),
        limitsRow,
        h('div', {}, h('dt', {}, 'By'), parts.by),
        noteRow),
      h('dl', { class: 'numbers' },
        h('div', { class: 'number-hits' }, h('dt', {}, 'hit'), h('dd', {}, parts.hits, parts.hitsMore)),
        h('div', {}, h('dt', {}, 'skipped'), h('dd', {}, parts.skips, parts.skipsMore)),
        h('div', {}, h('dt', {}, 'held now'), h('dd', {}, parts.held)))),
    parts.hint,
    parts.actions);

  let shape = '';
  function update(next) {
    view = next;
    const rule = view.rule;
    root.dataset.state = stateOf(view);
    root.dataset.rule = rule.id;
    text(parts.chip, states[stateOf(view)]);
    text(parts.left, clock(view.ends - Date.now()));
    parts.bar.style.setProperty('width', `${100 * fractionLeft(view)}%`);
    text(parts.what, `Calls ${what(rule.fault)}`);
    text(parts.who, who(rule.scope));
    text(parts.where, armed(view));
    show(limitsRow, Boolean(rule.limits && Object.keys(rule.limits).length));
    text(parts.limits, limits(rule.limits));
    text(parts.by, by(view, () => update(view)));
    show(noteRow, Boolean(rule.note));
    text(parts.note, rule.note);
    show(parts.hint, Boolean(view.hint));
    text(parts.hint, view.hint);
    text(parts.hits, number(view.hits));
    text(parts.hitsMore, view.hitting && view.perSecond > 0 ? `${rate(view.perSecond)}/s` : '');
    const skipped = Object.entries(view.skips);
    text(parts.skips, number(skipped.reduce((sum, [, n]) => sum + n, 0)));
    text(parts.skipsMore, few(skipped.map(([reason, n]) => `${number(n)} ${skip(reason)}`)));
    text(parts.held, number(view.held));
    root.classList.toggle('holding', view.held > 0);
    const now = [view.source, rule.paused, nextShare(rule.scope), shareOf(rule.scope), mayNot()].join();
    if (now !== shape) {
      shape = now;
      buttons();
    }
  }

  function buttons() {
    const focused = parts.actions.contains(document.activeElement) ? document.activeElement.dataset.do : '';
    const id = view.rule.id;
    const no = mayNot();
    const make = (name, label, run, properties = {}) => button(label, () => run(view), { disabled: Boolean(no) && name !== 'history', title: no || null, dataset: { do: name }, 'aria-label': `${label.replace(' …', '')}: ${id}`, ...properties });
    const ours = view.source === 'api';
    const next = nextShare(view.rule.scope);
    replace(parts.actions,
      ours && next !== null && make('widen', `Widen to ${percentOrEveryone(next)} …`, openWiden),
      ours && make('narrow', 'Narrow …', (v) => openWiden(v, true)),
      ours && make('extend', 'Extend …', openExtend),
      ours && make('pause', view.rule.paused ? 'Unpause' : 'Pause', pause),
      ours && make('edit', 'Edit …', editRule),
      ours && make('history', 'History', () => historyOf(id), { class: 'quiet' }),
      !ours && h('span', { class: 'hint' }, view.source === 'token' ? 'Requests carry it: it can only be ended.' : `Comes from ${view.source}: change it there.`),
      make('delete', 'Delete', remove, { class: 'danger' }));
    if (focused) parts.actions.querySelector(`[data-do="${focused}"]`)?.focus();
  }

  return { node: root, update };
}

function fractionLeft(view) {
  const from = new Date(view.updated ?? view.created ?? 0).getTime();
  const to = new Date(view.rule.expires).getTime();
  if (!from || !(to > from)) return 1;
  return Math.min(1, Math.max(0, (view.ends - Date.now()) / (to - from)));
}

function armed(view) {
  const out = [];
  if (view.protected.length) out.push(`${count(view.protected.length, 'point')} protected`);
  if (view.unsupported.length) out.push(`${count(view.unsupported.length, 'point')} cannot do this`);
  const at = where(view.points.length ? { ...view.rule.target, points: view.points, services: [] } : view.rule.target);
  return out.length ? `${at}; ${out.join(', ')}` : at;
}

function by(view, then) {
  const first = origin(view, then);
  const found = makers(view, then);
  if (!found) return first || '…';
  const parts = [];
  if (found.made) parts.push(`${found.made.actor}, ${ago(found.made.time)}`);
  if (found.changed) parts.push(`${action(found.changed)} by ${found.changed.actor}, ${ago(found.changed.time)}`);
  return parts.join('; ') || 'not on record';
}
