// Sheets are what opens beside the page, and over it on a phone. They leave the top
// bar free, so that Halt is always in reach: none is modal.

import { button, fresh, h } from './dom.js';

const open = [];

// openSheet shows content under a title. It is closed with Escape or its button;
// the focus then goes back to where it was.
export function openSheet(title, content, { footer = null, wide = false, closed = () => {}, mayClose = () => true, name = '' } = {}) {
  const from = document.activeElement;
  const id = fresh('sheet');
  const heading = h('h2', { id, tabindex: '-1' }, title);
  const root = h('div', { class: `sheet${wide ? ' wide' : ''}`, role: 'dialog', 'aria-labelledby': id, dataset: { sheet: name } },
    h('div', { class: 'sheet-head' }, heading, button('Close', () => sheet.close(), { class: 'quiet' })),
    h('div', { class: 'sheet-body' }, content),
    footer && h('div', { class: 'sheet-foot' }, footer));
  const sheet = {
    root,
    heading,
    body: root.querySelector('.sheet-body'),
    close(force = false) {
      if (!open.includes(sheet) || (!force && !mayClose())) return;
      open.splice(open.indexOf(sheet), 1);
      root.remove();
      cover();
      closed();
      const back = from?.isConnected && !from.closest('[hidden]') ? from : document.getElementById('now-title');
      (open.at(-1)?.heading ?? back).focus();
    },
  };
  open.push(sheet);
  document.getElementById('sheets').append(root);
  cover();
  heading.focus();
  return sheet;
}

// cover takes what lies under a sheet out of reach, but for the top bar.
function cover() {
  document.getElementById('main').inert = open.length > 0;
  document.body.classList.toggle('covered', open.length > 0);
  open.forEach((sheet, i) => { sheet.root.inert = i < open.length - 1; });
}

document.addEventListener('keydown', (event) => {
  if (event.key === 'Escape' && open.length > 0 && !event.defaultPrevented) {
    event.preventDefault();
    open.at(-1).close();
  }
});
