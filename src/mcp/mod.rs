//! What this service says to MCP servers itself, and what it understands of their refusals. Carries
//! no MCP traffic; must not know OAuth beyond the words of a challenge.
//!
//! [`Challenge`] reads `WWW-Authenticate`, [`probe()`] provokes it.

mod challenge;
mod error;
mod grammar;
mod probe;

pub use challenge::{AuthScheme, BearerChallenge, Challenge};
pub use error::Error;
pub use probe::{Probe, probe};
