// Servers that are told whom a request is for, and check it with a library that we did not write: the example of
// docs/identity.md, which is receiver.mjs.

import { createHash, createHmac } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { SignJWT, decodeJwt, decodeProtectedHeader, generateKeyPair } from 'jose';

import { receiver } from './receiver.mjs';

const SLUG = 'told';
const SECRET = 'between the two of us';
const HEADER = 'X-Stationmaster-Identity';
const OWNER = 'Zoë';

async function listening(handler) {
  const server = createServer(handler);
  await new Promise((resolve, reject) => {
    server.on('error', reject);
    server.listen(0, '127.0.0.1', resolve);
  });
  return server;
}

/** What a receiver makes of a request with these headers. */
async function asked(url, headers) {
  const answer = await fetch(url, { headers, signal: AbortSignal.timeout(5_000) });
  return { status: answer.status, who: await answer.json() };
}

/** The signature of a request without a body, computed as the proto file says. */
function signature({ owner = '', chat = '', subchat = '', workspace = '' }, time, uri) {
  const body = createHash('sha256').update('').digest('hex');
  const lines = ['v1', time, 'GET', uri, body, `owner=${owner}`, `chat=${chat}`, `subchat=${subchat}`, `workspace=${workspace}`];
  return `v1=${createHmac('sha256', SECRET).update(lines.join('\n')).digest('hex')}`;
}

async function forged(token, url, issuer) {
  const { privateKey } = await generateKeyPair('EdDSA');
  return new SignJWT({ ...decodeJwt(token), iss: issuer, aud: url }).setProtectedHeader(decodeProtectedHeader(token)).sign(privateKey);
}

export async function identity({ report, service, daemon }) {
  const [documented] = (await readFile(new URL('../../docs/identity.md', import.meta.url), 'utf8')).match(/(?<=```js\n).*?(?=```)/s) ?? [];
  report.same('the example of docs/identity.md is the one that runs here', documented, await readFile(new URL('receiver.mjs', import.meta.url), 'utf8'));

  let whoAsks;
  const server = await listening(async (request, response) => {
    const found = await whoAsks(request).catch((error) => ({ refused: error.code ?? error.message }));
    response.writeHead(found.refused ? 401 : 200, { 'content-type': 'application/json' }).end(JSON.stringify(found));
  });
  const directory = await mkdtemp(join(tmpdir(), 'stationmaster-e2e-secret-'));
  const url = `http://127.0.0.1:${server.address().port}/mcp`;
  const issuer = service.publicUrl;
  whoAsks = receiver({ url, issuer, tenant: 'default' });
  const flags = ['--forward-identity-headers', 'true', '--signed-token', 'true', '--enabled'];
  try {
    await service.cli('server', 'create', '--slug', SLUG, '--name', SLUG, '--url', url, ...flags);
    await service.cli('server', 'create', '--slug', 'other', '--name', 'other', '--url', `${url}/other`, ...flags);
    const [entry] = await daemon.resolveChat('chat of Zoë', OWNER, [SLUG], { workspace_id: 'w 1' });
    const first = await asked(url, entry.headers);
    report.same('a receiver learns who asks, from which chat and workspace', first.who, { user: OWNER, chat: 'chat of Zoë', workspace: 'w 1' });
    report.same('the bare headers say the same, encoded', entry.headers['X-Stationmaster-Owner-Id'], 'Zo%C3%AB');

    const token = entry.headers[HEADER];
    const elsewhere = (await daemon.resolve('other', OWNER)).headers[HEADER];
    for (const [what, wrong] of [
      ['nothing', ''],
      ['a token for another server', elsewhere],
      ['a token of another key', await forged(token, url, issuer)],
      ['a token that was changed', token.replace(/\.[^.]*\./, `.${Buffer.from(JSON.stringify({ ...decodeJwt(token), sub: 'root' })).toString('base64url')}.`)],
    ]) {
      report.same(`${what} is refused`, (await asked(url, { [HEADER]: wrong })).status, 401);
    }
    whoAsks = receiver({ url, issuer, tenant: 'acme' });
    report.same('and so is one of another tenant', (await asked(url, entry.headers)).who, { refused: 'another tenant' });

    report.same('a server without a signing secret gets no key', entry.signingKey, undefined);
    const secret = join(directory, 'secret');
    await writeFile(secret, SECRET);
    await service.cli('server', 'update', SLUG, '--signing-secret-file', secret, '--identity-preset', 'coder');
    const signed = await daemon.resolve(SLUG, OWNER);
    const { signingKey } = signed;
    report.same('with one, headers are those of the preset', signed.headers['X-Coder-Owner-Id'], 'Zo%C3%AB');
    report.same('and a daemon can sign', [signingKey?.secret, signingKey?.signature_header], [SECRET, 'X-Coder-Signature']);
    const named = { owner: signed.headers['X-Coder-Owner-Id'] };
    report.same('what it signs is what is sent', signature(signingKey, '1', '/mcp'), signature(named, '1', '/mcp'));
  } finally {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await rm(directory, { recursive: true });
  }
}
