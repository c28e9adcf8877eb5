// Changing rules. Nothing is ever overwritten unseen: every change says which
// revision it was made of, and if somebody else was faster both are shown.

import { call, get, rulePath, tagOf } from './api.js';
import { entry as recorded } from './words.js';
import { button, h } from './dom.js';
import { ago, time } from './units.js';
import { refusal, say, warn } from './say.js';
import { openSheet } from './sheet.js';
import { look, soon } from './state.js';

// change makes one change of a rule. `view` is the rule as whoever changes it saw
// it, `wish` makes the rule that it is to be (null if it is to be deleted), and
// `send(rule, tag)` asks for that. It returns whether the change was made.
export async function change({ view, label, wish, send, done }) {
  const id = view.rule.id;
  try {
    const answer = await send(wish(view.rule), tagOf(view));
    finish(answer, done);
    return true;
  } catch (error) {
    if (error.status === 412) return conflict({ view, label, wish, send, done });
    if (error.status === 404) {
      warn(`${id} is gone: somebody has ended it, or its time was over.`);
      soon();
      return false;
    }
    refusal(`${label} was not done`, error);
    return false;
  }
}

function finish(answer, done) {
  look();
  if (done) say(...[done(answer)].flat());
}

// conflict shows what somebody else has made of a rule beside what was wanted.
async function conflict({ view, label, wish, send, done }) {
  const id = view.rule.id;
  let theirs;
  let last;
  try {
    [theirs, last] = await Promise.all([get(rulePath(id)), lastChange(id)]);
  } catch (error) {
    if (error.status === 404) {
      warn(`${id} is gone: somebody else has ended it meanwhile. ${label} was not done.`);
    } else {
      refusal(`${label} was not done: somebody else changed ${id} meanwhile, and what it is now cannot be shown`, error);
    }
    soon();
    return false;
  }
  const mine = wish(view.rule);
  const merged = mine && merge(view.rule, mine, theirs.rule);
  return new Promise((resolve) => {
    let redo = false;
    const sheet = openSheet('Somebody else changed this rule', [
      h('p', {}, h('b', {}, id), ' is no longer what you saw. ',
        last ? `Last, ${recorded(last)}, ${ago(last.time)}. ` : '', 'What you wanted was not done.'),
      sides(view.rule, theirs.rule, mine),
    ], {
      name: 'conflict',
      closed: () => { if (!redo) resolve(false); },
      footer: [
        button('Keep theirs', () => sheet.close()),
        button(mine ? 'Mine on top of theirs' : 'Delete it all the same', async () => {
          redo = true;
          sheet.close();
          resolve(await change({ view: theirs, label, wish: () => merged, send, done }));
        }, { class: 'primary' }),
      ],
    });
    look();
  });
}

async function lastChange(id) {
  const { entries } = await get(`v1/audit?${new URLSearchParams({ rule: id, result: 'done', limit: 1 })}`).catch(() => ({ entries: [] }));
  return entries[0];
}

// sides shows what they changed, what was wanted, and what is both.
function sides(saw, theirs, mine) {
  const rows = differences(saw, theirs, mine ?? saw);
  const changedByThem = (row) => !same(row.saw, row.theirs);
  const changedByMe = (row) => !same(row.saw, row.mine);
  const both = rows.filter((row) => changedByThem(row) && changedByMe(row) && !same(row.theirs, row.mine));
  const list = (title, some, to, kind = '') => some.length > 0 && h('section', { class: `changes ${kind}` }, h('h3', {}, title),
    h('dl', {}, some.map((row) => [h('dt', {}, row.path), h('dd', {}, h('del', {}, shown(row.path, row.saw)), ' → ', to(row))])));
  const now = (row) => h('ins', {}, shown(row.path, row.theirs));
  const wanted = (row) => h('ins', {}, shown(row.path, row.mine));
  return [
    list('They changed', rows.filter((row) => changedByThem(row) && !both.includes(row)), now),
    mine ? list('You wanted', rows.filter((row) => changedByMe(row) && !both.includes(row)), wanted) : h('section', { class: 'changes' }, h('h3', {}, 'You wanted'), h('p', {}, 'to delete it')),
    list('Both changed', both, (row) => [now(row), ' by them, ', wanted(row), ' by you. On top of theirs, yours counts.'], 'both'),
    rows.length === 0 && mine && h('p', {}, 'It is what you wanted by now.'),
  ];
}

// shown is the value of a field, for people.
export function shown(path, value) {
  if (value === undefined) return 'not set';
  if (path === 'expires') return time(value);
  return JSON.stringify(value);
}

const same = (a, b) => JSON.stringify(sorted(a)) === JSON.stringify(sorted(b));

function sorted(value) {
  if (!isObject(value)) return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
}

const isObject = (value) => value !== null && typeof value === 'object' && !Array.isArray(value);

// differences lists what is not the same in three rules, by path.
export function differences(saw, theirs, mine) {
  const rows = [];
  const walk = (path, ...values) => {
    if (values.some(isObject)) {
      const keys = new Set(values.filter(isObject).flatMap(Object.keys));
      for (const key of [...keys].sort()) walk(path ? `${path}.${key}` : key, ...values.map((value) => (isObject(value) ? value[key] : undefined)));
    } else if (!same(values[0], values[1]) || !same(values[0], values[2])) {
      rows.push({ path, saw: values[0], theirs: values[1], mine: values[2] });
    }
  };
  walk('', saw, theirs, mine);
  return rows;
}

// merge is theirs, with what mine changed of what both began with.
export function merge(saw, mine, theirs) {
  if (same(mine, saw)) return theirs;
  if (!isObject(mine) || !isObject(theirs)) return mine;
  const from = isObject(saw) ? saw : {};
  const result = {};
  for (const key of new Set([...Object.keys(theirs), ...Object.keys(mine)])) {
    const value = merge(from[key], mine[key], theirs[key]);
    if (value !== undefined) result[key] = value;
  }
  return result;
}

// What can be done to a rule.

// sendRule puts the whole of it.
export const sendRule = (rule, tag) => call('PUT', rulePath(rule.id), { body: rule, match: tag });

export function pause(view) {
  const id = view.rule.id;
  const operation = view.rule.paused ? 'unpause' : 'pause';
  return change({
    view,
    label: view.rule.paused ? 'Unpausing' : 'Pausing',
    wish: (rule) => ({ ...rule, paused: !view.rule.paused }),
    send: (_, tag) => call('POST', rulePath(id, operation), { match: tag }),
    done: () => (operation === 'pause' ? `${id} is paused: it applies to nothing.` : `${id} applies again.`),
  });
}

// remove takes a rule back, which needs no second thought: it can be put back.
export function remove(view) {
  const id = view.rule.id;
  return change({
    view,
    label: 'Deleting',
    wish: () => null,
    send: (_, tag) => call('DELETE', rulePath(id), { match: tag }),
    done: () => [`${id} is deleted, and every call that it held goes on.`, view.source === 'api' && { action: 'Put it back', run: () => putBack(view.rule) }],
  });
}

async function putBack(rule) {
  try {
    await call('PUT', rulePath(rule.id), { body: rule, fresh: true });
    finish(null, () => `${rule.id} is live again.`);
  } catch (error) {
    refusal(`${rule.id} was not put back`, error);
  }
}
