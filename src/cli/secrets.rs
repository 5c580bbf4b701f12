//! Secrets as people give them: by file, by standard input (`-`), or by the name of an environment
//! variable. Never as words of the command line, which everybody on the machine can read.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use super::failure::Failure;

/// No secret is longer, in bytes; what is longer was named by mistake.
const LONGEST: u64 = 64 * 1024;

/// The secret in a file, or in standard input for `-`, without the line break at its end.
pub(super) fn from_file(path: &Path) -> Result<String> {
    let mut text = String::new();
    let read = if path == Path::new("-") {
        std::io::stdin()
            .lock()
            .take(LONGEST + 1)
            .read_to_string(&mut text)
    } else {
        let file = std::fs::File::open(path);
        let file = file.with_context(|| format!("{} cannot be read", path.display()))?;
        file.take(LONGEST + 1).read_to_string(&mut text)
    };
    let length = read.with_context(|| format!("{} cannot be read", path.display()))?;
    if u64::try_from(length).is_ok_and(|length| length > LONGEST) {
        let path = path.display();
        return Err(Failure::usage(format!(
            "{path} is longer than {LONGEST} bytes"
        )));
    }
    match without_line_break(&text) {
        "" => Err(Failure::usage(format!("{} is empty", path.display()))),
        text => Ok(text.to_owned()),
    }
}

/// Refuses files of which more than one is standard input: it is read to its end.
pub(super) fn check_input<'a>(files: impl Iterator<Item = &'a Path>) -> Result<()> {
    if files.filter(|file| *file == Path::new("-")).count() > 1 {
        return Err(Failure::usage("standard input can hold one secret only"));
    }
    Ok(())
}

fn without_line_break(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

/// The secret in a variable of the environment.
pub(super) fn from_variable(name: &str) -> Result<String> {
    let value = std::env::var_os(name).and_then(|value| value.into_string().ok());
    match value {
        Some(value) if !value.is_empty() => Ok(value),
        Some(_) | None => Err(Failure::usage(format!(
            "environment variable {name} is empty"
        ))),
    }
}

/// The secret that one of two flags gives, if any.
pub(super) fn given(file: Option<&PathBuf>, variable: Option<&String>) -> Result<Option<String>> {
    match (file, variable) {
        (Some(file), _) => from_file(file).map(Some),
        (None, Some(variable)) => from_variable(variable).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_break_at_the_end_is_not_part_of_the_secret() {
        assert_eq!(without_line_break("hush\r\n"), "hush");
        assert_eq!(without_line_break(" hush \n\n"), " hush \n");
        assert_eq!(without_line_break("\n"), "");
    }
}
