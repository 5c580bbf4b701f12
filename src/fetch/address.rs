//! Which addresses a tenant may make us talk to: globally reachable unicast, and what the
//! deployment's allow list adds. Pure; knows nothing of names or sockets.
//!
//! The table is the union of the IANA special-purpose registries (RFC 6890 and updates), the
//! transition ranges that carry an IPv4 address inside, and metadata services on public addresses.
//! IPv6 outside `2000::/3` is not global unicast and needs no entry to be refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::rules::{FetchRules, Loopback, Policy};

/// What an address is for, when it is not for the public internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Special {
    /// The host itself (RFC 1122, section 3.2.1.3; RFC 4291, section 2.5.3).
    Loopback,
    /// "This network" and the unspecified address.
    Unspecified,
    /// Private use: RFC 1918, unique local (RFC 4193), site-local (RFC 3879).
    Private,
    /// Link-local (RFC 3927, RFC 4291), where cloud metadata services live.
    LinkLocal,
    /// Shared by carriers (RFC 6598).
    Shared,
    /// Multicast and broadcast.
    Multicast,
    /// Documentation (RFC 5737, RFC 3849, RFC 9637).
    Documentation,
    /// Benchmarking (RFC 2544, RFC 5180).
    Benchmarking,
    /// An IPv4 address inside an IPv6 one: mapped, compatible, NAT64, 6to4, Teredo.
    Embedded,
    /// A metadata or platform service on a public address.
    Platform,
    /// Reserved, discarded or assigned to protocols.
    Reserved,
}

impl fmt::Display for Special {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Loopback => "loopback",
            Self::Unspecified => "unspecified",
            Self::Private => "private",
            Self::LinkLocal => "link-local",
            Self::Shared => "carrier-shared",
            Self::Multicast => "multicast",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Embedded => "IPv4-in-IPv6",
            Self::Platform => "platform service",
            Self::Reserved => "reserved",
        })
    }
}

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(high: [u16; 6], prefix: u8) -> Ipv6Net {
    let address = Ipv6Addr::new(high[0], high[1], high[2], high[3], high[4], high[5], 0, 0);
    Ipv6Net::new_assert(address, prefix)
}

/// Single hosts stand before the ranges around them.
const V4: &[(Ipv4Net, Special)] = &[
    (v4(168, 63, 129, 16, 32), Special::Platform), // Azure's wire server
    (v4(0, 0, 0, 0, 8), Special::Unspecified),
    (v4(10, 0, 0, 0, 8), Special::Private),
    (v4(100, 64, 0, 0, 10), Special::Shared),
    (v4(127, 0, 0, 0, 8), Special::Loopback),
    (v4(169, 254, 0, 0, 16), Special::LinkLocal),
    (v4(172, 16, 0, 0, 12), Special::Private),
    (v4(192, 0, 0, 0, 24), Special::Reserved),
    (v4(192, 0, 2, 0, 24), Special::Documentation),
    (v4(192, 31, 196, 0, 24), Special::Reserved), // AS112
    (v4(192, 52, 193, 0, 24), Special::Reserved), // AMT
    (v4(192, 88, 99, 0, 24), Special::Embedded),  // 6to4 relay
    (v4(192, 168, 0, 0, 16), Special::Private),
    (v4(192, 175, 48, 0, 24), Special::Reserved), // AS112
    (v4(198, 18, 0, 0, 15), Special::Benchmarking),
    (v4(198, 51, 100, 0, 24), Special::Documentation),
    (v4(203, 0, 113, 0, 24), Special::Documentation),
    (v4(224, 0, 0, 0, 4), Special::Multicast),
    (v4(255, 255, 255, 255, 32), Special::Multicast),
    (v4(240, 0, 0, 0, 4), Special::Reserved),
];

const V6: &[(Ipv6Net, Special)] = &[
    (v6([0, 0, 0, 0, 0, 0xffff], 96), Special::Embedded), // mapped
    (v6([0, 0, 0, 0, 0xffff, 0], 96), Special::Embedded), // translated (RFC 7915)
    (v6([0x64, 0xff9b, 0, 0, 0, 0], 96), Special::Embedded), // NAT64
    (v6([0x64, 0xff9b, 1, 0, 0, 0], 48), Special::Embedded), // local NAT64
    (v6([0x100, 0, 0, 0, 0, 0], 64), Special::Reserved),  // discard
    (v6([0xfc00, 0, 0, 0, 0, 0], 7), Special::Private),
    (v6([0xfe80, 0, 0, 0, 0, 0], 10), Special::LinkLocal),
    (v6([0xfec0, 0, 0, 0, 0, 0], 10), Special::Private),
    (v6([0xff00, 0, 0, 0, 0, 0], 8), Special::Multicast),
    (v6([0x2001, 0, 0, 0, 0, 0], 32), Special::Embedded), // Teredo
    (v6([0x2001, 2, 0, 0, 0, 0], 48), Special::Benchmarking),
    (v6([0x2001, 0, 0, 0, 0, 0], 23), Special::Reserved), // IETF assignments, ORCHID
    (v6([0x2001, 0xdb8, 0, 0, 0, 0], 32), Special::Documentation),
    (v6([0x2002, 0, 0, 0, 0, 0], 16), Special::Embedded), // 6to4
    (v6([0x2620, 0x4f, 0x8000, 0, 0, 0], 48), Special::Reserved), // AS112
    (v6([0x3fff, 0, 0, 0, 0, 0], 20), Special::Documentation),
];

/// What a special-use address is for; `None` for one that is reachable on the public internet.
pub fn special(address: IpAddr) -> Option<Special> {
    match address {
        IpAddr::V4(address) => V4
            .iter()
            .find(|(net, _)| net.contains(&address))
            .map(|(_, special)| *special),
        IpAddr::V6(Ipv6Addr::LOCALHOST) => Some(Special::Loopback),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => Some(Special::Unspecified),
        IpAddr::V6(address) => V6
            .iter()
            .find(|(net, _)| net.contains(&address))
            .map(|(_, special)| *special)
            .or_else(|| outside_global_unicast(address)),
    }
}

fn outside_global_unicast(address: Ipv6Addr) -> Option<Special> {
    let segments = address.segments();
    if segments[0] & 0xe000 == 0x2000 {
        None
    } else if segments[..6] == [0; 6] {
        Some(Special::Embedded) // compatible (RFC 4291, section 2.5.5.1)
    } else {
        Some(Special::Reserved)
    }
}

/// Whether a request under this policy may go to this address, when addresses are checked at all.
/// Total; asks nobody. Loopback takes both: a deployment that allows it, and a server that is there.
///
/// The allow list names a range as it is written: a listed `10.0.0.0/8` also admits the mapped form
/// `::ffff:10.0.0.1`, since a socket treats the two alike.
pub fn admit(address: IpAddr, rules: &FetchRules, policy: Policy) -> Result<(), Special> {
    let Some(special) = special(address) else {
        return Ok(());
    };
    let plain = address.to_canonical();
    let listed = |net: &IpNet| net.contains(&address) || net.contains(&plain);
    let loopback =
        policy == Policy::Local && rules.loopback == Loopback::Allowed && plain.is_loopback();
    if loopback || rules.allowed_cidrs.iter().any(listed) {
        Ok(())
    } else {
        Err(special)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn special_ranges_are_recognised_up_to_their_edges() {
        use Special::*;
        let table = [
            ("0.0.0.0", Some(Unspecified)),
            ("0.1.2.3", Some(Unspecified)),
            ("1.0.0.0", None),
            ("1.1.1.1", None),
            ("8.8.8.8", None),
            ("9.255.255.255", None),
            ("10.0.0.0", Some(Private)),
            ("10.255.255.255", Some(Private)),
            ("11.0.0.0", None),
            ("100.63.255.255", None),
            ("100.64.0.0", Some(Shared)),
            ("100.100.100.200", Some(Shared)),
            ("100.127.255.255", Some(Shared)),
            ("100.128.0.0", None),
            ("127.0.0.1", Some(Loopback)),
            ("127.255.255.254", Some(Loopback)),
            ("168.63.129.16", Some(Platform)),
            ("168.63.129.17", None),
            ("169.254.0.1", Some(LinkLocal)),
            ("169.254.169.254", Some(LinkLocal)),
            ("169.255.0.0", None),
            ("172.15.255.255", None),
            ("172.16.0.0", Some(Private)),
            ("172.31.255.255", Some(Private)),
            ("172.32.0.0", None),
            ("192.0.0.192", Some(Reserved)),
            ("192.0.2.1", Some(Documentation)),
            ("192.88.99.1", Some(Embedded)),
            ("192.167.255.255", None),
            ("192.168.1.1", Some(Private)),
            ("192.169.0.0", None),
            ("198.17.255.255", None),
            ("198.18.0.1", Some(Benchmarking)),
            ("198.19.255.255", Some(Benchmarking)),
            ("198.51.100.7", Some(Documentation)),
            ("203.0.113.9", Some(Documentation)),
            ("223.255.255.255", None),
            ("224.0.0.1", Some(Multicast)),
            ("239.255.255.255", Some(Multicast)),
            ("240.0.0.1", Some(Reserved)),
            ("255.255.255.255", Some(Multicast)),
            ("::", Some(Unspecified)),
            ("::1", Some(Loopback)),
            ("::2", Some(Embedded)),
            ("::127.0.0.1", Some(Embedded)),
            ("::ffff:8.8.8.8", Some(Embedded)),
            ("::ffff:169.254.169.254", Some(Embedded)),
            ("::ffff:0:10.0.0.1", Some(Embedded)),
            ("64:ff9b::a00:1", Some(Embedded)),
            ("64:ff9b:1::a00:1", Some(Embedded)),
            ("100::1", Some(Reserved)),
            ("200::1", Some(Reserved)),
            ("2001::1", Some(Embedded)),
            ("2001:2::1", Some(Benchmarking)),
            ("2001:10::1", Some(Reserved)),
            ("2001:1ff:ffff::1", Some(Reserved)),
            ("2001:200::1", None),
            ("2001:db8::1", Some(Documentation)),
            ("2002:7f00:1::", Some(Embedded)),
            ("2606:4700:4700::1111", None),
            ("2a00:1450:4001:800::200e", None),
            ("3fff:fff::1", Some(Documentation)),
            ("3fff:1000::1", None),
            ("4000::1", Some(Reserved)),
            ("5f00::1", Some(Reserved)),
            ("fc00::1", Some(Private)),
            ("fd00:ec2::254", Some(Private)),
            ("fe80::1", Some(LinkLocal)),
            ("febf::1", Some(LinkLocal)),
            ("fec0::1", Some(Private)),
            ("ff02::1", Some(Multicast)),
        ];

        for (text, expected) in table {
            assert_eq!(special(parse(text)), expected, "{text}");
        }
    }

    #[test]
    fn the_allow_list_admits_its_ranges_and_their_mapped_form_only() {
        let rules = FetchRules {
            allowed_cidrs: vec!["10.1.0.0/16".parse().unwrap()],
            ..FetchRules::default()
        };

        for (text, admitted) in [
            ("10.1.2.3", true),
            ("::ffff:10.1.2.3", true),
            ("10.2.0.1", false),
            ("127.0.0.1", false),
        ] {
            let found = admit(parse(text), &rules, Policy::Tenant);
            assert_eq!(found.is_ok(), admitted, "{text}");
        }
    }

    #[test]
    fn development_admits_loopback_for_servers_that_are_there_and_nothing_else() {
        let rules = FetchRules::development();

        for (text, admitted) in [
            ("127.0.0.1", true),
            ("127.8.9.1", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("0.0.0.0", false),
            ("169.254.169.254", false),
            ("192.168.0.1", false),
        ] {
            let local = admit(parse(text), &rules, Policy::Local);
            let elsewhere = admit(parse(text), &rules, Policy::Tenant);
            assert_eq!(local.is_ok(), admitted, "{text}");
            assert!(elsewhere.is_err(), "{text}");
            assert!(admit(parse(text), &FetchRules::default(), Policy::Local).is_err());
        }
    }

    proptest! {
        #[test]
        fn no_embedding_of_an_ipv4_address_is_ever_admitted(bits: u32) {
            let [a, b, c, d] = bits.to_be_bytes();
            let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            let forms = [
                Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
                Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                Ipv6Addr::new(0x2001, 0, high, low, 0, 0, !high, !low),
            ];

            for form in forms {
                for policy in [Policy::Tenant, Policy::Local] {
                    let found = admit(IpAddr::V6(form), &FetchRules::default(), policy);
                    prop_assert!(found.is_err(), "{form}");
                }
            }
        }
    }
}
