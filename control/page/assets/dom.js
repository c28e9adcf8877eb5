// Making and changing what is shown. Everything becomes a text or an attribute,
// never HTML: names, notes and headers come from strangers.

const svgSpace = 'http://www.w3.org/2000/svg';

// h makes an element. Among its properties `on` has listeners by event, `dataset`
// and `style` are objects, null and false leave an attribute out, and true makes it
// an empty one. Children are nodes or texts; null and false are passed over.
export function h(tag, properties = {}, ...children) {
  return fill(document.createElement(tag), properties, children);
}

// svg is h for drawings.
export function svg(tag, properties = {}, ...children) {
  return fill(document.createElementNS(svgSpace, tag), properties, children);
}

function fill(node, properties, children) {
  for (const [name, value] of Object.entries(properties)) {
    if (name === 'on') {
      for (const [event, listener] of Object.entries(value)) node.addEventListener(event, listener);
    } else if (name === 'dataset') {
      Object.assign(node.dataset, value);
    } else if (name === 'style') {
      for (const [key, text] of Object.entries(value)) node.style.setProperty(key, text);
    } else {
      attribute(node, name, value);
    }
  }
  node.append(...shown(children));
  return node;
}

function shown(children) {
  return children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false);
}

// attribute sets, changes or removes one.
export function attribute(node, name, value) {
  if (value === null || value === undefined || value === false) {
    node.removeAttribute(name);
  } else if (node.getAttribute(name) !== String(value === true ? '' : value)) {
    node.setAttribute(name, value === true ? '' : value);
  }
}

// text changes what a node says. What stays the same is not touched, so that a
// selection in it stays, and nothing is read out again.
export function text(node, value) {
  const next = String(value ?? '');
  if (node.textContent !== next) node.textContent = next;
}

// show shows or hides.
export function show(node, visible) {
  if (node.hidden === Boolean(visible)) node.hidden = !visible;
}

// replace gives a node other children.
export function replace(node, ...children) {
  node.replaceChildren(...shown(children));
}

// keyed has one child of parent for each item, in the order of the items. Those
// that stay are updated in place, so that they keep the focus. make returns
// {node, update}.
export function keyed(parent, items, keyOf, make) {
  const before = parent.misfitEntries ?? new Map();
  const entries = new Map();
  for (const item of items) {
    const key = keyOf(item);
    const entry = before.get(key) ?? make(item);
    entries.set(key, entry);
    entry.update?.(item);
  }
  for (const [key, entry] of before) {
    if (!entries.has(key)) {
      entry.node.remove();
      entry.gone?.();
    }
  }
  let next = parent.firstChild;
  for (const { node } of entries.values()) {
    if (node === next) {
      next = next.nextSibling;
    } else {
      parent.insertBefore(node, next);
    }
  }
  parent.misfitEntries = entries;
}

let serial = 0;

// fresh returns an id that no other element has.
export function fresh(name) {
  serial += 1;
  return `${name}-${serial}`;
}

// button makes a button.
export function button(label, run, properties = {}) {
  return h('button', { type: 'button', ...properties, on: { click: run } }, label);
}
