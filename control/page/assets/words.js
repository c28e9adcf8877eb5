// Rules, events and what is on record, in words.

import { count, duration, few, number, percent, quoted } from './units.js';

// Ways to fail by class, in the order in which a call goes.
export const classes = {
  refused: ['Connection refused', 'nobody listens there'],
  connectTimeout: ['Connecting times out', 'nobody answers there'],
  dns: ['Name not found', 'DNS says that there is no such host'],
  dnsTimeout: ['Name server silent', 'DNS does not answer in time'],
  tls: ['Bad certificate', 'the peer cannot be trusted'],
  tlsTimeout: ['TLS times out', 'the peer accepts, and never shakes hands'],
  timeout: ['No answer in time', 'it may have been carried out'],
  headerTimeout: ['No response header in time', 'as HTTP clients have it'],
  reset: ['Connection lost', 'reset in the middle of the call'],
  streamReset: ['HTTP/2 stream reset', 'this call alone is broken off'],
  goaway: ['HTTP/2 GOAWAY', 'the peer closes the connection'],
  unavailable: ['Unavailable', 'the service says that it cannot serve'],
  overloaded: ['Overloaded', 'the service says that it has too much to do'],
  internal: ['Internal error', 'the service says that it failed'],
  badGateway: ['Bad gateway', 'a proxy got no sense out of the service'],
  gatewayTimeout: ['Gateway timeout', 'a proxy got no answer from the service'],
};

const kinds = {
  'http.client': 'HTTP calls to it',
  'http.server': 'HTTP requests to this service',
  'grpc.client': 'gRPC calls to it',
  'grpc.server': 'gRPC calls to this service',
  sql: 'database',
};

// kind says what calls go through a point of this kind.
export const kind = (name) => kinds[name] ?? name;

// who says whom a scope selects.
export function who(scope = {}) {
  const conditions = [];
  const listed = (noun, values) => conditions.push(`${values.length === 1 ? noun : `${noun}s`} ${few(values.map(quoted))}`);
  if (scope.requests?.length) listed('request', scope.requests);
  if (scope.customers?.length) listed('customer', scope.customers);
  for (const [name, values] of Object.entries(scope.attributes ?? {})) conditions.push(`${name} ${few((values ?? []).map(quoted))}`);
  if (typeof scope.percent === 'number') conditions.push(share(scope.percent, scope.unit));
  if (conditions.length === 0) conditions.push('the request that carries it');
  if (scope.attempts > 0) conditions.push(`the first ${count(scope.attempts, 'call')} of each request`);
  return conditions.join(' and ');
}

const unitWords = { request: 'of requests', customer: 'of customers', call: 'of calls' };

export function share(value, unit = 'request') {
  if (value === 100 && (unit === 'request' || unit === 'call')) return 'everyone';
  return `${percent(value)} ${unitWords[unit] ?? `by ${String(unit).replace(/^attribute:/, '')}`}`;
}

// shareOf is the largest share of traffic that a scope can select, in percent; 0
// for what is listed by name.
export function shareOf(scope = {}) {
  if (scope.requests?.length || scope.customers?.length) return 0;
  return typeof scope.percent === 'number' ? scope.percent : 100;
}

// what says what a fault does to a call.
export function what(fault = {}) {
  const steps = [];
  if (fault.delay) steps.push(delay(fault.delay));
  if (fault.duplicate) steps.push('carry it out twice');
  if (fault.lostReply) steps.push('carry it out and lose the reply');
  if (fault.error) steps.push(failure(fault.error));
  if (fault.blackHole) steps.push('never answer');
  if (fault.panic) steps.push('panic');
  if (fault.stream) steps.push(stream(fault.stream));
  return steps.join(', then ') || 'nothing';
}

function delay(d) {
  if (d.fixed) return `wait ${duration(d.fixed)}`;
  if (d.padTo) return `take at least ${duration(d.padTo)}`;
  if (d.p99) return `wait ${duration(d.median ?? '?')}, one in a hundred ${duration(d.p99)}`;
  return `wait ${duration(d.min ?? '0s')} to ${duration(d.max ?? '?')}`;
}

function failure(e) {
  if (e.http) return `answer HTTP ${e.http.status}`;
  if (e.grpc) return `answer gRPC ${e.grpc.code}`;
  if (e.name) return `fail with ${quoted(e.name)}`;
  return `fail: ${(classes[e.class]?.[0] ?? String(e.class)).replace(/^[A-Z](?![A-Z])/, (c) => c.toLowerCase())}`;
}

function stream(s) {
  const does = [];
  if (s.cut) does.push('cut');
  if (s.error) does.push(failure(s.error));
  if (s.stall) does.push('stall');
  if (s.perSecond) does.push(`slow down to ${number(s.perSecond)} per second`);
  if (s.delay) does.push(`${delay(s.delay)} for each`);
  if (s.corrupt) does.push(`corrupt ${percent(100 * s.corrupt)}`);
  const after = s.after ? ` after ${number(s.after)}` : '';
  return `${does.join(' and ')} in the ${s.direction === 'request' ? 'request' : 'response'}${after}`;
}

// where says what a target is aimed at.
export function where(target = {}) {
  let text = target.points?.length ? few(target.points) : 'every dependency';
  if (target.operations?.length) text += `, only ${few(target.operations)}`;
  const except = target.except;
  if (except) text += `, but not ${few([...(except.operations ?? []), ...(except.points ?? [])])}`;
  if (target.services?.length) text += `, in ${few(target.services)}`;
  return text;
}

// added is how much longer something took, or how much less long.
export const added = (text) => (String(text).startsWith('-') ? `−${duration(String(text).slice(1))}` : `+${duration(text)}`);

// limits says how much a rule does at most.
export function limits(l = {}) {
  const parts = [];
  if (l.concurrent) parts.push(`${number(l.concurrent)} at once`);
  if (l.perSecond) parts.push(`${number(l.perSecond)} a second`);
  if (l.total) parts.push(`${number(l.total)} in all`);
  return parts.length ? `at most ${parts.join(', ')}` : 'without a limit';
}

const skipReasons = {
  concurrent: 'too many at once',
  perSecond: 'too many a second',
  total: 'its total is used up',
  expired: 'its time was over',
  held: 'too many calls held',
  tokens: 'too many for its token',
  attempts: 'too many requests to count attempts for',
  blackout: 'a blackout had begun',
};

export const skip = (reason) => skipReasons[reason] ?? String(reason);

// event says what happened.
export function event(name, e) {
  const at = [e.point, e.operation].filter(Boolean).join(' ');
  switch (name) {
    case 'hit':
      return `${e.rule} hit ${at}${e.delay ? `: ${duration(e.delay)}` : ''}${e.effects?.length ? ` (${few(e.effects)})` : ''}`;
    case 'skip':
      return `${e.rule} passed over ${at}: ${skip(e.reason)}`;
    case 'release':
      return `${e.rule} let go of ${at}${e.waited ? ` after ${duration(e.waited)}` : ''}${e.released ? ` (${e.released})` : ''}`;
    case 'verdict':
      return `${e.rule} at ${at} ${e.verdict} in ${e.endpoint}: ${duration(e.latency)}${e.baseline ? `, usually ${duration(e.baseline)}` : ''}${e.because ? ` (${e.because})` : ''}`;
    case 'taken':
      return `a token${e.by ? ` of ${e.by}` : ''} was taken: ${e.rule ?? ''}`;
    case 'problem':
      return `ignored, to keep a request going: ${e.error ?? ''}`;
    case 'audit':
      return entry(e);
    case 'dropped':
      return `${count(e.events ?? 0, 'event')} came too fast to be shown`;
    case 'missed':
      return `${count(e.entries ?? 0, 'entry', 'entries')} of the record, forgotten before ${e.entries === 1 ? 'it' : 'they'} could be shown`;
    case 'anew':
      return 'the service has begun a new record; here it is from its front';
  }
  return [e.window, e.rule, at, e.error].filter(Boolean).join(' ') || name;
}

const actions = {
  'rule.put': ['put', 'put live'],
  'rule.widen': ['changed the scope of'],
  'rule.extend': ['extended'],
  'rule.pause': ['paused'],
  'rule.unpause': ['unpaused'],
  'rule.delete': ['deleted'],
  halt: ['halted everything'],
  resume: ['resumed'],
  'verdicts.reset': ['reset verdicts'],
  'token.taken': ['a token was taken:'],
  'blackout.begin': ['a blackout began'],
  'blackout.end': ['a blackout ended'],
  start: ['the service started'],
};

// action says what somebody did.
export function action(e) {
  if (e.action === 'rule.put') return e.before ? 'edited' : 'made';
  return actions[e.action]?.[0] ?? e.action;
}

// entry says what is on record.
export function entry(e) {
  const did = `${e.actor || 'somebody'} ${action(e)}${e.rule ? ` ${e.rule}` : ''}`;
  if (e.result === 'done') return did;
  return `${did}: ${e.result}`;
}

// percentOrEveryone is a step of widening.
export const percentOrEveryone = (n) => (n === 100 ? 'everyone' : percent(n));
