// Users who must connect their own account, as the provider's ID token names it.

import { Browser } from './browser.mjs';
import { COMPLETED, FAILED } from './service.mjs';
import { handshakeEnds } from './steps.mjs';

const OWN = 'own';
const USER = 'erin@provider';

export async function accounts({ report, service, daemon, mcpServer }) {
  const flags = ['--scope', 'openid', '--scope', 'mcp', '--account-policy', 'refuse', '--account-claim', 'sub'];
  await service.cli('server', 'create', '--slug', OWN, '--name', OWN, '--url', mcpServer.url, '--auth', 'oauth2', '--enabled', ...flags);

  const wrong = await daemon.startHandshake(OWN, USER);
  const refused = await new Browser().visit(wrong.url, { login: 'mallory@provider' });
  await handshakeEnds(daemon, wrong.id, FAILED);
  report.same('who signs in with another account is refused', await daemon.handshakeState(wrong.id), FAILED);
  report.holds('and told to choose their own', /your own account/.test(refused.text), refused.text);
  report.same('nothing is connected', (await daemon.resolve(OWN, USER)).status, 'NOT_CONNECTED');

  const right = await daemon.startHandshake(OWN, USER);
  await new Browser().visit(right.url, { login: USER });
  await handshakeEnds(daemon, right.id, COMPLETED);
  report.same('their own account is connected', await daemon.handshakeState(right.id), COMPLETED);
  const { connection } = await service.cli('connection', 'get', OWN, '--user', USER);
  report.same('and recorded as the provider names it', connection.account, USER);
  await daemon.disconnect(OWN, USER);
}
