//! Identity forwarding through the wire form and back.

use super::from_proto::{Reader, trimmed};
use crate::domain::forwarding::{Forwarding, Names, Naming, TOKEN_HEADER};
use crate::pb::v1 as pb;
use crate::pb::v1::IdentityHeaderPreset as Preset;

/// As a caller wrote it; the names are judged by the domain.
pub(super) fn read(reader: &mut Reader, given: &pb::IdentityForwarding) -> Forwarding {
    let names = Names {
        owner: trimmed(&given.owner_header),
        chat: trimmed(&given.chat_header),
        subchat: trimmed(&given.subchat_header),
        workspace: trimmed(&given.workspace_header),
    };
    let preset = reader.choice("server.identity_forwarding.preset", given.preset);
    let naming = match preset {
        Some(Preset::Custom) => Naming::Custom(names),
        Some(Preset::Unspecified | Preset::Stationmaster | Preset::Coder) | None => {
            for (field, name) in [
                ("owner_header", &names.owner),
                ("chat_header", &names.chat),
                ("subchat_header", &names.subchat),
                ("workspace_header", &names.workspace),
            ] {
                if !name.is_empty() {
                    let field = format!("server.identity_forwarding.{field}");
                    reader
                        .found
                        .add(field, "goes with the preset CUSTOM: this one has its names");
                }
            }
            if preset == Some(Preset::Coder) {
                Naming::Coder
            } else {
                Naming::Stationmaster
            }
        }
    };
    let token_header = trimmed(&given.signed_token_header);
    Forwarding {
        naming,
        signed_token: given.signed_token,
        token_header: if token_header.is_empty() {
            TOKEN_HEADER.to_owned()
        } else {
            token_header
        },
    }
}

/// As it is answered, and as an update is merged into it.
pub(super) fn write(forwarding: &Forwarding) -> pb::IdentityForwarding {
    let (preset, names) = match &forwarding.naming {
        Naming::Stationmaster => (Preset::Stationmaster, Names::default()),
        Naming::Coder => (Preset::Coder, Names::default()),
        Naming::Custom(names) => (Preset::Custom, names.clone()),
    };
    pb::IdentityForwarding {
        preset: preset.into(),
        owner_header: names.owner,
        chat_header: names.chat,
        subchat_header: names.subchat,
        workspace_header: names.workspace,
        signed_token: forwarding.signed_token,
        signed_token_header: forwarding.token_header.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(preset: Preset, chat_header: &str) -> pb::IdentityForwarding {
        pb::IdentityForwarding {
            preset: preset.into(),
            chat_header: chat_header.to_owned(),
            ..pb::IdentityForwarding::default()
        }
    }

    #[test]
    fn names_come_from_one_place() {
        for (preset, offences) in [
            (Preset::Unspecified, 1),
            (Preset::Stationmaster, 1),
            (Preset::Coder, 1),
            (Preset::Custom, 0),
        ] {
            let mut reader = Reader::default();

            read(&mut reader, &named(preset, "X-Chat"));

            let found = reader.found.into_vec();
            assert_eq!(found.len(), offences, "{preset:?}: {found:?}");
        }
    }

    #[test]
    fn what_is_absent_has_its_default() {
        let mut reader = Reader::default();

        let forwarding = read(&mut reader, &named(Preset::Unspecified, " "));

        assert!(reader.found.is_empty());
        assert_eq!(forwarding, Forwarding::default());
        let written = pb::IdentityForwarding {
            signed_token_header: TOKEN_HEADER.to_owned(),
            ..named(Preset::Stationmaster, "")
        };
        assert_eq!(write(&forwarding), written);
    }
}
