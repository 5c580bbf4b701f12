//! What people and machines do with the service, end to end over its listeners.

mod browser;
mod listeners;
mod start;
