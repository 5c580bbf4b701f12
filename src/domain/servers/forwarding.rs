//! What identity headers may be called.

use super::super::forwarding::Forwarding;
use super::super::headers;
use super::super::text::Violations;

const FIELD: &str = "server.identity_forwarding";
const FIELDS: [&str; 4] = [
    "owner_header",
    "chat_header",
    "subchat_header",
    "workspace_header",
];

/// Notes names that no header has, that two would have, or that nobody would be named under.
pub(super) fn check_forwarding(found: &mut Violations, forwarding: &Forwarding) {
    let names = forwarding.names();
    let nameless = names.iter().all(|name| name.is_empty());
    if nameless && !forwarding.signed_token {
        found.add(FIELD, "must name a header, or send the signed token");
    }
    let fields = FIELDS.into_iter().zip(names);
    let fields = fields.chain([("signed_token_header", &*forwarding.token_header)]);
    let mut taken: Vec<String> = forwarding
        .signature_headers()
        .map(str::to_ascii_lowercase)
        .to_vec();
    for (field, name) in fields.filter(|(_, name)| !name.is_empty()) {
        let field = format!("{FIELD}.{field}");
        found.keep(&field, headers::name(name));
        let lower = name.to_ascii_lowercase();
        if taken.contains(&lower) {
            found.add(
                field,
                "must differ from the other names and from those of the signature, regardless of case",
            );
        }
        taken.push(lower);
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::forwarding::{Names, Naming};
    use super::*;

    #[test]
    fn names_are_those_of_headers_and_differ() {
        let custom = |names: [&str; 4], token: (bool, &str)| Forwarding {
            naming: Naming::Custom(Names {
                owner: names[0].to_owned(),
                chat: names[1].to_owned(),
                subchat: names[2].to_owned(),
                workspace: names[3].to_owned(),
            }),
            signed_token: token.0,
            token_header: token.1.to_owned(),
        };
        let coder = |token: &str| Forwarding {
            naming: Naming::Coder,
            signed_token: true,
            token_header: token.to_owned(),
        };
        for (forwarding, fields) in [
            (Forwarding::default(), &[][..]),
            (coder("X-Id-Token"), &[]),
            (custom(["X-Who", "", "", ""], (false, "X-T")), &[]),
            (custom(["", "", "", ""], (true, "X-T")), &[]),
            (custom(["", "", "", ""], (false, "X-T")), &[""]),
            (coder("x-coder-chat-id"), &[".signed_token_header"]),
            (coder("X-Coder-Signature"), &[".signed_token_header"]),
            (
                custom(["X-A", "x-a", "Host", "a b"], (false, "X-T")),
                &[".chat_header", ".subchat_header", ".workspace_header"],
            ),
            (
                custom(["X-A", "", "", ""], (false, "X-a")),
                &[".signed_token_header"],
            ),
        ] {
            let mut found = Violations::new();

            check_forwarding(&mut found, &forwarding);

            let found = found.into_vec().into_iter().map(|found| found.field);
            let wanted = fields.iter().map(|field| format!("{FIELD}{field}"));
            assert_eq!(
                found.collect::<Vec<_>>(),
                wanted.collect::<Vec<_>>(),
                "{forwarding:?}"
            );
        }
    }
}
