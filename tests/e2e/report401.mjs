// What a daemon does with the 401 of a real MCP server: it passes it on, and does as it is told.

import { Browser } from './browser.mjs';
import { COMPLETED } from './service.mjs';
import { SLUG, bearer, expiry, grants, handshakeEnds, lively, rawCall, useTools } from './steps.mjs';

export async function report401(context) {
  await ofMany(context);
  await ofAGarbledToken(context);
  await ofAStranger(context);
}

async function ofMany({ report, daemon, provider, mcpServer }) {
  const old = await daemon.resolve(SLUG, 'alice');
  const before = (await grants(provider, 'refresh_token')).length;
  await expiry(old.headers);
  const refused = await rawCall(mcpServer, old.headers);
  report.same('an expired token gets a 401 with a challenge', [refused.status, refused.www_authenticate.length], [401, 1]);

  const told = { ...refused, version: old.version };
  const answers = await Promise.all(Array.from({ length: 5 }, () => daemon.report(SLUG, 'alice', told)));

  report.same('5 reports of it at once are all told to retry', answers.map(({ action }) => action), answers.map(() => 'RETRY'));
  report.holds('with a newer credential', answers.every(({ version }) => version > old.version), answers);
  const made = (await grants(provider, 'refresh_token')).slice(before);
  report.same('and exactly one redemption was made', made.map(({ status }) => status), [200]);
  report.same('a retry works', (await useTools(mcpServer, await lively(daemon, 'alice'))).subject, 'alice@provider');
}

async function ofAGarbledToken({ report, daemon, provider, mcpServer }) {
  await lively(daemon, 'alice');
  const present = await daemon.resolve(SLUG, 'alice');
  const before = (await grants(provider, 'refresh_token')).length;
  const refused = await rawCall(mcpServer, { authorization: `Bearer ${bearer(present.headers)}garbled` });

  const first = await daemon.report(SLUG, 'alice', { ...refused, version: present.version });
  const late = await daemon.report(SLUG, 'alice', { ...refused, version: present.version });

  report.same('a token refused before its time is renewed', [refused.status, first.action], [401, 'RETRY']);
  report.same('a late report of the same is told to retry', late.action, 'RETRY');
  report.same('and redeems nothing more', (await grants(provider, 'refresh_token')).length - before, 1);

  const renewed = await daemon.resolve(SLUG, 'alice');
  report.same('the renewed one works', (await useTools(mcpServer, renewed.headers)).subject, 'alice@provider');
  const worked = await daemon.report(SLUG, 'alice', { status: 200, version: renewed.version });
  report.same('which the daemon may say, with nothing to do', worked.action, 'NOT_AUTH');
}

async function ofAStranger({ report, daemon, mcpServer }) {
  const refused = await rawCall(mcpServer, {});

  const answer = await daemon.report(SLUG, 'erin', refused);
  const again = await daemon.report(SLUG, 'erin', refused);

  report.same('the 401 of a user without a grant leads to consent', [refused.status, answer.action], [401, 'AUTHORIZE']);
  report.same('for the scopes of the challenge and for staying connected', answer.scopes, ['mcp', 'offline_access']);
  report.same('a second report leads to the same handshake', again.handshake, answer.handshake);

  const browser = new Browser();
  await browser.visit(again.url ?? answer.url, { login: 'erin@provider' });
  await handshakeEnds(daemon, answer.handshake, COMPLETED);
  report.same('its link connects the user', await daemon.handshakeState(answer.handshake), COMPLETED);
  report.same('who then calls as themselves', (await useTools(mcpServer, await lively(daemon, 'erin'))).subject, 'erin@provider');
}
