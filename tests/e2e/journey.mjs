// The journey itself: every check of the end-to-end test, in the order a user would live through it.

import { accounts } from './accounts.mjs';
import { Browser, visibleText } from './browser.mjs';
import { until, within } from './children.mjs';
import { confirm } from './confirm.mjs';
import { identity } from './identity.mjs';
import { probe } from './probe.mjs';
import { report401 } from './report401.mjs';
import { CANCELLED, COMPLETED, FAILED } from './service.mjs';
import { HANDSHAKE_DEADLINE_MS, SLUG, bearer, events, expiry, failure, grants, handshakeEnds, lively, useTools } from './steps.mjs';
import { strangeServers } from './strange-servers.mjs';

export async function journey({ report, service, provider, mcpServer, frontEnd }) {
  const context = { report, service, provider, mcpServer, frontEnd, daemon: undefined };
  await register(context);
  context.daemon = service.daemon(await service.createDaemonKey());
  try {
    await probe(context);
    await strangeServers(context);
    await before(context);
    const alice = await connectByCommandLine(context);
    await secondCallback(context, alice);
    await callTools(context);
    await expire(context);
    await expireForMany(context);
    await report401(context);
    await connectByGrpc(context);
    await confirm(context);
    await chats(context);
    await identity(context);
    await accounts(context);
    await refuse(context);
    await strangeBrowser(context);
    await restart(context);
    await disconnect(context);
    await neverTwice(context);
  } finally {
    context.daemon.close();
  }
}

async function register({ report, service, provider, mcpServer }) {
  const created = await service.createServer(SLUG, mcpServer.url);
  report.holds('a server is created from its URL alone', created.id && created.slug === SLUG, created.raw);
  report.same('it can be read back', (await service.getServer(SLUG)).id, created.id);
  report.same('it is listed', (await service.listServers()).map(({ slug }) => slug), [SLUG]);

  const registrations = await events(provider, { endpoint: 'registration' });
  report.same('discovery led to one dynamic registration', registrations.map(({ status }) => status), [201]);
  const redirects = registrations[0]?.redirect_uris ?? [];
  report.holds('the redirect URI registered carries the real server id', redirects.length === 1 && redirects[0].includes(created.id), redirects);
}

async function before({ report, service, daemon }) {
  report.same('before connecting, resolve says so (gRPC)', (await daemon.resolve(SLUG, 'alice')).status, 'NOT_CONNECTED');
  report.same('before connecting, resolve says so (CLI)', (await service.resolve(SLUG, 'alice')).status, 'NOT_CONNECTED');
}

async function connectByCommandLine({ report, service, daemon, provider }) {
  const connect = await service.connect(SLUG, 'alice');
  report.holds('connect prints a link to the public listener', connect.url.startsWith(service.publicUrl), connect.url);

  const browser = new Browser();
  const page = await browser.visit(connect.url, { login: 'alice@provider' });
  report.holds('the browser ends on the result page of the callback', page.status === 200 && service.isCallback(page.url), `${browser.story()}\n${page.text}`);
  report.holds('the page is strict about what it loads', /default-src 'none'/.test(page.headers?.get('content-security-policy') ?? ''), [...(page.headers ?? [])]);

  const { code } = await within(HANDSHAKE_DEADLINE_MS, 'connect to notice', connect.ended);
  report.holds('connect ends well once the handshake is complete', code === 0, connect.report());

  const exchanges = await grants(provider, 'authorization_code');
  report.same('the code was exchanged once', exchanges.map(({ status }) => status), [200]);

  const byGrpc = await daemon.resolve(SLUG, 'alice');
  const byCommandLine = await service.resolve(SLUG, 'alice');
  report.same('resolve is ready (gRPC)', byGrpc.status, 'READY');
  report.same('resolve is ready (CLI)', byCommandLine.status, 'READY');
  report.same('both give the same headers', byCommandLine.headers, byGrpc.headers);
  report.same('resolving a fresh token refreshes nothing', (await grants(provider, 'refresh_token')).length, 0);
  return { browser, page };
}

async function secondCallback({ report, service, provider }, { browser, page }) {
  const callback = browser.trace.findLast(({ url }) => service.isCallback(url)).url;
  const before = (await grants(provider, 'authorization_code')).length;

  const again = await browser.visit(callback, { login: 'alice@provider' });

  report.same('a second use of the callback shows the first result', [again.status, visibleText(again.html)], [page.status, visibleText(page.html)]);
  report.same('and exchanges nothing', (await grants(provider, 'authorization_code')).length, before);
}

async function callTools({ report, daemon, mcpServer }) {
  const bare = await fetch(mcpServer.url, { method: 'POST', body: '{}' });
  report.same('the MCP server refuses a call without a token', bare.status, 401);

  const used = await useTools(mcpServer, await lively(daemon, 'alice'));
  report.same('tools/list works with exactly the headers given', used.tools, ['echo', 'whoami']);
  report.same('tools/call works', used.echoed, 'all aboard');
  report.same('the token is the account that logged in', used.subject, 'alice@provider');
}

async function expire({ report, daemon, provider, mcpServer }) {
  const old = (await daemon.resolve(SLUG, 'alice')).headers;
  const before = await grants(provider, 'refresh_token');
  await expiry(old);
  report.same('the expired token is refused by the MCP server', await failure(useTools(mcpServer, old)), 'refused');

  const fresh = (await daemon.resolve(SLUG, 'alice')).headers;

  report.holds('the token differs after expiry', bearer(fresh) !== bearer(old));
  const made = (await grants(provider, 'refresh_token')).slice(before.length);
  report.same('exactly one refresh was made', made.map(({ status }) => status), [200]);
  report.holds('the refresh token rotated', made[0]?.refresh_token && made[0].refresh_token !== made[0].presented, made);
  report.same('the new token works', (await useTools(mcpServer, fresh)).echoed, 'all aboard');
}

async function expireForMany({ report, service, daemon, provider, mcpServer }) {
  const old = (await daemon.resolve(SLUG, 'alice')).headers;
  const before = await grants(provider, 'refresh_token');
  await expiry(old);

  const callers = Array.from({ length: 8 }, (_, index) => (index < 6 ? daemon : service));
  const answers = await Promise.all(callers.map((caller) => caller.resolve(SLUG, 'alice')));

  report.same('8 resolves at once of an expired token are all ready', answers.map(({ status }) => status), callers.map(() => 'READY'));
  report.same('all get the same new token', new Set(answers.map(({ headers }) => bearer(headers))).size, 1);
  const made = (await grants(provider, 'refresh_token')).slice(before.length);
  report.same('and exactly one redemption was made', made.map(({ status }) => status), [200]);
  report.same('with a token that works', (await useTools(mcpServer, answers[0].headers)).echoed, 'all aboard');
}

async function connectByGrpc({ report, daemon, mcpServer }) {
  const { id, url } = await daemon.startHandshake(SLUG, 'bob');
  const browser = new Browser();
  const page = await browser.visit(url, { login: 'bob@provider' });
  report.same('a handshake started by a gRPC client ends well in the browser', page.status, 200);
  await handshakeEnds(daemon, id, COMPLETED);
  report.same('and is completed', await daemon.handshakeState(id), COMPLETED);

  const used = await useTools(mcpServer, await lively(daemon, 'bob'));
  report.same('each user calls as themselves', used.subject, 'bob@provider');
}

async function chats({ report, daemon }) {
  const [entry] = await daemon.resolveChat('new-chat', 'bob');
  report.same('a new chat has what is on by default, ready', [entry?.slug, entry?.availability, entry?.status], [SLUG, 'DEFAULT_ON', 'READY']);
  report.same('with the same headers as by name', entry?.headers, (await daemon.resolve(SLUG, 'bob')).headers);
  report.same('of a user who is not connected it says so', (await daemon.resolveChat('other-chat', 'nobody')).map(({ status }) => status), ['NOT_CONNECTED']);
  report.same('a chat that chose nothing has nothing', await daemon.resolveChat('new-chat', 'bob', []), []);
  report.same('and goes on so', await daemon.resolveChat('new-chat', 'bob'), []);
  report.same('until it chooses again', (await daemon.resolveChat('new-chat', 'bob', [SLUG])).map(({ slug }) => slug), [SLUG]);
}

async function refuse({ report, service, daemon, provider }) {
  const before = (await grants(provider, 'authorization_code')).length;
  const { id, url } = await daemon.startHandshake(SLUG, 'carol');

  const page = await new Browser().visit(url, { login: 'carol@provider', refuses: true });

  report.holds('a refused consent ends on a page of ours that is readable', service.isCallback(page.url) && page.text.length > 0, page);
  await handshakeEnds(daemon, id, FAILED);
  report.same('the handshake has failed', await daemon.handshakeState(id), FAILED);
  report.same('nothing was exchanged', (await grants(provider, 'authorization_code')).length, before);
  report.same('and the user is not connected', (await daemon.resolve(SLUG, 'carol')).status, 'NOT_CONNECTED');
}

async function strangeBrowser({ report, service, daemon, provider }) {
  const before = (await grants(provider, 'authorization_code')).length;
  const { id, url } = await daemon.startHandshake(SLUG, 'dave');
  const stopped = await new Browser().visit(url, { login: 'dave@provider', until: (next) => service.isCallback(next) });

  const page = await new Browser().visit(stopped.url, { login: 'mallory@provider' });

  report.holds('a callback in a browser without the cookie is refused', page.status >= 400 && page.status < 500, [page.status, page.text]);
  report.same('and nothing is exchanged', (await grants(provider, 'authorization_code')).length, before);
  if ((await daemon.handshakeState(id)) !== FAILED) {
    await daemon.cancelHandshake(id);
    report.same('an unfinished handshake can be cancelled', await daemon.handshakeState(id), CANCELLED);
  }
}

async function restart({ report, service, daemon, mcpServer }) {
  const { code } = await service.stop();
  report.same('the service stops cleanly when asked to', code, 0);
  await service.startAgain();

  const after = await until(HANDSHAKE_DEADLINE_MS, 'the client to reconnect', () => daemon.resolve(SLUG, 'alice'));
  report.same('after a restart the connection is still there', after.status, 'READY');
  report.same('and its headers work', (await useTools(mcpServer, await lively(daemon, 'alice'))).subject, 'alice@provider');
}

async function disconnect({ report, service, daemon }) {
  await daemon.disconnect(SLUG, 'alice');
  report.same('after disconnecting, resolve says so (gRPC)', (await daemon.resolve(SLUG, 'alice')).status, 'NOT_CONNECTED');
  report.same('after disconnecting, resolve says so (CLI)', (await service.resolve(SLUG, 'alice')).status, 'NOT_CONNECTED');
  report.same('nobody else is touched', (await daemon.resolve(SLUG, 'bob')).status, 'READY');
  await daemon.disconnect(SLUG, 'alice');
  report.holds('disconnecting twice is fine', true);
}

async function neverTwice({ report, provider }) {
  const redeemed = await grants(provider, 'refresh_token');
  const presented = redeemed.map((event) => event.presented);
  report.same('no refresh token was ever presented twice', presented.length, new Set(presented).size);
  report.same('the provider refused nothing', (await events(provider, {})).filter(({ status }) => status >= 400), []);
}
