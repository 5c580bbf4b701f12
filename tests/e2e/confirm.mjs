// The binding CONFIRM: a grant waits until a front end says, with the one-time code, that its signed-in user was there.

import { Browser } from './browser.mjs';
import { COMPLETED } from './service.mjs';
import { SLUG, lively, reasonOf, useTools } from './steps.mjs';

export async function confirm({ report, daemon, mcpServer, frontEnd }) {
  const elsewhere = daemon.startHandshake(SLUG, 'frank', { completionUrl: 'http://127.0.0.1:1/connected' });
  report.same('a completion URL that nobody allowed is refused', await reasonOf(elsewhere), 'URL_NOT_ALLOWED');

  const { id, url } = await daemon.startHandshake(SLUG, 'frank', { completionUrl: frontEnd.url });
  const browser = new Browser();
  const page = await browser.visit(url, { login: 'frank@provider' });

  const { handshake, code } = frontEnd.arrivals.at(-1) ?? {};
  report.holds('the browser arrives at the front end', page.url.startsWith(frontEnd.url), browser.story());
  report.holds('with the handshake and a code', handshake === id && code?.length >= 32, handshake);
  report.same('until it is confirmed, the grant waits', await daemon.handshakeState(id), 'AWAITING_CONFIRMATION');
  report.same('and the user is not connected', (await daemon.resolve(SLUG, 'frank')).status, 'NOT_CONNECTED');

  report.same('the wrong user is refused', await reasonOf(daemon.completeHandshake(id, code, 'mallory')), 'HANDSHAKE_CODE_INVALID');
  report.same('and is not connected either', (await daemon.resolve(SLUG, 'mallory')).status, 'NOT_CONNECTED');
  report.same('so is the wrong code', await reasonOf(daemon.completeHandshake(id, `${code}x`, 'frank')), 'HANDSHAKE_CODE_INVALID');

  report.same('the right user with the right code completes it', await daemon.completeHandshake(id, code, 'frank'), COMPLETED);
  const used = await useTools(mcpServer, await lively(daemon, 'frank'));
  report.same('and calls as themselves', used.subject, 'frank@provider');
  report.same('the code works once', await reasonOf(daemon.completeHandshake(id, code, 'frank')), 'HANDSHAKE_NOT_PENDING');
}
