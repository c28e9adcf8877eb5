// What the page knows of the service. It is asked again and again while the page
// is in sight, and at once when an event says that something has changed.

import { Problem, get } from './api.js';
import { milliseconds } from './units.js';

export const every = 2000; // milliseconds between two looks
const slowly = 15_000; // once the service has refused to answer
const gap = 600; // between two looks that events ask for
const firstRules = 100;
const mostRules = 1000; // that one answer has
const guardrailsFor = 60_000;
const warm = 6000; // how long after a hit a rule counts as hitting

export const state = {
  status: null,
  rules: [],
  nextRules: '', // there are more, after this one
  shownRules: firstRules,
  points: [],
  pointsKnown: false,
  verdicts: null,
  guardrails: null,
  heard: 0, // when the service last answered
  lost: '', // why it does not answer now
  refused: null, // why it does not tell
};

const listeners = new Set();

// onChange has listener called after every look, until the function that it
// returns is called.
export function onChange(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const changed = () => listeners.forEach((listener) => listener(state));

let looking = null;
let again = false;
let guardrailsAt = 0;

// look asks for everything now. Two looks at once are one.
export function look() {
  if (looking) {
    again = true;
    return looking;
  }
  looking = ask().finally(() => {
    looking = null;
    if (!document.hidden && !timer && !state.refused) plan(every);
    if (again) {
      again = false;
      soon();
    }
  });
  return looking;
}

async function ask() {
  try {
    // One question finds out whether the others would be answered: each that is
    // refused is on record.
    const first = get('v1/status');
    if (!state.status || state.refused || state.lost) await first;
    const [status, rules, points, verdicts, guardrails] = await Promise.all([
      first,
      get(`v1/rules?limit=${state.shownRules}`),
      get('v1/points'),
      get('v1/verdicts'),
      Date.now() - guardrailsAt > guardrailsFor ? get('v1/guardrails') : state.guardrails,
    ]);
    state.status = status;
    state.rules = rules.rules.map(follow);
    state.nextRules = rules.next ?? '';
    forget(rules.rules);
    state.points = points.points;
    state.pointsKnown = true;
    state.verdicts = verdicts;
    if (guardrails !== state.guardrails) guardrailsAt = Date.now();
    state.guardrails = guardrails;
    state.heard = Date.now();
    state.lost = '';
    state.refused = null;
  } catch (error) {
    if (error instanceof Problem) {
      state.refused = error;
    } else {
      state.lost = error.message;
    }
  }
  changed();
}

// moreRules has as many rules shown as one answer can have.
export function moreRules() {
  state.shownRules = mostRules;
  return look();
}

// Earlier counts of hits, by rule, tell how many there are in a second.
const earlier = new Map();

function follow(view) {
  const now = Date.now();
  view.ends = now + milliseconds(view.left);
  const key = view.rule.id;
  let seen = earlier.get(key);
  if (!seen || view.hits < seen.hits) {
    seen = { hits: view.hits, at: now, rate: 0, last: 0 };
    earlier.set(key, seen);
  }
  if (now - seen.at >= 900) {
    seen.rate = ((view.hits - seen.hits) * 1000) / (now - seen.at);
    if (view.hits > seen.hits) seen.last = now;
    seen.hits = view.hits;
    seen.at = now;
  } else if (view.hits > seen.hits) {
    seen.last = now;
  }
  view.perSecond = seen.rate;
  view.hitting = now - seen.last < warm;
  return view;
}

function forget(rules) {
  const ids = new Set(rules.map((view) => view.rule.id));
  for (const id of earlier.keys()) if (!ids.has(id)) earlier.delete(id);
}

let timer = 0;
let planned = 0;

function plan(delay) {
  const at = Date.now() + delay;
  if (timer && at >= planned) return;
  clearTimeout(timer);
  planned = at;
  timer = setTimeout(async () => {
    timer = 0;
    await look();
    if (!document.hidden && state.refused?.status !== 401) plan(state.refused ? slowly : every);
  }, delay);
}

// soon has the page look again shortly.
export function soon() {
  if (!document.hidden) plan(gap);
}

// mayNot says why this person cannot change anything, or "".
export const mayNot = () => state.status?.you?.why ?? '';

export const isAdmin = () => !state.status?.you || state.status.you.role === 'admin';

// begin looks for as long as the page is in sight.
export function begin() {
  document.addEventListener('visibilitychange', () => {
    if (document.hidden) {
      clearTimeout(timer);
      timer = 0;
    } else {
      plan(0);
    }
  });
  plan(0);
}
