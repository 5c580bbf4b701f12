//! A server configuration as a caller wrote it, to a [`Draft`].
//!
//! What the merged configuration must hold is the domain's to say (`domain::servers::check`); here
//! is what only the wire knows: grammar of what becomes a type, sizes of secrets, unknown numbers,
//! and features of later releases, which are refused rather than forgotten.

use super::super::convert::{self, LATER};
use super::{auth_from_proto, forwarding};
use crate::domain::accounts::{AccountBinding, AccountPolicy, DEFAULT_CLAIM};
use crate::domain::secrets::Opaque;
use crate::domain::servers::{
    Access, Auth, Availability, Draft, Edit, Rules, SealedSecrets, SecretEdits, Spec, Stored,
    ToolPolicy, Transport, check,
};
use crate::domain::tenants::DEFAULT_TENANT;
use crate::domain::text::{self, Slug, Violation, Violations};
use crate::pb::v1 as pb;

/// Reads the parts of one server and remembers what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Reader {
    /// Every offence so far.
    pub(super) found: Violations,
    /// The secrets read so far.
    pub(super) secrets: SecretEdits,
}

/// The draft of a server, whose secrets of the same kind of authorisation are `stored`.
pub(super) fn draft(server: pb::Server, stored: &SealedSecrets) -> Result<Draft, Violations> {
    let mut reader = Reader::default();
    let spec = reader.spec(server, stored);
    let Reader { found, secrets } = reader;
    let draft = Draft { spec, secrets };
    if found.is_empty() {
        Ok(draft)
    } else {
        Err(with_those_of_the_domain(found, &draft, stored))
    }
}

/// All that is wrong, for a caller that would otherwise learn the rest one attempt later.
fn with_those_of_the_domain(found: Violations, draft: &Draft, held: &SealedSecrets) -> Violations {
    let names = if let Auth::CustomHeaders(custom) = &draft.spec.auth {
        custom.names.as_slice()
    } else {
        &[]
    };
    let stored = Stored {
        api_key: true,
        client_secret: held.client_secret.is_some(),
        private_key: held.private_key.is_some(),
        header_names: names,
    };
    let known: Vec<Violation> = found.clone().into_vec();
    let mut all = found;
    for more in check(draft, stored, Rules::HttpAllowed).into_vec() {
        if !known.iter().any(|known| known.field == more.field) {
            all.add(more.field, more.description);
        }
    }
    all
}

impl Reader {
    fn spec(&mut self, server: pb::Server, stored: &SealedSecrets) -> Spec {
        let signing_secret = server.signing_secret;
        let signing_secret = self.secret("server.signing_secret", signing_secret, 1024);
        self.secrets.signing_secret = edit(signing_secret, Opaque::new);
        Spec {
            slug: self.slug(&server.slug, &server.display_name),
            display_name: trimmed(&server.display_name),
            description: trimmed(&server.description),
            icon_url: trimmed(&server.icon_url),
            url: trimmed(&server.url),
            transport: self.transport(server.transport),
            enabled: server.enabled,
            availability: self.availability(server.availability),
            allow_in_plan_mode: server.allow_in_plan_mode,
            allow_in_subagents: server.allow_in_subagents,
            model_intent: server.model_intent,
            forward_identity_headers: server.forward_identity_headers,
            identity_forwarding: server
                .identity_forwarding
                .map(|named| forwarding::read(self, &named)),
            tools: ToolPolicy {
                allow: entries(&server.tool_allow_list),
                deny: entries(&server.tool_deny_list),
            },
            access: Access {
                users: entries(&server.allowed_users),
                groups: entries(&server.allowed_groups),
            },
            managed_by: trimmed(&server.managed_by),
            auth: auth_from_proto::read(self, server.auth, stored),
            account_binding: server
                .account_binding
                .map(|binding| self.account_binding(&binding)),
        }
    }

    fn account_binding(&mut self, binding: &pb::AccountBinding) -> AccountBinding {
        let policy = match self.choice("server.account_binding.policy", binding.policy) {
            Some(pb::AccountPolicy::Warn) => AccountPolicy::Warn,
            Some(pb::AccountPolicy::Refuse) => AccountPolicy::Refuse,
            Some(pb::AccountPolicy::Unspecified | pb::AccountPolicy::Accept) | None => {
                AccountPolicy::Accept
            }
        };
        let by_claim = !binding.user_claim.is_empty();
        self.later("server.account_binding.user_claim", by_claim);
        let claim = trimmed(&binding.upstream_claim);
        let claim = if claim.is_empty() {
            DEFAULT_CLAIM.to_owned()
        } else {
            claim
        };
        AccountBinding { policy, claim }
    }

    /// The slug given, or the display name's.
    fn slug(&mut self, slug: &str, display_name: &str) -> Slug {
        let slug = slug.trim();
        let found = if slug.is_empty() {
            let derived = Slug::derive(display_name);
            if derived.is_none() {
                self.found.add(
                    "server.slug",
                    "is required: none follows from the display name",
                );
            }
            derived
        } else {
            self.found.keep("server.slug", Slug::parse(slug))
        };
        found.unwrap_or_else(placeholder)
    }

    fn transport(&mut self, value: i32) -> Transport {
        match self.choice("server.transport", value) {
            Some(pb::Transport::Sse) => Transport::Sse,
            Some(pb::Transport::Unspecified | pb::Transport::StreamableHttp) | None => {
                Transport::StreamableHttp
            }
        }
    }

    fn availability(&mut self, value: i32) -> Availability {
        match self.choice("server.availability", value) {
            Some(pb::Availability::ForceOn) => Availability::ForceOn,
            Some(pb::Availability::DefaultOn) => Availability::DefaultOn,
            Some(pb::Availability::Unspecified | pb::Availability::DefaultOff) | None => {
                Availability::DefaultOff
            }
        }
    }

    /// Notes a field that is set although its feature is of a later release.
    pub(super) fn later(&mut self, field: &str, is_set: bool) {
        if is_set {
            self.found.add(field, LATER);
        }
    }

    /// A value of an enum; `None` only where the number is unknown, which is noted.
    pub(super) fn choice<E: TryFrom<i32>>(&mut self, field: &str, value: i32) -> Option<E> {
        convert::choice(&mut self.found, field, value)
    }

    /// A text that may be absent.
    pub(super) fn optional(&mut self, field: &str, text: &str, max: usize) -> Option<String> {
        convert::optional_line(&mut self.found, field, text, max)
    }

    /// A text that must be there.
    pub(super) fn required(&mut self, field: &str, text: &str, max: usize) -> String {
        self.found
            .keep(field, text::required(text, max))
            .unwrap_or_default()
    }

    /// What becomes of a stored secret: absent keeps, empty clears.
    pub(super) fn secret(
        &mut self,
        field: &str,
        value: Option<String>,
        max: usize,
    ) -> Edit<String> {
        let Some(value) = value else {
            return Edit::Keep;
        };
        if value.is_empty() {
            return Edit::Clear;
        }
        // Checked without being trimmed or kept anywhere else: line breaks are those of PEM.
        if self
            .found
            .keep(field, text::paragraph(&value, max))
            .is_none()
        {
            return Edit::Keep;
        }
        if value.len() > max {
            self.found
                .add(field, format!("must be at most {max} bytes"));
        }
        Edit::Set(value)
    }
}

/// The same edit of another type.
pub(super) fn edit<T>(from: Edit<String>, into: impl FnOnce(String) -> T) -> Edit<T> {
    match from {
        Edit::Keep => Edit::Keep,
        Edit::Clear => Edit::Clear,
        Edit::Set(text) => Edit::Set(into(text)),
    }
}

/// A text without surrounding white space; its rules are the domain's.
pub(super) fn trimmed(text: &str) -> String {
    text.trim().to_owned()
}

/// A list without blanks and repeats, unless there is nothing else; its rules are the domain's.
pub(in crate::grpc) fn entries(list: &[String]) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for entry in list.iter().map(|entry| entry.trim()) {
        if !entry.is_empty() && !kept.iter().any(|known| known == entry) {
            kept.push(entry.to_owned());
        }
    }
    if kept.is_empty() && !list.is_empty() {
        return vec![String::new()];
    }
    kept
}

/// Stands in for a slug that was refused; the draft that holds it is, too.
#[expect(clippy::expect_used, reason = "the constant is a slug")]
fn placeholder() -> Slug {
    Slug::parse(DEFAULT_TENANT).expect("a slug")
}
