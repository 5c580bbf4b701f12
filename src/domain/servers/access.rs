//! Who may use a server, and how that is changed by what is added and what is removed, so that changes made
//! at the same time add up.

use serde::{Deserialize, Serialize};

use super::super::text::Violations;

/// Who may use a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, Default)]
pub struct Access {
    /// Users who may; empty together with `groups`: everyone.
    pub users: Vec<String>,
    /// Groups whose members may.
    pub groups: Vec<String>,
}

impl Access {
    /// The most users, and the most groups, that a list has.
    pub const MOST: usize = 1000;
    /// The longest name of one, in bytes.
    pub const LONGEST: usize = 255;

    /// Whether this user, with these groups asserted, may use the server.
    pub fn admits<'a>(&self, user: &str, mut groups: impl Iterator<Item = &'a str>) -> bool {
        self.admits_everyone()
            || self.users.iter().any(|allowed| allowed == user)
            || groups.any(|group| self.groups.iter().any(|allowed| allowed == group))
    }

    /// Whether nobody is named, which admits everyone.
    pub fn admits_everyone(&self) -> bool {
        self.users.is_empty() && self.groups.is_empty()
    }

    /// Whether this user may not use the server whatever groups are asserted.
    pub fn shuts_out(&self, user: &str) -> bool {
        self.groups.is_empty() && !self.admits(user, std::iter::empty())
    }
}

/// What is to be added to, and taken from, who may use a server.
#[derive(Debug, Clone, Default)]
pub struct AccessPatch {
    /// Users who may from now on.
    pub add_users: Vec<String>,
    /// Users who may no longer.
    pub remove_users: Vec<String>,
    /// Groups whose members may from now on.
    pub add_groups: Vec<String>,
    /// Groups whose members may no longer.
    pub remove_groups: Vec<String>,
    /// Whether nobody may be left on the lists, which then admit everyone.
    pub allow_everyone: bool,
}

impl AccessPatch {
    /// Notes what no access makes sense of.
    pub fn check(&self, found: &mut Violations) {
        for (field, add, remove) in [
            ("remove_users", &self.add_users, &self.remove_users),
            ("remove_groups", &self.add_groups, &self.remove_groups),
        ] {
            if remove.iter().any(|entry| add.contains(entry)) {
                found.add(field, "must not remove what is added");
            }
        }
    }

    /// The access as it is after this, applied to what is stored. Adding what is there and removing what is
    /// not change nothing.
    pub fn applied_to(&self, access: &Access) -> Result<Access, Violations> {
        let mut found = Violations::new();
        let next = Access {
            users: merged(&access.users, &self.add_users, &self.remove_users),
            groups: merged(&access.groups, &self.add_groups, &self.remove_groups),
        };
        for (field, list) in [("add_users", &next.users), ("add_groups", &next.groups)] {
            if list.len() > Access::MOST {
                found.add(
                    field,
                    format!("would make the list longer than {}", Access::MOST),
                );
            }
        }
        if next.admits_everyone() && !access.admits_everyone() && !self.allow_everyone {
            found.add(
                "allow_everyone",
                "must be true: with nobody left on the lists everyone may use the server",
            );
        }
        found.or(next)
    }
}

fn merged(held: &[String], add: &[String], remove: &[String]) -> Vec<String> {
    let mut next: Vec<String> = held.to_vec();
    next.extend(add.iter().filter(|entry| !held.contains(entry)).cloned());
    next.retain(|entry| !remove.contains(entry));
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_patch_adds_and_removes_and_opens_nothing_by_accident() {
        for (held, add, remove, everyone, next) in [
            (
                &["ann"][..],
                &["bob"][..],
                &[][..],
                false,
                Ok(&["ann", "bob"][..]),
            ),
            (&["ann"], &["ann"], &["eve"], false, Ok(&["ann"])),
            (&["ann", "bob"], &[], &["ann"], false, Ok(&["bob"])),
            (&["ann"], &[], &["ann"], true, Ok(&[])),
            (&["ann"], &[], &["ann"], false, Err("allow_everyone")),
            (&[], &[], &["ann"], false, Ok(&[])),
            (&[], &["ann"], &[], false, Ok(&["ann"])),
        ] {
            let access = Access {
                users: texts(held),
                groups: Vec::new(),
            };
            let patch = AccessPatch {
                add_users: texts(add),
                remove_users: texts(remove),
                allow_everyone: everyone,
                ..AccessPatch::default()
            };

            let applied = patch.applied_to(&access);

            let said = applied.map(|access| access.users);
            let said = said.map_err(|found| found.into_vec().remove(0).field);
            let next = next.map(texts).map_err(str::to_owned);
            assert_eq!(said, next, "{held:?} {patch:?}");
        }
    }

    #[test]
    fn a_list_has_its_length() {
        let access = Access {
            users: Vec::new(),
            groups: (0..Access::MOST).map(|n| n.to_string()).collect(),
        };
        let patch = AccessPatch {
            add_groups: texts(&["one more"]),
            ..AccessPatch::default()
        };

        let refused = patch.applied_to(&access).unwrap_err().into_vec();

        assert_eq!(refused[0].field, "add_groups");
    }

    #[test]
    fn empty_access_admits_everyone_and_a_list_only_its_own() {
        let open = Access::default();
        let closed = Access {
            users: vec!["ann".into()],
            groups: vec!["ops".into()],
        };

        assert!(open.admits("bob", [].into_iter()));
        assert!(closed.admits("ann", [].into_iter()));
        assert!(closed.admits("bob", ["ops"].into_iter()));
        assert!(!closed.admits("Ann", ["Ops"].into_iter()));
    }

    #[test]
    fn who_is_shut_out_is_admitted_with_no_groups_whatever() {
        for (users, groups, shut_out) in [
            (&[][..], &[][..], false),
            (&["ann"], &[], false),
            (&["bob"], &[], true),
            (&["bob", "ann"], &[], false),
            (&["bob"], &["ops"], false),
            (&[], &["ops"], false),
            (&["ANN"], &[], true),
        ] {
            let text = |names: &[&str]| names.iter().map(ToString::to_string).collect();
            let access = Access {
                users: text(users),
                groups: text(groups),
            };

            assert_eq!(access.shuts_out("ann"), shut_out, "{access:?}");
            assert!(!shut_out || !access.admits("ann", groups.iter().copied()));
        }
    }
}
