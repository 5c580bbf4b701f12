// Stationmaster as its users meet it: the command line, the gRPC API by its proto files, the public pages. Everything this
// test assumes about flags, settings, printed output, method names and message shapes is in this file and nowhere else.

import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

import { Child, CommandFailed, freePorts, run, until } from './children.mjs';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));
const BINARY = process.env.STATIONMASTER_BIN ?? join(ROOT, 'target/debug/stationmaster');
const PROTO = join(ROOT, 'proto');
const CALL_DEADLINE_MS = 15_000;
const READY_DEADLINE_MS = 20_000;

// What `serve --dev` prints once: the admin key, somewhere in a line.
const ADMIN_KEY = /\b(stm_[0-9a-f]{32}_[A-Za-z0-9_-]{43})/;
// What `connect` prints for the person: the link to open.
const CONNECT_URL = /(https?:\/\/[^\s"']+\/connect\/[^\s"']+)/;

export class Service {
  #directory;
  #databaseUrl;
  #completionUrl;
  #settings;
  #ports;
  #child;
  #adminKey;
  #daemonKey;

  constructor({ directory, databaseUrl, completionUrl, settings = {} }) {
    this.#directory = directory;
    this.#databaseUrl = databaseUrl;
    this.#completionUrl = completionUrl;
    this.#settings = settings;
  }

  /** A service on free ports with a data directory of its own; `settings` as in its environment. Ready when this returns. */
  static async start({ directory, databaseUrl, completionUrl, settings }) {
    const service = new Service({ directory, databaseUrl, completionUrl, settings });
    await mkdir(directory, { recursive: true });
    service.#ports = await freePorts(3);
    // On PostgreSQL migrating is a step of its own.
    if (databaseUrl) await service.#command(['migrate', '--dev']);
    await service.#serve();
    service.#adminKey = await service.#child.line((line) => line.match(ADMIN_KEY)?.[1], READY_DEADLINE_MS);
    return service;
  }

  get endpoint() {
    return `http://127.0.0.1:${this.#ports[0]}`;
  }

  get publicUrl() {
    return `http://127.0.0.1:${this.#ports[1]}`;
  }

  get operationsUrl() {
    return `http://127.0.0.1:${this.#ports[2]}`;
  }

  /** The first key, which is an operator's. */
  get operatorKey() {
    return this.#adminKey;
  }

  /** Is this the address of our OAuth callback? */
  isCallback(url) {
    return url.startsWith(`${this.publicUrl}/oauth2/callback`);
  }

  // Settings reach the process by the environment only; nothing of the caller's own settings leaks in.
  get #environment() {
    const inherited = Object.entries(process.env).filter(([name]) => !name.startsWith('STATIONMASTER_'));
    const [rpc, web, operations] = this.#ports;
    return {
      ...Object.fromEntries(inherited),
      HOME: this.#directory,
      XDG_CONFIG_HOME: join(this.#directory, 'config'),
      NO_COLOR: '1',
      STATIONMASTER_LISTEN__GRPC: `127.0.0.1:${rpc}`,
      STATIONMASTER_LISTEN__PUBLIC: `127.0.0.1:${web}`,
      STATIONMASTER_LISTEN__OPERATIONS: `127.0.0.1:${operations}`,
      STATIONMASTER_PUBLIC__ALLOWED_COMPLETION_URLS: this.#completionUrl,
      ...(this.#databaseUrl ? { STATIONMASTER_DATABASE__URL: this.#databaseUrl } : {}),
      ...this.#settings,
    };
  }

  async #serve() {
    this.#child = new Child('stationmaster', BINARY, ['serve', '--dev', '--data-dir', this.#directory], {
      env: this.#environment,
    });
    const over = this.#child.ended.then(({ code, signal }) => {
      throw new Error(`serve ended with ${signal ?? code}\n${this.#child.tail()}`);
    });
    const ready = until(READY_DEADLINE_MS, `the service to be ready\n${this.#child.tail()}`, async () => {
      const answer = await fetch(`${this.operationsUrl}/readyz`, { signal: AbortSignal.timeout(2_000) });
      return answer.ok ? true : undefined;
    });
    over.catch(() => {});
    await Promise.race([ready, over]);
  }

  /** Ends the service as an operator would. Answers `{code, signal}`. */
  async stop() {
    return this.#child.stop('SIGTERM');
  }

  /** Starts it again on the same data. */
  async startAgain() {
    await this.#serve();
  }

  /** The last lines of its log. */
  log(count = 60) {
    return this.#child?.tail(count) ?? '';
  }

  // ---- the command line ----------------------------------------------------------------------------------------------

  #command(args) {
    return run(`stationmaster ${args.slice(0, 2).join(' ')}`, BINARY, [...args, '--data-dir', this.#directory], {
      env: this.#environment,
    });
  }

  #clientArguments(args) {
    return [...args, '--endpoint', this.endpoint, '--output', 'json'];
  }

  get #clientEnvironment() {
    const daemon = this.#daemonKey ? { STATIONMASTER_DAEMON_API_KEY: this.#daemonKey } : {};
    return { ...this.#environment, STATIONMASTER_API_KEY: this.#adminKey, ...daemon };
  }

  /** Runs a client command; answers the JSON document it printed. */
  async cli(...args) {
    const printed = await run(`stationmaster ${args.slice(0, 2).join(' ')}`, BINARY, this.#clientArguments(args), {
      env: this.#clientEnvironment,
    });
    return JSON.parse(printed);
  }

  /** Makes a key for a chat daemon and answers the key itself, shown this once. Commands that act as a daemon use it from now on. */
  async createDaemonKey() {
    const made = await this.cli('apikey', 'create', '--role', 'daemon', '--name', 'e2e daemon');
    this.#daemonKey = made.secret;
    return made.secret;
  }

  /** Registers an MCP server with nothing but its URL: discovery and registration are the service's job. */
  async createServer(slug, url) {
    const made = await this.cli('server', 'create', '--slug', slug, '--name', slug, '--url', url, '--auth', 'oauth2', '--enabled', '--availability', 'default-on');
    return normalServer(made.server);
  }

  async getServer(slug) {
    const found = await this.cli('server', 'get', slug);
    return normalServer(found.server);
  }

  async listServers() {
    const found = await this.cli('server', 'list');
    return found.servers.map(normalServer);
  }

  /** Tries to register one, and answers how the command failed: its exit code and what it said for programs. */
  async refusedServer(slug, url) {
    try {
      await this.createServer(slug, url);
    } catch (error) {
      if (!(error instanceof CommandFailed)) throw error;
      const said = error.child.lines.find(({ line, stream }) => stream === 'stderr' && line.startsWith('{'));
      return { exit: error.code, ...JSON.parse(said?.line ?? '{}').error };
    }
    return { exit: 0 };
  }

  /** `connect` in the background: the link it prints, and how it ends. */
  async connect(server, user) {
    const child = new Child('stationmaster connect', BINARY, this.#clientArguments(['connect', server, '--user', user]), {
      env: this.#clientEnvironment,
    });
    const url = await child.line((line) => line.match(CONNECT_URL)?.[1], CALL_DEADLINE_MS);
    return { url, ended: child.ended, report: () => child.tail() };
  }

  /** `resolve` as a person or a script calls it. */
  async resolve(server, user) {
    const answer = await this.cli('resolve', server, '--user', user);
    return normalCredential(answer.servers[0]);
  }

  // ---- the gRPC API --------------------------------------------------------------------------------------------------

  /** A chat daemon written in another language, with a key of its own. */
  daemon(key) {
    return new Daemon(this.endpoint, key);
  }
}

/** A gRPC client made from the proto files at run time: nothing of it is generated by our build. */
export class Daemon {
  #clients;
  #metadata = new grpc.Metadata();

  constructor(endpoint, key) {
    const definition = protoLoader.loadSync(
      ['handshake.proto', 'token.proto', 'chat.proto'].map((file) => `stationmaster/v1/${file}`),
      { includeDirs: [PROTO], keepCase: true, enums: String, longs: String, oneofs: true },
    );
    const services = grpc.loadPackageDefinition(definition).stationmaster.v1;
    const at = (name) => new services[name](new URL(endpoint).host, grpc.credentials.createInsecure());
    this.#clients = {
      handshakes: at('HandshakeService'),
      tokens: at('TokenService'),
      chats: at('ChatService'),
    };
    this.#metadata.set('authorization', `Bearer ${key}`);
  }

  #call(client, method, request) {
    const deadline = Date.now() + CALL_DEADLINE_MS;
    return new Promise((resolve, reject) => {
      this.#clients[client][method](request, this.#metadata, { deadline }, (error, answer) =>
        error ? reject(withReason(error)) : resolve(answer),
      );
    });
  }

  close() {
    for (const client of Object.values(this.#clients)) client.close();
  }

  /** Starts a handshake: one that any browser with the link may finish, or, with a completion URL, one to confirm. */
  async startHandshake(server, user, { completionUrl } = {}) {
    const binding = completionUrl ? 'HANDSHAKE_BINDING_CONFIRM' : 'HANDSHAKE_BINDING_LINK';
    const request = { server, actor: { user }, binding, completion_url: completionUrl };
    const { handshake, connect_url: url } = await this.#call('handshakes', 'StartHandshake', request);
    return { id: handshake.id, url };
  }

  /** The handshake's state as the chat daemon sees it, in the words below. */
  async handshakeState(id) {
    const { handshake } = await this.#call('handshakes', 'GetHandshake', { handshake: id });
    return handshake.state.replace(/^HANDSHAKE_STATE_/, '');
  }

  /** The confirming step of a front end, with the one-time code it received. */
  async completeHandshake(id, code, user) {
    const answer = await this.#call('handshakes', 'CompleteHandshake', { handshake: id, code, actor: { user } });
    return answer.handshake.state.replace(/^HANDSHAKE_STATE_/, '');
  }

  async cancelHandshake(id) {
    await this.#call('handshakes', 'CancelHandshake', { handshake: id });
  }

  async resolve(server, user) {
    const answer = await this.#call('tokens', 'ResolveCredentials', { servers: [server], actor: { user } });
    return normalCredential(answer.servers[0]);
  }

  /** Tells what an upstream answered to a credential of this version, and answers what to do. */
  async report(server, user, { status, www_authenticate: challenges = [], version = 0 }) {
    const answer = await this.#call('tokens', 'ReportResponse', {
      server,
      actor: { user },
      http_response: { status, www_authenticate: challenges, credential_version: version },
      handshake_options: { binding: 'HANDSHAKE_BINDING_LINK' },
    });
    return {
      action: answer.action.replace(/^REPORT_ACTION_/, ''),
      version: Number(answer.credential_version),
      url: answer.authorize?.connect_url,
      handshake: answer.authorize?.handshake,
      scopes: answer.authorize?.scopes,
    };
  }

  /** One chat turn: what may be used, with credentials. A selection, where given, replaces the chat's. */
  async resolveChat(chat, user, selection, identity) {
    const request = { chat_id: chat, actor: { user }, mode: 'CHAT_MODE_NORMAL', identity };
    if (selection) request.selection = { servers: selection };
    const answer = await this.#call('chats', 'ResolveChat', request);
    return (answer.servers ?? []).map(normalCredential);
  }

  async disconnect(server, user) {
    await this.#call('tokens', 'Disconnect', { server, actor: { user } });
  }
}

// The words of a handshake's end.
export const COMPLETED = 'COMPLETED';
export const FAILED = 'FAILED';
export const CANCELLED = 'CANCELLED';

// ---- shapes ------------------------------------------------------------------------------------------------------------

function normalServer(server) {
  return { id: server.id, slug: server.slug, url: server.url, enabled: server.enabled, raw: server };
}

// One server's entry of a resolve: READY with headers, or why not.
function normalCredential(entry) {
  const headers = Object.fromEntries((entry.headers ?? []).map(({ name, value }) => [name, value]));
  return {
    slug: entry.slug,
    status: entry.status.replace(/^SERVER_STATUS_/, ''),
    availability: entry.availability?.replace(/^AVAILABILITY_/, ''),
    version: Number(entry.credential_version ?? 0),
    headers,
    signingKey: entry.signing_key ?? undefined,
    url: entry.url,
  };
}

// A refusal with the reason of its `google.rpc.ErrorInfo`, whose first field is the reason.
function withReason(error) {
  const details = error.metadata?.get('grpc-status-details-bin')[0]?.toString('latin1') ?? '';
  error.reason = details.match(/google\.rpc\.ErrorInfo[^A-Z]*([A-Z][A-Z_]*)/)?.[1];
  return error;
}
