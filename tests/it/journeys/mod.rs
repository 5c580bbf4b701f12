//! What people and machines do with the service, end to end over its listeners.

mod access;
mod bad_input;
mod browser;
mod chats;
mod confirm;
mod connect;
mod connect_failures;
mod create_server;
mod disconnect;
mod feed;
mod limits;
mod listeners;
mod refresh;
mod refresh_together;
mod reports;
mod resolve;
mod revoke;
mod revoke_all;
mod revoke_tenant;
mod revoke_unstored;
mod start;
mod tenants;
mod update_server;
mod watch;
mod watch_ends;
