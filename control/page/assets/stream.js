// The events of the service, as they happen: server-sent events, read with fetch,
// since an EventSource cannot send a token.

import { Problem, read, token } from './api.js';

const silence = 40_000; // milliseconds; the service sends something every 15 s
const firstPause = 500;
const longestPause = 10_000;

// follow calls onEvent(name, data) for each event, and onState with "live",
// "waiting" or "refused" and, of the latter two, why. It starts over when the
// connection is lost, after the last entry of the record that it has seen. The
// result has stop() and start(), for while nobody looks.
export function follow(onEvent, onState) {
  let running = null; // an AbortController
  let last = '';

  async function run(control) {
    let pause = firstPause;
    while (!control.signal.aborted) {
      let why = 'the connection ended';
      try {
        await listen(control, () => { pause = firstPause; });
      } catch (error) {
        why = error.message;
        if (error instanceof Problem && [401, 403].includes(error.status)) {
          onState('refused', why);
          return;
        }
      }
      if (control.signal.aborted) return;
      onState('waiting', why);
      await sleep(pause * (0.75 + Math.random() / 2), control.signal);
      pause = Math.min(pause * 2, longestPause);
    }
  }

  async function listen(control, onOpen) {
    const once = new AbortController(); // this connection
    const abort = () => once.abort();
    control.signal.addEventListener('abort', abort);
    let watchdog = setTimeout(abort, silence);
    try {
      const headers = { Accept: 'text/event-stream' };
      if (token.get()) headers.Authorization = `Bearer ${token.get()}`;
      if (last) headers['Last-Event-ID'] = last;
      const response = await fetch('v1/events', { headers, cache: 'no-store', signal: once.signal });
      if (!response.ok) throw await read(response);
      onOpen();
      onState('live');
      const parse = parser((id, name, data) => {
        if (id) last = id;
        if (name) onEvent(name, data);
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      for (;;) {
        const { value, done } = await reader.read();
        if (done) return;
        clearTimeout(watchdog);
        watchdog = setTimeout(abort, silence);
        parse(value);
      }
    } finally {
      clearTimeout(watchdog);
      once.abort();
      control.signal.removeEventListener('abort', abort);
    }
  }

  return {
    start() {
      if (running) return;
      running = new AbortController();
      const mine = running;
      run(mine).finally(() => { if (running === mine) running = null; });
    },
    stop() {
      running?.abort();
      running = null;
    },
  };
}

// parser returns a function that takes pieces of a stream and calls emit for each
// event in it. An ID that comes alone says where the stream is, and has no name.
export function parser(emit) {
  let rest = '';
  let id = '';
  let name = '';
  let data = [];
  return (piece) => {
    rest += piece;
    const lines = rest.split('\n');
    rest = lines.pop();
    for (const raw of lines) {
      const line = raw.endsWith('\r') ? raw.slice(0, -1) : raw;
      if (line === '') {
        if (data.length) emit(id, name || 'message', decode(data.join('\n')));
        else if (id) emit(id, '', null);
        id = '';
        name = '';
        data = [];
        continue;
      }
      const colon = line.indexOf(':');
      const field = colon < 0 ? line : line.slice(0, colon);
      const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '');
      if (field === 'id') id = value;
      if (field === 'event') name = value;
      if (field === 'data') data.push(value);
    }
  };
}

function decode(text) {
  try {
    return JSON.parse(text);
  } catch {
    return { error: text };
  }
}

function sleep(milliseconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener('abort', () => { clearTimeout(timer); resolve(); }, { once: true });
  });
}
