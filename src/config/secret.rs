//! Secrets among the settings: given by value or by file, never both; never shown.

use std::fmt;
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use url::Url;
use zeroize::Zeroizing;

use super::error::Problem;
use super::layers::{self, Entries, Origin, Raw};
use super::sections;
use super::values::{self, Value};
use crate::domain::secrets::Opaque;

/// A secret's file is not longer, in bytes; what is longer was named by mistake.
const LONGEST_FILE: u64 = 64 * 1024;

/// Puts the content of each `<key>_file` in the place of its key.
pub(super) fn read_files(said: &mut Entries, problems: &mut Vec<Problem>) {
    for key in sections::keys().filter(|key| key.secret) {
        let by_file = format!("{}_file", key.name);
        let Some(file) = said.get(&by_file).cloned() else {
            continue;
        };
        let mut note = |key: &str, message| {
            problems.push(Problem {
                key: key.to_owned(),
                origin: Some(file.origin.clone()),
                message,
            });
        };
        if let Some(origin) = said.origin(key.name) {
            let message = format!("is given, and so is `{}` ({origin}); keep one", key.name);
            note(&by_file, message);
            continue;
        }
        let content = layers::as_path(&file.raw)
            .ok_or_else(|| "must be a path".to_owned())
            .and_then(|path| Ok((path, content(path)?)));
        match content {
            Ok((path, lines)) => {
                let origin = Origin::SecretFile(path.to_owned(), Box::new(file.origin.clone()));
                said.set(key.name, Raw::List(lines), origin);
            }
            Err(message) => note(&by_file, message),
        }
    }
}

/// The lines of a secret's file that are not blank.
pub(super) fn content(path: &Path) -> Result<Vec<String>, String> {
    let name = path.display();
    let unreadable = |error| format!("file {name} cannot be read: {error}");
    if std::fs::metadata(path).map_err(unreadable)?.len() > LONGEST_FILE {
        return Err(format!("file {name} is longer than {LONGEST_FILE} bytes"));
    }
    let text = Zeroizing::new(std::fs::read_to_string(path).map_err(unreadable)?);
    let lines: Vec<String> = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .map(str::to_owned)
        .collect();
    if lines.is_empty() {
        return Err(format!("file {name} is empty"));
    }
    Ok(lines)
}

/// The one line of a secret that is no list, by value or of a file.
fn line(raw: &Raw) -> Option<&str> {
    match raw {
        Raw::Text(text) => Some(text.trim()),
        Raw::List(list) => match list.as_slice() {
            [one] => Some(one.trim()),
            _ => None,
        },
    }
}

/// Which database, and how to reach it.
#[derive(Debug, Clone)]
pub enum DatabaseUrl {
    /// The embedded one, in this file.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(PostgresUrl),
}

/// A PostgreSQL server's URL. May hold a password, so that `Debug` shows nothing of it.
#[derive(Clone)]
pub struct PostgresUrl(Zeroizing<String>);

impl PostgresUrl {
    /// The whole URL, password included: for connecting, not for showing.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for PostgresUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PostgresUrl(redacted)")
    }
}

impl Value for DatabaseUrl {
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Result<Self, String> {
        const WANTED: &str = "must be `sqlite:<path>` or `postgres://…`";
        let text = line(raw).ok_or_else(|| WANTED.to_owned())?;
        if let Some(path) = text.strip_prefix("sqlite:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() || path.starts_with(':') || path.contains('?') {
                return Err("must name a file: `sqlite:<path>`, without options".to_owned());
            }
            return Ok(Self::Sqlite(path.into()));
        }
        match Url::parse(text) {
            Ok(url) if matches!(url.scheme(), "postgres" | "postgresql") => {
                Ok(Self::Postgres(PostgresUrl(Zeroizing::new(text.to_owned()))))
            }
            Ok(_) | Err(_) => Err(WANTED.to_owned()),
        }
    }
}

/// An HTTP proxy's URL. May hold a user name and password.
#[derive(Debug, Clone)]
pub struct ProxyUrl(Opaque);

impl ProxyUrl {
    /// The whole URL, password included.
    pub fn as_secret(&self) -> &Opaque {
        &self.0
    }
}

impl Value for Option<ProxyUrl> {
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Result<Self, String> {
        const WANTED: &str = "must be the URL of an http or https proxy, without a path: \
                              `http://<user>:<password>@<host>:<port>`";
        let url = line(raw).and_then(|text| Url::parse(text).ok());
        let plain = |url: &Url| {
            matches!(url.scheme(), "http" | "https")
                && url.has_host()
                && url.path() == "/"
                && url.query().is_none()
                && url.fragment().is_none()
        };
        let url = url.filter(plain).ok_or_else(|| WANTED.to_owned())?;
        Ok(Some(ProxyUrl(Opaque::new(url.into()))))
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

/// The keys that wrap data keys, each 32 bytes in base64 as given. The first wraps, all open.
#[derive(Debug, Clone, Default)]
pub struct RootKeys(Vec<Opaque>);

impl RootKeys {
    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys in order: standard base64 with padding, of 32 bytes.
    pub fn as_slice(&self) -> &[Opaque] {
        &self.0
    }
}

impl Value for RootKeys {
    const SECRET: bool = true;

    fn read(raw: &Raw) -> Result<Self, String> {
        let keys = values::entries(raw);
        if keys.is_empty() {
            return Err("holds no key".to_owned());
        }
        for (number, key) in keys.iter().enumerate() {
            let bytes = STANDARD.decode(key).map(Zeroizing::new);
            if bytes.is_ok_and(|bytes| bytes.len() == 32) {
                continue;
            }
            let number = number + 1;
            return Err(format!("key {number} is not 32 bytes in base64"));
        }
        let keys = keys.into_iter().map(|key| Opaque::new(key.to_owned()));
        Ok(Self(keys.collect()))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str) -> Result<DatabaseUrl, String> {
        DatabaseUrl::read(&layers::text(text))
    }

    #[test]
    fn a_database_is_a_file_or_a_server() {
        assert!(
            matches!(url("sqlite:a/b.db"), Ok(DatabaseUrl::Sqlite(path)) if path == Path::new("a/b.db"))
        );
        assert!(
            matches!(url("sqlite:///b.db"), Ok(DatabaseUrl::Sqlite(path)) if path == Path::new("/b.db"))
        );
        assert!(matches!(
            url("postgres://u:p@h/d"),
            Ok(DatabaseUrl::Postgres(url)) if url.as_str() == "postgres://u:p@h/d"
        ));
        for bad in ["", "sqlite:", "sqlite::memory:", "mysql://h/d", "a.db"] {
            assert!(url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_proxy_is_a_plain_url() {
        let read = |text: &str| Option::<ProxyUrl>::read(&layers::text(text));

        for good in [
            "http://proxy.internal:3128",
            "https://u:p@10.0.0.1",
            "http://u@[::1]:1/",
        ] {
            assert!(matches!(read(good), Ok(Some(_))), "{good}");
        }
        for bad in [
            "",
            "proxy.internal:3128",
            "socks5://u:hush@h:1",
            "http://u:hush@h/path",
            "http://u:hush@h/?q",
        ] {
            let why = read(bad).unwrap_err();
            assert!(!why.contains("hush"), "{why}");
        }
    }

    #[test]
    fn neither_debug_nor_a_problem_shows_a_secret() {
        let shown = format!("{:?}", url("postgres://u:hush@h/d"));
        let refused = format!("{:?}", url("mysql://u:hush@h/d"));
        let key = RootKeys::read(&layers::text("hush"));

        assert!(!shown.contains("hush") && !refused.contains("hush"));
        assert_eq!(key.unwrap_err(), "key 1 is not 32 bytes in base64");
    }
}
