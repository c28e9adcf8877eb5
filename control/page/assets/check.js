// What would come of a rule: asked before it is put, and shown with whom it would
// hit.

import { call } from './api.js';
import { h, replace, show, text } from './dom.js';
import { reasons } from './say.js';
import { count, duration, few, number } from './units.js';

const settle = 250; // milliseconds without a change, before the service is asked
const again = 3000; // calls come meanwhile

// checker is a place that shows the outcome. `outcome(problems)` is called with the
// fields that are wrong, and returns those that it has no place for. Problems are
// {path, detail}.
export function checker(outcome = () => []) {
  const headline = h('p', { class: 'estimate-line' });
  const bar = h('span', { class: 'bar-fill' });
  const track = h('div', { class: 'bar estimate-bar', 'aria-hidden': 'true' }, bar);
  const detail = h('p', { class: 'hint' });
  const list = h('ul', { class: 'plain' });
  const root = h('div', { class: 'estimate', role: 'status' }, headline, track, detail, list);
  let rule = null;
  let timer = 0;
  let asked = 0;
  let valid = false;
  let stopped = false;

  async function ask() {
    const mine = ++asked;
    try {
      const answer = await call('POST', 'v1/validate', { body: rule });
      if (mine !== asked || stopped) return;
      valid = true;
      outcome([]);
      good(answer);
    } catch (error) {
      if (mine !== asked || stopped) return;
      valid = false;
      bad(error);
    }
    clearTimeout(timer);
    timer = setTimeout(() => { if (!document.hidden) ask(); }, again);
  }

  function good({ points, protected: kept, unsupported, estimate }) {
    root.dataset.outcome = 'good';
    show(track, estimate.calls > 0);
    if (estimate.calls > 0) {
      text(headline, `Would hit ${number(estimate.hit)} of the latest ${count(estimate.calls, 'call')}`);
      text(detail, `${number(estimate.requestsHit)} of ${count(estimate.requests, 'request')}, ${number(estimate.customersHit)} of ${count(estimate.customers, 'customer')}, within the last ${duration(Math.max(1000, Date.now() - new Date(estimate.since)))}. Limits are not reckoned with.`);
      bar.style.setProperty('width', `${(100 * estimate.hit) / estimate.calls}%`);
    } else {
      text(headline, points.length ? 'No calls have been seen there yet' : 'Aimed at nothing that is here so far');
      text(detail, points.length ? 'They are noted while this page is open, and this is reckoned again as they come.' : 'The rule can be put all the same: it applies once such a point shows up.');
    }
    lines([
      points.length > 0 && `Armed at ${few(points, 6)}`,
      kept.length > 0 && `Not at ${few(kept, 6)}: protected by a guardrail`,
      unsupported.length > 0 && `Not at ${few(unsupported, 6)}: that cannot be produced there`,
    ]);
  }

  function bad(error) {
    root.dataset.outcome = 'bad';
    show(track, false);
    const fields = error.fields ?? [];
    const unplaced = outcome(fields);
    if (fields.length > 0) {
      text(headline, fields.length === 1 ? 'Something is not right yet' : `${number(fields.length)} things are not right yet`);
      text(detail, '');
      lines(unplaced.map((f) => (f.path ? `${f.path}: ${f.detail}` : f.detail)));
    } else {
      text(headline, error.title ?? 'No answer from the service');
      text(detail, '');
      lines(reasons(error));
    }
  }

  const lines = (texts) => replace(list, texts.filter(Boolean).map((line) => h('li', {}, line)));

  return {
    node: root,
    valid: () => valid,
    // check asks about another rule, once whoever makes it pauses.
    check(next) {
      const unchanged = JSON.stringify(next) === JSON.stringify(rule);
      rule = next;
      if (unchanged && asked > 0) return;
      valid = false;
      asked += 1; // what is on its way is about another
      clearTimeout(timer);
      timer = setTimeout(ask, settle);
    },
    // say shows why nothing is asked.
    say(message) {
      asked += 1;
      clearTimeout(timer);
      rule = null;
      valid = false;
      root.dataset.outcome = 'none';
      show(track, false);
      text(headline, message);
      text(detail, '');
      lines([]);
    },
    stop() {
      stopped = true;
      clearTimeout(timer);
    },
  };
}
