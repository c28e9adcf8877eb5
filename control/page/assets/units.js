// Durations, numbers and times, from the service's texts and for people.

const units = { ns: 1e-6, us: 1e-3, 'µs': 1e-3, 'μs': 1e-3, ms: 1, s: 1e3, m: 60e3, h: 3600e3 };

// milliseconds reads a duration as Go writes it, such as "1m30s"; NaN if it is none.
export function milliseconds(text) {
  const given = String(text ?? '').trim();
  if (given === '0') return 0;
  if (!/^(\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h)((\d+(\.\d*)?|\.\d+)(ns|us|µs|μs|ms|s|m|h))*$/.test(given)) return NaN;
  let sum = 0;
  for (const [, number, unit] of given.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) sum += Number(number) * units[unit];
  return sum;
}

// goDuration writes whole seconds and more as the service reads them.
export const goDuration = (ms) => `${Math.max(1, Math.round(ms / 1000))}s`;

// duration is a length of time in words: "250 ms", "1.5 s", "10 min", "1 h 30 min".
export function duration(value) {
  const ms = typeof value === 'number' ? value : milliseconds(value);
  if (Number.isNaN(ms)) return String(value);
  if (ms === 0) return '0 s';
  if (ms < 1) return `${significant(ms * 1000)} µs`;
  if (ms < 1000) return `${significant(ms)} ms`;
  if (ms < 60_000) return `${significant(ms / 1000)} s`;
  let seconds = Math.round(ms / 1000);
  const parts = [];
  for (const [size, name] of [[86_400, 'd'], [3600, 'h'], [60, 'min'], [1, 's']]) {
    const n = size === 86_400 && seconds < 2 * size ? 0 : Math.floor(seconds / size);
    if (n > 0) parts.push(`${n} ${name}`);
    seconds -= n * size;
  }
  return parts.slice(0, 2).join(' ');
}

// clock counts down: "1:05:09", "8:42", "0:07".
export function clock(ms) {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  const two = (n) => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(seconds / 3600), Math.floor(seconds / 60) % 60, seconds % 60];
  return h > 0 ? `${h}:${two(m)}:${two(s)}` : `${m}:${two(s)}`;
}

const significant = (n) => Number(n.toPrecision(n >= 100 ? 3 : 2)).toLocaleString('en');

export const number = (n) => Number(n).toLocaleString('en');

// rate is so many per second.
export const rate = (n) => (n >= 10 || Number.isInteger(n) ? number(Math.round(n)) : n.toFixed(1));

export const percent = (n) => `${Number(Number(n).toPrecision(6)).toLocaleString('en', { maximumFractionDigits: 6 })}\u00a0%`;

// count is "1 rule", "2 rules".
export const count = (n, noun, plural = `${noun}s`) => `${number(n)} ${n === 1 ? noun : plural}`;

// time is when, of a day, that something was; with the date if it was another day.
export function time(value, { seconds = true } = {}) {
  const date = new Date(value);
  if (Number.isNaN(date.getTime())) return String(value ?? '');
  const options = { hour: '2-digit', minute: '2-digit', hourCycle: 'h23' };
  if (seconds) options.second = '2-digit';
  const today = new Date().toDateString() === date.toDateString();
  return today ? date.toLocaleTimeString('en-GB', options) : date.toLocaleString('en-GB', { day: 'numeric', month: 'short', ...options });
}

// ago is how long it has been.
export function ago(value) {
  const ms = Date.now() - new Date(value).getTime();
  if (ms < 2000) return 'just now';
  return `${duration(Math.round(ms / 1000) * 1000)} ago`;
}

// few lists the first and counts the others.
export function few(list, shown = 3) {
  if (list.length <= shown) return list.join(', ');
  return `${list.slice(0, shown).join(', ')} and ${number(list.length - shown)} more`;
}

export const quoted = (value) => `“${value}”`;
