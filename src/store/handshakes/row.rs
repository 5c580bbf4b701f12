//! How a row of handshakes is read.

use sqlx::FromRow;

use crate::domain::handshakes::{Binding, Failure, Handshake, State};
use crate::domain::time::Timestamp;
use crate::store::columns::{Reading, time};
use crate::store::error::{Error, Result};

#[derive(FromRow)]
pub(super) struct Row {
    id: String,
    tenant: String,
    user_id: String,
    server: String,
    created_by: String,
    binding: String,
    state: String,
    failure: Option<String>,
    generation: Option<i64>,
    exchange_until: Option<i64>,
    registration: String,
    auth_version: i64,
    snapshot: String,
    flow: Option<Vec<u8>>,
    flow_key: Option<String>,
    link_hash: Vec<u8>,
    state_hash: Vec<u8>,
    browser_hash: Option<Vec<u8>>,
    return_url: Option<String>,
    opener_origin: Option<String>,
    completion_url: Option<String>,
    code_hash: Option<Vec<u8>>,
    parked: Option<Vec<u8>>,
    parked_key: Option<String>,
    created_at: i64,
    expires_at: i64,
    finished_at: Option<i64>,
    account: Option<String>,
}

/// What a state carries, as it is stored.
#[derive(Default)]
pub(super) struct Carried {
    pub(super) failure: Option<&'static str>,
    pub(super) generation: Option<i64>,
    pub(super) exchange_until: Option<i64>,
}

pub(super) fn carried(state: State) -> Carried {
    let nothing = Carried::default();
    match state {
        State::Exchanging { until } => Carried {
            exchange_until: Some(until.as_micros()),
            ..nothing
        },
        State::Completed { generation } => Carried {
            generation: Some(generation),
            ..nothing
        },
        State::Failed(failure) => Carried {
            failure: Some(failure.as_str()),
            ..nothing
        },
        State::Pending | State::AwaitingConfirmation | State::Cancelled | State::Expired => nothing,
    }
}

/// The name a state is stored under. Expiry is computed, so it has none of its own.
pub(super) fn state_name(state: State) -> &'static str {
    match state {
        State::Pending | State::Expired => "pending",
        State::Exchanging { .. } => "exchanging",
        State::AwaitingConfirmation => "awaiting_confirmation",
        State::Completed { .. } => "completed",
        State::Failed(_) => "failed",
        State::Cancelled => "cancelled",
    }
}

fn state(reading: &Reading<'_>, row: &Row) -> Result<State> {
    Ok(match row.state.as_str() {
        "pending" => State::Pending,
        "exchanging" => {
            let until = reading.some("exchange_until", row.exchange_until)?;
            State::Exchanging {
                until: Timestamp::from_micros(until),
            }
        }
        "awaiting_confirmation" => State::AwaitingConfirmation,
        "completed" => State::Completed {
            generation: reading.some("generation", row.generation)?,
        },
        "failed" => {
            let failure = row.failure.as_deref().and_then(Failure::parse);
            State::Failed(reading.some("failure", failure)?)
        }
        "cancelled" => State::Cancelled,
        _ => return Err(reading.corrupt("state")),
    })
}

impl TryFrom<Row> for Handshake {
    type Error = Error;

    fn try_from(row: Row) -> Result<Self> {
        let reading = Reading {
            table: "handshakes",
            id: &row.id,
        };
        let hash = |column, bytes: &Option<Vec<u8>>| {
            bytes
                .as_deref()
                .map(|bytes| reading.hash(column, bytes))
                .transpose()
        };
        Ok(Self {
            id: reading.parse("id", &row.id)?,
            tenant: reading.tenant(&row.tenant)?,
            user: reading.user(&row.user_id)?,
            server: reading.parse("server", &row.server)?,
            binding: reading.some("binding", Binding::parse(&row.binding))?,
            state: state(&reading, &row)?,
            registration: reading.parse("registration", &row.registration)?,
            auth_version: row.auth_version,
            snapshot: reading.json("snapshot", &row.snapshot)?,
            link_hash: reading.hash("link_hash", &row.link_hash)?,
            state_hash: reading.hash("state_hash", &row.state_hash)?,
            browser_hash: hash("browser_hash", &row.browser_hash)?,
            code_hash: hash("code_hash", &row.code_hash)?,
            flow: reading.sealed("flow", row.flow, row.flow_key)?,
            parked: reading.sealed("parked", row.parked, row.parked_key)?,
            account: row.account,
            created_by: row.created_by,
            return_url: row.return_url,
            opener_origin: row.opener_origin,
            completion_url: row.completion_url,
            created_at: Timestamp::from_micros(row.created_at),
            expires_at: Timestamp::from_micros(row.expires_at),
            finished_at: time(row.finished_at),
        })
    }
}
