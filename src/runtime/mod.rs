//! The composition root: it wires, binds and serves, and decides nothing.
//!
//! Begin with [`Service`]: `build` binds the sockets, `run` serves until the process must end, in
//! the steps of [`lifecycle`].

pub mod dev;
mod doors;
mod egress;
pub mod error;
mod files;
mod health;
mod keys;
pub mod lifecycle;
mod operations;
mod service;
pub mod storage;
pub mod telemetry;

pub use error::Error;
pub use service::{Addresses, Seams, Service};
