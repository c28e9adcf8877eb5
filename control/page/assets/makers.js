// Who has made the rules, and who has changed them last, from the record.

import { get, query } from './api.js';

const known = new Map(); // by rule and revision; a promise while it is asked
const most = 500; // that are remembered

// makers returns {made, changed}, entries of the record, or null while it is not
// known; `then` is called once it is.
export function makers(view, then) {
  if (view.source !== 'api') return null;
  const key = `${view.rule.id} ${view.revision}`;
  if (!known.has(key)) {
    if (known.size >= most) known.clear();
    known.set(key, null);
    get(`v1/audit${query({ rule: view.rule.id, result: 'done', limit: 50 })}`).then(({ entries }) => {
      known.set(key, read(entries));
      then();
    }, () => known.delete(key));
  }
  return known.get(key);
}

// read finds the latest making of a rule among the entries about its ID.
export function read(entries) {
  const changes = entries.filter((e) => e.action.startsWith('rule.') && e.action !== 'rule.delete');
  const made = changes.find((e) => e.action === 'rule.put' && !e.before);
  return { made, changed: changes[0] === made ? undefined : changes[0] };
}

// origin says in a few words where a rule comes from.
export function origin(view, then) {
  if (view.by) return `${view.by}, with a token`;
  if (view.source !== 'api') return view.source;
  const found = makers(view, then);
  return found?.made?.actor ?? found?.changed?.actor ?? '';
}
