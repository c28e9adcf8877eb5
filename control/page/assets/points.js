// The injection points of the process, and what goes on there.

import { attribute, button, h, keyed, replace, show, text } from './dom.js';
import { forbids } from './guardrails.js';
import { openMaker } from './make.js';
import { figures, latency, traffic } from './spark.js';
import { mayNot, state } from './state.js';
import { ago, count, duration, number, rate } from './units.js';
import { kind } from './words.js';

const node = (id) => document.getElementById(id);

// showPoints brings the points up to date.
export function showPoints() {
  if (!state.pointsKnown) return;
  keyed(node('points'), state.points, (point) => point.point, row);
  show(node('points-count'), state.points.length > 0);
  text(node('points-count'), number(state.points.length));
  show(node('points-none'), state.points.length === 0);
  text(node('points-none'), 'No points yet: they show once the middleware around them is built.');
}

function row(first) {
  let point = first;
  const flow = traffic();
  const slow = latency();
  const calls = h('b');
  const faulted = h('b');
  const errors = h('b');
  const times = h('span');
  const quiet = h('span', { class: 'hint' });
  const rules = h('span', { class: 'point-rules' });
  const make = button('Fault it …', () => openMaker([point.point]), { 'aria-label': `Make a rule for ${point.point}` });
  const why = h('span', { class: 'hint' });
  const root = h('li', { class: 'point', dataset: { point: point.point } },
    h('div', { class: 'point-name' },
      h('h3', {}, point.name),
      h('span', { class: 'hint' }, kind(point.kind), kind(point.kind) === point.kind ? '' : h('span', { class: 'mono' }, ` ${point.kind}`)),
      rules),
    h('div', { class: 'point-flow' }, flow.node,
      h('p', { class: 'figures' }, h('span', {}, calls, ' calls/s'), h('span', { class: 'figure-faulted' }, faulted, ' faulted/s'), h('span', { class: 'figure-errors' }, errors, ' failed/s'), quiet)),
    h('div', { class: 'point-slow' }, slow.node, h('p', { class: 'figures' }, times)),
    h('div', { class: 'point-do' }, make, why));

  let shape = '';
  return {
    node: root,
    update(next) {
      point = next;
      const list = point.traffic?.seconds ?? [];
      const f = figures(list);
      text(calls, rate(f.calls));
      text(faulted, rate(f.faulted));
      text(errors, rate(f.errors));
      text(times, f.p99 && f.p99 !== '0s' ? `p50 ${duration(f.p50)} · p99 ${duration(f.p99)}` : 'no calls of late');
      text(quiet, list.length === 0 ? 'noting calls from now on' : list.length < 30 ? `noted since ${ago(point.traffic.since)}` : '');
      root.classList.toggle('faulted', f.faulted > 0);
      root.classList.toggle('failing', f.errors > 0);
      flow.update(list, `Calls in the last minute: ${rate(f.calls)} a second now, ${rate(f.faulted)} of them faulted, ${rate(f.errors)} failed`);
      slow.update(list, f.p99 ? `Latency in the last minute: 99th percentile ${duration(f.p99)} now` : 'No latency: no calls of late');
      const forbidden = forbids(point);
      attribute(make, 'disabled', Boolean(mayNot()));
      const now = [point.rules.join(' '), forbidden].join();
      if (now === shape) return;
      shape = now;
      root.classList.toggle('armed', point.rules.length > 0);
      replace(rules, point.rules.slice(0, 4).map((id) => h('span', { class: 'chip mono' }, id)), point.rules.length > 4 && h('span', { class: 'hint' }, `and ${count(point.rules.length - 4, 'more rule')}`));
      show(make, !forbidden);
      text(why, forbidden ? `protected: ${forbidden}` : '');
    },
  };
}
