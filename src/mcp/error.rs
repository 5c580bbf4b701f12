//! How asking an MCP server can fail.

use crate::fetch;

/// An MCP server that could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configured address is not a URL.
    #[error("server address is not a URL")]
    Address,
    /// It could not be contacted.
    #[error(transparent)]
    Fetch(#[from] fetch::Error),
}
