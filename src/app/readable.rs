//! What a list answers where a row of it cannot be read: the others. The row is named to the log,
//! and is nobody else's trouble.

use crate::domain::page::Page;
use crate::store;

/// The rows that can be read.
pub(super) fn readable<T>(rows: impl IntoIterator<Item = store::Result<T>>) -> Vec<T> {
    let read = rows
        .into_iter()
        .map(|row| row.inspect_err(|error| tracing::error!(%error, "a row is passed over")));
    read.flatten().collect()
}

/// A page of the rows that can be read. It may hold fewer than were asked for although more follow.
pub(super) fn readable_page<T>(page: Page<store::Result<T>>) -> Page<T> {
    Page {
        entries: readable(page.entries),
        next: page.next,
    }
}
