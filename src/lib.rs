//! Stationmaster: the control plane between chat daemons and MCP servers.

pub mod crypto;
pub mod domain;
pub mod pb;
pub mod store;
