//! What the words mean. Pure, synchronous, total: no I/O, no wire, no database.
//!
//! The glossary:
//!
//! - **tenant** ([`tenants`]): an organisation; everything belongs to one.
//! - **caller** ([`access`]): who is asking, with a role. **actor**: the user a call is about, with
//!   the groups asserted for them, or attested by their own token.
//! - **issuer** ([`issuers`]): who issues the JWTs ([`jws`]) that callers come with, as trusted as the
//!   deployment says.
//! - **account** ([`accounts`]): whom a grant speaks for at its provider.
//! - **server** ([`servers`]): an MCP server configuration that an administrator approved.
//! - **registration** ([`registrations`]): our OAuth client at one authorization server.
//! - **handshake** ([`handshakes`]): one attempt of a user to obtain a grant.
//! - **connection** ([`connections`]): one user's grant on one server. Its **generation** grows
//!   with every new pair of tokens; an **attempt** is the lease and the declared intent to redeem
//!   one generation's refresh token, once.
//! - **identity** ([`identities`]): the tokens of a user's own login, deposited to be sent on, and renewed
//!   as connections are.
//! - **revocation** ([`revocations`]): a grant that is gone here and is to be revoked at its provider,
//!   by a **retired client**: what our client there was when the grant ended.
//! - **header value** ([`user_headers`]): what one user supplies for a header that a server declares.
//! - **selection** ([`chats`]): which servers one chat uses.
//! - **tool** ([`tools`]): what a server offers to models; which may be called, and its name there.
//! - **resolution** ([`resolution`]): what a daemon needs for a server now, or why not.
//! - **identity forwarding** ([`forwarding`]): how a server is told whom a request is for; by a signed
//!   **identity token** ([`identity_tokens`]) too, so that it can be sure.
//! - **root key** wraps **data keys** ([`keys`]), which seal values ([`secrets::Sealed`]).
//! - **change** ([`changes`]): one entry of the feed; a **revision** is a place in it.
//! - **audit event** ([`audit`]): who did what to what.
//!
//! Start with [`connections`]: the rest serves it.

pub mod access;
pub mod accounts;
pub mod audit;
pub mod authorization;
pub mod breaker;
pub mod changes;
pub mod chats;
pub mod connections;
pub mod forwarding;
pub mod handshakes;
pub mod headers;
pub mod identities;
pub mod identity_tokens;
pub mod ids;
pub mod issuers;
pub mod jws;
pub mod keys;
pub mod page;
pub mod profiles;
pub mod random;
pub mod registrations;
pub mod resolution;
pub mod revocations;
pub mod secrets;
pub mod servers;
pub mod tenants;
pub mod text;
pub mod time;
pub mod tools;
pub mod user_headers;
