// Giving a rule a new time to live, from now on.

import { call, rulePath } from './api.js';
import { change } from './change.js';
import { button, h, text } from './dom.js';
import { durationInput, Form, presets } from './form.js';
import { ceilings } from './guardrails.js';
import { openSheet } from './sheet.js';
import { clock, duration, milliseconds, time } from './units.js';

const lives = ['5m', '10m', '30m', '1h', '4h'];

// openExtend lets somebody choose how long a rule is to live.
export function openExtend(view) {
  const form = new Form();
  const most = ceilings().ttl;
  const until = h('p', { class: 'hint' });
  const ttl = durationInput('10m', update);
  const confirm = button('Extend', apply, { class: 'primary' });

  function update() {
    const ms = milliseconds(ttl.read());
    const fine = ms > 0 && ms <= most;
    confirm.disabled = !fine;
    text(confirm, fine ? `Let it live ${duration(ms)}` : 'Extend');
    text(until, fine ? `Until ${time(Date.now() + ms)}.` : '');
    form.problems(fine || Number.isNaN(ms) ? [] : [{ path: 'ttl', detail: ms > most ? `the guardrail MaxTTL allows ${duration(most)}` : 'has to be longer' }]);
  }

  async function apply() {
    confirm.disabled = true;
    const chosen = ttl.read();
    const done = await change({
      view,
      label: 'Extending',
      wish: (rule) => ({ ...rule, expires: undefined, ttl: chosen }),
      send: (rule, tag) => call('POST', rulePath(rule.id, 'extend'), { body: { ttl: chosen }, match: tag }),
      done: (answer) => `${view.rule.id} lives until ${time(answer.rule.expires)}.`,
    });
    confirm.disabled = false;
    if (done) sheet.close();
  }

  const sheet = openSheet(`Extend ${view.rule.id}`, [
    h('p', {}, `It has ${clock(view.ends - Date.now())} left. From now on it is to have:`),
    presets(lives, ttl, most, 'MaxTTL'),
    form.field('ttl', 'Time to live', ttl, { hint: `At most ${duration(most)}. It may be shorter than what is left.` }),
    until,
  ], { name: 'extend', footer: [button('Cancel', () => sheet.close()), confirm] });
  update();
}
