// A chat's front end, as far as a handshake meets it: the page where the browser arrives with the one-time code.

import { createServer } from 'node:http';

export class FrontEnd {
  /** The completion URL, to be allowed in the service's settings. */
  url;

  /** What browsers brought, oldest first: `{handshake, code}`. */
  arrivals = [];

  #server;

  static async start() {
    const frontEnd = new FrontEnd();
    frontEnd.#server = createServer((request, response) => {
      const { pathname, searchParams } = new URL(request.url, frontEnd.url);
      if (pathname === '/connected') frontEnd.arrivals.push(Object.fromEntries(searchParams));
      response.writeHead(200, { 'content-type': 'text/plain' }).end('The chat goes on.');
    });
    await new Promise((resolve, reject) => {
      frontEnd.#server.on('error', reject);
      frontEnd.#server.listen(0, '127.0.0.1', resolve);
    });
    frontEnd.url = `http://127.0.0.1:${frontEnd.#server.address().port}/connected`;
    return frontEnd;
  }

  async stop() {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }
}
