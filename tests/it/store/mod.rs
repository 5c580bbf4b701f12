//! The contracts of the store: what each method of each repository promises, on both engines.

mod access;
mod audit;
mod bell;
mod chats;
mod connections;
mod connections_change;
mod connections_due;
mod corrupt;
mod feed;
mod feed_old;
mod file;
mod handshakes;
mod keys;
mod migrations;
mod registrations;
mod requests;
mod servers;
mod tenants;
mod tenants_delete;
mod transactions;
