// The authorization server: the certified `oidc-provider`, as its authors ship it.
//
// Dynamic registration, PKCE S256 for everyone, JWT access tokens for the resource asked for, refresh tokens that rotate at
// every use (a second use of one kills the whole grant), its own login and consent pages, the `iss` response parameter.
//
//   E2E_TOKEN_TTL   lifetime of an access token in seconds, default 6
//   E2E_PORT        where it listens on loopback, default any free port
//
// Prints one JSON line `{"url": ...}` when it listens. Besides the protocol it answers `GET /-/journal`: what happened at
// the registration, token and revocation endpoints, one JSON line each. Tokens appear there only as a short hash.

import { createHash, generateKeyPairSync, randomBytes } from 'node:crypto';
import { createServer } from 'node:http';

import Provider from 'oidc-provider';

export const SCOPE = 'mcp';

const tokenTtl = Number(process.env.E2E_TOKEN_TTL ?? 6);
const journal = [];

const fingerprint = (token) =>
  token === undefined ? undefined : createHash('sha256').update(token).digest('hex').slice(0, 16);

function signingKey() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: 'e2e', use: 'sig', alg: 'RS256' };
}

function configuration() {
  return {
    jwks: { keys: [signingKey()] },
    cookies: { keys: [randomBytes(32).toString('base64url')] },
    findAccount: (_ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
    clientAuthMethods: ['none', 'client_secret_basic'],
    responseTypes: ['code'],
    scopes: ['openid', 'offline_access', SCOPE],
    pkce: { required: () => true },
    rotateRefreshToken: true,
    issueRefreshToken: (_ctx, client) => client.grantTypeAllowed('refresh_token'),
    expiresWithSession: () => false,
    ttl: {
      AccessToken: tokenTtl,
      AuthorizationCode: 60,
      Grant: 3600,
      IdToken: 3600,
      Interaction: 600,
      RefreshToken: 3600,
      Session: 3600,
    },
    features: {
      registration: { enabled: true, initialAccessToken: false },
      registrationManagement: { enabled: true },
      revocation: { enabled: true },
      resourceIndicators: {
        enabled: true,
        // No default: a client that names no resource gets a token the MCP server does not accept.
        defaultResource: () => undefined,
        useGrantedResource: () => false,
        getResourceServerInfo: (_ctx, resource) => ({
          scope: SCOPE,
          audience: resource,
          accessTokenFormat: 'jwt',
          accessTokenTTL: tokenTtl,
          jwt: { sign: { alg: 'RS256' } },
        }),
      },
    },
  };
}

// What one request to a protocol endpoint was and how it ended.
async function record(ctx, next) {
  const at = Date.now();
  try {
    await next();
  } finally {
    const route = ctx.oidc?.route;
    if (['registration', 'token', 'revocation'].includes(route)) {
      const asked = ctx.oidc.params ?? {};
      const answered = ctx.body ?? {};
      journal.push({
        at,
        endpoint: route,
        client_id: ctx.oidc.client?.clientId ?? answered.client_id,
        grant_type: asked.grant_type,
        resource: asked.resource,
        presented: fingerprint(asked.refresh_token ?? asked.token),
        status: ctx.status,
        error: answered.error,
        error_description: answered.error_description,
        access_token: fingerprint(answered.access_token),
        refresh_token: fingerprint(answered.refresh_token),
        redirect_uris: answered.redirect_uris,
      });
    }
  }
}

function listen(handler) {
  return new Promise((resolve, reject) => {
    const server = createServer(handler);
    server.on('error', reject);
    server.listen(Number(process.env.E2E_PORT ?? 0), '127.0.0.1', () => resolve(server));
  });
}

// The issuer carries the port, so the listener comes before the provider.
let answer = (_request, response) => response.writeHead(503).end();
const server = await listen((request, response) => answer(request, response));
const url = `http://127.0.0.1:${server.address().port}`;

const provider = new Provider(url, configuration());
provider.use(record);
provider.on('server_error', (_ctx, error) => console.error(error));
const protocol = provider.callback();

answer = (request, response) => {
  if (request.url === '/-/journal') {
    response.writeHead(200, { 'content-type': 'application/x-ndjson' });
    response.end(journal.map((entry) => `${JSON.stringify(entry)}\n`).join(''));
    return;
  }
  protocol(request, response);
};

console.log(JSON.stringify({ url }));
