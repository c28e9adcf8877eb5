// Sparklines: a minute of a point's traffic, a second for each step.

import { attribute, svg } from './dom.js';
import { milliseconds } from './units.js';

const seconds = 60;
const height = 32;
const top = 2; // pixels that stay free
const lately = 5; // seconds, over which the figures are taken

// traffic draws calls, those of them that were faulted, and those that failed.
export function traffic() {
  const calls = svg('path', { class: 'spark-calls' });
  const faulted = svg('path', { class: 'spark-faulted' });
  const errors = svg('path', { class: 'spark-errors' });
  const root = frame(calls, faulted, errors);
  return {
    node: root,
    update(list, label) {
      const highest = Math.max(4, ...list.map((s) => s.calls), ...list.map((s) => s.errors));
      const scale = (n) => height - (n / highest) * (height - top);
      attribute(calls, 'd', area(list.map((s) => scale(s.calls))));
      attribute(faulted, 'd', area(list.map((s) => scale(s.faulted))));
      attribute(errors, 'd', list.some((s) => s.errors > 0) ? line(list.map((s) => scale(s.errors))) : '');
      attribute(root, 'aria-label', label);
    },
  };
}

// latency draws the 99th percentile, with gaps where there were no calls.
export function latency() {
  const slow = svg('path', { class: 'spark-slow' });
  const root = frame(slow);
  return {
    node: root,
    update(list, label) {
      const values = list.map((s) => (s.p99 ? milliseconds(s.p99) : 0));
      const highest = Math.max(1, ...values);
      attribute(slow, 'd', line(values.map((ms) => (ms > 0 ? height - 1 - (ms / highest) * (height - top - 1) : null))));
      attribute(root, 'aria-label', label);
    },
  };
}

function frame(...paths) {
  return svg('svg', { class: 'spark', viewBox: `0 0 ${seconds} ${height}`, preserveAspectRatio: 'none', role: 'img' }, paths);
}

// Steps end at the right edge, which is now.
const start = (ys) => seconds - ys.length;

function area(ys) {
  if (ys.length === 0) return '';
  const from = start(ys);
  return `M${from} ${height}${ys.map((y, i) => `V${y.toFixed(2)}H${from + i + 1}`).join('')}V${height}Z`;
}

function line(ys) {
  const from = start(ys);
  let path = '';
  let drawn = false;
  ys.forEach((y, i) => {
    if (y === null) {
      drawn = false;
      return;
    }
    path += `${drawn ? 'L' : 'M'}${from + i} ${y.toFixed(2)}H${from + i + 1}`;
    drawn = true;
  });
  return path;
}

// figures are what a point's traffic was of late.
export function figures(list) {
  const recent = list.slice(-lately);
  const sum = (field) => recent.reduce((total, second) => total + second[field], 0);
  const n = Math.max(1, recent.length);
  const busiest = recent.reduce((best, second) => (second.calls > 0 ? second : best), null);
  return { calls: sum('calls') / n, errors: sum('errors') / n, faulted: sum('faulted') / n, p50: busiest?.p50, p99: busiest?.p99 };
}
