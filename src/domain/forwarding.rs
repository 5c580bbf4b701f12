//! Identity forwarding: what a request says of whom it is for, beside its credential.
//!
//! Bare headers say it to a server that trusts the way they came; anybody else can write them too. Who
//! wants to be sure has them signed by the daemon (HMAC, by a secret that both have) or reads the signed
//! token ([`super::identity_tokens`]), which needs no secret.

use serde::{Deserialize, Serialize};

use super::headers;
use super::secrets::{HeaderSecret, Opaque};
use super::text::{ChatId, UserId};

/// The header that carries the signed token where nobody chose another one.
pub const TOKEN_HEADER: &str = "X-Stationmaster-Identity";

/// The longest name of a workspace, in bytes.
pub const MAX_WORKSPACE: usize = 255;

/// Where the names of identity headers come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Naming {
    /// `X-Stationmaster-...`
    Stationmaster,
    /// `X-Coder-...`
    Coder,
    /// As the administrator named them.
    Custom(Names),
}

/// Names of identity headers; what has an empty one is not sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Names {
    /// Names the chat's owner.
    pub owner: String,
    /// Names the root chat.
    pub chat: String,
    /// Names the sub-chat.
    pub subchat: String,
    /// Names the workspace.
    pub workspace: String,
}

/// How a server is told whom a request is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Forwarding {
    /// Where the names of the headers come from.
    pub naming: Naming,
    /// Whether a signed token goes with them.
    pub signed_token: bool,
    /// The header that carries it.
    pub token_header: String,
}

impl Default for Forwarding {
    fn default() -> Self {
        Self {
            naming: Naming::Stationmaster,
            signed_token: false,
            token_header: TOKEN_HEADER.to_owned(),
        }
    }
}

/// Who and what a request belongs to, beside its user. Decides nothing about what is allowed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdentityContext {
    /// The root chat.
    pub chat: Option<ChatId>,
    /// The sub-chat.
    pub subchat: Option<ChatId>,
    /// The workspace.
    pub workspace: Option<String>,
    /// Who triggered the turn, for the audit.
    pub triggered_by: Option<UserId>,
}

/// What identity headers say, as sent; empty where none is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// Of the chat's owner.
    pub owner: String,
    /// Of the root chat.
    pub chat: String,
    /// Of the sub-chat.
    pub subchat: String,
    /// Of the workspace.
    pub workspace: String,
}

/// What a daemon signs identity headers by.
#[derive(Debug)]
pub struct Signing {
    /// The key, as the administrator typed it.
    pub secret: Opaque,
    /// The header of the signature, and that of the time.
    pub headers: [&'static str; 2],
    /// What is signed beside the request.
    pub said: Said,
}

impl Forwarding {
    /// The names of the headers: owner, chat, sub-chat, workspace. An empty one is not sent.
    pub fn names(&self) -> [&str; 4] {
        match &self.naming {
            Naming::Stationmaster => [
                "X-Stationmaster-Owner-Id",
                "X-Stationmaster-Chat-Id",
                "X-Stationmaster-Subchat-Id",
                "X-Stationmaster-Workspace-Id",
            ],
            Naming::Coder => [
                "X-Coder-Owner-Id",
                "X-Coder-Chat-Id",
                "X-Coder-Subchat-Id",
                "X-Coder-Workspace-Id",
            ],
            Naming::Custom(names) => [&names.owner, &names.chat, &names.subchat, &names.workspace],
        }
    }

    /// The headers of a signature and of its time.
    pub fn signature_headers(&self) -> [&'static str; 2] {
        match self.naming {
            Naming::Stationmaster | Naming::Custom(_) => [
                "X-Stationmaster-Signature",
                "X-Stationmaster-Signature-Timestamp",
            ],
            Naming::Coder => ["X-Coder-Signature", "X-Coder-Signature-Timestamp"],
        }
    }

    /// Adds the headers that say whom a request is for, in the order of [`Self::names`], behind those that
    /// are there; never a second one of the same name, in whatever case. Answers what they say.
    pub fn add_to(
        &self,
        sent: &mut Vec<(String, HeaderSecret)>,
        owner: &UserId,
        context: &IdentityContext,
    ) -> Said {
        let text = |text: Option<&str>| text.map(encode).unwrap_or_default();
        let mut said = Said {
            owner: encode(owner.as_str()),
            chat: text(context.chat.as_ref().map(ChatId::as_str)),
            subchat: text(context.subchat.as_ref().map(ChatId::as_str)),
            workspace: text(context.workspace.as_deref()),
        };
        let values = [
            &mut said.owner,
            &mut said.chat,
            &mut said.subchat,
            &mut said.workspace,
        ];
        for (name, value) in self.names().into_iter().zip(values) {
            if name.is_empty() || headers::has(sent, name) {
                value.clear();
            } else if !value.is_empty() {
                sent.push((name.to_owned(), HeaderSecret::new(value.clone())));
            }
        }
        said
    }
}

/// A text as a header says it: every byte that is not visible ASCII, and `%` itself, as `%` and two
/// upper-case hex digits (RFC 3986, section 2.1). Different texts stay different.
pub fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_graphic() && byte != b'%' {
            encoded.push(char::from(byte));
        } else {
            encoded.push('%');
            for digit in [byte >> 4, byte & 0xf] {
                let digit = char::from_digit(digit.into(), 16).unwrap_or_default();
                encoded.push(digit.to_ascii_uppercase());
            }
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    fn context(chat: &str, subchat: &str, workspace: &str) -> IdentityContext {
        IdentityContext {
            chat: ChatId::parse(chat).ok(),
            subchat: ChatId::parse(subchat).ok(),
            workspace: (!workspace.is_empty()).then(|| workspace.to_owned()),
            triggered_by: UserId::parse("carol").ok(),
        }
    }

    fn custom(owner: &str, chat: &str) -> Forwarding {
        Forwarding {
            naming: Naming::Custom(Names {
                owner: owner.to_owned(),
                chat: chat.to_owned(),
                ..Names::default()
            }),
            ..Forwarding::default()
        }
    }

    /// Whether these headers, behind those, are what is sent.
    fn sends(
        (forwarding, context): (&Forwarding, &IdentityContext),
        before: &[&str],
        wanted: &[(&str, &str)],
    ) -> Said {
        let header = |name: &str, value: &str| {
            let value = HeaderSecret::new(value.to_owned());
            (name.to_owned(), value)
        };
        let mut sent: Vec<_> = before.iter().map(|name| header(name, "secret")).collect();
        let said = forwarding.add_to(&mut sent, &UserId::parse("ann").unwrap(), context);
        let names: Vec<_> = sent.iter().map(|(name, _)| &**name).collect();
        let both = wanted.iter().map(|(name, _)| *name);
        assert_eq!(
            names,
            before.iter().copied().chain(both).collect::<Vec<_>>()
        );
        for ((name, value), (_, wanted)) in sent[before.len()..].iter().zip(wanted) {
            assert!(value.is(&header(name, wanted).1), "{name}: {wanted}");
        }
        said
    }

    #[test]
    fn each_header_is_there_when_there_is_something_to_say() {
        let ours = Forwarding::default();
        let coder = Forwarding {
            naming: Naming::Coder,
            ..Forwarding::default()
        };
        let all = context("c1", "s1", "w1");
        let some = |owner: &str, chat: &str, subchat: &str, workspace: &str| Said {
            owner: owner.to_owned(),
            chat: chat.to_owned(),
            subchat: subchat.to_owned(),
            workspace: workspace.to_owned(),
        };
        for (forwarding, context, before, wanted, said) in [
            (
                &ours,
                context("", "", ""),
                &[][..],
                &[("X-Stationmaster-Owner-Id", "ann")][..],
                some("ann", "", "", ""),
            ),
            (
                &ours,
                all.clone(),
                &["Authorization"],
                &[
                    ("X-Stationmaster-Owner-Id", "ann"),
                    ("X-Stationmaster-Chat-Id", "c1"),
                    ("X-Stationmaster-Subchat-Id", "s1"),
                    ("X-Stationmaster-Workspace-Id", "w1"),
                ],
                some("ann", "c1", "s1", "w1"),
            ),
            (
                &coder,
                context("c1", "", "w1"),
                &["x-coder-OWNER-id"],
                &[("X-Coder-Chat-Id", "c1"), ("X-Coder-Workspace-Id", "w1")],
                some("", "c1", "", "w1"),
            ),
            (
                &custom("X-Who", ""),
                all.clone(),
                &[],
                &[("X-Who", "ann")],
                some("ann", "", "", ""),
            ),
            (
                &custom("", "X-Chat"),
                all,
                &["X-CHAT"],
                &[],
                some("", "", "", ""),
            ),
        ] {
            let found = sends((forwarding, &context), before, wanted);

            assert_eq!(found, said, "{forwarding:?} {context:?}");
        }
    }

    #[test]
    fn what_no_header_takes_is_encoded_and_stays_apart() {
        for (text, encoded) in [
            ("ann@corp.test", "ann@corp.test"),
            ("a b", "a%20b"),
            ("a%20b", "a%2520b"),
            ("Zoë", "Zo%C3%AB"),
            ("日", "%E6%97%A5"),
            ("\"a,b;c\"", "\"a,b;c\""),
            ("\u{7f}\r\n", "%7F%0D%0A"),
        ] {
            assert_eq!(encode(text), encoded);
        }
    }
}
