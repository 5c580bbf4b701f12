//! What can be wrong with the settings: everything found, each with where it was said.

use std::fmt;

use super::layers::Origin;

/// Why there are no settings to run with.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something is wrong with what the operator said; holds every problem found.
    #[error("{}", listed(.0))]
    Invalid(Vec<Problem>),
}

/// One setting that cannot be used. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The setting (`listen.grpc`), or what stands in its place.
    pub key: String,
    /// Who said it; `None` when nobody did.
    pub origin: Option<Origin>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.key)?;
        if let Some(origin) = &self.origin {
            write!(f, " ({origin})")?;
        }
        write!(f, ": {}", self.message)
    }
}

fn listed(problems: &[Problem]) -> String {
    let mut text = match problems.len() {
        1 => "a setting cannot be used".to_owned(),
        many => format!("{many} settings cannot be used"),
    };
    for problem in problems {
        text.push_str("\n  ");
        text.push_str(&problem.to_string());
    }
    text
}
