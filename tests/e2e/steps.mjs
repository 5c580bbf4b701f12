// What the chapters of the journey are made of.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { decodeJwt } from 'jose';

import { until } from './children.mjs';

export const SLUG = 'tools';
export const HANDSHAKE_DEADLINE_MS = 15_000;

/** What the provider has seen so far, of the kind that is wanted. */
export async function events(provider, wanted) {
  const text = await fetch(`${provider.url}/-/journal`, { signal: AbortSignal.timeout(5_000) }).then((answer) => answer.text());
  const all = text.split('\n').filter(Boolean).map((line) => JSON.parse(line));
  return all.filter((event) => Object.entries(wanted).every(([key, value]) => event[key] === value));
}

export const grants = (provider, kind) => events(provider, { endpoint: 'token', grant_type: kind });

export function bearer(headers) {
  const value = Object.entries(headers).find(([name]) => name.toLowerCase() === 'authorization')?.[1] ?? '';
  return value.replace(/^Bearer /, '');
}

// Waits until the token has expired for everyone. `exp` counts whole seconds, rounded down, so whoever goes by `expires_in`,
// as an OAuth client must, sees the end up to a second later.
export async function expiry(headers) {
  const { exp } = decodeJwt(bearer(headers));
  const end = exp * 1000 + 1_200;
  await until(60_000, 'the token to expire', () => (Date.now() > end ? true : undefined));
}

// Headers that live long enough for a few calls: tokens are short here, and one about to expire is not worth starting with.
export async function lively(daemon, user) {
  const { headers } = await daemon.resolve(SLUG, user);
  if (decodeJwt(bearer(headers)).exp * 1000 - Date.now() > 2_000) return headers;
  await expiry(headers);
  return (await daemon.resolve(SLUG, user)).headers;
}

export async function useTools(mcpServer, headers) {
  const client = new Client({ name: 'e2e-daemon', version: '1.0.0' });
  const transport = new StreamableHTTPClientTransport(new URL(mcpServer.url), { requestInit: { headers } });
  try {
    await client.connect(transport);
    const { tools } = await client.listTools();
    const echoed = await client.callTool({ name: 'echo', arguments: { text: 'all aboard' } });
    const whoami = await client.callTool({ name: 'whoami' });
    return { tools: tools.map(({ name }) => name).sort(), echoed: echoed.content[0].text, subject: whoami.content[0].text };
  } finally {
    await client.close();
  }
}

export async function failure(promise) {
  try {
    await promise;
    return 'accepted';
  } catch (error) {
    return error.code === 401 || /401|invalid_token/.test(error.message) ? 'refused' : error.message;
  }
}

export async function handshakeEnds(daemon, id, state) {
  await until(HANDSHAKE_DEADLINE_MS, `handshake ${id} to be ${state}`, async () => {
    const found = await daemon.handshakeState(id);
    if (found !== state) throw new Error(`it is ${found}`);
    return true;
  }).catch(() => {});
}

/** A call of a tool as a daemon sends it, without any library: the status, and the challenges as they came. */
export async function rawCall(mcpServer, headers) {
  const answer = await fetch(mcpServer.url, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'application/json', accept: 'application/json, text/event-stream' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'ping' }),
  });
  await answer.text();
  const challenge = answer.headers.get('www-authenticate');
  return { status: answer.status, www_authenticate: challenge ? [challenge] : [] };
}

/** The reason for which a call is refused; undefined when it is not. */
export async function reasonOf(promise) {
  try {
    await promise;
    return undefined;
  } catch (error) {
    return error.reason ?? String(error);
  }
}
