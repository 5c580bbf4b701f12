//! The contracts of the store: what each method of each repository promises, on both engines.

mod access;
mod audit;
mod bell;
mod chats;
mod connections;
mod connections_change;
mod connections_due;
mod connections_end;
mod corrupt;
mod feed;
mod feed_old;
mod file;
mod handshakes;
mod handshakes_parked;
mod keys;
mod migrations;
mod registrations;
mod registrations_end;
mod requests;
mod retired_clients;
mod revocations;
mod revocations_claim;
mod servers;
mod tenants;
mod tenants_delete;
mod transactions;
