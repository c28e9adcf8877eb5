// Is anything being broken right now? By whom, for how much longer, and how many
// calls has it hit?

import { attribute, button, h, keyed, replace, show, text } from './dom.js';
import { haltedBy, resumeButton } from './halt.js';
import { origin } from './makers.js';
import { who, what } from './words.js';
import { ago, clock, count, duration, number, rate, time } from './units.js';
import { signInButton } from './signin.js';
import { every, look, mayNot, state } from './state.js';

const shown = 4; // rules
const stale = 3 * every; // milliseconds without an answer, after which the page does not know any more

const node = (id) => document.getElementById(id);

// condition is what the service is in, in one word.
export function condition() {
  const { status, refused, lost, heard } = state;
  if (refused) return refused.status === 401 ? 'stranger' : 'refused';
  if (!status) return lost ? 'lost' : 'loading';
  if (lost && Date.now() - heard > stale) return 'lost';
  if (status.disabled) return 'disabled';
  if (status.halted) return 'halted';
  if (live().length > 0) return 'active';
  if (status.blackout?.active) return 'blackout';
  return 'calm';
}

// live are the rules that apply to calls, those that hit first.
function live() {
  return state.rules
    .filter((view) => !view.rule.paused && view.ends > Date.now())
    .sort((a, b) => Number(b.hitting) - Number(a.hitting) || b.hits - a.hits);
}

const armed = (rules) => rules.filter((view) => view.points.length > 0);

// foremost are the rules that are shown at the top.
const foremost = (rules) => (armed(rules).length > 0 ? armed(rules) : rules).slice(0, shown);

const titles = {
  loading: () => 'Looking …',
  lost: () => 'Not known: the service does not answer',
  stranger: () => 'Who are you?',
  refused: () => 'The service does not tell you',
  disabled: () => 'Nothing can be broken',
  halted: () => 'Halted: nothing is being broken',
  blackout: () => 'Blackout: nothing may be broken now',
  calm: () => 'Nothing is being broken',
  active: (rules) => {
    const here = armed(rules);
    const are = (n) => (n === 1 && !state.nextRules ? '1 rule is' : `${number(n)}${state.nextRules ? '+' : ''} rules are`);
    if (here.length === 0) return `${are(rules.length)} live, and aimed at nothing here`;
    return here.some((view) => view.hits > 0) ? `${are(here.length)} breaking calls` : `${are(here.length)} armed, and no call was hit yet`;
  },
};

function more(now, rules) {
  const { status, lost, heard, refused } = state;
  const paused = state.rules.filter((view) => view.rule.paused).length;
  const besides = paused > 0 ? ` ${count(paused, 'rule')} ${paused === 1 ? 'is' : 'are'} paused.` : '';
  const held = status?.held > 0 ? ` ${count(status.held, 'call')} ${status.held === 1 ? 'is' : 'are'} held at this moment.` : '';
  switch (now) {
    case 'loading':
      return 'Asking the service what is going on.';
    case 'lost':
      return heard ? `${capital(lost)}. What is shown below is how it was at ${time(heard)}, ${ago(heard)}; rules go on until they expire.` : `${capital(lost)}.`;
    case 'stranger':
      return 'This service shows its faults, and takes a halt, only from those it knows.';
    case 'refused':
      return refused.message;
    case 'disabled':
      return 'MISFIT_DISABLED is set for this process, or it has no injector: no rule is ever taken, and every call passes untouched.';
    case 'halted':
      return `Every call passes untouched, and no rule is taken until somebody resumes.${haltedBy() ? ` ${haltedBy()}` : ''}`;
    case 'blackout':
      return `No rule is taken until ${time(status.blackout.until, { seconds: false })}, in ${duration(remaining(status.blackout.until))}. The service’s code says so: ${status.blackout.window}.`;
    case 'calm':
      return `No rule applies: every call passes untouched at all of ${count(status.points, 'point')}.${besides}`;
    default: {
      const hits = rules.reduce((sum, view) => sum + view.hits, 0);
      const perSecond = rules.reduce((sum, view) => sum + (view.hitting ? view.perSecond : 0), 0);
      const others = rules.length - foremost(rules).length;
      const further = others > 0 || state.nextRules ? ` ${number(others)}${state.nextRules ? ' and more' : ''} others are live.` : '';
      return `${count(hits, 'call')} hit so far${perSecond > 0 ? `, ${rate(perSecond)} a second now` : ''}.${held}${further}${besides}`;
    }
  }
}

const remaining = (when) => Math.max(0, Math.round((new Date(when) - Date.now()) / 1000) * 1000);

const capital = (sentence) => sentence.charAt(0).toUpperCase() + sentence.slice(1);

let before = '';

// showNow brings the top of the page up to date.
export function showNow() {
  const now = condition();
  const rules = now === 'active' ? live() : [];
  document.body.dataset.state = now;
  text(node('now-title'), titles[now](rules));
  text(node('now-more'), more(now, rules));
  show(node('now-rules'), rules.length > 0);
  keyed(node('now-rules'), foremost(rules), (view) => view.rule.id, line);
  if (now !== before) {
    before = now;
    replace(node('now-do'), actions(now));
    attribute(node('icon'), 'href', `assets/${icon(now)}.svg`);
  }
  const service = state.status?.service;
  text(node('service'), service ?? '');
  document.title = `${titles[now](rules)}${service ? ` – ${service}` : ''} – misfit`;
}

function icon(now) {
  return { active: 'active', halted: 'halted', calm: 'calm', blackout: 'calm', disabled: 'calm' }[now] ?? 'unknown';
}

function actions(now) {
  switch (now) {
    case 'halted':
      return resumeButton();
    case 'stranger':
      return signInButton();
    case 'lost':
    case 'refused':
      return button('Try again', look);
    default:
      return [];
  }
}

// line is one rule that is breaking calls.
function line() {
  const name = h('b', { class: 'mono' });
  const does = h('span');
  const by = h('span');
  const left = h('b', { class: 'clock' });
  const hits = h('b');
  const hot = h('span', { class: 'hot' });
  return {
    node: h('li', {},
      h('span', { class: 'now-rule' }, name, ' ', does, by),
      h('span', { class: 'now-numbers' }, h('span', {}, hits, ' hit ', hot), h('span', {}, left, ' left'))),
    update(view) {
      text(name, view.rule.id);
      text(does, `${what(view.rule.fault)}, for ${who(view.rule.scope)}`);
      const maker = origin(view, showNow);
      text(by, maker ? ` · by ${maker}` : '');
      text(left, clock(view.ends - Date.now()));
      text(hits, number(view.hits));
      text(hot, view.hitting && view.perSecond > 0 ? `${rate(view.perSecond)}/s` : '');
    },
  };
}

// showNotices tells of what else should be known.
export function showNotices() {
  const notices = [];
  const status = state.status;
  if (mayNot() && !state.refused) {
    notices.push({ key: 'may not', kind: 'bad', words: `You can look, but not change anything, and not halt: ${mayNot()}.` });
  }
  for (const f of status?.failing ?? []) {
    notices.push({ key: `failing ${f.source}`, kind: 'bad', words: `Source ${f.source} is not taken since ${time(f.since)}; its earlier rules go on. ${f.error}` });
  }
  if (status?.problems > 0) {
    notices.push({ key: 'problems', kind: 'mild', words: `${count(status.problems, 'thing')} had to be ignored to keep requests going since the service started: they come with the events as “problem”.` });
  }
  if (status?.blackout && !status.blackout.active && status.blackout.next && new Date(status.blackout.next) - Date.now() < 3600_000) {
    notices.push({ key: 'blackout', kind: 'mild', words: `A blackout begins at ${time(status.blackout.next, { seconds: false })} and ends every rule: ${status.blackout.window}.` });
  }
  keyed(node('notices'), notices, (notice) => notice.key, (notice) => {
    const said = h('p', { class: `notice notice-${notice.kind}` });
    return { node: said, update: (next) => text(said, next.words) };
  });
}

