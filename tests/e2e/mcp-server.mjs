// The MCP server: the official SDK's Streamable HTTP transport behind the official SDK's bearer middleware and metadata.
//
//   E2E_ISSUER   the authorization server's issuer
//   E2E_PORT     where it listens on loopback, default any free port
//
// Accepts JWT access tokens of that issuer for this very resource: signature by the issuer's published keys, issuer,
// audience, expiry without tolerance, scope. Prints one JSON line `{"url": ...}` when it listens.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';

import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import {
  getOAuthProtectedResourceMetadataUrl,
  mcpAuthMetadataRouter,
} from '@modelcontextprotocol/sdk/server/auth/router.js';
import { createMcpExpressApp } from '@modelcontextprotocol/sdk/server/express.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { isInitializeRequest } from '@modelcontextprotocol/sdk/types.js';
import { createRemoteJWKSet, jwtVerify } from 'jose';
import { z } from 'zod';

const SCOPE = 'mcp';
const issuer = process.env.E2E_ISSUER;

const metadata = await fetch(`${issuer}/.well-known/openid-configuration`).then((answer) => answer.json());
const keys = createRemoteJWKSet(new URL(metadata.jwks_uri));

function tools() {
  const server = new McpServer({ name: 'e2e', version: '1.0.0' });
  const text = (value) => ({ content: [{ type: 'text', text: value }] });

  server.registerTool(
    'echo',
    { description: 'Says what it was told', inputSchema: { text: z.string() } },
    (said) => text(said.text),
  );
  server.registerTool(
    'whoami',
    { description: 'The account whose token this is' },
    ({ authInfo }) => text(authInfo.extra.subject),
  );
  return server;
}

function verifier(resource) {
  return {
    async verifyAccessToken(token) {
      const { payload } = await jwtVerify(token, keys, {
        issuer: metadata.issuer,
        audience: resource.href,
        typ: 'at+jwt',
        clockTolerance: 0,
      }).catch((error) => {
        throw new InvalidTokenError(error.message.replaceAll('"', "'"));
      });
      return {
        token,
        clientId: payload.client_id,
        scopes: (payload.scope ?? '').split(' '),
        expiresAt: payload.exp,
        resource,
        extra: { subject: payload.sub },
      };
    },
  };
}

// One transport per MCP session, as the SDK's own examples do it.
const sessions = new Map();

async function transportOf(request) {
  const known = sessions.get(request.headers['mcp-session-id']);
  if (known || !isInitializeRequest(request.body)) return known;

  const transport = new StreamableHTTPServerTransport({
    sessionIdGenerator: randomUUID,
    onsessioninitialized: (id) => sessions.set(id, transport),
  });
  transport.onclose = () => sessions.delete(transport.sessionId);
  await tools().connect(transport);
  return transport;
}

async function speak(request, response) {
  const transport = await transportOf(request);
  if (!transport) {
    response.status(404).json({ jsonrpc: '2.0', error: { code: -32001, message: 'no such session' }, id: null });
    return;
  }
  await transport.handleRequest(request, response, request.body);
}

const app = createMcpExpressApp();
const server = createServer(app);
await new Promise((resolve, reject) => {
  server.on('error', reject);
  server.listen(Number(process.env.E2E_PORT ?? 0), '127.0.0.1', resolve);
});
const resource = new URL(`http://127.0.0.1:${server.address().port}/mcp`);

app.use(
  mcpAuthMetadataRouter({ oauthMetadata: metadata, resourceServerUrl: resource, scopesSupported: [SCOPE], resourceName: 'E2E' }),
);
app.use(
  resource.pathname,
  requireBearerAuth({
    verifier: verifier(resource),
    requiredScopes: [SCOPE],
    resourceMetadataUrl: getOAuthProtectedResourceMetadataUrl(resource),
  }),
);
app.all(resource.pathname, speak);

console.log(JSON.stringify({ url: resource.href }));
