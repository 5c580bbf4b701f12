//! Failures: what is said about one, and the code to exit with.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Error;
use serde_json::{Value, json};

use super::output::{Format, Output};
use crate::client::{self, Code, code_name};
use crate::config;

/// Wrong usage, as clap has it.
pub(super) const USAGE: u8 = 2;
/// What was named does not exist.
const NOT_FOUND: u8 = 4;

/// A failure whose words are the whole story, with a word for programs.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub(super) struct Failure {
    /// For programs, in place of a gRPC code.
    pub(super) code: &'static str,
    /// For programs: the closer cause, if one is known.
    pub(super) reason: String,
    /// For people.
    pub(super) message: String,
    /// The code to exit with.
    pub(super) exit: u8,
}

impl Failure {
    /// Something that was typed, or said in the environment or a file, cannot be used.
    pub(super) fn usage(message: impl Into<String>) -> Error {
        Error::new(Self {
            code: "USAGE",
            reason: String::new(),
            message: message.into(),
            exit: USAGE,
        })
    }
}

/// Says what went wrong, once, on standard error.
pub(super) fn report(error: &Error, output: &Output) -> ExitCode {
    match output.format() {
        Format::Table => output.complain(&words(error)),
        Format::Json => output.complain(&document(error).to_string()),
    }
    ExitCode::from(exit(error))
}

fn exit(error: &Error) -> u8 {
    if let Some(failure) = error.downcast_ref::<Failure>() {
        return failure.exit;
    }
    match error.downcast_ref::<client::Error>() {
        Some(error) if error.code() == Some(Code::NotFound) => NOT_FOUND,
        Some(_) | None => 1,
    }
}

fn words(error: &Error) -> String {
    let mut words = format!("error: {error:#}");
    let Some(refusal) = error
        .downcast_ref::<client::Error>()
        .and_then(client::Error::refusal)
    else {
        return words;
    };
    if let Some(wait) = refusal.retry_after {
        let _ = write!(words, "\n  try again in {wait:?}");
    }
    if !refusal.reason.is_empty() {
        let _ = write!(words, "\n  reason: {}", refusal.reason);
    }
    if let Some(id) = &refusal.request_id {
        let _ = write!(words, "\n  request: {id}");
    }
    words
}

fn document(error: &Error) -> Value {
    let (code, reason) = match (
        error.downcast_ref::<Failure>(),
        error.downcast_ref::<client::Error>(),
    ) {
        (Some(failure), _) => (failure.code, failure.reason.as_str()),
        (None, Some(error)) => (
            error.code().map_or("USAGE", code_name),
            error
                .refusal()
                .map_or("", |refusal| refusal.reason.as_str()),
        ),
        (None, None) if error.is::<config::Error>() => ("INVALID_SETTINGS", ""),
        (None, None) => ("FAILED", ""),
    };
    let refusal = error
        .downcast_ref::<client::Error>()
        .and_then(client::Error::refusal);
    json!({ "error": {
        "code": code,
        "reason": reason,
        "message": refusal.map_or_else(|| format!("{error:#}"), |refusal| refusal.message.clone()),
        "field_violations": violations(error),
        "retry_after_seconds": refusal.and_then(|refusal| refusal.retry_after).map(|wait| wait.as_secs_f64()),
        "request_id": refusal.and_then(|refusal| refusal.request_id.clone()),
    }})
}

/// Each field, or each setting, that does not hold what it may.
fn violations(error: &Error) -> Vec<Value> {
    if let Some(config::Error::Invalid(problems)) = error.downcast_ref::<config::Error>() {
        return problems
            .iter()
            .map(|problem| {
                json!({
                    "field": problem.key,
                    "description": problem.message,
                    "origin": problem.origin.as_ref().map(ToString::to_string),
                })
            })
            .collect();
    }
    let refusal = error
        .downcast_ref::<client::Error>()
        .and_then(client::Error::refusal);
    refusal
        .map(|refusal| refusal.field_violations.as_slice())
        .unwrap_or_default()
        .iter()
        .map(|violation| json!({ "field": violation.field, "description": violation.description }))
        .collect()
}
