//! Paging (AIP-158): how many, and from where. A page token is opaque to clients and bound to the
//! list it came from only by its shape; a foreign or damaged one is refused.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

/// Returned when a page token cannot have come from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not a page token of this list")]
pub struct InvalidPageToken;

/// The place after the last entry of a page: the sort keys of that entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    /// The first sort key (a display name, a time as text, ...).
    pub key: String,
    /// The second, unique one: an id.
    pub id: String,
}

impl Cursor {
    /// The cursor as a page token.
    pub fn encode(&self) -> String {
        URL_SAFE_NO_PAD.encode(format!("1\n{}\n{}", self.id, self.key))
    }

    /// The cursor of a page token.
    pub fn decode(token: &str) -> Result<Self, InvalidPageToken> {
        let bytes = URL_SAFE_NO_PAD
            .decode(token)
            .map_err(|_| InvalidPageToken)?;
        let text = String::from_utf8(bytes).map_err(|_| InvalidPageToken)?;
        let mut parts = text.splitn(3, '\n');
        match (parts.next(), parts.next(), parts.next()) {
            (Some("1"), Some(id), Some(key)) => Ok(Self {
                key: key.to_owned(),
                id: id.to_owned(),
            }),
            _ => Err(InvalidPageToken),
        }
    }
}

/// What a list call asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PageRequest {
    /// 1 to [`PageRequest::MAX`].
    pub size: i64,
    /// Where to go on; `None` starts at the beginning.
    pub after: Option<Cursor>,
}

impl PageRequest {
    /// How many entries a page holds when the caller does not say.
    pub const DEFAULT: i64 = 50;
    /// The most entries of one page; larger requests are cut to it (AIP-158).
    pub const MAX: i64 = 500;

    /// Zero means the default; more than the most means the most; negative is refused.
    pub fn parse(size: i32, token: &str) -> Result<Self, InvalidPageToken> {
        let size = match i64::from(size) {
            0 => Self::DEFAULT,
            size if size < 0 => return Err(InvalidPageToken),
            size => size.min(Self::MAX),
        };
        let after = if token.is_empty() {
            None
        } else {
            Some(Cursor::decode(token)?)
        };
        Ok(Self { size, after })
    }

    /// Where the page begins, as two bind values that sort before everything when there is none.
    pub fn start(&self) -> (&str, &str) {
        self.after
            .as_ref()
            .map_or(("", ""), |cursor| (cursor.key.as_str(), cursor.id.as_str()))
    }
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct Page<T> {
    /// The entries, in the list's order.
    pub entries: Vec<T>,
    /// The token of the next page, when there is one.
    pub next: Option<Cursor>,
}

impl<T> Page<T> {
    /// Makes a page of at most `size` entries out of `size + 1` that were read.
    pub fn of(mut entries: Vec<T>, size: i64, cursor: impl Fn(&T) -> Cursor) -> Self {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        let more = entries.len() > size;
        entries.truncate(size);
        let next = if more {
            entries.last().map(cursor)
        } else {
            None
        };
        Self { entries, next }
    }

    /// The same page of what its entries become.
    pub fn map<U>(self, into: impl FnMut(T) -> U) -> Page<U> {
        Page {
            entries: self.entries.into_iter().map(into).collect(),
            next: self.next,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back() {
        let cursor = Cursor {
            key: "Two\nlines".to_owned(),
            id: "srv_1".to_owned(),
        };

        assert_eq!(Cursor::decode(&cursor.encode()), Ok(cursor));
        assert_eq!(Cursor::decode("!!"), Err(InvalidPageToken));
        assert_eq!(Cursor::decode(""), Err(InvalidPageToken));
    }

    #[test]
    fn a_page_ends_where_the_next_begins() {
        let cursor = |n: &i32| Cursor {
            key: String::new(),
            id: n.to_string(),
        };

        let page = Page::of(vec![1, 2, 3], 2, cursor);
        let last = Page::of(vec![1, 2], 2, cursor);

        assert_eq!(
            (page.entries, page.next.map(|c| c.id)),
            (vec![1, 2], Some("2".to_owned()))
        );
        assert!(last.next.is_none());
    }
}
