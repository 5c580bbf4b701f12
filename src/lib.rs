//! Stationmaster: the control plane between chat daemons and MCP servers.

pub mod app;
pub mod cli;
pub mod client;
pub mod config;
pub mod crypto;
pub mod domain;
pub mod fetch;
pub mod grpc;
pub mod mcp;
pub mod oauth;
pub mod pb;
pub mod runtime;
pub mod store;
pub mod web;
pub mod worker;
