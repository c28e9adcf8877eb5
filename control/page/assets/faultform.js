// What is to happen to a call, of that which the chosen points can produce.

import { fresh, h, replace, show, text } from './dom.js';
import { durationInput, numberInput, presets, select, textInput } from './form.js';
import { ceilings } from './guardrails.js';
import { duration } from './units.js';
import { classes } from './words.js';

// The ways in which a call can be faulted, and what a point has to be able to do
// for each.
const families = [
  { key: 'slow', title: 'Make it slow', words: 'The call waits before it is made.', needs: (e) => e.has('delay') || e.has('delay.padTo') },
  { key: 'fail', title: 'Make it fail', words: 'The call is not made, and fails as it would if that really happened.', needs: (e) => failures(e).length > 0 },
  { key: 'hole', title: 'Never answer', words: 'The call is held until its caller gives up, the rule ends, or somebody halts.', needs: (e) => e.has('blackHole') },
  { key: 'lost', title: 'Lose the reply', words: 'The call is carried out, and its caller never learns of that.', needs: (e) => e.has('lostReply') },
  { key: 'stream', title: 'Break it half-way', words: 'It begins well, and goes wrong in the middle of what is sent or received.', needs: (e) => directions(e).length > 0 },
  { key: 'twice', title: 'Carry it out twice', words: 'Where that is allowed; the first reply is dropped.', needs: (e) => e.has('duplicate') },
  { key: 'panic', title: 'Panic', words: 'The code that makes the call panics.', needs: (e) => e.has('panic') },
];

const classGroups = [
  ['The connection is never made', ['refused', 'connectTimeout', 'dns', 'dnsTimeout', 'tls', 'tlsTimeout']],
  ['No answer comes', ['timeout', 'headerTimeout', 'reset', 'streamReset', 'goaway']],
  ['The answer says no', ['unavailable', 'overloaded', 'internal', 'badGateway', 'gatewayTimeout']],
];

const exact = [['http', 'error.http', 'An HTTP answer of your own'], ['grpc', 'error.grpc', 'A gRPC status of your own'], ['name', 'error.name', 'An error that the service has registered']];

const codes = ['CANCELLED', 'UNKNOWN', 'INVALID_ARGUMENT', 'DEADLINE_EXCEEDED', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED', 'RESOURCE_EXHAUSTED',
  'FAILED_PRECONDITION', 'ABORTED', 'OUT_OF_RANGE', 'UNIMPLEMENTED', 'INTERNAL', 'UNAVAILABLE', 'DATA_LOSS', 'UNAUTHENTICATED'];

const streamWays = [
  ['cut', 'the connection is lost'],
  ['stall', 'nothing more comes'],
  ['throttle', 'it goes on slowly'],
  ['delay', 'each message waits'],
  ['error', 'the call fails'],
  ['corrupt', 'some of it is wrong'],
];

function failures(effects) {
  const known = classGroups.map(([group, list]) => ({ group, options: list.filter((c) => effects.has(`error.class.${c}`)).map((c) => [c, classes[c][0]]) }));
  const listed = new Set(classGroups.flatMap(([, list]) => list));
  const others = [...effects].filter((e) => e.startsWith('error.class.')).map((e) => e.slice('error.class.'.length)).filter((c) => !listed.has(c)).map((c) => [c, c]);
  const own = exact.filter(([, effect]) => effects.has(effect)).map(([key, , label]) => [key, label]);
  return [...known, { group: 'Others', options: others }, { group: 'Exactly', options: own }].filter((g) => g.options.length > 0);
}

const directions = (effects) => ['response', 'request'].filter((d) => ways(effects, d).length > 0);

const ways = (effects, direction) => streamWays.filter(([way]) => effects.has(`stream.${direction}.${way}`) && (way !== 'error' || failures(effects).length > 0));

// faultForm is where a fault is chosen. offer(effects) says what there is, read
// returns the fault, or null if none is chosen, and verb a word for its rule's name.
export function faultForm(form, onInput) {
  const name = fresh('family');
  const choices = h('div', { class: 'choices' });
  const more = h('div', { class: 'choice-more' });
  const root = form.group('fault', 'What happens to the call', choices);
  let effects = new Set();
  let family = '';
  let read = () => null;

  function offer(next) {
    if (next.size === effects.size && [...next].every((e) => effects.has(e))) return;
    effects = next;
    replace(choices, families.map((f) => {
      const possible = f.needs(effects);
      const input = h('input', { type: 'radio', name, value: f.key, checked: possible && f.key === family, disabled: !possible, on: { change: () => choose(f.key) } });
      return h('label', { class: possible ? 'choice' : 'choice off' }, input,
        h('span', {}, h('b', {}, f.title), h('span', { class: 'hint' }, possible ? f.words : 'Not every chosen point can do that.')));
    }));
    if (family && !families.find((f) => f.key === family).needs(effects)) family = '';
    details();
  }

  function choose(key) {
    family = key;
    details();
    onInput();
  }

  function details() {
    choices.querySelector('input:checked')?.closest('label').after(more);
    const build = { slow, fail, hole: () => wait({ blackHole: true }), lost, stream, twice: () => wait({ duplicate: true }), panic: () => wait({ panic: true }) }[family];
    replace(more);
    read = () => null;
    if (build) build();
  }

  const { delay: mostDelay } = ceilings();
  const most = `At most ${duration(mostDelay)}: the guardrail MaxDelay.`;

  function slow() {
    const forms = [
      effects.has('delay') && ['fixed', 'always the same'],
      effects.has('delay') && ['between', 'anything between two times'],
      effects.has('delay') && ['tail', 'mostly short, sometimes long'],
      effects.has('delay.padTo') && ['padTo', 'until the call took this long in all'],
    ].filter(Boolean);
    const place = h('div');
    const how = select(forms, forms[0][0], () => { fields(); onInput(); });
    function fields() {
      const length = (path, label, value) => {
        const input = durationInput(value, onInput);
        place.append(form.field(`fault.delay.${path}`, label, input));
        return input;
      };
      replace(place);
      switch (how.value) {
        case 'fixed': {
          const input = length('fixed', 'How long', '500ms');
          place.prepend(presets(['100ms', '500ms', '2s', '10s'], input, mostDelay, 'MaxDelay'));
          read = () => ({ delay: { fixed: input.read() } });
          break;
        }
        case 'between': {
          const [min, max] = [length('min', 'At least', '100ms'), length('max', 'At most', '2s')];
          read = () => ({ delay: { min: min.read(), max: max.read() } });
          break;
        }
        case 'tail': {
          const [median, p99] = [length('median', 'Half of the calls less than', '50ms'), length('p99', 'One in a hundred more than', '2s')];
          read = () => ({ delay: { median: median.read(), p99: p99.read() } });
          break;
        }
        default: {
          const pad = length('padTo', 'How long in all', '1s');
          read = () => ({ delay: { padTo: pad.read() } });
        }
      }
    }
    replace(more, form.field('fault.delay', 'How much slower', how, { hint: most }), place);
    fields();
  }

  // failure lets somebody choose an error, and returns what reads it.
  function failure(path, place) {
    const groups = failures(effects);
    const explained = h('p', { class: 'hint' });
    const own = h('div');
    let readError = () => null;
    const which = select(groups, groups[0].options[0][0], () => { fields(); onInput(); });
    function fields() {
      text(explained, classes[which.value] ? `${classes[which.value][1]}.` : '');
      replace(own);
      if (which.value === 'http') {
        const status = numberInput('503', onInput, { min: '200', max: '599', step: '1' });
        const body = textInput('', onInput);
        own.append(form.field(`${path}.http.status`, 'Status', status, { hint: '200 to 599' }), form.field(`${path}.http.body`, 'Body', body));
        readError = () => ({ http: { status: Number(status.value), ...(body.value && { body: body.value }) } });
      } else if (which.value === 'grpc') {
        const code = select(codes.map((c) => [c, c]), 'UNAVAILABLE', onInput);
        const message = textInput('', onInput);
        own.append(form.field(`${path}.grpc.code`, 'Code', code), form.field(`${path}.grpc.message`, 'Message', message));
        readError = () => ({ grpc: { code: code.value, ...(message.value && { message: message.value }) } });
      } else if (which.value === 'name') {
        const registered = textInput('', onInput);
        own.append(form.field(`${path}.name`, 'Its name', registered, { hint: 'As the service has registered it.' }));
        readError = () => ({ name: registered.value });
      } else {
        readError = () => ({ class: which.value });
      }
    }
    place.append(form.field(path, 'How it fails', which), explained, own);
    fields();
    return () => readError();
  }

  // wait lets a delay come before something else.
  function wait(then, place = more) {
    read = () => (typeof then === 'function' ? then() : then);
    if (!effects.has('delay')) return;
    const first = durationInput('', onInput);
    place.append(form.field('fault.delay', 'Wait first', first, { hint: `Leave it empty for no delay. ${most}` }));
    const rest = read;
    read = () => ({ ...(first.read() && { delay: { fixed: first.read() } }), ...rest() });
  }

  function fail() {
    const error = failure('fault.error', more);
    wait(() => ({ error: error() }));
  }

  function lost() {
    const groups = failures(effects);
    const which = select([['', 'a connection that is lost'], effects.has('blackHole') && ['hole', 'nothing: it waits'], groups.length > 0 && ['error', 'another failure']].filter(Boolean), '', () => { fields(); onInput(); });
    const place = h('div');
    let error = () => ({});
    function fields() {
      replace(place);
      error = () => ({});
      if (which.value === 'hole') error = () => ({ blackHole: true });
      if (which.value === 'error') {
        const chosen = failure('fault.error', place);
        error = () => ({ error: chosen() });
      }
    }
    more.append(form.field('fault.lostReply', 'The caller sees', which), place);
    wait(() => ({ lostReply: true, ...error() }));
  }

  function stream() {
    const place = h('div');
    const direction = select(directions(effects).map((d) => [d, d === 'response' ? 'what comes back' : 'what is sent']), directions(effects)[0], () => { list(); onInput(); });
    const whichPlace = h('div');
    const after = numberInput('0', onInput, { step: '1' });
    let way = null;
    let value = () => ({});
    function list() {
      way = select(ways(effects, direction.value), ways(effects, direction.value)[0][0], () => { fields(); onInput(); });
      replace(whichPlace, form.field('fault.stream', 'Then', way));
      fields();
    }
    function fields() {
      replace(place);
      switch (way.value) {
        case 'throttle': {
          const speed = numberInput('1000', onInput, { step: '1', min: '1' });
          place.append(form.field('fault.stream.perSecond', 'How many a second', speed, { hint: 'Bytes over HTTP, messages over gRPC, rows of a database.' }));
          value = () => ({ perSecond: Number(speed.value) });
          break;
        }
        case 'delay': {
          const each = durationInput('200ms', onInput);
          place.append(form.field('fault.stream.delay', 'How long each waits', each, { hint: most }));
          value = () => ({ delay: { fixed: each.read() } });
          break;
        }
        case 'corrupt': {
          const part = numberInput('1', onInput, { max: '100' });
          place.append(form.field('fault.stream.corrupt', 'How much of it, in percent', part));
          value = () => ({ corrupt: Number(part.value) / 100 });
          break;
        }
        case 'error': {
          const error = failure('fault.stream.error', place);
          value = () => ({ error: error() });
          break;
        }
        default:
          value = () => ({ [way.value]: true });
      }
    }
    more.append(form.field('fault.stream.direction', 'Which way', direction),
      form.field('fault.stream.after', 'How much passes first', after, { hint: 'Bytes over HTTP, messages over gRPC, rows of a database.' }), whichPlace, place);
    list();
    wait(() => ({ stream: { direction: direction.value, ...(Number(after.value) > 0 && { after: Number(after.value) }), ...value() } }));
  }

  return {
    node: root,
    offer,
    read: () => (family ? read() : null),
    verb: () => ({ slow: 'slow', fail: 'failing', hole: 'silent', lost: 'lost', stream: 'broken', twice: 'twice', panic: 'panic' })[family] ?? 'fault',
    any: () => families.some((f) => f.needs(effects)),
    show: (visible) => show(root, visible),
  };
}
