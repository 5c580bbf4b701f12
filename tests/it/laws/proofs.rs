//! Cells of a page that name tests, as the laws of such pages read them.

use super::source::Source;

/// Everything in backticks, in order.
pub(super) fn quoted(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// A name in backticks as file and test, if it is one.
pub(super) fn test(name: &str) -> Option<(&str, &str)> {
    name.split_once("::")
}

/// Whether a function of this name is in the file.
pub(super) fn is_there(sources: &[Source], path: &str, name: &str) -> bool {
    let file = sources.iter().find(|source| source.path == path);
    let tokens = file.map(Source::tokens).unwrap_or_default();
    let mut pairs = tokens.iter().zip(tokens.iter().skip(1));
    pairs.any(|(word, next)| word.text == "fn" && next.text == name)
}
