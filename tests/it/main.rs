//! The integration tests: one binary, one harness.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests may panic like tests; clippy only knows the tests themselves"
)]

mod harness;
mod oauth;
