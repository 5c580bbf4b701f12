//! The integration tests: one binary, one harness.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test says no more by returning an error than by stopping"
)]

mod cli;
mod config;
mod harness;
mod journeys;
mod laws;
mod leaks;
mod lifecycle;
mod oauth;
mod stopping;
mod store;
mod walks;
