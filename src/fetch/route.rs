//! How requests leave this machine, where that is not simply by the system's own means.

use super::resolver::Names;

/// What a deployment, or a test, puts in the place of the system's own.
#[derive(Debug, Clone, Default)]
pub struct Route {
    /// Who is asked about names.
    pub names: Names,
}
