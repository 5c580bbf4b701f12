//! What is written of identities that leaves them what they are.

use super::write::save_life;
use super::{END_LEASES, FORGET_DUE, USE};
use crate::domain::connections::Use;
use crate::domain::identities::Identity;
use crate::domain::ids::IdentityId;
use crate::domain::time::Timestamp;
use crate::store::engine::Tx;
use crate::store::error::Result;
use crate::store::lifecycles;

/// Leases and outcomes that leave an identity what it is.
#[derive(Debug)]
pub struct Keeper<'t>(pub(in crate::store) &'t mut Tx);

impl Keeper<'_> {
    /// Writes a lifecycle: a lease taken, a pause after a passing failure. `false` when the row is
    /// no longer at the version it was read with.
    pub async fn save_life(&mut self, identity: &Identity) -> Result<bool> {
        save_life(self.0, identity).await
    }

    /// Ends every lease now: what their holders had begun has an unknown outcome. For the start of
    /// the one process that has the database. Answers how many.
    pub async fn end_leases(&mut self, now: Timestamp) -> Result<u64> {
        lifecycles::end_leases(self.0, END_LEASES, now).await
    }

    /// Notes that a token was handed out, unless a later use is known. Leaves the version.
    pub async fn note_use(&mut self, identity: IdentityId, seen: &Use) -> Result<()> {
        lifecycles::note_use(self.0, USE, (identity.to_string(), seen)).await
    }

    /// Takes a row that cannot be read out of what is due: it would come up again and again.
    pub async fn forget_due(&mut self, id: &str) -> Result<()> {
        lifecycles::forget_due(self.0, FORGET_DUE, id).await
    }
}
