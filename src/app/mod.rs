//! Use cases: one public method for each RPC, callback or tick.

pub mod metrics;
