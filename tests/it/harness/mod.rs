//! What the tests stand on: databases of their own and scripted fakes on loopback.

pub(crate) mod ahead;
pub(crate) mod browser;
pub(crate) mod client;
pub(crate) mod database;
pub(crate) mod fixtures;
mod full;
pub(crate) mod http;
pub(crate) mod idp;
pub(crate) mod issuer;
pub(crate) mod keys;
pub(crate) mod logins;
pub(crate) mod outbox;
mod outbox_world;
pub(crate) mod postgres;
mod postgres_binaries;
pub(crate) mod proxy;
pub(crate) mod receiver;
pub(crate) mod service;
pub(crate) mod sqlite;
mod stored;
pub(crate) mod tls;
pub(crate) mod trail;
pub(crate) mod user_headers;
pub(crate) mod watching;
pub(crate) mod web;
pub(crate) mod world;
