// Something to connect to: the authorization server and the MCP server of this folder on fixed ports, until interrupted.
//
//   node upstream.mjs

import { fileURLToPath } from 'node:url';

import { startNode, stopAll } from './children.mjs';

const MCP_PORT = 9000;
const PROVIDER_PORT = 9001;
const TOKEN_TTL_SECONDS = 60;

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

const interrupted = new Promise((resolve) => {
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, resolve);
});

try {
  const provider = await startNode('provider', here('provider.mjs'), {
    E2E_PORT: String(PROVIDER_PORT),
    E2E_TOKEN_TTL: String(TOKEN_TTL_SECONDS),
  });
  const mcpServer = await startNode('mcp-server', here('mcp-server.mjs'), {
    E2E_PORT: String(MCP_PORT),
    E2E_ISSUER: provider.url,
  });
  console.log(`MCP server            ${mcpServer.url}   tools: echo, whoami`);
  console.log(`authorization server  ${provider.url}       any name and password; tokens live ${TOKEN_TTL_SECONDS} seconds`);
  console.log('Both run until interrupted (Ctrl-C).');

  const ended = (child) => child.ended.then(() => Promise.reject(new Error(`${child.name} ended\n${child.tail()}`)));
  await Promise.race([interrupted, ended(provider), ended(mcpServer)]);
} catch (error) {
  // A port that is taken is the usual cause, and the child's own words name it.
  console.error(error.message);
  process.exitCode = 1;
} finally {
  await stopAll();
}
