//! Lists: all pages of one, unless one page is asked for.

use anyhow::Result;
use clap::Args;

/// Which part of a list. Without any, all of it.
#[derive(Debug, Default, Args)]
pub(super) struct Pages {
    /// Print one page of so many entries
    #[arg(long, value_name = "NUMBER", value_parser = clap::value_parser!(i32).range(1..=500))]
    page_size: Option<i32>,
    /// Go on where a page ended (its `next_page_token`)
    #[arg(long, value_name = "TOKEN")]
    page_token: Option<String>,
}

/// Which page to ask for.
#[derive(Debug)]
pub(super) struct Page {
    pub(super) size: i32,
    pub(super) token: String,
}

/// The size of a page when all are wanted.
const ALL: i32 = 500;

impl Pages {
    /// Asks for page after page. Answers the entries, and the token to go on with if there is more.
    pub(super) async fn collect<T>(
        self,
        mut ask: impl AsyncFnMut(Page) -> Result<(Vec<T>, String)>,
    ) -> Result<(Vec<T>, String)> {
        let one = self.page_size.is_some();
        let size = self.page_size.unwrap_or(ALL);
        let mut token = self.page_token.unwrap_or_default();
        let mut entries = Vec::new();
        loop {
            let page = Page { size, token };
            let (found, next) = ask(page).await?;
            entries.extend(found);
            token = next;
            if one || token.is_empty() {
                return Ok((entries, token));
            }
        }
    }
}

/// The line below a table that does not end with its last row.
pub(super) fn more(table: String, next: &str) -> String {
    if next.is_empty() {
        table
    } else {
        format!("{table}\nmore with --page-token {next}")
    }
}
