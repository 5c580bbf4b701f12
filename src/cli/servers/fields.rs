//! The fields of a server but for its authorization, as flags.

use std::path::PathBuf;

use anyhow::Result;
use clap::{Args, ValueEnum};

use super::identity::Identity;
use super::secrets;
use crate::client::v1;

#[derive(Debug, Args)]
#[command(next_help_heading = "The server")]
pub(super) struct Fields {
    /// What people see
    #[arg(long)]
    name: Option<String>,
    /// A short name for machines [default: from the name]
    #[arg(long)]
    slug: Option<String>,
    /// Where it is
    #[arg(long)]
    url: Option<String>,
    /// A paragraph about it
    #[arg(long)]
    description: Option<String>,
    /// A URL or an emoji
    #[arg(long, value_name = "ICON")]
    icon_url: Option<String>,
    /// How daemons speak to it
    #[arg(long, value_enum)]
    transport: Option<Transport>,
    /// Let users and daemons have it
    #[arg(long, conflicts_with = "disabled")]
    enabled: bool,
    /// The kill switch: it does not exist for users and daemons
    #[arg(long)]
    disabled: bool,
    /// Whether a chat that did not choose has it
    #[arg(long, value_enum)]
    availability: Option<Availability>,
    /// Whether it may be used while a chat plans [default: false]
    #[arg(long, value_name = "BOOL")]
    allow_in_plan_mode: Option<bool>,
    /// Whether sub-agents may use it [default: false]
    #[arg(long, value_name = "BOOL")]
    allow_in_subagents: Option<bool>,
    /// Whether the model is asked why it calls a tool
    #[arg(long, value_name = "BOOL")]
    model_intent: Option<bool>,
    /// Only this tool may be called (`*` stands for any characters); repeat for more
    #[arg(long = "tool-allow", value_name = "TOOL")]
    tool_allow_list: Vec<String>,
    /// This tool may never be called; repeat for more
    #[arg(long = "tool-deny", value_name = "TOOL")]
    tool_deny_list: Vec<String>,
    /// A user who may use it; without users and groups everybody may; repeat for more
    #[arg(long = "allow-user", value_name = "USER")]
    allowed_users: Vec<String>,
    /// A group whose members may use it; repeat for more
    #[arg(long = "allow-group", value_name = "GROUP")]
    allowed_groups: Vec<String>,
    /// What happens when a user connects an account that is not their own; ask for scopes that tell whose
    /// it is (`--scope openid --scope email`)
    #[arg(long, value_enum, value_name = "POLICY")]
    account_policy: Option<AccountPolicy>,
    /// The claim of ID token or userinfo that must be the user's id [default: email]
    #[arg(long, value_name = "CLAIM")]
    account_claim: Option<String>,
    /// A label for what manages it
    #[arg(long, value_name = "LABEL")]
    managed_by: Option<String>,
    /// A file with the key that daemons sign identity headers with
    #[arg(long, value_name = "FILE")]
    signing_secret_file: Option<PathBuf>,
    #[command(flatten)]
    identity: Identity,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Transport {
    StreamableHttp,
    Sse,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Availability {
    /// Every chat has it
    ForceOn,
    /// A new chat has it until it is taken out
    DefaultOn,
    /// A chat has it when it is put in
    DefaultOff,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AccountPolicy {
    /// It is stored
    Accept,
    /// It is stored, with a warning
    Warn,
    /// It is not stored
    Refuse,
}

/// What can be made empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Clear {
    Description,
    IconUrl,
    ManagedBy,
    ToolAllow,
    ToolDeny,
    AllowUser,
    AllowGroup,
    AccountPolicy,
    Identity,
    SigningSecret,
}

impl Clear {
    /// Whether it says who may use the server.
    pub(super) fn is_access(self) -> bool {
        matches!(self, Self::AllowUser | Self::AllowGroup)
    }

    /// Empties it; answers the path of the field.
    pub(super) fn empty(self, server: &mut v1::Server) -> &'static str {
        match self {
            Self::Description => "description",
            Self::IconUrl => "icon_url",
            Self::ManagedBy => "managed_by",
            Self::ToolAllow => "tool_allow_list",
            Self::ToolDeny => "tool_deny_list",
            Self::AllowUser => "allowed_users",
            Self::AllowGroup => "allowed_groups",
            Self::AccountPolicy => "account_binding",
            Self::Identity => "identity_forwarding",
            Self::SigningSecret => {
                server.signing_secret = Some(String::new());
                "signing_secret"
            }
        }
    }
}

impl Fields {
    /// Puts what was said into the server; answers the paths of the fields.
    pub(super) fn lay_over(&self, server: &mut v1::Server) -> Result<Vec<&'static str>> {
        let mut paths = Vec::new();
        let texts = [
            ("display_name", &self.name, &mut server.display_name),
            ("slug", &self.slug, &mut server.slug),
            ("url", &self.url, &mut server.url),
            ("description", &self.description, &mut server.description),
            ("icon_url", &self.icon_url, &mut server.icon_url),
            ("managed_by", &self.managed_by, &mut server.managed_by),
        ];
        for (path, said, field) in texts {
            if let Some(said) = said {
                field.clone_from(said);
                paths.push(path);
            }
        }
        let enabled = (self.enabled || self.disabled).then_some(self.enabled);
        let truths = [
            ("enabled", enabled, &mut server.enabled),
            (
                "allow_in_plan_mode",
                self.allow_in_plan_mode,
                &mut server.allow_in_plan_mode,
            ),
            (
                "allow_in_subagents",
                self.allow_in_subagents,
                &mut server.allow_in_subagents,
            ),
            ("model_intent", self.model_intent, &mut server.model_intent),
        ];
        for (path, said, field) in truths {
            if let Some(said) = said {
                *field = said;
                paths.push(path);
            }
        }
        let lists = [
            (
                "tool_allow_list",
                &self.tool_allow_list,
                &mut server.tool_allow_list,
            ),
            (
                "tool_deny_list",
                &self.tool_deny_list,
                &mut server.tool_deny_list,
            ),
            (
                "allowed_users",
                &self.allowed_users,
                &mut server.allowed_users,
            ),
            (
                "allowed_groups",
                &self.allowed_groups,
                &mut server.allowed_groups,
            ),
        ];
        for (path, said, field) in lists {
            if !said.is_empty() {
                field.clone_from(said);
                paths.push(path);
            }
        }
        if let Some(transport) = self.transport {
            server.set_transport(match transport {
                Transport::StreamableHttp => v1::Transport::StreamableHttp,
                Transport::Sse => v1::Transport::Sse,
            });
            paths.push("transport");
        }
        if let Some(availability) = self.availability {
            server.set_availability(match availability {
                Availability::ForceOn => v1::Availability::ForceOn,
                Availability::DefaultOn => v1::Availability::DefaultOn,
                Availability::DefaultOff => v1::Availability::DefaultOff,
            });
            paths.push("availability");
        }
        self.lay_binding_over(server, &mut paths);
        self.identity.lay_over(server, &mut paths);
        if let Some(file) = &self.signing_secret_file {
            server.signing_secret = Some(secrets::from_file(file)?);
            paths.push("signing_secret");
        }
        Ok(paths)
    }

    fn lay_binding_over(&self, server: &mut v1::Server, paths: &mut Vec<&'static str>) {
        if let Some(policy) = self.account_policy {
            let binding = server.account_binding.get_or_insert_default();
            binding.set_policy(match policy {
                AccountPolicy::Accept => v1::AccountPolicy::Accept,
                AccountPolicy::Warn => v1::AccountPolicy::Warn,
                AccountPolicy::Refuse => v1::AccountPolicy::Refuse,
            });
            paths.push("account_binding.policy");
        }
        if let Some(claim) = &self.account_claim {
            let binding = server.account_binding.get_or_insert_default();
            binding.upstream_claim.clone_from(claim);
            paths.push("account_binding.upstream_claim");
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        fields: Fields,
    }

    #[test]
    fn only_what_was_said_is_named() {
        let line = [
            "x",
            "--disabled",
            "--tool-deny",
            "rm",
            "--url",
            "https://a.example",
        ];
        let mut server = v1::Server::default();

        let paths = Line::parse_from(line).fields.lay_over(&mut server).unwrap();

        assert_eq!(paths, ["url", "enabled", "tool_deny_list"]);
        assert_eq!(server.tool_deny_list, ["rm"]);
        assert!(!server.enabled);
    }
}
