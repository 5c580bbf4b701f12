// Calls one tool with the headers of a resolve, and nothing else, by the official MCP SDK's client. Prints the result.
//
//   node call.mjs FILE TOOL JSON
//
//   FILE   what `stationmaster resolve ... --output json` printed; its first READY server is called
//   TOOL   the tool
//   JSON   the tool's arguments, an object

import { readFile } from 'node:fs/promises';

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';

async function readyServer(file) {
  const { servers } = JSON.parse(await readFile(file, 'utf8'));
  const ready = servers.find(({ status }) => status === 'SERVER_STATUS_READY');
  if (!ready) throw new Error(`no server is ready: ${servers.map(({ slug, status }) => `${slug} ${status}`).join(', ')}`);
  return ready;
}

async function call(server, tool, toolArguments) {
  const headers = (server.headers ?? []).map(({ name, value }) => [name, value]);
  const client = new Client({ name: 'stationmaster-tour', version: '1.0.0' });
  await client.connect(new StreamableHTTPClientTransport(new URL(server.url), { requestInit: { headers } }));
  try {
    return await client.callTool({ name: tool, arguments: toolArguments });
  } finally {
    await client.close();
  }
}

const [file, tool, json, ...rest] = process.argv.slice(2);
if (!json || rest.length > 0) {
  console.error('usage: node call.mjs FILE TOOL JSON');
  process.exit(2);
}
try {
  const result = await call(await readyServer(file), tool, JSON.parse(json));
  console.log(JSON.stringify(result, undefined, 2));
  process.exitCode = result.isError ? 1 : 0;
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exitCode = 1;
}
