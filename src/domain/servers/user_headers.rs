//! The headers of a server whose values each user supplies, as they are declared.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};

use super::Auth;

/// A header value that each user supplies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserHeader {
    /// The header's name.
    pub name: String,
    /// What to tell the user.
    pub description: String,
    /// Whether the server is usable without it.
    #[serde(default)]
    pub can_be_missing: bool,
}

impl UserHeader {
    /// The name that values are kept under, whatever case the header is written in.
    pub fn key(&self) -> String {
        self.name.to_ascii_lowercase()
    }
}

impl Auth {
    /// The headers whose values each user supplies, in the order they are sent.
    pub fn user_headers(&self) -> Cow<'_, [UserHeader]> {
        match self {
            Self::ApiKey(api_key) if api_key.per_user => Cow::Owned(vec![UserHeader {
                name: api_key.header.clone(),
                description: api_key.description.clone(),
                can_be_missing: false,
            }]),
            Self::CustomHeaders(custom) => Cow::Borrowed(&custom.user_headers),
            Self::None
            | Self::OAuth2(_)
            | Self::ApiKey(_)
            | Self::UserOidc(_)
            | Self::ClientCredentials(_)
            | Self::Enterprise(_)
            | Self::Workload(_) => Cow::Borrowed(&[]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::servers::{ApiKey, CustomHeaders};

    fn key(per_user: bool) -> Auth {
        Auth::ApiKey(ApiKey {
            header: "X-Key".into(),
            per_user,
            description: "yours".into(),
        })
    }

    #[test]
    fn users_supply_what_is_declared_and_nothing_else() {
        let declared = UserHeader {
            name: "X-Key".into(),
            description: "yours".into(),
            can_be_missing: false,
        };
        let custom = |user_headers| {
            Auth::CustomHeaders(CustomHeaders {
                names: vec!["X-Ours".into()],
                user_headers,
            })
        };

        assert_eq!(key(true).user_headers().to_vec(), vec![declared.clone()]);
        assert_eq!(*custom(vec![declared.clone()]).user_headers(), [declared]);
        for none in [key(false), custom(Vec::new()), Auth::None] {
            assert!(none.user_headers().is_empty());
        }
    }

    #[test]
    fn a_declaration_of_an_earlier_release_reads_back() {
        let stored = r#"{"name":"X-Own","description":""}"#;

        let read: UserHeader = serde_json::from_str(stored).unwrap();

        assert!(!read.can_be_missing);
    }
}
