//! The composition root: it wires, binds and serves, and decides nothing.

pub mod error;
pub mod lifecycle;
pub mod telemetry;

pub use error::Error;
