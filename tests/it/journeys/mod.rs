//! What people and machines do with the service, end to end over its listeners.

mod browser;
mod confirm;
mod connect;
mod connect_failures;
mod create_server;
mod disconnect;
mod listeners;
mod refresh;
mod reports;
mod resolve;
mod start;
mod update_server;
