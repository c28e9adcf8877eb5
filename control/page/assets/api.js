// Talking to the control endpoint. Addresses are relative to the page, wherever the
// service has mounted it.

const tokenKey = 'misfit.token';
const slow = 8000; // milliseconds, after which a request has failed

// A Problem is why the endpoint did not do something: RFC 9457.
export class Problem extends Error {
  constructor(status, document, headers) {
    super(document.detail || document.title || `HTTP ${status}`);
    this.status = status;
    this.kind = String(document.type ?? '').replace('urn:misfit:problem:', '');
    this.title = document.title || `HTTP ${status}`;
    this.fields = Array.isArray(document.errors) ? document.errors : [];
    this.after = Number(headers.get('Retry-After')) || 0; // seconds
  }
}

// Lost is that there was no answer at all.
export class Lost extends Error {}

// token is the bearer token that is sent along. It is forgotten with this tab.
export const token = {
  get: () => sessionStorage.getItem(tokenKey) ?? '',
  set: (value) => (value ? sessionStorage.setItem(tokenKey, value) : sessionStorage.removeItem(tokenKey)),
};

function headers(given) {
  const all = { ...given };
  if (token.get()) all.Authorization = `Bearer ${token.get()}`;
  return all;
}

const whenRefused = [];

// onUnauthorized has listener called whenever the endpoint asks who this is, and
// nobody has said so since.
export function onUnauthorized(listener) {
  whenRefused.push(listener);
}

// read reads a refusal. What says so without a problem document is not the endpoint,
// but a proxy or the like before it.
export async function read(response) {
  const document = await response.json().catch(() => null);
  if (response.status >= 500 && !document) return new Lost(`something before it answers ${response.status}`);
  return new Problem(response.status, document ?? {}, response.headers);
}

async function send(path, options) {
  const sent = token.get();
  let response;
  try {
    response = await fetch(path, { cache: 'no-store', ...options });
  } catch (error) {
    throw new Lost(error.name === 'TimeoutError' ? 'no answer in time' : 'the service cannot be reached');
  }
  if (response.ok) return response;
  const problem = await read(response);
  if (problem.status === 401 && sent === token.get()) whenRefused.forEach((listener) => listener(problem));
  throw problem;
}

// call makes a request and returns the answer's JSON. `match` is the revision that a
// rule must still have, or "*"; `fresh` says that it must be a new one.
export async function call(method, path, { body, match, fresh, time = slow, keepalive = false } = {}) {
  const given = {};
  if (body !== undefined) given['Content-Type'] = 'application/json';
  if (match) given['If-Match'] = match;
  if (fresh) given['If-None-Match'] = '*';
  const response = await send(path, {
    method,
    headers: headers(given),
    body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    signal: AbortSignal.timeout(time),
    keepalive,
  });
  if (response.status === 204) return null;
  try {
    return await response.json();
  } catch {
    throw new Lost('the answer broke off');
  }
}

export const get = (path) => call('GET', path);

// rulePath is where a rule is.
export const rulePath = (id, operation = '') => `v1/rules/${encodeURIComponent(id)}${operation && `/${operation}`}`;

// tagOf is what a change of a rule as it is shown has to match.
export const tagOf = (view) => (view.revision ? `"${view.revision}"` : '*');

// query makes the query of an address, leaving out what is empty.
export function query(values) {
  const given = Object.entries(values).filter(([, value]) => value !== '' && value !== undefined && value !== null);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}
