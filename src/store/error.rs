//! What can go wrong with rows.

/// The store's result.
pub type Result<T> = std::result::Result<T, Error>;

/// Why the store could not do what was asked. "Not found" is `None`, not an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A row holds what this service never writes.
    #[error("{table}.{column} of {id} cannot be read")]
    Corrupt {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The row.
        id: String,
    },
    /// Another row has what must be unique, or the row changed since it was read.
    #[error("conflict")]
    Conflict,
    /// The database does not answer, or not in time; trying again may help.
    #[error("database unavailable")]
    Unavailable(#[source] sqlx::Error),
    /// The database refused a statement; trying again will not help.
    #[error("database refused a statement")]
    Driver(#[source] sqlx::Error),
    /// The address of the database makes no sense.
    #[error("database.url: {0}")]
    Address(&'static str),
    /// The database file cannot be used.
    #[error("{path}: {why}")]
    File {
        /// The file.
        path: String,
        /// Why not, and what to do.
        why: String,
    },
    /// The schema is not the one this release speaks.
    #[error("schema: {0}")]
    Schema(String),
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        if let sqlx::Error::Database(database) = &error {
            // SQLite says BUSY (5), LOCKED (6), READONLY (8), IOERR (10), FULL (13), CANTOPEN (14);
            // PostgreSQL 08 (connection), 25006 (read-only), 25P03 (idle for too long), 40 (rollback),
            // 53 (resources), 57 (operator intervention).
            let code = database.code().unwrap_or_default().into_owned();
            let primary = code
                .parse::<u32>()
                .ok()
                .filter(|_| code.len() < 5)
                .map(|n| n & 0xff);
            let sqlite = matches!(primary, Some(5 | 6 | 8 | 10 | 13 | 14));
            let postgres = code.len() == 5
                && (matches!(code.as_str(), "25006" | "25P03")
                    || ["08", "40", "53", "57"].iter().any(|c| code.starts_with(c)));
            return if sqlite || postgres {
                Self::Unavailable(error)
            } else {
                Self::Driver(error)
            };
        }
        let passing = matches!(
            error,
            sqlx::Error::Io(_)
                | sqlx::Error::Tls(_)
                | sqlx::Error::PoolTimedOut
                | sqlx::Error::PoolClosed
                | sqlx::Error::WorkerCrashed
                | sqlx::Error::Protocol(_)
        );
        if passing {
            Self::Unavailable(error)
        } else {
            Self::Driver(error)
        }
    }
}

/// A unique violation is a conflict; everything else is what it is. Called by the methods that can
/// collide in exactly one way.
pub(super) fn conflict(error: sqlx::Error) -> Error {
    let unique = error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_unique_violation);
    if unique {
        Error::Conflict
    } else {
        Error::from(error)
    }
}

/// What a new row refers to went meanwhile: a conflict. Everything else is what it is.
pub(super) fn gone(error: sqlx::Error) -> Error {
    let dangling = error
        .as_database_error()
        .is_some_and(sqlx::error::DatabaseError::is_foreign_key_violation);
    if dangling {
        Error::Conflict
    } else {
        Error::from(error)
    }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::fmt;

    use sqlx::error::{DatabaseError, ErrorKind};

    use super::*;

    /// What a database says, by its code.
    #[derive(Debug)]
    struct Said(&'static str);

    impl fmt::Display for Said {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl std::error::Error for Said {}

    impl DatabaseError for Said {
        fn message(&self) -> &str {
            self.0
        }

        fn code(&self) -> Option<Cow<'_, str>> {
            Some(self.0.into())
        }

        fn as_error(&self) -> &(dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn as_error_mut(&mut self) -> &mut (dyn std::error::Error + Send + Sync + 'static) {
            self
        }

        fn into_error(self: Box<Self>) -> Box<dyn std::error::Error + Send + Sync + 'static> {
            self
        }

        fn kind(&self) -> ErrorKind {
            ErrorKind::Other
        }
    }

    #[test]
    fn what_passes_is_told_from_what_does_not() {
        let passes = |code| {
            let error = Error::from(sqlx::Error::Database(Box::new(Said(code))));
            matches!(error, Error::Unavailable(_))
        };

        // SQLite: BUSY, BUSY_SNAPSHOT, IOERR_FSYNC, FULL. PostgreSQL: connection, deadlock, too many
        // connections, stopping, idle for too long within a transaction, read-only.
        for code in [
            "5", "517", "1034", "13", "08006", "40P01", "53300", "57P01", "25P03", "25006",
        ] {
            assert!(passes(code), "{code}");
        }
        // SQLite: a constraint. PostgreSQL: a constraint, a syntax error, a failed transaction.
        for code in ["19", "23505", "42601", "25P02"] {
            assert!(!passes(code), "{code}");
        }
    }
}
