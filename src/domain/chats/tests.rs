//! The rule of a turn: availability by selection by mode and agent, and whose the server is.

use super::*;
use crate::domain::random::SeededRandom;
use crate::domain::servers::Access;
use crate::domain::time::FixedClock;

const AVAILABILITIES: [Availability; 3] = [
    Availability::ForceOn,
    Availability::DefaultOn,
    Availability::DefaultOff,
];
const TURNS: [(Mode, Agent); 4] = [
    (Mode::Normal, Agent::Root),
    (Mode::Normal, Agent::Sub),
    (Mode::Plan, Agent::Root),
    (Mode::Plan, Agent::Sub),
];

fn id(seed: u64) -> ServerId {
    ServerId::mint(&FixedClock::default(), &SeededRandom::new(seed))
}

fn ann() -> Actor {
    Actor {
        user: UserId::parse("ann").unwrap(),
        groups: Vec::new(),
    }
}

/// A server that is on for everybody and allowed everywhere.
fn open(access: &Access, availability: Availability) -> Policy<'_> {
    Policy {
        id: id(1),
        enabled: true,
        availability,
        allow_in_plan_mode: true,
        allow_in_subagents: true,
        owner: None,
        access,
    }
}

fn only(user: &str) -> Access {
    Access {
        users: vec![user.to_owned()],
        groups: Vec::new(),
    }
}

#[test]
fn what_is_forced_is_in_and_the_rest_as_chosen_or_by_default() {
    let (this, other) = ([id(1)], [id(2)]);
    let everyone = Access::default();

    for (chosen, forced, default_on, default_off) in [
        (Chosen::Default, true, true, false),
        (Chosen::Only(&[]), true, false, false),
        (Chosen::Only(&other), true, false, false),
        (Chosen::Only(&this), true, true, true),
        (Chosen::Then(&[]), false, false, false),
        (Chosen::Then(&other), false, false, false),
        (Chosen::Then(&this), true, true, true),
    ] {
        for (availability, has) in AVAILABILITIES
            .into_iter()
            .zip([forced, default_on, default_off])
        {
            for turn in [TURNS[0], TURNS[1], TURNS[2]] {
                let server = open(&everyone, availability);

                let is = takes_part(&server, &ann(), chosen, turn);

                assert_eq!(is, has, "{availability:?} {chosen:?} {turn:?}");
            }
        }
    }
}

#[test]
fn nothing_is_in_that_is_off_or_not_the_users_not_even_by_force() {
    let this = [id(1)];
    let (anns, bobs) = (only("ann"), only("bob"));

    for availability in AVAILABILITIES {
        for chosen in [Chosen::Default, Chosen::Only(&[]), Chosen::Only(&this)] {
            for turn in TURNS {
                let off = Policy {
                    enabled: false,
                    ..open(&anns, availability)
                };
                let closed = open(&bobs, availability);

                assert!(!takes_part(&off, &ann(), chosen, turn), "{availability:?}");
                assert!(
                    !takes_part(&closed, &ann(), chosen, turn),
                    "{availability:?}"
                );
            }
        }
        assert!(takes_part(
            &open(&anns, availability),
            &ann(),
            Chosen::Only(&this),
            TURNS[0]
        ));
    }
}

#[test]
fn plan_mode_and_sub_agents_have_what_is_allowed_there_and_both_together_nothing() {
    let this = [id(1)];
    let everyone = Access::default();

    for availability in AVAILABILITIES {
        for (in_plan_mode, in_subagents) in
            [(false, false), (false, true), (true, false), (true, true)]
        {
            let server = Policy {
                allow_in_plan_mode: in_plan_mode,
                allow_in_subagents: in_subagents,
                ..open(&everyone, availability)
            };

            let is = TURNS.map(|turn| takes_part(&server, &ann(), Chosen::Only(&this), turn));

            let should = [true, in_subagents, in_plan_mode, false];
            assert_eq!(is, should, "{availability:?} {in_plan_mode} {in_subagents}");
        }
    }
}

#[test]
fn a_personal_server_is_its_owners_alone() {
    let this = [id(1)];
    let everyone = Access::default();
    let (anns, bobs) = (ann().user, UserId::parse("bob").unwrap());

    for (owner, has) in [(&anns, true), (&bobs, false)] {
        let server = Policy {
            owner: Some(owner),
            ..open(&everyone, Availability::ForceOn)
        };

        let is = takes_part(&server, &ann(), Chosen::Only(&this), TURNS[0]);

        assert_eq!(is, has, "{owner}");
    }
}

#[test]
fn a_group_lets_its_members_in() {
    let access = Access {
        users: Vec::new(),
        groups: vec!["staff".to_owned()],
    };
    let member = Actor {
        groups: vec![crate::domain::text::GroupId::parse("staff").unwrap()],
        ..ann()
    };
    let server = open(&access, Availability::ForceOn);

    assert!(takes_part(&server, &member, Chosen::Default, TURNS[0]));
    assert!(!takes_part(&server, &ann(), Chosen::Default, TURNS[0]));
}
