// The page of the control endpoint: everything begins here.

import { attribute, show } from './dom.js';
import { beginAudit, noteEntry, showAudit } from './audit.js';
import { beginEvents, onEvent, showEvents } from './events.js';
import { showGuardrails } from './guardrails.js';
import { beginHalting } from './halt.js';
import { openMaker } from './make.js';
import { showNotices, showNow } from './now.js';
import { showPoints } from './points.js';
import { showRules } from './rules.js';
import { beginSigningIn } from './signin.js';
import { begin, onChange, soon, state } from './state.js';
import { showVerdicts, tellVerdicts } from './verdicts.js';
import { beginWhy, showWhy } from './why.js';

const views = ['live', 'why', 'events', 'audit'];
const shown = { events: showEvents, audit: showAudit };

function showView() {
  const wanted = location.hash.slice(1);
  const view = views.includes(wanted) ? wanted : views[0];
  for (const name of views) show(document.getElementById(`view-${name}`), name === view);
  for (const link of document.querySelectorAll('.views a')) attribute(link, 'aria-current', link.dataset.view === view ? 'page' : null);
  shown[view]?.();
}

function showAll() {
  showNow();
  showNotices();
  showRules();
  tellVerdicts();
  showVerdicts();
  showPoints();
  showGuardrails();
  showWhy();
}

beginHalting();
beginWhy();
beginAudit();
const stream = beginEvents();
beginSigningIn(stream.stop);
onChange(() => {
  showAll();
  if (state.refused) stream.stop();
  else if (!document.hidden && state.status) stream.start();
});
onEvent((name) => {
  soon();
  if (name === 'audit') noteEntry();
});
document.getElementById('make').addEventListener('click', () => openMaker());
addEventListener('hashchange', showView);
showView();
showNow();
begin();

// Clocks tick between two looks.
setInterval(() => {
  if (document.hidden) return;
  showNow();
  if (state.rules.length > 0) showRules();
}, 1000);
