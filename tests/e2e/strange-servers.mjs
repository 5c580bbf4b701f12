// MCP servers whose authorization cannot be found or cannot be trusted: refused with a reason, and not stored.

import { createServer } from 'node:http';

import { SLUG } from './steps.mjs';

const RESOURCE_PATH = '/.well-known/oauth-protected-resource/mcp';
const ISSUER_PATH = '/.well-known/oauth-authorization-server';

export async function strangeServers({ report, service, provider }) {
  const honest = (origin) => ({ resource: `${origin}/mcp`, authorization_servers: [origin] });
  const servers = {
    'a server without metadata': {
      says: /metadata|authorization server/i,
      documents: () => ({}),
    },
    'a server whose metadata is of another resource': {
      says: /resource/i,
      documents: (origin) => ({ [RESOURCE_PATH]: { ...honest(origin), resource: 'https://mcp.example.com/mcp' } }),
    },
    'an authorization server that names another issuer': {
      says: /issuer/i,
      documents: (origin) => ({
        [RESOURCE_PATH]: honest(origin),
        [ISSUER_PATH]: {
          issuer: provider.url,
          authorization_endpoint: `${origin}/auth`,
          token_endpoint: `${origin}/token`,
          registration_endpoint: `${origin}/register`,
          response_types_supported: ['code'],
          code_challenge_methods_supported: ['S256'],
        },
      }),
    },
  };

  for (const [name, { says, documents }] of Object.entries(servers)) {
    const strange = await StrangeServer.start(documents);
    const refused = await service.refusedServer('strange', strange.url);
    report.same(`${name} is refused`, [refused.exit, refused.reason], [1, 'DISCOVERY_FAILED']);
    report.holds(`${name} is told what is wrong`, says.test(refused.message), refused);
    report.holds(`${name} was asked no more than its metadata`, strange.posts === 0, strange.posts);
    await strange.stop();
  }
  report.same('none of them is stored', (await service.listServers()).map(({ slug }) => slug), [SLUG]);
}

class StrangeServer {
  url;
  posts = 0;
  #server;

  static async start(documents) {
    const strange = new StrangeServer();
    strange.#server = createServer((request, response) => {
      // A client may ask the resource itself; it must not register.
      if (request.method === 'POST' && request.url !== '/mcp') strange.posts += 1;
      const found = documents(new URL(strange.url).origin)[request.url];
      if (found) response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(found));
      else response.writeHead(request.url === '/mcp' ? 401 : 404).end();
    });
    await new Promise((resolve, reject) => {
      strange.#server.on('error', reject);
      strange.#server.listen(0, '127.0.0.1', resolve);
    });
    strange.url = `http://127.0.0.1:${strange.#server.address().port}/mcp`;
    return strange;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
