//! Stationmaster: the control plane between chat daemons and MCP servers.

pub mod app;
pub mod config;
pub mod domain;
pub mod runtime;
