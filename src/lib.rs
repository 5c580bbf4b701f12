//! Stationmaster: the control plane between chat daemons and MCP servers.

pub mod domain;
pub mod fetch;
pub mod mcp;
pub mod oauth;
