// What the service's code forbids, shown before it is tried.

import { h, keyed, text } from './dom.js';
import { state } from './state.js';
import { duration, few, milliseconds, number, percent, time } from './units.js';

// matches holds a pattern of points, as the service writes them, against a point.
// The last word on what is protected is the service's.
export function matches(pattern, point) {
  const colon = pattern.indexOf(':');
  if (colon < 0) return !point.kind.endsWith('.server') && glob(pattern, point.name);
  return glob(pattern.slice(0, colon), point.kind) && glob(pattern.slice(colon + 1), point.name);
}

function glob(pattern, name) {
  const [first, ...rest] = pattern.split('*');
  if (rest.length === 0) return pattern === name;
  if (!name.startsWith(first)) return false;
  let at = first.length;
  const last = rest.pop();
  for (const part of rest) {
    const found = name.indexOf(part, at);
    if (found < 0) return false;
    at = found + part.length;
  }
  return name.length - last.length >= at && name.endsWith(last);
}

// forbids returns which pattern protects a point, or "".
export function forbids(point) {
  return (state.guardrails?.protected ?? []).find((pattern) => matches(pattern, point)) ?? '';
}

// ceilings are the guardrails as numbers.
export function ceilings() {
  const g = state.guardrails ?? {};
  return {
    delay: milliseconds(g.maxDelay ?? '24h'),
    ttl: milliseconds(g.maxTTL ?? '24h'),
    percent: g.maxPercent ?? 100,
    total: g.maxTotalPercent ?? 0,
    steps: g.widenSteps ?? [1, 5, 25, 50, 100],
    classes: g.classes ?? [],
  };
}

// left is how many percent of traffic further rules may select, of all that rules
// may select together; null if there is no such ceiling.
export function left() {
  const { total } = ceilings();
  if (!total) return null;
  return Math.max(0, total - (state.status?.share ?? 0));
}

// refusesAll says why no rule is taken at all, or "".
export function refusesAll() {
  const s = state.status;
  if (s?.disabled) return 'The library is disabled in this process: no rule is ever taken.';
  if (s?.halted) return 'The service is halted: no rule is taken until somebody resumes.';
  if (s?.blackout?.active) return `A blackout is on until ${time(s.blackout.until, { seconds: false })}: no rule is taken before (${s.blackout.window}).`;
  return '';
}

// showGuardrails lists them.
export function showGuardrails() {
  const g = state.guardrails;
  if (!g) return;
  const rows = [
    ['Longest delay', duration(g.maxDelay)],
    ['Longest life of a rule', duration(g.maxTTL)],
    ['Share of traffic, one rule', `${percent(g.maxPercent)}${g.maxPercent >= 100 ? ' (no ceiling)' : ''}`],
    ['Share, all rules together', g.maxTotalPercent ? `${percent(g.maxTotalPercent)}, of which ${percent(left())} are left` : 'no ceiling'],
    ['Calls held at once', number(g.maxHeld)],
    ['Protected points', g.protected.length ? few(g.protected, 8) : 'none'],
    ['Blackouts', g.blackouts.length ? `${g.blackouts.join('; ')}${blackout(state.status?.blackout)}` : 'none'],
    ['Widening', `from named requests and customers to ${g.widenSteps.map((step) => percent(step)).join(', ')}, a step at a time`],
    ['Tokens in requests', tokens(g.tokens)],
  ];
  keyed(document.getElementById('guardrails'), rows, ([name]) => name, ([name]) => {
    const value = h('dd');
    return { node: h('div', {}, h('dt', {}, name), value), update: (next) => text(value, next[1]) };
  });
}

function blackout(b) {
  if (b?.active) return ` (now, until ${time(b.until, { seconds: false })})`;
  return b?.next ? ` (next ${time(b.next, { seconds: false })})` : '';
}

function tokens(t) {
  if (!t?.taken) return 'not taken';
  return `taken: at most ${duration(t.maxTTL)} old, delays of at most ${duration(t.maxDelay)}${t.points.length ? `, at ${few(t.points)}` : ''}`;
}
