//! What revocations and retired clients have in common: both are work, which is claimed under a
//! lease and then done, put off or given up. Every write names the version that it was decided on.
//! How each is claimed is with each.

use sqlx::FromRow;

use super::columns::{Reading, time};
use super::engine::{Tx, on, statements};
use super::error::Result;
use crate::domain::changes::NewChange;
use crate::domain::revocations::{Job, Kind, Work, WorkState};
use crate::domain::time::Timestamp;

/// Where a piece of work is, at the version it was read with.
macro_rules! this {
    () => {
        " WHERE tenant = $1 AND id = $2 AND version = $3"
    };
}

macro_rules! delete {
    ($table:literal) => {
        concat!("DELETE FROM ", $table, this!())
    };
}

macro_rules! postpone {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET next_attempt_at = $4, last_error = $5, lease_until = NULL, \
            version = version + 1",
            this!()
        )
    };
}

macro_rules! bury {
    (revocations, $why:literal) => {
        bury!(
            "revocations SET client = NULL, refresh_token = NULL, refresh_token_key = NULL, \
            access_token = NULL, access_token_key = NULL, ",
            $why
        )
    };
    (retired_clients, $why:literal) => {
        bury!(
            "retired_clients SET client_secret = NULL, client_secret_key = NULL, \
            management_token = NULL, management_token_key = NULL, ",
            $why
        )
    };
    ($forgetting:literal, $why:literal) => {
        concat!(
            "UPDATE ",
            $forgetting,
            "state = 'dead', lease_until = NULL, version = version + 1, last_error = ",
            $why
        )
    };
}

macro_rules! end_leases {
    ($table:literal) => {
        concat!(
            "UPDATE ",
            $table,
            " SET lease_until = NULL, version = version + 1 WHERE lease_until IS NOT NULL"
        )
    };
}

macro_rules! delete_dead {
    ($table:literal) => {
        concat!(
            "DELETE FROM ",
            $table,
            " WHERE state = 'dead' AND created_at < $1"
        )
    };
}

statements! {
    DELETE_REVOCATION = delete!("revocations");
    DELETE_CLIENT = delete!("retired_clients");
    POSTPONE_REVOCATION = postpone!("revocations");
    POSTPONE_CLIENT = postpone!("retired_clients");
    BURY_REVOCATION = concat!(bury!(revocations, "$4"), this!());
    BURY_CLIENT = concat!(bury!(retired_clients, "$4"), this!());
    BURY_UNREAD_REVOCATION = concat!(bury!(revocations, "'unreadable'"), " WHERE id = $1");
    BURY_UNREAD_CLIENT = concat!(bury!(retired_clients, "'unreadable'"), " WHERE id = $1");
    END_LEASES_OF_REVOCATIONS = end_leases!("revocations");
    END_LEASES_OF_CLIENTS = end_leases!("retired_clients");
    DELETE_DEAD_REVOCATIONS = delete_dead!("revocations");
    DELETE_DEAD_CLIENTS = delete_dead!("retired_clients");
}

/// The columns that tell how work goes.
#[derive(FromRow)]
pub(super) struct WorkRow {
    state: String,
    not_before: i64,
    attempts: i64,
    next_attempt_at: i64,
    lease_until: Option<i64>,
    last_error: Option<String>,
    created_at: i64,
    version: i64,
}

impl WorkRow {
    pub(super) fn read(self, reading: &Reading<'_>) -> Result<Work> {
        Ok(Work {
            state: reading.some("state", WorkState::parse(&self.state))?,
            not_before: Timestamp::from_micros(self.not_before),
            attempts: self.attempts,
            next_attempt_at: Timestamp::from_micros(self.next_attempt_at),
            lease_until: time(self.lease_until),
            last_error: self.last_error,
            created_at: Timestamp::from_micros(self.created_at),
            version: self.version,
        })
    }
}

/// What may be claimed.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    /// What is due at this time of the service's clock
    pub now: Timestamp,
    /// and at this time of the clock that leases are measured by.
    pub lease_now: Timestamp,
    /// Until when it is ours.
    pub until: Timestamp,
    /// At most so many under way at one place, those of others included: an endpoint where grants
    /// are revoked, an issuer where registrations are deleted.
    pub per_place: i64,
    /// At most so many in all.
    pub limit: i64,
}

/// Ends work.
#[derive(Debug)]
pub struct Writer<'t> {
    pub(super) tx: &'t mut Tx,
    #[expect(dead_code, reason = "every writer has it; work is in nobody's feed")]
    pub(super) changes: &'t mut Vec<NewChange>,
}

impl Writer<'_> {
    /// Takes away what is done. `false` when the row is no longer at the version it was read with.
    pub async fn delete<J: Job>(&mut self, job: &J) -> Result<bool> {
        let statement = J::KIND.choose(DELETE_REVOCATION, DELETE_CLIENT);
        let rows = on!(&mut *self.tx, |conn| sqlx::query(statement)
            .bind(job.tenant().as_str())
            .bind(job.id())
            .bind(job.work().version)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Gives up: the secrets go, what is known of the work stays. `false` when the row is no longer
    /// at the version it was read with.
    pub async fn update_dead<J: Job>(&mut self, job: &J, why: &str) -> Result<bool> {
        let statement = J::KIND.choose(BURY_REVOCATION, BURY_CLIENT);
        let rows = on!(&mut *self.tx, |conn| sqlx::query(statement)
            .bind(job.tenant().as_str())
            .bind(job.id())
            .bind(job.work().version)
            .bind(why)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }
}

/// Who works on what, until when.
#[derive(Debug)]
pub struct Keeper<'t>(pub(super) &'t mut Tx);

impl Keeper<'_> {
    /// Gives back what is to be tried again. `false` when the row is no longer at the version it
    /// was claimed with.
    pub async fn update_later<J: Job>(
        &mut self,
        job: &J,
        at: Timestamp,
        error: &str,
    ) -> Result<bool> {
        let statement = J::KIND.choose(POSTPONE_REVOCATION, POSTPONE_CLIENT);
        let rows = on!(&mut *self.0, |conn| sqlx::query(statement)
            .bind(job.tenant().as_str())
            .bind(job.id())
            .bind(job.work().version)
            .bind(at.as_micros())
            .bind(error)
            .execute(conn)
            .await
            .map(|done| done.rows_affected()))?;
        Ok(rows == 1)
    }

    /// Gives up a row that cannot be read, and forgets its secrets: it would be claimed again and
    /// again.
    pub async fn bury(&mut self, kind: Kind, id: &str) -> Result<()> {
        let statement = kind.choose(BURY_UNREAD_REVOCATION, BURY_UNREAD_CLIENT);
        on!(&mut *self.0, |conn| sqlx::query(statement)
            .bind(id)
            .execute(conn)
            .await
            .map(drop))?;
        Ok(())
    }

    /// Ends every lease: whoever held one is gone. For the start of the one process that has the
    /// database. Answers how many.
    pub async fn end_leases(&mut self) -> Result<u64> {
        let mut ended = 0;
        for statement in [END_LEASES_OF_REVOCATIONS, END_LEASES_OF_CLIENTS] {
            ended += on!(&mut *self.0, |conn| sqlx::query(statement)
                .execute(conn)
                .await
                .map(|done| done.rows_affected()))?;
        }
        Ok(ended)
    }

    /// Deletes what was given up and became due before a point in time. Answers how many.
    pub async fn delete_dead(&mut self, before: Timestamp) -> Result<u64> {
        let mut gone = 0;
        for statement in [DELETE_DEAD_REVOCATIONS, DELETE_DEAD_CLIENTS] {
            gone += on!(&mut *self.0, |conn| sqlx::query(statement)
                .bind(before.as_micros())
                .execute(conn)
                .await
                .map(|done| done.rows_affected()))?;
        }
        Ok(gone)
    }
}
