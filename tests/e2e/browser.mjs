// A browser without a window: cookies, redirects, meta refresh and forms, and nothing else. No JavaScript runs, which is
// also the promise of the pages it visits. Every hop is taken by hand and kept in `trace`, so that a failure can be read.

import { parse } from 'node-html-parser';
import { CookieJar } from 'tough-cookie';

const MAX_HOPS = 40;
const HOP_DEADLINE_MS = 10_000;

export class Browser {
  #jar = new CookieJar();

  /** Every request of this browser: method, URL, status, where it led. */
  trace = [];

  /**
   * Opens `url` and does what a person would until a page asks for nothing more.
   *
   * @param {string} url
   * @param {object} person
   * @param {string} person.login the name typed into a login form
   * @param {boolean} [person.refuses] presses Cancel where the page of consent offers it
   * @param {(url: string) => boolean} [person.until] stops before requesting a URL this accepts
   * @returns {Promise<{url: string, status: number, html: string, text: string, headers: Headers | undefined}>}
   */
  async visit(url, { login, refuses = false, until = () => false } = {}) {
    let request = { method: 'GET', url };
    for (let hop = 0; hop < MAX_HOPS; hop += 1) {
      if (until(request.url)) return { url: request.url, status: 0, html: '', text: '', headers: undefined };
      const page = await this.#fetch(request);
      const next = follow(page) ?? operate(page, { login, refuses });
      if (!next) return page;
      request = next;
    }
    throw new Error(`no end after ${MAX_HOPS} hops\n${this.story()}`);
  }

  /** The trace as text. */
  story() {
    return this.trace.map((hop) => `  ${hop.method} ${hop.url} -> ${hop.status} ${hop.location ?? ''}`).join('\n');
  }

  async #fetch({ method, url, body }) {
    const cookie = await this.#jar.getCookieString(url);
    const headers = { accept: 'text/html', 'user-agent': 'e2e-browser' };
    if (cookie) headers.cookie = cookie;
    if (body) {
      headers['content-type'] = 'application/x-www-form-urlencoded';
      headers.origin = this.#originOf;
      headers.referer = this.trace.at(-1)?.url ?? url;
    }

    const answer = await fetch(url, {
      method,
      headers,
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(HOP_DEADLINE_MS),
    });
    for (const line of answer.headers.getSetCookie()) await this.#jar.setCookie(line, url);

    const html = await answer.text();
    const location = answer.headers.get('location');
    this.trace.push({ method, url, status: answer.status, location });
    return { method, url, status: answer.status, html, text: visibleText(html), headers: answer.headers };
  }

  // The origin a browser states when a form of the last page is sent.
  get #originOf() {
    const last = this.trace.at(-1);
    return last ? new URL(last.url).origin : 'null';
  }
}

/** What a person reads on a page, with white space folded. */
export function visibleText(html) {
  const document = parse(html);
  for (const hidden of document.querySelectorAll('script, style, head')) hidden.remove();
  return document.text.replace(/\s+/g, ' ').trim();
}

// Where the page itself leads, without anybody touching it.
function follow(page) {
  const location = page.headers.get('location');
  if (page.status >= 300 && page.status < 400 && location) {
    const keepsMethod = page.status === 307 || page.status === 308;
    if (keepsMethod && page.method !== 'GET') throw new Error(`${page.url} asks to send a form on to ${location}`);
    return { method: 'GET', url: new URL(location, page.url).href };
  }

  const refresh = parse(page.html).querySelector('meta[http-equiv="refresh" i]')?.getAttribute('content');
  const target = refresh?.match(/^\s*\d+\s*[;,]\s*(?:url\s*=\s*)?['"]?([^'"]+?)['"]?\s*$/i)?.[1];
  return target ? { method: 'GET', url: new URL(target, page.url).href } : undefined;
}

// What a person does with the page: the first form that is sent by POST, filled in, or Cancel.
function operate(page, { login, refuses }) {
  if (page.status >= 400) return undefined;
  const document = parse(page.html);
  const form = document.querySelectorAll('form').find((found) => found.getAttribute('method')?.toLowerCase() === 'post');
  if (!form) return undefined;

  const asksPassword = form.querySelector('input[type="password"]') !== null;
  const cancel = document.querySelectorAll('a').find((link) => /cancel/i.test(link.text));
  if (refuses && cancel && !asksPassword) {
    return { method: 'GET', url: new URL(cancel.getAttribute('href'), page.url).href };
  }

  const url = new URL(form.getAttribute('action') || page.url, page.url).href;
  return { method: 'POST', url, body: fill(form, login).toString() };
}

function fill(form, login) {
  const fields = new URLSearchParams();
  for (const input of form.querySelectorAll('input')) {
    const name = input.getAttribute('name');
    if (!name) continue;
    const type = (input.getAttribute('type') ?? 'text').toLowerCase();
    if (type === 'password') fields.append(name, 'any password');
    else if (type === 'text' || type === 'email') fields.append(name, input.getAttribute('value') ?? login);
    else fields.append(name, input.getAttribute('value') ?? '');
  }
  const button = form.querySelector('button[name]');
  if (button) fields.append(button.getAttribute('name'), button.getAttribute('value') ?? '');
  return fields;
}
