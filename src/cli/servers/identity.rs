//! How a server is told whom requests are for, as flags.

use clap::{Args, ValueEnum};

use crate::client::v1;

#[derive(Debug, Args)]
#[command(next_help_heading = "Identity headers")]
pub(super) struct Identity {
    /// Whether requests name owner, chat and workspace
    #[arg(long, value_name = "BOOL")]
    forward_identity_headers: Option<bool>,
    /// What the headers are called [default: stationmaster]
    #[arg(long = "identity-preset", value_enum)]
    preset: Option<Preset>,
    /// The header that names the chat's owner, with the preset custom; an empty one is not sent
    #[arg(long = "identity-owner-header", value_name = "NAME")]
    owner_header: Option<String>,
    /// The header that names the root chat, with the preset custom
    #[arg(long = "identity-chat-header", value_name = "NAME")]
    chat_header: Option<String>,
    /// The header that names the sub-chat, with the preset custom
    #[arg(long = "identity-subchat-header", value_name = "NAME")]
    subchat_header: Option<String>,
    /// The header that names the workspace, with the preset custom
    #[arg(long = "identity-workspace-header", value_name = "NAME")]
    workspace_header: Option<String>,
    /// Whether a signed token goes with them, which receivers check by /.well-known/jwks.json
    #[arg(long, value_name = "BOOL")]
    signed_token: Option<bool>,
    /// The header that carries it [default: X-Stationmaster-Identity]
    #[arg(long, value_name = "NAME")]
    signed_token_header: Option<String>,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Preset {
    /// X-Stationmaster-Owner-Id and so on
    Stationmaster,
    /// X-Coder-Owner-Id and so on
    Coder,
    /// As the flags say
    Custom,
}

/// One of the texts.
type Field = fn(&mut v1::IdentityForwarding) -> &mut String;

impl Identity {
    /// Puts what was said into the server; notes the paths of the fields.
    pub(super) fn lay_over(&self, server: &mut v1::Server, paths: &mut Vec<&'static str>) {
        if let Some(said) = self.forward_identity_headers {
            server.forward_identity_headers = said;
            paths.push("forward_identity_headers");
        }
        if let Some(preset) = self.preset {
            let forwarding = server.identity_forwarding.get_or_insert_default();
            forwarding.set_preset(match preset {
                Preset::Stationmaster => v1::IdentityHeaderPreset::Stationmaster,
                Preset::Coder => v1::IdentityHeaderPreset::Coder,
                Preset::Custom => v1::IdentityHeaderPreset::Custom,
            });
            paths.push("identity_forwarding.preset");
        }
        if let Some(said) = self.signed_token {
            let forwarding = server.identity_forwarding.get_or_insert_default();
            forwarding.signed_token = said;
            paths.push("identity_forwarding.signed_token");
        }
        let names: [(&Option<String>, &str, Field); 5] = [
            (
                &self.owner_header,
                "identity_forwarding.owner_header",
                |to| &mut to.owner_header,
            ),
            (&self.chat_header, "identity_forwarding.chat_header", |to| {
                &mut to.chat_header
            }),
            (
                &self.subchat_header,
                "identity_forwarding.subchat_header",
                |to| &mut to.subchat_header,
            ),
            (
                &self.workspace_header,
                "identity_forwarding.workspace_header",
                |to| &mut to.workspace_header,
            ),
            (
                &self.signed_token_header,
                "identity_forwarding.signed_token_header",
                |to| &mut to.signed_token_header,
            ),
        ];
        for (said, path, field) in names {
            if let Some(said) = said {
                field(server.identity_forwarding.get_or_insert_default()).clone_from(said);
                paths.push(path);
            }
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
        identity: Identity,
    }

    #[test]
    fn only_what_was_said_is_named() {
        let line = [
            "x",
            "--identity-preset",
            "coder",
            "--signed-token",
            "true",
            "--signed-token-header",
            "",
        ];
        let (mut server, mut paths) = (v1::Server::default(), Vec::new());

        let identity = Line::parse_from(line).identity;
        identity.lay_over(&mut server, &mut paths);

        let wanted = ["preset", "signed_token", "signed_token_header"];
        assert_eq!(
            paths,
            wanted.map(|path| format!("identity_forwarding.{path}"))
        );
        let forwarding = server.identity_forwarding.unwrap();
        assert_eq!(forwarding.preset(), v1::IdentityHeaderPreset::Coder);
        assert!(forwarding.signed_token && !server.forward_identity_headers);
    }
}
